package billing

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// The gauge is nought before anything is looked at and while nothing differs, the sum
// of what differs while it does, and nought again afterwards.
func TestDrift(t *testing.T) {
	r := running(t, testenv.Redis(t), nil, nil)
	r.funded(t, 100)
	first := r.account(1000)
	for range stream.Shards - 1 {
		r.account(0)
	}
	second := r.account(1000) // on the same shard: what differs there must not cancel out
	r.spend(first, "a", 10)
	r.reserve(second, "b", 20)

	var text lockedText
	registry := prometheus.NewRegistry()
	d := NewDrift(DriftOptions{
		Reconciler: NewReconciler(ReconcilerOptions{Redis: r.redis, Postgres: r.pool}), Leases: r.config.Leases,
		Log: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelError})), Registerer: registry, Every: driftTurns * 3 * time.Millisecond,
	})
	gauge := func() float64 {
		t.Helper()
		families, err := registry.Gather()
		r.must(err)
		if len(families) != 1 || families[0].GetName() != "ledger_drift_nano_usd" || testutil.CollectAndCount(registry) != 1 {
			t.Fatalf("%v", families)
		}
		return families[0].Metric[0].GetGauge().GetValue()
	}
	if n := gauge(); n != 0 {
		t.Errorf("%v before the first look", n)
	}
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { _ = d.Run(ctx) })
	defer ended.Wait()
	defer stop()

	change := func(account, nano int64) {
		t.Helper()
		r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, nano).Err())
	}
	testenv.Until(t, "all shards", func() bool { return len(r.config.Leases.Held()) == stream.Shards })
	for range 20 { // looks at each shard, or so
		r.spend(first, "call-"+time.Now().Format(time.RFC3339Nano), 1)
		time.Sleep(d.every / 10)
	}
	if n := gauge(); n != 0 || text.String() != "" {
		t.Errorf("%v while nothing differs: %s", n, text.String())
	}
	change(first, 5)
	change(second, -3)
	testenv.Until(t, "the gauge", func() bool { return gauge() == 8 })
	for _, part := range []string{"level=ERROR", "account_id=" + decimal(first), "account_id=" + decimal(second), "what=balance"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in %s", part, text.String())
		}
	}
	change(first, -5)
	change(second, 3)
	testenv.Until(t, "nought", func() bool { return gauge() == 0 })
}

func TestAddUp(t *testing.T) {
	const most = 1<<63 - 1
	for _, c := range [][3]int64{{0, 0, 0}, {1, -2, 3}, {5, 7, 12}, {most, 1, most}, {0, -most - 1, most}, {3, -most - 1, most}} {
		if got := addUp(c[0], c[1]); got != c[2] {
			t.Errorf("%d and %d: %d, want %d", c[0], c[1], got, c[2])
		}
	}
}

// lockedText is what several goroutines write.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
