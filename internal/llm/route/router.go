package route

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Options are what a Router needs.
type Options struct {
	Breaker    BreakerOptions
	Log        *slog.Logger          // nil: changes are not noted
	Registerer prometheus.Registerer // nil: nothing is registered
	Now        func() time.Time      // of its beginning, and for metrics; nil: time.Now
	Random     func() uint64         // nil: math/rand/v2
}

// Router knows how every deployment fares. A deployment that several models share has
// one breaker and one limit.
type Router struct {
	options     Options
	began       time.Time
	budget      budget
	deployments map[string]*Deployment
	metrics     *metrics
}

// NewRouter knows no deployment yet: [Router.Model] makes them known.
func NewRouter(o Options) *Router {
	o.Breaker = o.Breaker.complete()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Uint64
	}
	r := &Router{options: o, began: o.Now(), deployments: map[string]*Deployment{}}
	r.metrics = newMetrics(r)
	if o.Registerer != nil {
		o.Registerer.MustRegister(r.metrics)
	}
	return r
}

// Request counts a client's request: a fifth of an attempt beyond its first.
func (r *Router) Request(now time.Time) { r.budget.earn(now.Sub(r.began)) }

// Extra says whether an attempt beyond a request's first may be made, and counts it.
func (r *Router) Extra(now time.Time) bool {
	if r.budget.spend(now.Sub(r.began)) {
		return true
	}
	r.metrics.exhausted.Inc()
	return false
}

// Deployment is the one of that name; nil: no model has it.
func (r *Router) Deployment(name string) *Deployment { return r.deployments[name] }

// Circuits are the circuit breakers of all deployments, by their names.
func (r *Router) Circuits() map[string]Circuit {
	now := r.options.Now()
	circuits := make(map[string]Circuit, len(r.deployments))
	for name, d := range r.deployments {
		circuits[name] = d.Circuit(now)
	}
	return circuits
}

// deployment finds or makes the one of that name. Of several limits the least holds.
func (r *Router) deployment(m Member) *Deployment {
	if d := r.deployments[m.Name]; d != nil {
		if m.Concurrency > 0 && int64(m.Concurrency)*slot < d.calls.most {
			d.calls = newConcurrency(m.Concurrency)
		}
		return d
	}
	d := newDeployment(r, m)
	r.deployments[m.Name] = d
	return d
}
