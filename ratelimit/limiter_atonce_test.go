package ratelimit_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// spell is a call that was let through at some moment between from and to.
type spell struct{ from, to time.Time }

// TestSwitchBoundAtOnce is the bound again, in real time: three instances with breakers
// that open and close, nine callers that never cease, and a Redis that each instance
// loses and finds.
func TestSwitchBoundAtOnce(t *testing.T) {
	const (
		n, callers  = 3, 3
		most        = 40
		span, lasts = 500 * time.Millisecond, 4 * time.Second
	)
	server := testenv.Redis(t)
	ctx, end := context.WithTimeout(t.Context(), lasts)
	defer end()
	var all sync.WaitGroup
	var mu sync.Mutex
	var passed []spell
	alone := 0
	links := make([]*link, n)
	for i := range links {
		way := &link{Scripter: server}
		links[i] = way
		breaker := newBreaker(t, ratelimit.BreakerOptions{
			Probe: func(ctx context.Context) error {
				if weather(way.now.Load()) != fair {
					return errWeather
				}
				return server.Ping(ctx).Err()
			},
			ProbeEvery: 10 * time.Millisecond,
		})
		l := ratelimit.NewLimiter(ratelimit.LimiterOptions{
			Redis: ratelimit.NewRedis(way), Breaker: breaker, Log: slog.New(slog.DiscardHandler),
			Instances: func() int { return n },
		})
		all.Go(func() { _ = l.Run(ctx) })
		limit := perMinute("at-once", most)
		limit.Span = span
		for caller := range callers {
			all.Go(func() {
				for call := 0; ctx.Err() == nil; call++ {
					s := spell{from: time.Now()}
					d, _, err := l.Take(context.Background(), fmt.Sprint(i, "-", caller, "-", call), 0, []ratelimit.Limit{limit})
					s.to = time.Now()
					if err != nil {
						t.Error(err)
						return
					}
					if !d.Allowed {
						time.Sleep(time.Millisecond) // leaves the machine to others
						continue
					}
					mu.Lock()
					passed = append(passed, s)
					if d.Local {
						alone++
					}
					mu.Unlock()
				}
			})
		}
	}
	for ctx.Err() == nil {
		links[rand.IntN(n)].set(weather(rand.IntN(int(lost) + 1)))
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(150)) * time.Millisecond):
		}
	}
	all.Wait()
	fullest := certainlyWithin(passed, span)
	if bound := most + (n-1)*(most/n); fullest > bound {
		t.Fatalf("%d in one window of %s, limit %d, bound %d", fullest, span, most, bound)
	}
	if alone == 0 || alone == len(passed) {
		t.Fatalf("%d of %d passed without Redis: nothing was switched", alone, len(passed))
	}
	t.Logf("%d passed, %d of them without Redis; at most %d in %s, limit %d", len(passed), alone, fullest, span, most)
}

// certainlyWithin is how many calls passed, beyond doubt, in some span of that length.
func certainlyWithin(passed []spell, span time.Duration) (most int) {
	slices.SortFunc(passed, func(a, b spell) int { return cmp.Compare(a.from.UnixNano(), b.from.UnixNano()) })
	for i, first := range passed {
		within := 0
		for _, s := range passed[i:] {
			if s.to.Sub(first.from) < span {
				within++
			}
		}
		most = max(most, within)
	}
	return most
}
