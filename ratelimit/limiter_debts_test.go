package ratelimit_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// takeAll takes until it is denied, and says how often it passed.
func takeAll(t *testing.T, by *instance, limit ratelimit.Limit) (passed int) {
	t.Helper()
	for take(t, by, limit).Allowed {
		passed++
	}
	return passed
}

// TestSwitchAfterAQuietTime: what an instance let through alone is told however long it
// was quiet before. It may forget a limit of which nothing counts; Redis still remembers
// which amounts it was told, so those of later must not bear the numbers of earlier ones.
func TestSwitchAfterAQuietTime(t *testing.T) {
	for _, limit := range []ratelimit.Limit{
		{Kind: ratelimit.Window, Max: 39, Span: time.Minute},
		{Kind: ratelimit.Window, Max: 600, Span: time.Minute},
		{Kind: ratelimit.Bucket, Max: 39, Span: time.Minute},
	} {
		t.Run(fmt.Sprintf("%c%d", limit.Kind, limit.Max), func(t *testing.T) {
			const n = 3
			c := newClock()
			instances := newInstances(unbreakable(t), testenv.Redis(t), n, c.Now)
			limit.Name, limit.Scope, limit.Key, limit.Cost = "calls", "user", "lim:{s00}:quiet", 1
			first := instances[0]
			part, most := int(limit.Max/n), int(limit.Max)
			for round := range 2 {
				first.link.set(refused)
				if passed := takeAll(t, first, limit); passed != part {
					t.Fatalf("outage %d: %d passed alone, its part is %d", round, passed, part)
				}
				first.link.set(fair)
				first.SettleUp(t.Context())
				if round == 0 { // all is told, and nothing of it counts any more
					c.Advance(limit.Span + limit.Span/30)
					first.SettleUp(t.Context())
					if kept := first.Kept(); kept != 0 {
						t.Fatalf("%d limits are kept, of which nothing counts", kept)
					}
				}
			}
			if passed := part + takeAll(t, first, limit); passed != most {
				t.Errorf("%d passed by one instance, limit %d", passed, most)
			}
			passed := most
			for _, i := range instances[1:] {
				i.link.set(refused)
				passed += takeAll(t, i, limit)
			}
			if bound := most + (n-1)*part; passed != bound {
				t.Errorf("%d passed in one window, bound %d", passed, bound)
			}
		})
	}
}

// tokensOf is a window of tokens.
func tokensOf(key string, most, cost int64) ratelimit.Limit {
	limit := perMinute(key, most)
	limit.Name, limit.Cost = ratelimit.NameTokens, cost
	return limit
}

// admit takes what must be let through, by Redis or alone.
func admit(t *testing.T, by *instance, id string, limit ratelimit.Limit, alone bool) ratelimit.Ticket {
	t.Helper()
	d, ticket, err := by.Take(t.Context(), id, time.Minute, []ratelimit.Limit{limit})
	if err != nil || !d.Allowed || d.Local != alone {
		t.Fatalf("%s: %+v, %v", id, d, err)
	}
	return ticket
}

// TestGiveBackLeavesDebts: what a call gives back that Redis let through is not taken off
// what another owes, which was let through alone at about the same time.
func TestGiveBackLeavesDebts(t *testing.T) {
	c := newClock()
	both := newInstances(unbreakable(t), testenv.Redis(t), 2, c.Now)
	a, b := both[0], both[1]
	limit := tokensOf("debts", 100, 20)
	ticket := admit(t, a, "asked", limit, false)
	a.link.set(refused)
	admit(t, a, "alone", limit, true)
	a.link.set(fair)
	if err := a.GiveBack(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
	a.SettleUp(t.Context())
	if passed := takeAll(t, b, limit); passed != 4 {
		t.Errorf("%d of 20 passed beside one that was let through alone, limit 100", passed)
	}
}

// TestGiveBackOfWhatWasTold: what Redis has been told of stays there when it is given
// back, rather than to be taken off what was let through a little later.
func TestGiveBackOfWhatWasTold(t *testing.T) {
	c := newClock()
	both := newInstances(unbreakable(t), testenv.Redis(t), 2, c.Now)
	a, b := both[0], both[1]
	limit := tokensOf("told", 100, 20)
	a.link.set(refused)
	ticket := admit(t, a, "first", limit, true)
	a.link.set(fair)
	a.SettleUp(t.Context())
	c.Advance(900 * time.Millisecond) // the same sixtieth of the minute
	a.link.set(refused)
	admit(t, a, "second", limit, true)
	if err := a.GiveBack(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
	a.link.set(fair)
	a.SettleUp(t.Context())
	c.Advance(time.Minute - 300*time.Millisecond) // the first has left the window, the second has not
	if passed := takeAll(t, b, limit); passed != 4 {
		t.Errorf("%d of 20 passed while one that was let through alone counts, limit 100", passed)
	}
}

// TestRenewWhileTelling: a place that is renewed while Redis is being told of it is told
// again, for the longer life.
func TestRenewWhileTelling(t *testing.T) {
	const life = 10 * time.Second
	c := newClock()
	both := newInstances(unbreakable(t), testenv.Redis(t), 2, c.Now)
	a, b := both[0], both[1]
	limit := ratelimit.Limit{Kind: ratelimit.Concurrency, Name: ratelimit.NameConcurrency, Scope: "user", Key: "lim:{s00}:renewed", Max: 2, Cost: 1}
	a.link.set(refused)
	d, ticket, err := a.Take(t.Context(), "alone", life, []ratelimit.Limit{limit})
	if err != nil || !d.Allowed {
		t.Fatalf("%+v, %v", d, err)
	}
	c.Advance(life / 2)
	a.link.done, a.link.release = make(chan struct{}), make(chan struct{})
	a.link.set(slow)
	var telling sync.WaitGroup
	telling.Go(func() { a.SettleUp(t.Context()) })
	<-a.link.done
	a.link.set(fair)
	if err := a.Renew(t.Context(), []ratelimit.Ticket{ticket}, life); err != nil {
		t.Fatal(err)
	}
	close(a.link.release)
	telling.Wait()
	a.SettleUp(t.Context())
	c.Advance(life - time.Second)
	for n, want := range []bool{true, false} {
		if d, _, err := b.Take(t.Context(), fmt.Sprint("other ", n), life, []ratelimit.Limit{limit}); err != nil || d.Allowed != want {
			t.Errorf("call %d beside one that was renewed: %+v, %v", n, d, err)
		}
	}
}

// crammed is a limiter that keeps but one limit.
func crammed(t *testing.T, c *clock) *instance {
	way := &link{Scripter: testenv.Redis(t), clock: c.Now}
	return &instance{link: way, Limiter: ratelimit.NewLimiter(ratelimit.LimiterOptions{
		Redis: ratelimit.NewRedisAt(way, c.Now), Breaker: unbreakable(t), Log: slog.New(slog.DiscardHandler), Now: c.Now,
		Instances: func() int { return 2 }, Keeps: 1,
	})}
}

// TestNoRoomWhileAsking: what Redis is being asked for counts even where there was no
// room for it, and nothing else is let through meanwhile that nobody would tell of.
func TestNoRoomWhileAsking(t *testing.T) {
	c := newClock()
	i := crammed(t, c)
	limit := perMinute("asked", 4)
	looking := limit
	looking.Cost = 0
	take(t, i, looking) // Redis has yet to see the script
	i.link.set(refused)
	take(t, i, perMinute("owed", 2)) // takes the room
	i.link.done, i.link.release = make(chan struct{}), make(chan struct{})
	i.link.set(held)
	var asking sync.WaitGroup
	asking.Go(func() {
		if d := take(t, i, limit); !d.Allowed || d.Local {
			t.Errorf("%+v", d)
		}
	})
	<-i.link.done
	c.Advance(61 * time.Second) // there is room again
	i.link.set(refused)
	if d := take(t, i, limit); d.Allowed {
		t.Errorf("there was no room to note what it would owe: %+v", d)
	}
	close(i.link.release)
	asking.Wait()
	if d := take(t, i, limit); d.Allowed {
		t.Errorf("what it let through was forgotten: %+v", d)
	}
	if kept := i.Kept(); kept > 1 {
		t.Errorf("%d limits are kept, there is room for one", kept)
	}
}

// TestNoRoomForAllLimits: a call that asks for more limits than there is room for makes
// none of them forget the others.
func TestNoRoomForAllLimits(t *testing.T) {
	c := newClock()
	i := crammed(t, c)
	i.link.set(refused)
	for range 3 {
		if d := take(t, i, perMinute("narrow", 4), perMinute("wide", 40)); d.Allowed {
			t.Fatalf("let through without a trace: %+v", d)
		}
	}
	i.SettleUp(t.Context())
	if d := take(t, i, perMinute("narrow", 4)); !d.Allowed {
		t.Errorf("%+v", d)
	}
}
