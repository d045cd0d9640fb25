package ratelimit_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/ratelimit"
)

// twins are two sources on one clock that are asked the same.
type twins struct {
	clock   *clock
	a, b    source
	limits  []ratelimit.Limit
	tickets []ratelimit.Ticket
	calls   int
	ended   map[string]bool // questions of which a call was finished
}

// TestTwins: Redis answers every sequence of questions as Memory does: takes of several
// limits, charges, finishes, renewals, limits changed across representations, and a
// clock that jumps.
func TestTwins(t *testing.T) {
	all := sources(t)
	for _, name := range []string{"redis", "miniredis"} {
		t.Run(name, func(t *testing.T) {
			var run atomic.Int64
			rapid.Check(t, func(t *rapid.T) {
				c := newClock()
				tw := &twins{clock: c, a: all[name](c), b: all["memory"](c), ended: map[string]bool{}}
				tw.drawLimits(t, run.Add(1))
				t.Repeat(map[string]func(*rapid.T){
					"":       func(*rapid.T) {},
					"wait":   tw.wait,
					"take":   tw.take,
					"burst":  tw.burst,
					"change": tw.change,
					"finish": tw.finish,
					"renew":  tw.renew,
				})
			})
		})
	}
}

var maxima = map[ratelimit.Kind]*rapid.Generator[int64]{
	ratelimit.Window: rapid.OneOf(rapid.Int64Range(0, 6), rapid.Int64Range(120, 140),
		rapid.SampledFrom([]int64{1, 128, 129, 1000, 1 << 31, ratelimit.MostUnits})),
	ratelimit.Bucket:      rapid.OneOf(rapid.Int64Range(0, 12), rapid.SampledFrom([]int64{3_000_001, 1 << 31, ratelimit.MostBucket})),
	ratelimit.Concurrency: rapid.Int64Range(0, 4),
}

func (tw *twins) drawLimits(t *rapid.T, run int64) {
	for i := range rapid.IntRange(1, 4).Draw(t, "limits") {
		l := ratelimit.Limit{
			Kind: rapid.SampledFrom([]ratelimit.Kind{ratelimit.Window, ratelimit.Window, ratelimit.Bucket, ratelimit.Concurrency}).Draw(t, "kind"),
			Name: fmt.Sprint("limit", i), Scope: "twin", Key: fmt.Sprintf("lim:{s00}:twin:%d:%d", run, i), Cost: 1,
		}
		l.Max = maxima[l.Kind].Draw(t, "max")
		if l.Kind != ratelimit.Concurrency {
			l.Span = rapid.SampledFrom([]time.Duration{time.Minute, 10 * time.Minute, 61_234_567 * time.Microsecond}).Draw(t, "span")
		}
		tw.limits = append(tw.limits, l)
	}
}

func (tw *twins) wait(t *rapid.T) {
	tw.clock.Advance(time.Duration(rapid.OneOf(
		rapid.Int64Range(0, 3_000_000),
		rapid.Int64Range(-100_000_000, 130_000_000),
		rapid.SampledFrom([]int64{1, 1_000_000, 59_999_999, 60_000_000, 61_000_000, -50_000_000, 700_000_000}),
	).Draw(t, "µs")) * time.Microsecond)
}

// question draws what is asked: of some of the limits, at some cost.
func (tw *twins) question(t *rapid.T) (id string, limits []ratelimit.Limit) {
	tw.calls++
	id = fmt.Sprint("call", tw.calls)
	// A call that was finished has no second life: its mark ends by Redis' own time.
	before := fmt.Sprint("call", tw.calls-1)
	if rapid.IntRange(0, 9).Draw(t, "again") == 0 && tw.calls > 1 && !tw.ended[before] {
		id = before
	}
	for _, l := range tw.limits {
		if l.Kind != ratelimit.Concurrency {
			l.Cost = rapid.OneOf(rapid.Just(int64(1)), rapid.Int64Range(0, 9), rapid.Int64Range(0, min(2*l.Max, ratelimit.MostUnits))).Draw(t, "cost")
		}
		limits = append(limits, l)
	}
	return id, limits
}

const twinLife = 90 * time.Second

func (tw *twins) ask(t *rapid.T, id string, limits []ratelimit.Limit) bool {
	a, ticket, err := tw.a.Take(t.Context(), id, twinLife, limits)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := tw.b.Take(t.Context(), id, twinLife, limits)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Fatalf("Memory is -, Redis is +:\n%s", diff)
	}
	if a.Allowed {
		tw.open(ticket)
	}
	return a.Allowed
}

func (tw *twins) take(t *rapid.T) {
	id, limits := tw.question(t)
	tw.ask(t, id, limits)
}

func (tw *twins) burst(t *rapid.T) {
	id, limits := tw.question(t)
	for i := range rapid.IntRange(2, 140).Draw(t, "times") {
		if !tw.ask(t, fmt.Sprint(id, ".", i), limits) {
			return
		}
	}
}

// open notes a ticket; of those with one id only the latest is ever finished.
func (tw *twins) open(ticket ratelimit.Ticket) {
	tw.tickets = slices.DeleteFunc(tw.tickets, func(t ratelimit.Ticket) bool { return t.ID == ticket.ID })
	tw.tickets = append(tw.tickets, ticket)
}

// change gives a limit another maximum, and now and then another span.
func (tw *twins) change(t *rapid.T) {
	l := &tw.limits[rapid.IntRange(0, len(tw.limits)-1).Draw(t, "which")]
	l.Max = maxima[l.Kind].Draw(t, "max")
	if l.Kind != ratelimit.Concurrency && rapid.IntRange(0, 4).Draw(t, "respan") == 0 {
		l.Span = rapid.SampledFrom([]time.Duration{time.Minute, 2 * time.Minute}).Draw(t, "span")
	}
}

func (tw *twins) finish(t *rapid.T) {
	if len(tw.tickets) == 0 {
		return
	}
	i := rapid.IntRange(max(0, len(tw.tickets)-3), len(tw.tickets)-1).Draw(t, "which")
	ticket := tw.tickets[i]
	tw.tickets = append(tw.tickets[:i:i], tw.tickets[i+1:]...)
	of, _, _ := strings.Cut(ticket.ID, ".")
	tw.ended[of] = true
	used := ratelimit.Used{}
	for _, l := range tw.limits {
		used[l.Name] = rapid.OneOf(rapid.Int64Range(-1, 12), rapid.Int64Range(0, 300), rapid.SampledFrom([]int64{1 << 40, 1 << 52})).Draw(t, "used")
	}
	for range rapid.IntRange(1, 2).Draw(t, "times") {
		for _, s := range []source{tw.a, tw.b} {
			if err := s.Finish(t.Context(), ticket, used); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range []source{tw.a, tw.b} {
		if err := s.GiveBack(t.Context(), ticket); err != nil {
			t.Fatal(err)
		}
	}
}

func (tw *twins) renew(t *rapid.T) {
	for _, s := range []source{tw.a, tw.b} {
		if err := s.Renew(t.Context(), tw.tickets, 2*twinLife); err != nil {
			t.Fatal(err)
		}
	}
}
