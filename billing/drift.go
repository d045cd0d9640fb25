package billing

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	driftEvery  = time.Minute
	driftTurns  = 4 * stream.Shards // of driftEvery: how finely the looks are spread
	driftLogged = 10                // differences of one look that are named
)

// Drift keeps watch over the shards that this instance owns: about once a minute it
// holds each one's money in Redis against Postgres, as a Reconciler does, and tells the
// sum of what differs. The ledger as a whole, keys and strays are left to the command.
//
// The difference is exact whatever goes on, so that any value but zero is worth waking
// somebody. A shard that is closed, or that cannot be looked at, keeps its last value.
type Drift struct {
	reconciler *Reconciler
	leases     *stream.Leases
	log        *slog.Logger
	every      time.Duration
	nano       [stream.Shards]atomic.Int64
}

// DriftOptions are what a Drift is made of.
type DriftOptions struct {
	Reconciler *Reconciler
	Leases     *stream.Leases // of money
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Every      time.Duration // 0: a minute
}

// NewDrift registers the gauge. It connects to nothing.
func NewDrift(o DriftOptions) *Drift {
	if o.Every == 0 {
		o.Every = driftEvery
	}
	impatient := *o.Reconciler
	impatient.patience = 0 // the next look is not far
	d := &Drift{reconciler: &impatient, leases: o.Leases, log: o.Log, every: o.Every}
	if o.Registerer != nil {
		o.Registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ledger_drift_nano_usd",
			Help: "Sum of the differences between Redis and the ledger on the shards held here, in nano-USD, each as a positive number.",
		}, func() float64 { return float64(d.sum()) }))
	}
	return d
}

// Run looks at the shards held here in turn until ctx ends.
func (d *Drift) Run(ctx context.Context) error {
	tick := time.NewTicker(d.every / driftTurns)
	defer tick.Stop()
	var looked [stream.Shards]time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if s, due := d.due(&looked); due {
			looked[s] = time.Now()
			d.look(ctx, s)
		}
	}
}

// due is the shard held here that was looked at the longest ago, if it is time again.
// What is held no longer is somebody else's to tell.
func (d *Drift) due(looked *[stream.Shards]time.Time) (s stream.Shard, due bool) {
	held := d.leases.Held()
	var here [stream.Shards]bool
	for i, h := range held {
		here[h] = true
		if i == 0 || looked[h].Before(looked[s]) {
			s = h
		}
	}
	for i := range here {
		if !here[i] {
			d.nano[i].Store(0)
			looked[i] = time.Time{}
		}
	}
	return s, len(held) > 0 && time.Since(looked[s]) >= d.every
}

// look compares the shard's accounts and notes what differs.
func (d *Drift) look(ctx context.Context, s stream.Shard) {
	ctx, cancel := context.WithTimeout(ctx, d.every)
	defer cancel()
	var nano int64
	found := 0
	run := &reconciliation{Reconciler: d.reconciler, found: func(f Discrepancy) {
		if f.What == AboutShard {
			return
		}
		nano = addUp(nano, f.Nano())
		if found++; found <= driftLogged {
			d.log.ErrorContext(ctx, "Redis and the ledger differ", "shard", s.String(), "what", f.What, "account_id", f.AccountID,
				"subject", f.Subject, "expected_nano_usd", f.ExpectedNano, "found_nano_usd", f.FoundNano,
				"expected", f.Expected, "found", f.Found)
		}
	}}
	opened, err := run.shard(ctx, s, true)
	if err != nil {
		d.log.DebugContext(ctx, "drift not looked at", "shard", s.String(), "error", err)
		return
	}
	for _, skipped := range run.skipped {
		d.log.WarnContext(ctx, "drift looked at but for the holds", "err", skipped)
	}
	if found > driftLogged {
		d.log.ErrorContext(ctx, "Redis and the ledger differ in more", "shard", s.String(), "differences", found)
	}
	if opened {
		d.nano[s].Store(nano)
	}
}

func (d *Drift) sum() (nano int64) {
	for i := range d.nano {
		nano = addUp(nano, d.nano[i].Load())
	}
	return nano
}

// addUp adds the magnitude of b, as far as numbers go.
func addUp(a, b int64) int64 {
	magnitude := max(b, -b)
	if magnitude < 0 || a > math.MaxInt64-magnitude {
		return math.MaxInt64
	}
	return a + magnitude
}
