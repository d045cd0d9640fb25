package ratelimit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// TestSwitchBound: three instances, each of which loses Redis and finds it again when it
// likes, random arrivals, gifts back at any later moment, words that reach Redis after
// whoever sent them gave up, and times so quiet that all is forgotten. No trailing window holds more than the limit and
// the parts of all instances but one; where no instance owes Redis anything, what Redis
// lets through is within the limit itself; what passes while Redis is away from everyone
// is, too.
func TestSwitchBound(t *testing.T) {
	server := testenv.Redis(t)
	breaker := unbreakable(t)
	var run atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		const n = 3
		c := newClock()
		instances := newInstances(breaker, server, n, c.Now)
		limit := ratelimit.Limit{
			Kind: ratelimit.Window, Name: ratelimit.NameTokens, Scope: "user",
			Key:  fmt.Sprintf("lim:{s00}:bound:%d", run.Add(1)),
			Max:  rapid.SampledFrom([]int64{1, 2, 3, 10, 31, 128, 129, 400}).Draw(t, "limit"),
			Span: rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(t, "span"),
		}
		bound := limit.Max + (n-1)*(limit.Max/n)
		w := walk{instances: instances, clock: c, span: limit.Span}
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 2).Draw(t, "time passes") == 0 {
				c.Advance(time.Duration(rapid.Int64Range(0, int64(limit.Span)*6/5).Draw(t, "gap")).Round(time.Microsecond))
			}
			i := instances[rapid.IntRange(0, n-1).Draw(t, "instance")]
			if w.happens(t, i) {
				continue
			}
			limit.Cost = rapid.Int64Range(1, max(1, limit.Max/4)).Draw(t, "cost")
			for try := range rapid.IntRange(1, 12).Draw(t, "burst") {
				id := fmt.Sprint(step, "-", try)
				d, ticket, err := i.Take(t.Context(), id, time.Minute, []ratelimit.Limit{limit})
				if err != nil {
					t.Fatal(err)
				}
				if !d.Allowed {
					break
				}
				w.calls = append(w.calls, passage{i, ticket, d.Local, admission{at: c.Now().UnixMicro(), cost: limit.Cost}})
				if !d.Local && !owes(instances) {
					if sum := sumInWindow(w.passed(false), c.Now().UnixMicro(), limit.Span); sum > limit.Max {
						t.Fatalf("Redis, which had been told everything, let %d through in %s, limit %d", sum, limit.Span, limit.Max)
					}
				}
			}
		}
		if most := mostInWindow(w.passed(false), limit.Span); most > bound {
			t.Fatalf("%d in one window of %s, limit %d, bound %d", most, limit.Span, limit.Max, bound)
		}
		if most := mostInWindow(w.passed(true), limit.Span); most > limit.Max {
			t.Fatalf("%d without Redis in one window of %s, limit %d", most, limit.Span, limit.Max)
		}
	})
}

// sumInWindow is what the window that ends at that moment holds.
func sumInWindow(list []admission, at int64, span time.Duration) (sum int64) {
	for _, a := range list {
		if a.at <= at && a.at > at-span.Microseconds() {
			sum += a.cost
		}
	}
	return sum
}

func owes(instances []*instance) bool {
	for _, i := range instances {
		if i.Owes() {
			return true
		}
	}
	return false
}

// TestSwitchBoundIsReached: the bound is no larger than it must be. One instance takes
// the whole limit through Redis, then Redis goes away, and each of the others, which know
// nothing of it, lets its part through.
func TestSwitchBoundIsReached(t *testing.T) {
	const n, most = 3, 31
	c := newClock()
	instances := newInstances(unbreakable(t), testenv.Redis(t), n, c.Now)
	limit := ratelimit.Limit{Kind: ratelimit.Window, Name: "requests", Scope: "user", Key: "lim:{s00}:reached", Max: most, Span: time.Minute, Cost: 1}
	passed := 0
	for _, i := range append(instances, instances...) { // who took the limit has no part on top of it
		for range most + 5 {
			d, _, err := i.Take(t.Context(), "", 0, []ratelimit.Limit{limit})
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				passed++
			}
		}
		for _, i := range instances {
			i.link.set(refused)
		}
	}
	if want := most + (n-1)*(most/n); passed != want {
		t.Fatalf("%d passed, want %d", passed, want)
	}
}

// TestSwitchBoundOfABucket: in any time, what a bucket holds and what flows in, and the
// parts of all instances but one.
func TestSwitchBoundOfABucket(t *testing.T) {
	server := testenv.Redis(t)
	breaker := unbreakable(t)
	var run atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		const n = 3
		c := newClock()
		instances := newInstances(breaker, server, n, c.Now)
		limit := ratelimit.Limit{
			Kind: ratelimit.Bucket, Name: ratelimit.NameBurst, Scope: "user", Cost: 1,
			Key:  fmt.Sprintf("lim:{s00}:bucket-bound:%d", run.Add(1)),
			Max:  rapid.SampledFrom([]int64{1, 3, 10, 50}).Draw(t, "limit"),
			Span: rapid.SampledFrom([]time.Duration{5 * time.Second, time.Minute}).Draw(t, "span"),
		}
		refill := limit.Max * 1000 * int64(time.Second) / int64(limit.Span) // thousandths a second, rounded down
		w := walk{instances: instances, clock: c, span: limit.Span}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			c.Advance(time.Duration(rapid.Int64Range(0, int64(limit.Span)/4).Draw(t, "gap")).Round(time.Microsecond))
			i := instances[rapid.IntRange(0, n-1).Draw(t, "instance")]
			if w.happens(t, i) {
				continue
			}
			for range rapid.IntRange(1, 12).Draw(t, "burst") {
				d, _, err := i.Take(t.Context(), "", 0, []ratelimit.Limit{limit})
				if err != nil {
					t.Fatal(err)
				}
				if !d.Allowed {
					break
				}
				w.calls = append(w.calls, passage{admission: admission{at: c.Now().UnixMicro(), cost: 1}})
			}
		}
		holds, flows := limit.Max+(n-1)*(limit.Max/n), refill+(n-1)*refill/n+2 // rounded up
		if most := mostFromBucket(w.passed(false), flows); most > holds {
			t.Fatalf("a bucket of %d would be needed, limit %d, bound %d", most, limit.Max, holds)
		}
	})
}

// TestSwitchBoundOfPlaces: calls at a time, which end, are renewed, or run out.
func TestSwitchBoundOfPlaces(t *testing.T) {
	server := testenv.Redis(t)
	breaker := unbreakable(t)
	var run atomic.Int64
	rapid.Check(t, func(t *rapid.T) {
		const n, life = 3, 10 * time.Second
		c := newClock()
		instances := newInstances(breaker, server, n, c.Now)
		limit := ratelimit.Limit{
			Kind: ratelimit.Concurrency, Name: ratelimit.NameConcurrency, Scope: "user", Cost: 1,
			Key: fmt.Sprintf("lim:{s00}:place-bound:%d", run.Add(1)),
			Max: rapid.SampledFrom([]int64{1, 2, 3, 7, 20}).Draw(t, "limit"),
		}
		bound := limit.Max + (n-1)*(limit.Max/n)
		type call struct {
			by     *instance
			ticket ratelimit.Ticket
			ends   time.Time
		}
		var calls []call
		for step := range rapid.IntRange(1, 80).Draw(t, "steps") {
			c.Advance(time.Duration(rapid.Int64Range(0, int64(life)/4).Draw(t, "gap")).Round(time.Microsecond))
			live := calls[:0]
			for _, k := range calls {
				if k.ends.After(c.Now()) {
					live = append(live, k)
				}
			}
			calls = live
			i := instances[rapid.IntRange(0, n-1).Draw(t, "instance")]
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0:
				i.link.set(weather(rapid.IntRange(int(fair), int(late)).Draw(t, "weather")))
			case 1:
				i.SettleUp(t.Context())
			case 2:
				if len(calls) > 0 {
					k := calls[0]
					calls = calls[1:]
					if err := k.by.Finish(t.Context(), k.ticket, nil); err != nil {
						t.Fatal(err)
					}
				}
			case 3:
				if len(calls) > 0 {
					k := &calls[len(calls)-1]
					if k.by.Renew(t.Context(), []ratelimit.Ticket{k.ticket}, life) == nil {
						k.ends = c.Now().Add(life)
					}
				}
			case 4:
				i.link.landOne(t)
			default:
				for try := range rapid.IntRange(1, 8).Draw(t, "burst") {
					d, ticket, err := i.Take(t.Context(), fmt.Sprint(step, "-", try), life, []ratelimit.Limit{limit})
					if err != nil {
						t.Fatal(err)
					}
					if d.Allowed {
						calls = append(calls, call{i, ticket, c.Now().Add(life)})
					}
				}
				if int64(len(calls)) > bound {
					t.Fatalf("%d calls at a time, limit %d, bound %d", len(calls), limit.Max, bound)
				}
			}
		}
	})
}

// TestSwitchWhileAsking: what Redis has let through, but not said so yet, counts against
// the part of who asked.
func TestSwitchWhileAsking(t *testing.T) {
	c := newClock()
	i := newInstances(unbreakable(t), testenv.Redis(t), 3, c.Now)[0]
	limit := perMinute("asking", 9)
	if !take(t, i, limit).Allowed {
		t.Fatal("the first was denied")
	}
	i.link.done, i.link.release = make(chan struct{}), make(chan struct{})
	i.link.set(held)
	var asking sync.WaitGroup
	asking.Go(func() {
		if d := take(t, i, limit); !d.Allowed || d.Local {
			t.Errorf("%+v", d)
		}
	})
	<-i.link.done
	i.link.set(refused)
	for n, want := range []bool{true, false} { // its part is three: one noted, one under way, one left
		if got := take(t, i, limit); got.Allowed != want || !got.Local {
			t.Errorf("call %d without Redis: %+v", n, got)
		}
	}
	close(i.link.release)
	asking.Wait()
}

// TestSwitchBackTellsFirst: what an instance let through alone counts in Redis before
// Redis decides for it again, dated to when it was, once however often it is told.
func TestSwitchBackTellsFirst(t *testing.T) {
	t.Run("once", func(t *testing.T) { testSwitchBackTellsFirst(t, false) })
	t.Run("twice", func(t *testing.T) { testSwitchBackTellsFirst(t, true) })
}

func testSwitchBackTellsFirst(t *testing.T, again bool) {
	for _, limit := range []ratelimit.Limit{
		{Kind: ratelimit.Window, Max: 30, Span: time.Minute},
		{Kind: ratelimit.Window, Max: 600, Span: time.Minute},
		{Kind: ratelimit.Bucket, Max: 30, Span: time.Minute},
		{Kind: ratelimit.Concurrency, Max: 30},
	} {
		t.Run(fmt.Sprintf("%c%d", limit.Kind, limit.Max), func(t *testing.T) {
			const n, life = 3, 10 * time.Minute
			c := newClock()
			instances := newInstances(unbreakable(t), testenv.Redis(t), n, c.Now)
			limit.Name, limit.Scope, limit.Key, limit.Cost = "calls", "user", "lim:{s00}:first", 1
			calls := 0
			takeAll := func(i *instance) (passed int64) {
				t.Helper()
				for range limit.Max + 1 {
					calls++
					d, _, err := i.Take(t.Context(), fmt.Sprint(calls), life, []ratelimit.Limit{limit})
					if err != nil {
						t.Fatal(err)
					}
					if d.Allowed {
						passed++
					}
				}
				return passed
			}
			want := func(what string, got, want int64) {
				t.Helper()
				if got != want {
					t.Fatalf("%s: %d passed, want %d", what, got, want)
				}
			}
			first := instances[0]
			first.link.set(refused)
			want("alone", takeAll(first), limit.Max/n)
			if again {
				first.link.set(lost) // Redis is told, and says nothing
				first.SettleUp(t.Context())
			}
			first.link.set(fair)
			want("with Redis", takeAll(first), limit.Max-limit.Max/n)
			want("others, with Redis", takeAll(instances[1]), 0)
			if first.Owes() {
				t.Error("Redis is owed what it was told")
			}
			if limit.Kind == ratelimit.Concurrency {
				return
			}
			// Of a part that was let through half a span ago, all is free again half a
			// span later: it was dated to its time.
			c.Advance(3 * limit.Span)
			second := instances[1]
			second.link.set(refused)
			want("alone, later", takeAll(second), limit.Max/n)
			c.Advance(limit.Span / 2)
			second.link.set(fair)
			second.SettleUp(t.Context())
			c.Advance(limit.Span/2 + limit.Span/50)
			want("after the span", takeAll(instances[2]), limit.Max)
		})
	}
}
