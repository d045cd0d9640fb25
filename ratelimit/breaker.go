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
	breakerProbeTimeout = 100 * time.Millisecond
)

// BreakerOptions are what [NewBreaker] needs. Zero durations and counts stand for the
// values named beside them.
type BreakerOptions struct {
	Probe      func(context.Context) error // nil when Redis is well; see [Ping]
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no gauge
	Now        func() time.Time      // times the calls; time.Now if nil

	Failures     int           // in a row that open the breaker; 3
	Slow         time.Duration // a call that takes longer counts as a failure; 100 ms
	ProbeEvery   time.Duration // pause before each probe while open; 250 ms
	ProbeTimeout time.Duration // a probe that takes longer has failed; 100 ms
}

// Breaker spares callers the wait for a Redis that does not answer.
//
// Closed, it lets calls through and counts failures in a row. A call counts only if it
// began after the failure counted before it, so a pipeline that fails with all its
// commands counts once, and so does whatever was under way beside it. Open, it refuses
// every call at once; no caller is ever the one who tries. One goroutine, which lives
// only while the breaker is open, probes Redis and closes it.
type Breaker struct {
	options BreakerOptions
	gauge   prometheus.Gauge

	open   atomic.Bool
	failed atomic.Int64  // failures in a row; changed under mu
	epoch  atomic.Uint64 // failures counted ever; changed under mu

	mu       sync.Mutex
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
		b.fail(epoch, err)
	case took > b.options.Slow && !errors.Is(err, context.Canceled):
		b.fail(epoch, fmt.Errorf("ratelimit: a call took %s", took))
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
	if !b.open.Load() {
		b.failed.Store(0)
	}
}

// fail counts a failure of a call that began when epoch failures had been counted.
func (b *Breaker) fail(epoch uint64, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Load() || b.epoch.Load() != epoch {
		return
	}
	b.epoch.Add(1)
	if b.failed.Add(1) < int64(b.options.Failures) {
		return
	}
	b.open.Store(true)
	b.openedAt = b.options.Now()
	b.gauge.Set(1)
	b.options.Log.Warn("Redis is away: the breaker is open", "failures", b.options.Failures, "error", cause)
	if !b.ended {
		b.prober.Go(b.probe)
	}
}

// probe asks Redis until it answers well.
func (b *Breaker) probe() {
	pause := time.NewTimer(b.options.ProbeEvery)
	defer pause.Stop()
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-pause.C:
		}
		ctx, cancel := context.WithTimeout(b.ctx, b.options.ProbeTimeout)
		began := b.options.Now()
		err := b.options.Probe(ctx)
		slow := b.options.Now().Sub(began) > b.options.ProbeTimeout
		cancel()
		if err == nil && !slow {
			b.reclose()
			return
		}
		pause.Reset(b.options.ProbeEvery)
	}
}

func (b *Breaker) reclose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed.Store(0)
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

// away says whether an error means that Redis does not serve, rather than that it
// answered with an error or that the caller left.
func away(err error) bool {
	var reply redis.Error
	if errors.As(err, &reply) {
		return unserved(err)
	}
	return !errors.Is(err, context.Canceled)
}

// unserved says whether Redis answered that it cannot serve now: it loads, has no
// master, is full, takes no writes, is busy, or knows us no longer.
func unserved(err error) bool {
	if _, moved := redis.IsMovedError(err); moved {
		return true // the client followed as often as it may
	}
	if _, ask := redis.IsAskError(err); ask {
		return true
	}
	for _, is := range []func(error) bool{
		redis.IsLoadingError, redis.IsReadOnlyError, redis.IsClusterDownError, redis.IsTryAgainError,
		redis.IsMasterDownError, redis.IsMaxClientsError, redis.IsAuthError, redis.IsPermissionError,
		redis.IsOOMError, redis.IsNoReplicasError,
	} {
		if is(err) {
			return true
		}
	}
	return redis.HasErrorPrefix(err, "BUSY") || redis.HasErrorPrefix(err, "MISCONF")
}
