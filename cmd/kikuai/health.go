package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/kikuai/kikuai/internal/llm/route"
)

// What is looked at, as /readyz and /performance/health name it.
const (
	checkRedis    = "redis"
	checkPostgres = "postgres"
	checkLeases   = "leases"
	checkCache    = "cache"
	checkCluster  = "redis nodes"
)

// dependencies are what the watch looks at. Calls go on while one node of a cluster is
// away, and that is told all the same: each is looked at by itself.
func (a *App) dependencies() []dependency {
	return []dependency{
		{name: checkRedis, ask: redisServes(a.stores.quick)},
		{name: checkCluster, said: "Redis", by: "REDIS_URL", ask: redisProbe(a.stores.quick)},
		{name: checkPostgres, said: "Postgres", by: "DATABASE_URL", ask: postgresProbe(a.postgres, a.log)},
		{name: checkLeases, ask: leasesProbe(a.moneyLeases, a.stores.quick)},
		{name: checkCache, ask: a.cacheProbe},
	}
}

// health is what the operations listener tells of the program's state: of each thing that
// it depends on "ok" or what is wrong, and how limits, caches, circuit breakers and pools
// of connections are doing. All of it is known already: it waits for nobody.
func (a *App) health(probes map[string]probe) func(context.Context) map[string]any {
	return func(ctx context.Context) map[string]any {
		state := map[string]any{
			"version":          version(),
			"shards":           map[string]int{"inbox": len(a.inboxLeases.Held()), "money": len(a.moneyLeases.Held())},
			"cache":            a.cacheHealth(a.watch.last(checkCache)(ctx)),
			"circuit_breakers": breakerHealth(a.meter.Circuits()),
			"connection_pools": a.poolHealth(),
		}
		status := "ok"
		for name, ask := range probes {
			state[name] = "ok"
			if err := ask(ctx); err != nil {
				state[name], status = err.Error(), "degraded"
			}
		}
		state["status"] = status
		state["rate_limiter"] = map[string]any{
			"enabled":         a.limited(),
			"redis_connected": state[checkRedis] == "ok" && !a.breaker.Open(),
			"decides":         map[bool]string{false: "redis", true: "locally"}[a.breaker.Open()],
		}
		return state
	}
}

// limited says whether keys without limits of their own have any.
func (a *App) limited() bool {
	house := a.houseLimits()
	return house.RequestsPerMinute > 0 || house.RefillMilli > 0
}

// cacheHealth is what both levels of the cache are doing; fault is what is wrong with the
// second, or nil.
func (a *App) cacheHealth(fault error) map[string]any {
	entries, bytes, most := a.cache.Level1()
	second := map[string]any{"enabled": true, "connected": true}
	if fault != nil {
		second["connected"], second["error"] = false, fault.Error()
	}
	return map[string]any{
		"l1_cache": map[string]any{"items": entries, "size_bytes": bytes, "max_size": most},
		"l2_cache": second,
	}
}

// cacheProbe tells whether the cache's Redis answers. Without it the program serves on.
func (a *App) cacheProbe(ctx context.Context) error {
	if err := a.cacheRedis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("the cache's Redis: %w", err)
	}
	return nil
}

// breakerHealth is each deployment's circuit breaker; times are Unix seconds, 0 for never.
func breakerHealth(circuits map[string]route.Circuit) map[string]any {
	told := make(map[string]any, len(circuits))
	for name, c := range circuits {
		var last int64
		if !c.LastFailure.IsZero() {
			last = c.LastFailure.Unix()
		}
		told[name] = map[string]any{
			"state":         strings.ToUpper(strings.ReplaceAll(c.State.String(), "-", "_")),
			"failure_count": c.Failures, "last_failure_time": last,
		}
	}
	return told
}

// poolHealth is how many connections each pool has, and how often somebody waited for one.
func (a *App) poolHealth() map[string]any {
	database := a.postgres.Stat()
	pools := map[string]any{"postgres": map[string]any{
		"max": database.MaxConns(), "total": database.TotalConns(), "idle": database.IdleConns(),
		"used": database.AcquiredConns(), "waits": database.EmptyAcquireCount(),
	}}
	for name, stats := range a.pools {
		s := stats()
		if s == nil { // its servers were not found yet
			continue
		}
		pools[name] = map[string]any{
			"total": s.TotalConns, "idle": s.IdleConns, "used": s.TotalConns - s.IdleConns,
			"waits": s.WaitCount, "timeouts": s.Timeouts,
		}
	}
	return pools
}
