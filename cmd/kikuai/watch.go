package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
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

// redisProbe asks Redis, and of a cluster every node that holds a shard.
func redisProbe(client redis.UniversalClient) probe {
	return func(ctx context.Context) error {
		nodes, err := redisNodes(ctx, client)
		if err != nil {
			return err
		}
		return errors.Join(ping(ctx, nodes)...)
	}
}

// redisServes asks whether calls can be served: of a cluster one node suffices, since
// what lies on the others can be served by no other instance either.
func redisServes(client redis.UniversalClient) probe {
	return func(ctx context.Context) error {
		nodes, err := redisNodes(ctx, client)
		if err != nil {
			return err
		}
		faults := ping(ctx, nodes)
		if slices.Contains(faults, nil) {
			return nil
		}
		return errors.Join(faults...)
	}
}

// redisNodes are the servers that hold the shards. It asks nobody: a cluster's layout
// is what the client knows of it.
func redisNodes(ctx context.Context, client redis.UniversalClient) ([]redis.UniversalClient, error) {
	cluster, ok := client.(*redis.ClusterClient)
	if !ok {
		return []redis.UniversalClient{client}, nil
	}
	var nodes []redis.UniversalClient
	known := map[string]bool{}
	for account := range int64(stream.Shards) {
		node, err := cluster.MasterForKey(ctx, billing.EpochKey(account))
		if err != nil {
			return nil, fmt.Errorf("the cluster's layout: %w", err)
		}
		if addr := node.Options().Addr; !known[addr] {
			known[addr] = true
			nodes = append(nodes, node)
		}
	}
	return nodes, nil
}

// ping asks all nodes at once; the faults are in their order.
func ping(ctx context.Context, nodes []redis.UniversalClient) []error {
	faults := make([]error, len(nodes))
	var asked sync.WaitGroup
	for i, node := range nodes {
		asked.Go(func() { faults[i] = node.Ping(ctx).Err() })
	}
	asked.Wait()
	return faults
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

// postgresProbe asks the database, at first for the newest schema too, and says then
// if nothing but triggers keeps the program from changing the ledger.
func postgresProbe(pool *pgxpool.Pool, log *slog.Logger) probe {
	var told sync.Once
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
		if err != nil {
			return err
		}
		may, err := postgres.MayRewrite(ctx, conn.Conn())
		if err == nil && may {
			told.Do(func() { log.WarnContext(ctx, adviceOnRole) })
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
