package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	watchEvery  = time.Second
	watchSoon   = 50 * time.Millisecond // to the next look at what failed; twice as long each time, up to watchEvery
	probeIn     = 500 * time.Millisecond
	readingLife = 10 * time.Second // a look that takes so long says that the thing does not answer
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
	// errUnfit is in the chain of what is wrong with a store that answers.
	errUnfit    = errors.New("it cannot be used as it is")
	errSchema   = fmt.Errorf("%w: the database's schema is older than this program: run kikuai migrate", errUnfit)
	errReadOnly = fmt.Errorf("%w: the database only reads, as a standby does, or one with default_transaction_read_only: "+
		"let DATABASE_URL lead to the primary, or promote this one", errUnfit)
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

// postgresProbe asks the database whether it takes writes, at first for the newest schema
// too, and says then if nothing but triggers keeps the program from changing the ledger.
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
		if err != nil {
			return err
		}
		ahead, err := postgres.Ahead(ctx, conn.Conn())
		if err != nil {
			return err
		}
		told.Do(func() {
			if may {
				log.WarnContext(ctx, adviceOnRole)
			}
			if ahead > 0 {
				log.InfoContext(ctx, "the database's schema is of a later release: this one goes on with it", "migrations", ahead)
			}
		})
		return nil
	}
	writes := func(ctx context.Context) error {
		writable, err := postgres.Writable(ctx, pool)
		if err == nil && !writable {
			return errReadOnly
		}
		return err
	}
	then := onceThen(schema, func(context.Context) error { return nil })
	return func(ctx context.Context) error {
		if err := writes(ctx); err != nil {
			return err
		}
		return then(ctx)
	}
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

// dependency is something that the program depends on.
type dependency struct {
	name string // as /readyz and /performance/health name it
	said string // as a person knows it, who is told when it goes away and when it is back; "": nobody is
	by   string // the setting that leads to it
	ask  probe
}

// watch asks on a schedule of its own whether what the program depends on can be used, so
// that whoever asks the program how it is waits for nobody. It says when something goes
// away or cannot be used, and when it is back, once each, and shows it as dependency_up.
type watch struct {
	log    *slog.Logger
	things []dependency
	seen   map[string]*atomic.Pointer[reading] // by name
	up     *prometheus.GaugeVec                // said, in lower case
}

// reading is what a look has found: nil, or what is wrong.
type reading struct {
	err error
	at  time.Time
}

func newWatch(log *slog.Logger, things []dependency, r prometheus.Registerer) *watch {
	w := &watch{
		log: log, things: things, seen: map[string]*atomic.Pointer[reading]{},
		up: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "dependency_up", Help: "1: what the program depends on answers this instance. 0: it is away, or cannot be used.",
		}, []string{"name"}),
	}
	for _, d := range things {
		w.seen[d.name] = &atomic.Pointer[reading]{}
	}
	r.MustRegister(w.up)
	return w
}

var errNotLooked = errors.New("it was not looked at yet")

// last returns the probe that tells what the last look at a thing has found, at once.
func (w *watch) last(name string) probe {
	seen := w.seen[name]
	return func(context.Context) error {
		v := seen.Load()
		if v == nil {
			return errNotLooked
		}
		if age := time.Since(v.at); age > readingLife {
			return fmt.Errorf("it was looked at %s ago, and has not answered since", age.Round(time.Second))
		}
		return v.err
	}
}

// run looks at each thing by itself until ctx ends: one that does not answer holds up none.
func (w *watch) run(ctx context.Context) error {
	var looking sync.WaitGroup
	for _, d := range w.things {
		looking.Go(func() { w.follow(ctx, d) })
	}
	looking.Wait()
	return nil
}

// follow looks each second, and sooner at what has just gone away or is just coming up.
func (w *watch) follow(ctx context.Context, d dependency) {
	trouble, soon := "", watchSoon
	for {
		pause := watchEvery
		if err := w.look(ctx, d, &trouble); err == nil {
			soon = watchSoon
		} else {
			pause = soon
			soon = min(2*soon, watchEvery)
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
	}
}

// look asks once; trouble is what was said last.
func (w *watch) look(ctx context.Context, d dependency, trouble *string) error {
	within, cancel := context.WithTimeout(ctx, probeIn)
	defer cancel()
	err := d.ask(within)
	if ctx.Err() != nil {
		return err
	}
	w.seen[d.name].Store(&reading{err, time.Now()})
	if d.said == "" {
		return err
	}
	answers := 1.0
	if err != nil {
		answers = 0
	}
	w.up.WithLabelValues(strings.ToLower(d.said)).Set(answers)
	said := fmt.Sprintf("%s is away: trying again every %s", d.said, watchEvery)
	if errors.Is(err, errUnfit) {
		said = fmt.Sprintf("%s answers, but %s. Trying again every %s", d.said, err, watchEvery)
	}
	switch {
	case err != nil && *trouble != said:
		*trouble = said
		w.log.ErrorContext(ctx, said, "setting", d.by, "error", oneLine(err))
	case err == nil && *trouble != "":
		*trouble = ""
		w.log.InfoContext(ctx, d.said+" is back")
	}
	return err
}
