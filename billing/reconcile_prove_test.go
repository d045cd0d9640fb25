//go:build prove

package billing

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// TestProveReconcile: what it costs to watch and to reconcile 100,000 accounts with a
// key each and 8,000 live holds, and how long Redis is kept from others meanwhile.
func TestProveReconcile(t *testing.T) {
	const accounts, holds = 100_000, 8_000
	r := newRig(t, testenv.RedisServer(t).ClientWith(redis.Options{PoolSize: 40}))
	ctx := t.Context()
	_, err := r.pool.Exec(ctx, `
		with made as (
			insert into accounts (telegram_id, name, projected_at, confirmed, known)
			select n, 'Kiku', now(), true, true from generate_series(1, $1::bigint) n returning id
		) insert into api_keys (account_id, name, locator, mac, pepper_version, hint, projected_at, confirmed)
		select id, 'one', md5(id::text), md5(id::text), '1', 'kk_', now(), true from made`, accounts)
	r.must(err)
	_, err = r.pool.Exec(ctx, `analyze`)
	r.must(err)
	r.lose(true)
	r.rebuildAll()
	for i := range int64(holds) {
		account := 1 + i%accounts
		r.credit(account, 10, fmt.Sprintf("first:%d", i))
		r.reserve(account, fmt.Sprintf("live-%d", i), 5)
	}

	waits, looking := r.waits(), r.reconciler()
	d := NewDrift(DriftOptions{Reconciler: looking, Leases: stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: r.redis, Log: slog.New(slog.DiscardHandler)}),
		Log: r.config.Log})
	idle := measured(waits, func() { time.Sleep(2 * time.Second) })
	watch := measured(waits, func() {
		for s := range stream.Shard(stream.Shards) {
			d.look(ctx, s)
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var checked Checked
	all := measured(waits, func() {
		checked, err = looking.Run(ctx, Scope{}, func(d Discrepancy) { t.Error(line(d)) })
		r.must(err)
	})
	runtime.ReadMemStats(&after)
	if checked.Accounts != accounts || checked.Keys != accounts || checked.Holds != holds || d.sum() != 0 {
		t.Errorf("%+v, drift %d", checked, d.sum())
	}
	t.Logf("reconcile: %d accounts with a key each, %d live holds: watched in %s a minute (%s a shard), reconciled in %s; "+
		"another's call to Redis waits p99 %s, at most %s (alone %s, %s); %d MB allocated in all",
		accounts, holds, watch.took.Round(time.Millisecond), (watch.took / stream.Shards).Round(time.Millisecond), all.took.Round(time.Millisecond),
		max(watch.p99, all.p99), max(watch.most, all.most), idle.p99, idle.most, (after.TotalAlloc-before.TotalAlloc)>>20)
}

type wait struct{ took, p99, most time.Duration }

// waits measures calls to Redis until its context ends.
func (r *rig) waits() func(ctx context.Context) []time.Duration {
	return func(ctx context.Context) (took []time.Duration) {
		for ctx.Err() == nil {
			began := time.Now()
			_, _ = r.desk.Accounts.Balance(context.Background(), 5)
			took = append(took, time.Since(began))
			time.Sleep(time.Millisecond)
		}
		return took
	}
}

func measured(waits func(context.Context) []time.Duration, do func()) (w wait) {
	ctx, stop := context.WithCancel(context.Background())
	result := make(chan []time.Duration, 1)
	go func() { result <- waits(ctx) }()
	began := time.Now()
	do()
	w.took = time.Since(began)
	stop()
	took := <-result
	slices.Sort(took)
	w.p99, w.most = took[len(took)*99/100].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond)
	return w
}

// TestProveReconcileUnderLoad is what make test does a few dozen times.
func TestProveReconcileUnderLoad(t *testing.T) { reconcileUnderLoad(t, 1000) }
