package telemetry_test

import (
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/telemetry"
)

// TestPromptly: who asks while an answer is late gets the last one, and asks nobody anew.
func TestPromptly(t *testing.T) {
	gate := make(chan struct{}, 3)
	var asked atomic.Int64
	tell := telemetry.Promptly(func() int64 {
		n := asked.Add(1)
		<-gate
		return n
	})
	if got := tell(); got != 0 {
		t.Errorf("before the first answer: %d", got)
	}
	for range 3 {
		tell()
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times at once", n)
	}
	gate <- struct{}{}
	for asked.Load() == 1 { // the late answer is told, and then asked for anew
		if got := tell(); got > 1 {
			t.Fatalf("told %d, of 1 answer", got)
		}
	}
	if got := tell(); got != 1 {
		t.Errorf("while the second is late: %d", got)
	}
	gate <- struct{}{}
	gate <- struct{}{}
	for tell() < 2 {
	}
}

// TestScrapeWaitsForNobody: a client that must first find its servers holds up no scrape.
func TestScrapeWaitsForNobody(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	found := make(chan struct{})
	defer close(found)
	telemetry.RedisPool(registry, func() *redis.PoolStats { return &redis.PoolStats{TotalConns: 3, IdleConns: 1} },
		telemetry.Promptly(func() *redis.PoolStats {
			<-found
			return &redis.PoolStats{TotalConns: 100}
		}))
	get := serve(t, registry, nil)
	if status, _ := get("/metrics"); status != 200 {
		t.Errorf("/metrics: %d", status)
	}
	if pool := read(t, registry, "redis_pool_connections"); pool["total"] != 3 || pool["used"] != 2 {
		t.Errorf("pools: %v", pool)
	}
}
