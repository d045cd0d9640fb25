package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// TestLimitsUnderSiege: bursts at the edges of windows and buckets let no limit through
// more than it says, and a demand that does not cease gets nearly all of it.
func TestLimitsUnderSiege(t *testing.T) { t.Logf("siege: %s", besiege(t, 2000, 2)) }

// nearlyAll is how much of a limit a lasting demand must get, in thousandths: buckets
// hold the oldest sixtieth of a window back.
const nearlyAll = 970

// siege is one limit and how it is attacked.
type siege struct {
	name   string
	limit  ratelimit.Limit
	life   time.Duration // of concurrency leases
	costs  int64         // a call costs 1 to so much
	demand float64       // how many times the limit is asked for, when it is for long
	most   func([]admission) int64
}

func sieges() []siege {
	window := func(list []admission) int64 { return mostInWindow(list, time.Minute) }
	return []siege{
		{name: "requests, stamps", costs: 1, demand: 3, most: window,
			limit: ratelimit.Limit{Kind: ratelimit.Window, Name: ratelimit.NameRequests, Max: 100, Span: time.Minute}},
		{name: "requests, buckets", costs: 1, demand: 3, most: window,
			limit: ratelimit.Limit{Kind: ratelimit.Window, Name: ratelimit.NameRequests, Max: 600, Span: time.Minute}},
		{name: "tokens", costs: 50, demand: 3, most: window,
			limit: ratelimit.Limit{Kind: ratelimit.Window, Name: ratelimit.NameTokens, Max: 20_000, Span: time.Minute}},
		{name: "token bucket", costs: 1, demand: 3, // 2 tokens a second
			limit: ratelimit.Limit{Kind: ratelimit.Bucket, Name: ratelimit.NameBurst, Max: 20, Span: 10 * time.Second},
			most:  func(list []admission) int64 { return mostFromBucket(list, 2000) }},
		{name: "concurrency", costs: 1, demand: 10, life: 30 * time.Second, most: mostAtOnce,
			limit: ratelimit.Limit{Kind: ratelimit.Concurrency, Name: ratelimit.NameConcurrency, Max: 16}},
	}
}

// besiege attacks each kind of limit with so many arrivals, and then asks it for more
// than it gives for so many periods, on a real Redis and a hand-moved clock. It returns
// what came of it.
func besiege(t *testing.T, arrivals, periods int) string {
	t.Helper()
	client := testenv.Redis(t)
	type outcome struct {
		most, share int64
		arrivals    int
	}
	list := sieges()
	outcomes := make([]outcome, len(list))
	t.Run("kinds", func(t *testing.T) {
		for i, one := range list {
			t.Run(one.name, func(t *testing.T) {
				t.Parallel()
				clock := newSiegeClock()
				b := &battle{t: t, siege: one, clock: clock, source: ratelimit.NewRedisAt(client, clock.Now), rand: rand.New(rand.NewPCG(1, uint64(i)))}
				b.limit.Key = "lim:{s00}:siege:" + strconv.Itoa(i)
				b.attack(arrivals)
				share := b.press(periods)
				outcomes[i] = outcome{one.most(b.admitted), share, b.arrivals}
			})
		}
	})
	report, all := "", 0
	for i, one := range list {
		got := outcomes[i]
		if got.most > one.limit.Max || got.share < nearlyAll {
			t.Errorf("%s: %d of %d at the most, %d‰ of a lasting demand", one.name, got.most, one.limit.Max, got.share)
		}
		all += got.arrivals
		report += fmt.Sprintf("; %s: at most %d of %d, %.3f of it under lasting demand", one.name, got.most, one.limit.Max, float64(got.share)/1000)
	}
	return fmt.Sprintf("%d arrivals%s", all, report)
}

// siegeClock is a clock that may be put back; elapsed is the time that truly passed.
type siegeClock struct{ now, elapsed int64 } // µs

func newSiegeClock() *siegeClock { return &siegeClock{now: epoch.UnixMicro()} }

func (c *siegeClock) Now() time.Time { return time.UnixMicro(c.now) }

// move puts the clock forward, or back.
func (c *siegeClock) move(micros int64) {
	c.now += micros
	c.elapsed += max(0, micros)
}

// battle is a siege under way.
type battle struct {
	siege
	t      *testing.T
	clock  *siegeClock
	source *ratelimit.Redis
	rand   *rand.Rand

	arrivals int
	admitted []admission
	pending  []pendingCall
	burst    int64 // when the last one began, by the clock
}

// pendingCall was let through and is not over.
type pendingCall struct {
	ticket ratelimit.Ticket
	index  int   // in admitted
	due    int64 // when it ends, in elapsed µs; below 0: it is never heard of again
	used   int64
}

// period is what the attack and its figures count in, in µs.
func (b *battle) period() int64 {
	if b.limit.Span > 0 {
		return b.limit.Span.Microseconds()
	}
	return b.life.Microseconds()
}

// attack sends bursts when they hurt most.
func (b *battle) attack(arrivals int) {
	for b.arrivals < arrivals {
		b.clock.move(b.nextMove())
		b.finishDue(true)
		units := b.limit.Max * (1 + b.rand.Int64N(4)) / 2
		apart := []int64{0, 0, 1, 1000}[b.rand.IntN(4)]
		b.burst = b.clock.now
		for asked := int64(0); asked < units && b.arrivals < arrivals; {
			asked += b.arrive(b.end())
			b.clock.move(apart)
		}
	}
}

// nextMove is how far the clock goes before the next burst: to a microsecond before, at
// or after an edge, a little, far, or back.
func (b *battle) nextMove() int64 {
	period := b.period()
	width := (period + 59) / 60
	to := func(at int64) int64 { return at - b.clock.now + b.rand.Int64N(3) - 1 }
	switch b.rand.IntN(8) {
	case 0:
		return to((b.clock.now/period + 1) * period)
	case 1:
		return to((b.clock.now/width + 1) * width)
	case 2:
		return max(0, to(b.burst+period))
	case 3:
		return max(0, to(b.burst+period+width))
	case 4:
		return -b.rand.Int64N((5 * time.Second).Microseconds())
	case 5:
		return b.rand.Int64N(period * 3 / 2)
	}
	return b.rand.Int64N(period/50 + 1)
}

// end is when a call that begins now is to end: one in four is never heard of again.
func (b *battle) end() int64 {
	if b.rand.IntN(4) == 0 {
		return -1
	}
	return b.clock.elapsed + b.rand.Int64N(b.period())
}

// press demands more than the limit for so many periods, the first of which does not
// count, and returns how much of the limit was let through, in thousandths.
func (b *battle) press(periods int) int64 {
	b.clock.move(3 * b.period()) // all of the attack is over
	b.finishDue(false)
	took := float64(b.period()) // by a call, before the limit lets another pass
	if b.limit.Kind == ratelimit.Concurrency {
		took /= 4
	}
	gap := took * float64(1+b.costs) / 2 / (float64(b.limit.Max) * b.demand)
	from := b.clock.elapsed + b.period()
	to := from + int64(periods)*b.period()
	for b.clock.elapsed <= to {
		b.clock.move(int64(b.rand.ExpFloat64() * gap))
		b.finishDue(false)
		b.arrive(b.clock.elapsed + int64(b.rand.ExpFloat64()*took))
	}
	var passed int64
	for _, a := range b.admitted {
		switch {
		case b.limit.Kind == ratelimit.Concurrency:
			passed += max(0, min(a.gone, to)-max(a.at, from))
		case a.at > from && a.at <= to:
			passed += a.cost
		}
	}
	whole := b.limit.Max * int64(periods)
	if b.limit.Kind == ratelimit.Concurrency {
		whole *= b.period()
	}
	return 1000 * passed / whole
}

// arrive asks for one call that ends at due, and returns its cost.
func (b *battle) arrive(due int64) int64 {
	b.arrivals++
	limit := b.limit
	limit.Cost = 1 + b.rand.Int64N(b.costs)
	d, ticket, err := b.source.Take(b.t.Context(), "call-"+strconv.Itoa(b.arrivals), b.life, []ratelimit.Limit{limit})
	if err != nil {
		b.t.Fatal(err)
	}
	if !d.Allowed {
		return limit.Cost
	}
	now := b.clock.elapsed
	b.admitted = append(b.admitted, admission{at: now, cost: limit.Cost, gone: now + b.life.Microseconds()})
	if b.costs > 1 || limit.Kind == ratelimit.Concurrency {
		b.pending = append(b.pending, pendingCall{ticket: ticket, index: len(b.admitted) - 1, due: due, used: 1 + b.rand.Int64N(limit.Cost)})
	}
	return limit.Cost
}

// finishDue ends the calls whose time has come; with truing up, they have used less
// than they took.
func (b *battle) finishDue(trueUp bool) {
	b.pending = slices.DeleteFunc(b.pending, func(p pendingCall) bool {
		a := &b.admitted[p.index]
		if p.due < 0 || p.due > b.clock.elapsed {
			return p.due < 0
		}
		used := ratelimit.Used{}
		if trueUp && b.limit.Kind == ratelimit.Window {
			used[b.limit.Name] = p.used
			a.cost = p.used
		}
		if err := b.source.Finish(b.t.Context(), p.ticket, used); err != nil {
			b.t.Fatal(err)
		}
		a.gone = min(a.gone, b.clock.elapsed)
		return true
	})
}
