package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// ErrBreakerOpen means that Redis was not asked: it has been failing or slow, and no
// probe has found it well since.
var ErrBreakerOpen = errors.New("ratelimit: Redis is away, the breaker is open")

const (
	breakerFailures     = 3
	breakerSlow         = 100 * time.Millisecond
	breakerProbeEvery   = 250 * time.Millisecond
	breakerProbeTimeout = 200 * time.Millisecond
)

// BreakerOptions are what [NewBreaker] needs. Zero durations and counts stand for the
// values named beside them.
type BreakerOptions struct {
	Probe      func(context.Context) error // nil when Redis is well; see [Ping]. Not behind what the calls queue for
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no gauge
	Now        func() time.Time      // times the calls; time.Now if nil

	Failures     int           // in a row that open the breaker; 3
	Slow         time.Duration // a call that takes longer counts as a failure; 100 ms
	ProbeEvery   time.Duration // pause before each probe while open; 250 ms
	ProbeTimeout time.Duration // a probe that takes longer has failed; 200 ms
}

// Breaker spares callers the wait for a Redis that does not answer.
//
// Closed, it lets calls through and counts failures in a row. A call counts only if it
// began after the failure counted before it, so a pipeline that fails with all its
// commands counts once, and so does whatever was under way beside it.
//
// Failures that only Redis or the way to it can cause, such as a refused connection, open
// it. Where there was a call among them that was merely slow, or not answered in time,
// the fault may be this process's own, which has no time to read what Redis wrote: then
// it asks for a second opinion, a probe, and opens only if that fails too. Calls go on
// meanwhile.
//
// Open, it refuses every call at once; no caller is ever the one who tries. One goroutine,
// which lives only while the breaker doubts or is open, probes Redis and closes it.
type Breaker struct {
	options BreakerOptions
	gauge   prometheus.Gauge

	open   atomic.Bool
	failed atomic.Int64  // failures in a row; changed under mu
	epoch  atomic.Uint64 // failures counted ever; changed under mu

	mu       sync.Mutex
	slow     bool // among the failures in a row is one that may be our own fault
	doubting bool // a second opinion is on its way
	ended    bool
	openedAt time.Time
	ctx      context.Context // of the probes
	cancel   context.CancelFunc
	prober   sync.WaitGroup
}

// NewBreaker returns a closed breaker. [Breaker.Close] ends its probes.
func NewBreaker(o BreakerOptions) *Breaker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Failures <= 0 {
		o.Failures = breakerFailures
	}
	if o.Slow <= 0 {
		o.Slow = breakerSlow
	}
	if o.ProbeEvery <= 0 {
		o.ProbeEvery = breakerProbeEvery
	}
	if o.ProbeTimeout <= 0 {
		o.ProbeTimeout = breakerProbeTimeout
	}
	b := &Breaker{options: o, gauge: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ratelimit_breaker_state",
		Help: "0: Redis is asked. 1: Redis is away, limits are decided locally and paid calls refused.",
	})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(b.gauge)
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Open says whether calls are refused now.
func (b *Breaker) Open() bool { return b.open.Load() }

// Do makes one call to Redis, or refuses it with [ErrBreakerOpen]. The call's error is
// returned as it is and should be Redis' own; whoever gives up by cancelling ctx does
// not count against Redis.
func (b *Breaker) Do(ctx context.Context, call func(context.Context) error) error {
	if b.open.Load() {
		return ErrBreakerOpen
	}
	epoch, began := b.epoch.Load(), b.options.Now()
	err := call(ctx)
	took := b.options.Now().Sub(began)
	switch {
	case err != nil && away(err):
		b.fail(epoch, err, !certain(err))
	case took > b.options.Slow && !errors.Is(err, context.Canceled):
		b.fail(epoch, fmt.Errorf("ratelimit: a call took %s", took), true)
	case err == nil || !errors.Is(err, context.Canceled):
		b.succeed()
	}
	return err
}

// Close ends the probes and waits for the one under way. An open breaker stays open.
func (b *Breaker) Close() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.cancel()
	b.prober.Wait()
}

func (b *Breaker) succeed() {
	if b.failed.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open.Load() && !b.doubting {
		b.reset()
	}
}

func (b *Breaker) reset() {
	b.failed.Store(0)
	b.slow = false
}

// fail counts a failure of a call that began when epoch failures had been counted.
func (b *Breaker) fail(epoch uint64, cause error, slow bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Load() || b.doubting || b.ended || b.epoch.Load() != epoch {
		return
	}
	b.epoch.Add(1)
	b.slow = b.slow || slow
	if b.failed.Add(1) < int64(b.options.Failures) {
		return
	}
	if b.slow {
		b.doubting = true
		b.prober.Go(func() { b.doubt(cause) })
		return
	}
	b.trip(cause)
	b.prober.Go(b.mend)
}

// trip opens; mu is held.
func (b *Breaker) trip(cause error) {
	b.open.Store(true)
	b.openedAt = b.options.Now()
	b.gauge.Set(1)
	b.options.Log.Warn("Redis is away: the breaker is open", "failures", b.options.Failures, "error", cause)
}

// doubt asks whether Redis is away or this process slow.
func (b *Breaker) doubt(cause error) {
	err := b.probe()
	if b.ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	b.doubting = false
	if err == nil {
		b.reset()
		b.epoch.Add(1) // calls from before count for nothing now
		b.mu.Unlock()
		b.options.Log.Debug("calls to Redis are slow, and Redis is well", "error", cause)
		return
	}
	b.trip(cause)
	b.mu.Unlock()
	b.mend()
}

// mend probes until Redis answers well.
func (b *Breaker) mend() {
	pause := time.NewTimer(b.options.ProbeEvery)
	defer pause.Stop()
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-pause.C:
		}
		if b.probe() == nil {
			b.reclose()
			return
		}
		pause.Reset(b.options.ProbeEvery)
	}
}

// probe asks Redis once; an answer that comes late is none.
func (b *Breaker) probe() error {
	ctx, cancel := context.WithTimeout(b.ctx, b.options.ProbeTimeout)
	defer cancel()
	began := b.options.Now()
	err := b.options.Probe(ctx)
	if took := b.options.Now().Sub(began); err == nil && took > b.options.ProbeTimeout {
		return fmt.Errorf("ratelimit: a probe took %s", took)
	}
	return err
}

func (b *Breaker) reclose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reset()
	b.epoch.Add(1) // calls from before the outage count for nothing now
	b.open.Store(false)
	b.gauge.Set(0)
	b.options.Log.Info("Redis is back: the breaker is closed", "open", b.options.Now().Sub(b.openedAt))
}

// Ping is a probe: it asks the server, or every master of a cluster.
func Ping(client redis.UniversalClient) func(context.Context) error {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return func(ctx context.Context) error {
			return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
				return master.Ping(ctx).Err()
			})
		}
	}
	return func(ctx context.Context) error { return client.Ping(ctx).Err() }
}
