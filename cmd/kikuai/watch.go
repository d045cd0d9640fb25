package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

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

var errSchema = errors.New("the database's schema is older than this program: run kikuai migrate")

// postgresProbe asks the database, and until it once saw the newest schema, for that.
func postgresProbe(pool *pgxpool.Pool) probe {
	var mu sync.Mutex
	current := false
	return func(ctx context.Context) error {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		mu.Lock()
		known := current
		mu.Unlock()
		if known {
			return conn.Ping(ctx)
		}
		pending, err := postgres.Pending(ctx, conn.Conn())
		if err != nil {
			return err
		}
		if pending > 0 {
			return errSchema
		}
		mu.Lock()
		current = true
		mu.Unlock()
		return nil
	}
}

var errNoShards = errors.New("no shard is held here yet")

// leasesProbe is for an instance among at most as many as there are shards: each of
// those holds one.
func leasesProbe(l *stream.Leases) probe {
	return func(context.Context) error {
		if len(l.Held()) == 0 {
			return errNoShards
		}
		return nil
	}
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
