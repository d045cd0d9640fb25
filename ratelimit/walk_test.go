package ratelimit_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/ratelimit"
)

// walk is what happens to instances besides calls that arrive.
type walk struct {
	instances []*instance
	clock     *clock
	span      time.Duration
	calls     []passage // let through
}

// passage is a call that was let through.
type passage struct {
	by     *instance
	ticket ratelimit.Ticket
	local  bool
	admission
}

// happens draws something that happens to an instance, if anything does but a call.
func (w *walk) happens(t *rapid.T, i *instance) bool {
	switch rapid.IntRange(0, 8).Draw(t, "what") {
	case 0:
		i.link.set(weather(rapid.IntRange(int(fair), int(late)).Draw(t, "weather")))
	case 1:
		i.SettleUp(t.Context())
	case 2:
		w.clock.Advance(w.span + w.span/10)
		for _, each := range w.instances {
			each.SettleUp(t.Context())
		}
	case 3:
		i.link.landOne(t)
	case 4:
		if len(w.calls) > 0 {
			w.finish(t, &w.calls[rapid.IntRange(0, len(w.calls)-1).Draw(t, "call")])
		}
	default:
		return false
	}
	return true
}

// finish ends a call that used less than it took.
func (w *walk) finish(t *rapid.T, p *passage) {
	if len(p.ticket.Taken) == 0 {
		return // it is over
	}
	p.cost = rapid.Int64Range(0, p.cost).Draw(t, "used")
	if err := p.by.Finish(t.Context(), p.ticket, ratelimit.Used{p.ticket.Taken[0].Name: p.cost}); err != nil {
		t.Fatal(err)
	}
	p.ticket = ratelimit.Ticket{}
}

// passed is what was let through: all of it, or what was without Redis.
func (w *walk) passed(alone bool) (list []admission) {
	for i := range w.calls {
		if p := &w.calls[i]; p.local || !alone {
			list = append(list, p.admission)
		}
	}
	return list
}

// landOne lets one of the asks that are late land, if there is any.
func (l *link) landOne(t *rapid.T) {
	if flights := len(l.flights); flights > 0 {
		l.land(rapid.IntRange(0, flights-1).Draw(t, "flight"))
	}
}
