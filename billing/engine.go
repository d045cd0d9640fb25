package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	appliesAtOnce = 4 // Postgres connections that draining may take
	pauseFirst    = 50 * time.Millisecond
	pauseMost     = time.Second
	relayEvery    = time.Second
)

// Engine keeps Postgres and Redis in step. For each shard that this instance
// holds the lease of, one owner
//
//   - opens the shard: where Redis lost it, it is rebuilt from Postgres and
//     opened under a new epoch,
//   - drains its stream of events into the ledger,
//   - relays what Postgres decided and Redis has not been told, or has not taken,
//   - looks after tiers, organisations and claims of their budgets (see steward), and
//   - resolves orphans: holds that nobody resolved before their deadline, found
//     through exp:{sNN}, the index of holds by deadline.
type Engine struct {
	redis     redis.UniversalClient
	postgres  *pgxpool.Pool
	leases    *stream.Leases
	log       *slog.Logger
	scripts   *scripts
	projector *projector
	metrics   *metrics
	now       func() time.Time
	reapGrace time.Duration
	slots     chan struct{} // bounds the transactions under way of one shard each
	gathering gathering     // what goes into one with others'
	began     time.Time     // owners look for events at the same moments, counted from here
	oldest    [stream.Shards]atomic.Int64
	debits    [stream.Shards]atomic.Int64 // that Redis is yet to take, or the ledger to show
	pause     func(step string) error     // tests crash here; nil otherwise

	lowBalance int64 // nano-USD below which an owner is told, unless theirs says otherwise
}

func newEngine(c Config, s *scripts, m *metrics) *Engine {
	e := &Engine{
		redis:     c.Blocking,
		postgres:  c.Postgres,
		leases:    c.Leases,
		log:       c.Log,
		scripts:   s,
		projector: &projector{redis: c.Blocking, postgres: c.Postgres, scripts: s},
		metrics:   m,
		now:       c.Now,
		reapGrace: c.ReapGrace,
		slots:     make(chan struct{}, appliesAtOnce),
		began:     time.Now(),

		lowBalance: c.LowBalance,
	}
	if e.reapGrace <= 0 {
		e.reapGrace = defaultReapGrace
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ledger_debits_pending",
			Help: "Debits decided in Postgres that the ledger does not show yet, on the shards held here.",
		}, func() (n float64) {
			for s := range e.debits {
				n += float64(e.debits[s].Load())
			}
			return n
		}))
		for s := stream.Shard(0); s < stream.Shards; s++ {
			c.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name:        "ledger_drain_lag_seconds",
				Help:        "Age of the oldest event that Postgres has not applied, on the shards held here.",
				ConstLabels: prometheus.Labels{"shard": s.String()},
			}, func() float64 { return e.lag(s).Seconds() }))
		}
	}
	return e
}

// Run owns shards until ctx ends, and returns when all is put down. Postgres or
// Redis being away is not an error: it waits for them.
func (e *Engine) Run(ctx context.Context) error {
	return e.leases.Run(ctx, e.own)
}

// lag is the age of the oldest event known to be unapplied.
func (e *Engine) lag(s stream.Shard) time.Duration {
	oldest := e.oldest[s].Load()
	if oldest == 0 {
		return 0
	}
	return max(0, e.now().Sub(time.UnixMilli(oldest)))
}

// own works on a shard until ctx ends. Whatever fails, the shard is opened anew
// from what is durable.
func (e *Engine) own(ctx context.Context, s stream.Shard) error {
	defer func() {
		e.oldest[s].Store(0)
		e.debits[s].Store(0)
	}()
	ctx, cancel := context.WithCancel(ctx)
	var reaping sync.WaitGroup
	reaping.Go(func() { e.newReaper(s).run(ctx) })
	reaping.Go(func() { e.newSteward(s).run(ctx) })
	defer reaping.Wait()
	defer cancel()
	o := &owner{Engine: e, shard: s, log: e.log.With("shard", s.String())}
	pause := pauseFirst
	for {
		started := e.now()
		err := o.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errLost) || e.now().Sub(started) > pauseMost {
			pause = pauseFirst
		}
		if !o.ailing {
			o.ailing = true
			o.log.WarnContext(ctx, "shard's money stands still", "err", err)
		}
		o.seeLag(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, pauseMost)
	}
}

// owner is the one who works on a shard.
type owner struct {
	*Engine
	shard   stream.Shard
	log     *slog.Logger
	at      position
	doubted int64 // the epoch whose data in Redis was found incomplete
	ailing  bool  // a failure was logged and no success since
}

// session opens the shard and serves it until something fails.
func (o *owner) session(ctx context.Context) error {
	if err := o.open(ctx); err != nil {
		return err
	}
	var relayed time.Time
	for ctx.Err() == nil {
		n, err := o.drain(ctx)
		if err != nil {
			return err
		}
		if now := o.now(); now.Sub(relayed) >= relayEvery {
			if err := o.relay(ctx); err != nil {
				return err
			}
			if err := o.relayDebits(ctx); err != nil {
				return err
			}
			relayed = now
		}
		if o.ailing {
			o.ailing = false
			o.log.InfoContext(ctx, "shard's money moves again")
		}
		if n < batchMost {
			if err := o.wait(ctx); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// wait returns when there is an event to drain, or it is time to look around.
func (o *owner) wait(ctx context.Context) error {
	_, err := o.redis.XRead(ctx, &redis.XReadArgs{
		Streams: []string{evKey(o.shard), o.at.last.String()}, Count: 1, Block: blockFor,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return redisError("wait for events", err)
	}
	// More will come, here and on other shards, and one transaction may take them all.
	timer := time.NewTimer(drainGap - time.Since(o.began)%drainGap)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// seeLag has the lag of a shard that stands still show: whatever keeps it from the ledger,
// its events wait.
func (o *owner) seeLag(ctx context.Context) {
	if o.at.epoch == 0 {
		return // it was never opened: where it stands is not known
	}
	ctx, cancel := context.WithTimeout(ctx, pauseMost)
	defer cancel()
	after := eventID{ms: o.at.last.ms, seq: o.at.last.seq + 1}
	waiting, err := o.redis.XRangeN(ctx, evKey(o.shard), after.String(), "+", 1).Result()
	if err != nil || len(waiting) == 0 {
		return
	}
	if oldest, err := parseEventID(waiting[0].ID); err == nil {
		o.oldest[o.shard].Store(oldest.ms)
	}
}

// step is a place between two durable steps, where tests crash the owner.
func (e *Engine) step(name string) error {
	failpoint.Here("money." + name)
	if e.pause == nil {
		return nil
	}
	if err := e.pause(name); err != nil {
		return fmt.Errorf("at %s: %w", name, err)
	}
	return nil
}
