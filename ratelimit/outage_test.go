package ratelimit_test

import (
	"context"
	"errors"
	"log/slog"
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
	held            // what is asked is done, and the answer waits for the test
)

var errWeather = errors.New("i/o timeout")

// link is an instance's way to Redis.
type link struct {
	redis.Scripter
	now   atomic.Int32
	asked atomic.Int64

	done, release chan struct{} // of what is held
}

func (l *link) set(w weather) { l.now.Store(int32(w)) }

// through asks, as the weather permits.
func (l *link) through(ctx context.Context, ask func() *redis.Cmd) *redis.Cmd {
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
	case held:
		answer := ask()
		l.done <- struct{}{}
		<-l.release
		return answer
	}
	return ask()
}

func (l *link) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return l.through(ctx, func() *redis.Cmd { return l.Scripter.Eval(ctx, script, keys, args...) })
}

func (l *link) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return l.through(ctx, func() *redis.Cmd { return l.Scripter.EvalSha(ctx, sha, keys, args...) })
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
		way := &link{Scripter: server}
		list[i] = &instance{link: way, Limiter: ratelimit.NewLimiter(ratelimit.LimiterOptions{
			Redis: ratelimit.NewRedisAt(way, now), Breaker: breaker, Now: now,
			Instances: func() int { return n }, Log: slog.New(slog.DiscardHandler),
		})}
	}
	return list
}
