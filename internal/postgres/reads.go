package postgres

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// DefaultMaxLag is how far a replica may be behind and still be read from.
	DefaultMaxLag = 2 * time.Second

	defaultLookEvery = 500 * time.Millisecond
	lookIn           = 500 * time.Millisecond
	replicaIn        = 3 * time.Second // that a read may take at the replica; then the primary is asked
)

// ReadsOptions are what [NewReads] needs.
type ReadsOptions struct {
	Primary    *pgxpool.Pool
	Replica    *pgxpool.Pool // a streaming replica of it; nil: there is none
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
	MaxLag     time.Duration         // 0: DefaultMaxLag
	LookEvery  time.Duration         // between two looks at the lag; 0: half a second
	Now        func() time.Time      // nil: time.Now
}

// Reads is where to ask what may be answered a little out of date. A replica is asked
// while it is measured to be near its primary; the primary is asked while the replica is
// away or behind, when it fails a question, and where a question needs what it does not
// have yet. What decides about money is never asked here.
type Reads struct {
	primary, replica *pgxpool.Pool
	log              *slog.Logger
	lookEvery        time.Duration
	now              func() time.Time

	near  atomic.Bool   // the replica is asked
	lag   atomic.Uint64 // seconds, as the bits of a float64
	asked [2]prometheus.Counter

	guard  guard // of Run, as is what follows
	trail  trail
	system int64 // names the primary; 0: it has not answered yet
}

// NewReads prepares the reads. The replica is not asked before Run has measured it.
func NewReads(o ReadsOptions) *Reads {
	if o.MaxLag <= 0 {
		o.MaxLag = DefaultMaxLag
	}
	if o.LookEvery <= 0 {
		o.LookEvery = defaultLookEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Reads{primary: o.Primary, replica: o.Replica, log: o.Log, lookEvery: o.LookEvery, now: o.Now, guard: guard{most: o.MaxLag}}
	r.lag.Store(math.Float64bits(math.Inf(1)))
	reads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "db_reads_total",
		Help: "Reads that may be a little out of date, by the server that answered them.",
	}, []string{"server"})
	r.asked = [2]prometheus.Counter{reads.WithLabelValues("primary"), reads.WithLabelValues("replica")}
	if o.Registerer == nil || o.Replica == nil {
		return r
	}
	o.Registerer.MustRegister(reads,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "db_replica_lag_seconds",
			Help: "How long ago the replica had all that its primary had then; +Inf: it is away, or not known.",
		}, func() float64 { return math.Float64frombits(r.lag.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "db_replica_used",
			Help: "1 while reads go to the replica, 0 while the primary answers them.",
		}, func() float64 {
			if r.near.Load() {
				return 1
			}
			return 0
		}),
	)
	return r
}

// ErrBehind is what a read says that does not find at the replica what it must see, such
// as the payment that its reader has just been told of: the primary is asked then.
var ErrBehind = errors.New("the replica does not have it yet")

// Read has read ask one of the servers. Where it fails at the replica, or says
// [ErrBehind], it runs again from the start at the primary, with atPrimary true, so it
// must keep nothing of a run that failed. At the primary what it returns is the result.
func (r *Reads) Read(ctx context.Context, read func(ctx context.Context, pool *pgxpool.Pool, atPrimary bool) error) error {
	if r.near.Load() {
		within, cancel := context.WithTimeout(ctx, replicaIn)
		err := read(within, r.replica, false)
		cancel()
		if err == nil {
			r.asked[1].Inc()
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		if !errors.Is(err, ErrBehind) {
			r.failed(ctx, err)
		}
	}
	r.asked[0].Inc()
	return read(ctx, r.primary, true)
}

// failed turns to the primary at once where the replica does not answer, so that those who
// come before the next look do not all wait for it. A question that it answered with an
// error, as one that its replay has overtaken, says nothing of the next.
func (r *Reads) failed(ctx context.Context, err error) {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code[:min(2, len(pg.Code))] != "57" {
		r.log.DebugContext(ctx, "a read failed at the replica and goes to the primary", "error", err)
		return
	}
	if r.near.Swap(false) {
		r.log.WarnContext(ctx, "the replica does not answer: reads go to the primary", "error", err)
	}
}

// Run measures the replica until ctx ends.
func (r *Reads) Run(ctx context.Context) error {
	if r.replica == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(r.lookEvery)
	defer tick.Stop()
	for {
		r.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look measures the lag once, and decides who is asked from here on.
func (r *Reads) look(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, 2*lookIn)
	defer cancel()
	lag, err := r.measure(within)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		r.lag.Store(math.Float64bits(math.Inf(1)))
	} else {
		r.lag.Store(math.Float64bits(lag.Seconds()))
	}
	was := r.near.Load()
	if !was && r.guard.near { // a read failed between two looks
		r.guard.near, r.guard.calm = false, 0
	}
	near := r.guard.judge(lag, err == nil)
	r.near.Store(near)
	switch {
	case near && !was:
		r.log.InfoContext(ctx, "reads that may be a little out of date go to the replica", "lag", lag)
	case was && err != nil:
		r.log.WarnContext(ctx, "the replica cannot be read from: reads go to the primary", "error", err)
	case was && !near:
		r.log.WarnContext(ctx, "the replica is behind: reads go to the primary", "lag", lag)
	}
}
