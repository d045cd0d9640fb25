package ratelimit

import (
	"slices"
	"time"
)

// placeRetry is after how long a call that found no place may well find one: they are
// given back at any moment.
const placeRetry = time.Second

// places are the ids that hold a place, and until when, in µs.
type places map[string]int64

func (p places) held(now int64) (n int64) {
	for _, ends := range p {
		if ends > now {
			n++
		}
	}
	return n
}

// hold lets id have its place until ends at the earliest.
func (p places) hold(id string, ends int64) { p[id] = max(p[id], ends) }

func (p places) ask(l *Limit, now int64, id string, life time.Duration) opinion {
	held := p.held(now)
	o := opinion{allowed: true, left: max(0, l.Max-held), at: now}
	o.take = func() {
		for other, ends := range p {
			if ends <= now {
				delete(p, other)
			}
		}
		p.hold(id, now+life.Milliseconds()*1000)
	}
	switch {
	case l.Cost == 0:
	case p[id] > now: // asked again: the place counts once
		o.left = max(1, l.Max-held+1)
	case held >= l.Max:
		o.allowed, o.reset = false, placeRetry.Microseconds()
		if l.Max > 0 {
			o.reset = min(o.reset, p.ending(now)[held-l.Max]-now)
		}
	}
	return o
}

// ending is when the places that are held end, the first first.
func (p places) ending(now int64) []int64 {
	var list []int64
	for _, ends := range p {
		if ends > now {
			list = append(list, ends)
		}
	}
	slices.Sort(list)
	return list
}
