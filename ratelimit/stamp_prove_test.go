//go:build prove

package ratelimit_test

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// stamping asks Redis for the time right before and right after each script, in one
// transaction with it: so that when something was let through is known by the clock
// that decides, and not from the limiter's own word.
type stamping struct {
	redis.Scripter
	client *redis.Client
}

// moment is when a script ran, in µs of Redis' clock.
type moment struct{ before, after int64 }

type momentKey struct{}

// withMoment lets the script that runs under the context say when it did.
func withMoment(ctx context.Context) (context.Context, *moment) {
	m := new(moment)
	return context.WithValue(ctx, momentKey{}, m), m
}

func (s stamping) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return s.stamped(ctx, func(p redis.Pipeliner) *redis.Cmd { return p.EvalSha(ctx, sha, keys, args...) })
}

func (s stamping) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return s.stamped(ctx, func(p redis.Pipeliner) *redis.Cmd { return p.Eval(ctx, script, keys, args...) })
}

func (s stamping) stamped(ctx context.Context, run func(redis.Pipeliner) *redis.Cmd) *redis.Cmd {
	var before, after *redis.TimeCmd
	var command *redis.Cmd
	_, _ = s.client.TxPipelined(ctx, func(p redis.Pipeliner) error { // the commands carry their errors
		before, command, after = p.Time(ctx), run(p), p.Time(ctx)
		return nil
	})
	if m, asked := ctx.Value(momentKey{}).(*moment); asked {
		*m = moment{micros(before.Val()), micros(after.Val())}
	}
	return command
}

func micros(t time.Time) int64 { return t.UnixMicro() }
