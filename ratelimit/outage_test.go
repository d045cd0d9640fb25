package ratelimit_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/ratelimit"
)

// weather is how an instance finds Redis.
type weather int32

const (
	fair    weather = iota
	refused         // nothing arrives
	lost            // what is asked is done, and the answer does not come back
	late            // what is asked is done when the test lets it land; who asked has given up before
	held            // what is asked is done, and the answer waits for the test
	slow            // what is asked waits for the test, and is done then
)

var errWeather = errors.New("i/o timeout")

// link is an instance's way to Redis.
type link struct {
	redis.Scripter
	now   atomic.Int32
	asked atomic.Int64
	clock func() time.Time // that Redis is told; nil: its own

	done, release chan struct{} // of what is held or slow

	mu      sync.Mutex
	flights []func() // what is late, oldest first
}

func (l *link) set(w weather) { l.now.Store(int32(w)) }

// land lets one of the asks that are late reach Redis, which does it by the time of now.
func (l *link) land(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flights[n]()
	l.flights = slices.Delete(l.flights, n, n+1)
}

// delay keeps an ask for land.
func (l *link) delay(ctx context.Context, args []any, ask asking) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx = context.WithoutCancel(ctx)
	l.flights = append(l.flights, func() {
		args = slices.Clone(args)
		if l.clock != nil {
			args[0] = l.clock().UnixMicro()
		}
		ask(ctx, args)
	})
}

// asking runs a script of ours, whose first argument is the time.
type asking func(ctx context.Context, args []any) *redis.Cmd

// through asks, as the weather permits.
func (l *link) through(ctx context.Context, args []any, by asking) *redis.Cmd {
	ask := func() *redis.Cmd { return by(ctx, args) }
	l.asked.Add(1)
	failed := redis.NewCmd(ctx)
	failed.SetErr(errWeather)
	switch weather(l.now.Load()) {
	case refused:
		return failed
	case lost:
		if err := ask().Err(); redis.HasErrorPrefix(err, "NOSCRIPT") {
			return redis.NewCmdResult(nil, err) // or nothing would ever be done
		}
		return failed
	case late:
		l.delay(ctx, args, by)
		return failed
	case slow:
		l.done <- struct{}{}
		<-l.release
	case held:
		answer := ask()
		l.done <- struct{}{}
		<-l.release
		return answer
	}
	return ask()
}

func (l *link) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return l.through(ctx, args, func(ctx context.Context, args []any) *redis.Cmd {
		return l.Scripter.Eval(ctx, script, keys, args...)
	})
}

func (l *link) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return l.through(ctx, args, func(ctx context.Context, args []any) *redis.Cmd {
		return l.Scripter.EvalSha(ctx, sha, keys, args...)
	})
}

// instance is a limiter with a way to Redis of its own.
type instance struct {
	*ratelimit.Limiter
	link *link
}

// unbreakable is a breaker that does not open, so that it is the weather alone that
// decides, and no goroutine's timing.
func unbreakable(t testing.TB) *ratelimit.Breaker {
	b := ratelimit.NewBreaker(ratelimit.BreakerOptions{
		Log: slog.New(slog.DiscardHandler), Failures: 1 << 30, Slow: time.Hour,
	})
	t.Cleanup(b.Close)
	return b
}

// newInstances returns n limiters that share a Redis, on one clock.
func newInstances(breaker *ratelimit.Breaker, server redis.Scripter, n int, now func() time.Time) []*instance {
	list := make([]*instance, n)
	for i := range list {
		way := &link{Scripter: server, clock: now}
		list[i] = &instance{link: way, Limiter: ratelimit.NewLimiter(ratelimit.LimiterOptions{
			Redis: ratelimit.NewRedisAt(way, now), Breaker: breaker, Now: now,
			Instances: func() int { return n }, Log: slog.New(slog.DiscardHandler),
		})}
	}
	return list
}
