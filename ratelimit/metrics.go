package ratelimit

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// How a decision came about, as the label result of ratelimit_decisions_total.
const (
	resultAllowed      = "allowed"
	resultDenied       = "denied"
	resultRemembered   = "remembered" // denied from memory, without asking Redis
	resultLocalAllowed = "local_allowed"
	resultLocalDenied  = "local_denied"
)

// Metrics count what limits decide. There is one for each registerer, shared by whoever
// decides; a nil *Metrics counts nothing.
type Metrics struct {
	decisions *prometheus.CounterVec
	scripts   prometheus.Histogram
}

// NewMetrics registers the metrics; with a nil registerer they are kept from view.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ratelimit_decisions_total",
			Help: "Calls that a limit allowed, or denied; limit is scope_name, such as account_tokens.",
		}, []string{"limit", "result"}),
		scripts: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ratelimit_script_duration_seconds",
			Help:    "Time that Redis took to decide limits, seen from here.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25},
		}),
	}
	if registerer != nil {
		registerer.MustRegister(m.decisions, m.scripts)
	}
	return m
}

// Decided counts a decision: every limit of an allowed call, and of a denied one the
// limit that denied it.
func (m *Metrics) Decided(d *Decision) {
	allowed, denied := resultAllowed, resultDenied
	if d.Local {
		allowed, denied = resultLocalAllowed, resultLocalDenied
	}
	m.count(d, allowed, denied)
}

// Remembered counts a denial that came from [Denials].
func (m *Metrics) Remembered(d *Decision) { m.count(d, resultRemembered, resultRemembered) }

func (m *Metrics) count(d *Decision, allowed, denied string) {
	if m == nil {
		return
	}
	if d.Allowed {
		for i := range d.Results {
			m.decisions.WithLabelValues(d.Results[i].label(), allowed).Inc()
		}
	} else if d.Denied >= 0 && d.Denied < len(d.Results) {
		m.decisions.WithLabelValues(d.Results[d.Denied].label(), denied).Inc()
	}
}

// Took observes how long a script took.
func (m *Metrics) Took(d time.Duration) {
	if m != nil {
		m.scripts.Observe(d.Seconds())
	}
}

// label is the limit's name in metrics.
func (l *Limit) label() string { return l.Scope + "_" + l.Name }
