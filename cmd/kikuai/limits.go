package main

import (
	"context"
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/ratelimit"
)

// openLimits makes what stands between calls and Redis, and the limits outside the metered
// path, which are decided here while Redis is away.
func (a *App) openLimits() error {
	a.decisions = ratelimit.NewMetrics(a.registry)
	a.breaker = ratelimit.NewBreaker(ratelimit.BreakerOptions{
		Probe: ratelimit.Ping(a.stores.quick), Log: a.log, Registerer: a.registry,
	})
	a.moneyLeases, a.inboxLeases = a.leases("money"), a.leases("inbox")
	a.limiter = ratelimit.NewLimiter(ratelimit.LimiterOptions{
		Redis: ratelimit.NewRedis(a.stores.gathered), Breaker: a.breaker, Instances: a.moneyLeases.Members,
		Log: a.log, Metrics: a.decisions,
	})
	return nil
}

// houseLimits are those of keys and chats that have none of their own.
func (a *App) houseLimits() billing.Limits {
	refill, burst := a.config.Bucket()
	return billing.Limits{RequestsPerMinute: int64(a.config.RequestsPerMinute), RefillMilli: refill, Burst: burst}
}

// taker takes one of what a limit allows.
type taker interface {
	Take(ctx context.Context, id string, life time.Duration, limits []ratelimit.Limit) (ratelimit.Decision, ratelimit.Ticket, error)
}

// addresses limit how many failed authentications may come from one.
type addresses struct {
	limits taker
	most   int64 // a minute
}

// Take counts one more. [*ratelimit.ExceededError].
func (a addresses) Take(ctx context.Context, address netip.Addr) error {
	bytes, hash := address.As16(), fnv.New64a()
	_, _ = hash.Write(bytes[:]) // never fails
	shard := stream.Shard(hash.Sum64() % stream.Shards)
	d, _, err := a.limits.Take(ctx, "", 0, []ratelimit.Limit{{
		Kind: ratelimit.Window, Name: "failures", Scope: "address",
		Key: ratelimit.Key(shard.String(), "address", address.String()), Max: a.most, Span: time.Minute, Cost: 1,
	}})
	if err != nil {
		return err
	}
	return d.Err()
}
