package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	watchEvery = time.Second
	probeIn    = 500 * time.Millisecond
)

// probe tells whether something that the program depends on can be used.
type probe = func(context.Context) error

func redisProbe(client redis.UniversalClient) probe {
	return func(ctx context.Context) error { return client.Ping(ctx).Err() }
}

var (
	errSchema   = errors.New("the database's schema is older than this program: run kikuai migrate")
	errNoShards = errors.New("no shard is held here yet")
)

// onceThen asks first until that succeeds, and from then on only next.
func onceThen(first, next probe) probe {
	var passed atomic.Bool
	return func(ctx context.Context) error {
		if passed.Load() {
			return next(ctx)
		}
		err := first(ctx)
		if err == nil {
			passed.Store(true)
		}
		return err
	}
}

// postgresProbe asks the database, at first for the newest schema too.
func postgresProbe(pool *pgxpool.Pool) probe {
	schema := func(ctx context.Context) error {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		pending, err := postgres.Pending(ctx, conn.Conn())
		if err == nil && pending > 0 {
			err = errSchema
		}
		return err
	}
	return onceThen(schema, pool.Ping)
}

// leasesProbe asks whether this instance holds a shard, as each among at most sixteen
// does, and at first whether money is open on every shard, whoever holds it.
func leasesProbe(l *stream.Leases, client redis.UniversalClient) probe {
	held := func(context.Context) error {
		if len(l.Held()) == 0 {
			return errNoShards
		}
		return nil
	}
	open := func(ctx context.Context) error {
		pipe := client.Pipeline()
		for account := range int64(stream.Shards) {
			pipe.Get(ctx, billing.EpochKey(account))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("a shard is not open: %w", err)
		}
		return held(ctx)
	}
	return onceThen(open, held)
}

// watch says when something goes away and when it is back, once each.
type watch struct {
	log    *slog.Logger
	probes map[string]probe // by the name a person knows it by
}

func (w *watch) run(ctx context.Context) error {
	away := map[string]bool{}
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		for _, name := range slices.Sorted(maps.Keys(w.probes)) {
			w.look(ctx, name, away)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (w *watch) look(ctx context.Context, name string, away map[string]bool) {
	within, cancel := context.WithTimeout(ctx, probeIn)
	defer cancel()
	err := w.probes[name](within)
	switch {
	case ctx.Err() != nil:
	case err != nil && !away[name]:
		away[name] = true
		w.log.ErrorContext(ctx, fmt.Sprintf("%s is away: trying again every %s", name, watchEvery), "error", err)
	case err == nil && away[name]:
		away[name] = false
		w.log.InfoContext(ctx, name+" is back")
	}
}
