package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// perMinute is a window of requests by key.
func perMinute(key string, most int64) ratelimit.Limit {
	return ratelimit.Limit{
		Kind: ratelimit.Window, Name: ratelimit.NameRequests, Scope: "user", Key: "lim:{s00}:user:" + key,
		Max: most, Span: time.Minute, Cost: 1,
	}
}

// take asks and demands an answer.
func take(t testing.TB, l interface {
	Take(context.Context, string, time.Duration, []ratelimit.Limit) (ratelimit.Decision, ratelimit.Ticket, error)
}, limits ...ratelimit.Limit) ratelimit.Decision {
	t.Helper()
	d, _, err := l.Take(context.Background(), "call", time.Minute, limits)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestLimiterRemembers: what was denied is denied again without asking Redis, but for once
// a second; a limit that was raised is in force within a second; what was allowed is asked
// for every time.
func TestLimiterRemembers(t *testing.T) {
	c := newClock()
	i := newInstances(unbreakable(t), testenv.Redis(t), 1, c.Now)[0]
	limit := perMinute("7", 3)
	for range 3 {
		if d := take(t, i, limit); !d.Allowed || d.Local {
			t.Fatalf("%+v", d)
		}
	}
	if asked := i.link.asked.Load(); asked != 3 && asked != 4 { // a script that Redis has yet to see is sent twice
		t.Fatalf("Redis was asked %d times for three calls", asked)
	}
	first := take(t, i, limit)
	before := i.link.asked.Load()
	for range 999 {
		c.Advance(time.Millisecond)
		d := take(t, i, limit)
		if d.Allowed || d.Denied != 0 || d.Results[0].Reset >= first.Results[0].Reset || d.Err() == nil {
			t.Fatalf("%+v", d)
		}
	}
	if asked := i.link.asked.Load() - before; asked != 0 {
		t.Fatalf("Redis was asked %d times for what is known", asked)
	}
	limit.Max = 4
	if take(t, i, limit).Allowed {
		t.Fatal("allowed from memory")
	}
	c.Advance(time.Millisecond)
	if !take(t, i, limit).Allowed {
		t.Fatal("a raised limit is not in force after a second")
	}

	places := ratelimit.Limit{Kind: ratelimit.Concurrency, Name: ratelimit.NameConcurrency, Scope: "user", Key: "lim:{s00}:user:7:c", Cost: 1}
	take(t, i, places) // Redis has yet to see the script that knows places
	before = i.link.asked.Load()
	for range 5 {
		if take(t, i, places).Allowed {
			t.Fatal("a place where there is none")
		}
	}
	if asked := i.link.asked.Load() - before; asked != 5 {
		t.Errorf("Redis was asked %d times of 5 for places, which come free at any moment", asked)
	}
}

// TestLimiterAlone: without Redis a call takes from all of its limits or none, is told
// when it may come again, and passes then.
func TestLimiterAlone(t *testing.T) {
	c := newClock()
	i := newInstances(unbreakable(t), testenv.Redis(t), 3, c.Now)[0]
	i.link.set(refused)
	narrow, wide := perMinute("narrow", 9), perMinute("wide", 300)
	bucket := ratelimit.Limit{Kind: ratelimit.Bucket, Name: ratelimit.NameBurst, Scope: "user", Key: "lim:{s00}:user:b", Max: 10, Span: 5 * time.Second, Cost: 1}
	for range 3 {
		if d := take(t, i, narrow, wide); !d.Allowed || !d.Local || d.Results[0].Max != 9 {
			t.Fatalf("%+v", d)
		}
	}
	d := take(t, i, narrow, wide)
	if d.Allowed || d.Denied != 0 || d.Results[1].Remaining != 97 {
		t.Fatalf("%+v", d)
	}
	c.Advance(d.Results[0].Reset - time.Microsecond)
	if take(t, i, narrow).Allowed {
		t.Fatal("passed before its time")
	}
	c.Advance(time.Microsecond)
	if !take(t, i, narrow).Allowed {
		t.Fatal("denied at its time")
	}
	for range 3 {
		if !take(t, i, bucket).Allowed {
			t.Fatal("denied below its part of the bucket")
		}
	}
	d = take(t, i, bucket)
	if d.Allowed || d.Results[0].Reset <= 0 || d.Results[0].Reset > 2*time.Second {
		t.Fatalf("%+v", d)
	}
	c.Advance(d.Results[0].Reset)
	if !take(t, i, bucket).Allowed {
		t.Fatal("denied though the bucket's part has refilled")
	}
}

// TestLimiterAloneAtTheEdges: limits of zero, one and the largest, costs beyond the part
// and beyond the limit, and an instance that does not know how many there are.
func TestLimiterAloneAtTheEdges(t *testing.T) {
	c := newClock()
	i := newInstances(unbreakable(t), testenv.Redis(t), 2, c.Now)[0]
	i.link.set(refused)
	for name, row := range map[string]struct {
		most, cost int64
		kind       ratelimit.Kind
		allowed    bool
		never      bool
	}{
		"none":                {0, 1, ratelimit.Window, false, true},
		"one":                 {1, 1, ratelimit.Window, false, false},
		"two":                 {2, 1, ratelimit.Window, true, false},
		"beyond the part":     {10, 6, ratelimit.Window, false, false},
		"beyond the limit":    {10, 11, ratelimit.Window, false, true},
		"above 2^31":          {1 << 33, 1 << 32, ratelimit.Window, true, false},
		"the largest":         {ratelimit.MostUnits, ratelimit.MostUnits, ratelimit.Window, false, false},
		"no bucket":           {0, 1, ratelimit.Bucket, false, true},
		"a bucket of one":     {1, 1, ratelimit.Bucket, false, false},
		"a bucket's part":     {10, 5, ratelimit.Bucket, true, false},
		"beyond a bucket":     {10, 6, ratelimit.Bucket, false, false},
		"the largest bucket":  {ratelimit.MostBucket, 1 << 38, ratelimit.Bucket, true, false},
		"only looking":        {0, 0, ratelimit.Window, true, false},
		"looking in a bucket": {0, 0, ratelimit.Bucket, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			limit := perMinute(name, row.most)
			limit.Kind, limit.Cost = row.kind, row.cost
			d := take(t, i, limit)
			if d.Allowed != row.allowed || !d.Local {
				t.Fatalf("%+v", d)
			}
			var e *ratelimit.ExceededError
			if errors.As(d.Err(), &e) && (e.Never != row.never || e.RetryAfter <= 0) {
				t.Errorf("%+v", e)
			}
		})
	}
	strangers := ratelimit.NewLimiter(ratelimit.LimiterOptions{
		Redis: ratelimit.NewRedis(i.link), Breaker: unbreakable(t), Log: slog.New(slog.DiscardHandler), Now: c.Now,
		Instances: func() int { return 0 },
	})
	if d := take(t, strangers, perMinute("anyone", 1000)); d.Allowed || d.Results[0].Reset != time.Second {
		t.Errorf("%+v by an instance that has not seen the others", d)
	}
	if _, _, err := i.Take(t.Context(), "", 0, []ratelimit.Limit{perMinute("x", -1)}); err == nil {
		t.Error("a negative limit was accepted")
	}
}

// TestLimiterForgetsSafely: a flood of limits takes no more memory than it may, and what
// had to be forgotten too early is not let through alone a second time.
func TestLimiterForgetsSafely(t *testing.T) {
	c := newClock()
	way := &link{Scripter: testenv.Redis(t)}
	const keeps = 50
	l := ratelimit.NewLimiter(ratelimit.LimiterOptions{
		Redis: ratelimit.NewRedisAt(way, c.Now), Breaker: unbreakable(t), Log: slog.New(slog.DiscardHandler), Now: c.Now,
		Instances: func() int { return 2 }, Keeps: keeps,
	})
	for n := range 20 * keeps {
		take(t, l, perMinute(fmt.Sprint(n), 2)) // half of it, which is a part
		if kept := l.Kept(); kept > keeps {
			t.Fatalf("%d limits are kept", kept)
		}
	}
	way.set(refused)
	for n := range 20 * keeps {
		if take(t, l, perMinute(fmt.Sprint(n), 2)).Allowed {
			t.Fatalf("limit %d got a part on top of what it had", n)
		}
	}
	c.Advance(62 * time.Second)
	passed := 0
	for n := range 2 * keeps {
		if take(t, l, perMinute(fmt.Sprint(n), 2)).Allowed {
			passed++
		}
	}
	if passed != keeps {
		t.Errorf("%d passed alone, want %d: what is owed is never forgotten, and takes no more room than there is", passed, keeps)
	}
	way.set(fair)
	l.SettleUp(t.Context())
	c.Advance(2 * time.Minute)
	l.SettleUp(t.Context())
	if kept := l.Kept(); kept != 0 {
		t.Errorf("%d limits are kept of which nothing counts", kept)
	}
}

// TestLimiterRun tells Redis in the background, and a last time at the end.
func TestLimiterRun(t *testing.T) {
	i := newInstances(unbreakable(t), testenv.Redis(t), 1, time.Now)[0]
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = i.Run(ctx) })
	i.link.set(refused)
	for n := range 1000 {
		if d := take(t, i, perMinute(fmt.Sprint(n), 5)); !d.Local {
			t.Fatal("Redis answered")
		}
	}
	i.link.set(fair)
	for i.Owes() {
		time.Sleep(time.Millisecond)
	}
	i.link.set(refused)
	take(t, i, perMinute("last", 5))
	i.link.set(fair)
	cancel()
	running.Wait()
	if i.Owes() {
		t.Error("what was let through alone was not told at the end")
	}
}

func TestLimiterMetrics(t *testing.T) {
	c := newClock()
	registry := prometheus.NewRegistry()
	way := &link{Scripter: testenv.Redis(t)}
	l := ratelimit.NewLimiter(ratelimit.LimiterOptions{
		Redis: ratelimit.NewRedisAt(way, c.Now), Breaker: unbreakable(t), Log: slog.New(slog.DiscardHandler), Now: c.Now,
		Instances: func() int { return 2 }, Metrics: ratelimit.NewMetrics(registry),
	})
	limit := perMinute("m", 4)
	for range 7 { // 4 pass, one is denied, two from memory
		take(t, l, limit)
	}
	way.set(refused)
	other := perMinute("n", 4)
	for range 5 {
		take(t, l, other)
	}
	const want = `# HELP ratelimit_decisions_total Calls that a limit allowed, or denied; limit is scope_name, such as account_tokens.
# TYPE ratelimit_decisions_total counter
ratelimit_decisions_total{limit="user_requests",result="allowed"} 4
ratelimit_decisions_total{limit="user_requests",result="denied"} 1
ratelimit_decisions_total{limit="user_requests",result="local_allowed"} 2
ratelimit_decisions_total{limit="user_requests",result="local_denied"} 3
ratelimit_decisions_total{limit="user_requests",result="remembered"} 2
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "ratelimit_decisions_total"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(registry, "ratelimit_script_duration_seconds"); n != 1 {
		t.Errorf("%d histograms of the scripts' time", n)
	}
}

// TestLimiterFinish: what a call used beyond its cost counts even if Redis was away at its
// end, and what it did not use comes back.
func TestLimiterFinish(t *testing.T) {
	c := newClock()
	both := newInstances(unbreakable(t), testenv.Redis(t), 2, c.Now)
	a, b := both[0], both[1]
	tokens := perMinute("t", 100)
	tokens.Name = ratelimit.NameTokens
	takeTokens := func(by *instance, cost int64, want bool) ratelimit.Ticket {
		t.Helper()
		tokens.Cost = cost
		d, ticket, err := by.Take(t.Context(), fmt.Sprint("call of ", cost), time.Minute, []ratelimit.Limit{tokens})
		if err != nil || d.Allowed != want {
			t.Fatalf("%+v, %v", d, err)
		}
		return ticket
	}
	finish := func(by *instance, ticket ratelimit.Ticket, used int64) {
		t.Helper()
		if err := by.Finish(t.Context(), ticket, ratelimit.Used{tokens.Name: used}); err != nil {
			t.Fatal(err)
		}
	}
	ticket := takeTokens(a, 10, true)
	a.link.set(refused)
	finish(a, ticket, 60)
	takeTokens(a, 1, false) // 60 are more than its part
	a.link.set(fair)
	a.SettleUp(t.Context())
	takeTokens(b, 41, false)
	ticket = takeTokens(b, 40, true)
	finish(b, ticket, 30)
	takeTokens(b, 11, false)
	c.Advance(time.Second) // it looks again
	ticket = takeTokens(b, 10, true)
	if err := b.GiveBack(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
	takeTokens(a, 10, true)

	c.Advance(2 * time.Minute)
	b.link.set(refused)
	ticket = takeTokens(b, 50, true) // alone
	finish(b, ticket, 20)
	takeTokens(b, 31, false)
	takeTokens(b, 30, true)
	b.link.set(fair)
	b.SettleUp(t.Context())
	takeTokens(a, 51, false)
	takeTokens(a, 50, true)
}
