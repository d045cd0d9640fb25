package route

import "github.com/prometheus/client_golang/prometheus"

// metrics of all deployments. Deployments are those of the catalogue, so their number is
// bounded.
type metrics struct {
	router    *Router
	attempts  *prometheus.CounterVec
	exhausted prometheus.Counter
	state     *prometheus.Desc
	calls     *prometheus.Desc
}

func newMetrics(r *Router) *metrics {
	return &metrics{
		router: r,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "llm_attempts_total", Help: "Calls of deployments, by how they ended. A request may make several.",
		}, []string{"deployment", "outcome"}),
		exhausted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "llm_retry_budget_exhausted_total", Help: "Attempts beyond a request's first that were not made: a fifth of the requests and ten a second may be.",
		}),
		state: prometheus.NewDesc("circuit_breaker_state", "0: calls go through. 1: half-open, a few go through on trial. 2: open, none do.",
			[]string{"deployment"}, nil),
		calls: prometheus.NewDesc("llm_deployment_concurrency", "Calls of a deployment under way (used), and how many it is seen to bear (limit).",
			[]string{"deployment", "of"}, nil),
	}
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	m.attempts.Describe(to)
	m.exhausted.Describe(to)
	to <- m.state
	to <- m.calls
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	m.attempts.Collect(to)
	m.exhausted.Collect(to)
	now := m.router.options.Now()
	for name, d := range m.router.deployments {
		to <- prometheus.MustNewConstMetric(m.state, prometheus.GaugeValue, float64(d.State(now)), name)
		to <- prometheus.MustNewConstMetric(m.calls, prometheus.GaugeValue, float64(d.calls.used.Load()), name, "used")
		to <- prometheus.MustNewConstMetric(m.calls, prometheus.GaugeValue, float64(d.calls.limit.Load()/slot), name, "limit")
	}
}
