package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

// Bounds of the backlog where the configuration names none.
const (
	DefaultMaxLag     = 15 * time.Minute
	DefaultMaxBacklog = 100_000 // events of one shard, about 400 bytes each in Redis
)

const (
	backlogEvery = time.Second
	// A shard that stopped goes on when its backlog is this much of the bound
	// below it, so that it does not stop and go with every event.
	backlogSlack = 8
)

// ErrBacklog means that the ledger is too far behind the shard: no paid call is
// begun there until it has caught up. It wraps ErrClosed.
var ErrBacklog = fmt.Errorf("%w: the ledger is too far behind", ErrClosed)

// Backlog watches how far Postgres is behind Redis, and says when a shard's
// backlog has reached the bound: of age, so that what a lost Redis could forget
// stays bounded, and of number, so that Redis' memory does.
//
// While Redis is away it knows nothing new and keeps what it saw last.
type Backlog struct {
	redis   redis.Cmdable
	log     *slog.Logger
	maxLag  time.Duration
	most    int64
	waiting [stream.Shards]atomic.Int64 // events
	full    [stream.Shards]atomic.Bool
}

func newBacklog(c Config) *Backlog {
	b := &Backlog{redis: c.Redis, log: c.Log, maxLag: c.MaxLag, most: int64(c.MaxBacklog)}
	if b.maxLag <= 0 {
		b.maxLag = DefaultMaxLag
	}
	if b.most <= 0 {
		b.most = DefaultMaxBacklog
	}
	if c.Registerer != nil {
		for s := stream.Shard(0); s < stream.Shards; s++ {
			c.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name:        "ledger_backlog_events",
				Help:        "Events that Postgres has not applied, whoever holds the shard.",
				ConstLabels: prometheus.Labels{"shard": s.String()},
			}, func() float64 { return float64(b.waiting[s].Load()) }))
		}
	}
	return b
}

// Admits says whether a paid call of the account may begin: nil, or ErrBacklog.
func (b *Backlog) Admits(accountID int64) error {
	if b.full[shardOf(accountID)].Load() {
		return ErrBacklog
	}
	return nil
}

// Run looks at all shards each second until ctx ends.
func (b *Backlog) Run(ctx context.Context) error {
	tick := time.NewTicker(backlogEvery)
	defer tick.Stop()
	for {
		b.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look asks all shards in one pipeline. What does not answer stays as it was:
// whoever looks after Redis says that it is away.
func (b *Backlog) look(ctx context.Context) {
	pipe := b.redis.Pipeline()
	var answers [stream.Shards]*redis.Cmd
	for s := range answers {
		answers[s] = pipe.Eval(ctx, backlogLua, []string{evKey(stream.Shard(s))})
	}
	_, err := pipe.Exec(ctx)
	for s, answer := range answers {
		numbers, failed := answer.Int64Slice()
		if failed != nil || len(numbers) != 2 {
			continue
		}
		b.judge(ctx, stream.Shard(s), numbers[0], time.Duration(numbers[1])*time.Millisecond)
	}
	var refused redis.Error
	if errors.As(err, &refused) && !notNow(err) {
		b.log.ErrorContext(ctx, "the backlog cannot be read", "err", err)
	}
}

func (b *Backlog) judge(ctx context.Context, s stream.Shard, events int64, lag time.Duration) {
	b.waiting[s].Store(events)
	was := b.full[s].Load()
	most, maxLag := b.most, b.maxLag
	if was {
		most -= most / backlogSlack
		maxLag -= maxLag / backlogSlack
	}
	is := events >= most || lag >= maxLag
	if is == was {
		return
	}
	b.full[s].Store(is)
	if is {
		b.log.ErrorContext(ctx, "no paid calls: the ledger is too far behind", "shard", s.String(), "events", events, "lag", lag)
	} else {
		b.log.InfoContext(ctx, "paid calls again: the ledger has caught up", "shard", s.String(), "events", events, "lag", lag)
	}
}
