package ratelimit_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var epoch = time.UnixMicro(1_800_000_000_000_000)

// clock is a hand-moved clock.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(epoch.UnixMicro())
	return c
}

func (c *clock) Now() time.Time          { return time.UnixMicro(c.micros.Load()) }
func (c *clock) Advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// source is what every behaviour test runs on.
type source interface {
	Take(ctx context.Context, id string, life time.Duration, limits []ratelimit.Limit) (ratelimit.Decision, ratelimit.Ticket, error)
	Finish(ctx context.Context, t ratelimit.Ticket, used ratelimit.Used) error
	GiveBack(ctx context.Context, t ratelimit.Ticket) error
	Renew(ctx context.Context, tickets []ratelimit.Ticket, life time.Duration) error
}

// sources are makers of a source on a clock, by name.
func sources(t *testing.T) map[string]func(*clock) source {
	t.Helper()
	mini := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = mini.Close() })
	server := testenv.Redis(t)
	return map[string]func(*clock) source{
		"redis":     func(c *clock) source { return ratelimit.NewRedisAt(server, c.Now) },
		"memory":    func(c *clock) source { return ratelimit.NewMemory(c.Now) },
		"miniredis": func(c *clock) source { return ratelimit.NewRedisAt(mini, c.Now) },
	}
}

// verdict is a decision about one limit.
type verdict struct {
	ratelimit.Result
	Allowed bool
}

// takeOne asks for one request of a single window.
func takeOne(ctx context.Context, s source, key string, limit int64, span time.Duration) (verdict, error) {
	d, _, err := s.Take(ctx, "", 0, []ratelimit.Limit{{
		Kind: ratelimit.Window, Name: ratelimit.NameRequests, Scope: ratelimit.ScopeKey, Key: key, Max: limit, Span: span, Cost: 1,
	}})
	if err != nil {
		return verdict{}, err
	}
	return verdict{d.Results[0], d.Allowed}, nil
}
