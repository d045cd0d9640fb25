package route

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// idleAfter is how long nobody has called a deployment before a failed look at its
	// health counts: before, the calls themselves say how it fares.
	idleAfter = time.Minute
	// weightOfOne is what one answer counts for in a deployment's latency.
	weightOfOne = 0.2
)

// Deployment is how one deployment fares.
type Deployment struct {
	name    string
	seed    uint64 // of its name, the same in every process
	router  *Router
	breaker *breaker
	calls   *concurrency
	until   atomic.Int64 // the provider wants to be left alone; since the router began
	last    atomic.Int64 // end of the last call; since the router began
	timed   bool         // a model chooses by latency
	latency [2]average   // to the first byte: of whole answers, of streamed ones
	counts  [outcomes]prometheus.Counter
}

func newDeployment(r *Router, m Member) *Deployment {
	d := &Deployment{name: m.Name, seed: seedOf(m.Name), router: r, calls: newConcurrency(m.Concurrency)}
	d.last.Store(-int64(idleAfter))
	for o := range d.counts {
		d.counts[o] = r.metrics.attempts.WithLabelValues(m.Name, Outcome(o).String())
	}
	d.breaker = newBreaker(r.options.Breaker, func(from, to State) {
		level := slog.LevelWarn
		if to == Closed {
			level = slog.LevelInfo
		}
		r.options.Log.Log(context.Background(), level, "a circuit breaker changed", "deployment", d.name, "from", from.String(), "to", to.String())
	})
	return d
}

// Name of the deployment.
func (d *Deployment) Name() string { return d.name }

// State of its circuit breaker.
func (d *Deployment) State(now time.Time) State { return d.breaker.state(now.Sub(d.router.began)) }

// Circuit is what is known of a deployment's circuit breaker.
type Circuit struct {
	State       State
	Failures    int       // in a row, up to now
	LastFailure time.Time // zero: there was none
}

// Circuit of the deployment.
func (d *Deployment) Circuit(now time.Time) Circuit {
	state := d.State(now)
	failures, last := d.breaker.failures()
	c := Circuit{State: state, Failures: failures}
	if last > 0 {
		c.LastFailure = d.router.began.Add(last)
	}
	return c
}

// Checked tells how a look at the provider's health ended. A failed one counts against
// the deployment only while nobody calls it: calls tell more.
func (d *Deployment) Checked(now time.Time, well bool) {
	at := now.Sub(d.router.began)
	if well || d.calls.used.Load() > 0 || at-time.Duration(d.last.Load()) < idleAfter {
		return
	}
	if word := d.breaker.word.Load(); stateOf(word) == Closed {
		d.breaker.leave(&permit{period: word >> periodBit}, failure, at)
	}
}

// reason is why a deployment is not available.
type reason uint8

const (
	available reason = iota
	broken           // its breaker is open
	waiting          // the provider has asked to be left alone
	full             // as many calls are under way as it bears
)

// look says whether the deployment is available, or why not and, if known, for how long.
func (d *Deployment) look(now time.Duration) (reason, time.Duration) {
	if ready, rest := d.breaker.look(now); !ready {
		return broken, rest
	}
	if until := time.Duration(d.until.Load()); until > now {
		return waiting, until - now
	}
	if d.calls.full() {
		return full, 0
	}
	return available, 0
}

// enter begins a call.
func (d *Deployment) enter(now time.Duration) (permit, uint32, bool) {
	round, entered := d.calls.enter()
	if !entered {
		return permit{}, 0, false
	}
	p, let := d.breaker.enter(now)
	if !let {
		d.calls.leave(Gone, round)
	}
	return p, round, let
}

// leaveAlone notes until when the provider wants no calls.
func (d *Deployment) leaveAlone(until time.Duration) {
	for {
		at := d.until.Load()
		if at >= int64(until) || d.until.CompareAndSwap(at, int64(until)) {
			return
		}
	}
}

// average is a moving average, of durations; zero while it has none.
type average struct{ bits atomic.Uint64 }

func (a *average) add(d time.Duration) {
	sample := max(1, float64(d))
	for {
		old := a.bits.Load()
		next := sample
		if old != 0 {
			before := math.Float64frombits(old)
			next = before + weightOfOne*(sample-before)
		}
		if a.bits.CompareAndSwap(old, math.Float64bits(next)) {
			return
		}
	}
}

// value in nanoseconds; 0: unknown.
func (a *average) value() float64 { return math.Float64frombits(a.bits.Load()) }
