package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/billing"
)

// tokenCounters count one model's tokens, and what they cost.
type tokenCounters struct{ prompt, cached, written, completion, reasoning, cost prometheus.Counter }

func newTokenCounters(v, costs *prometheus.CounterVec, model string) tokenCounters {
	return tokenCounters{
		prompt:     v.WithLabelValues(model, "prompt"),
		cached:     v.WithLabelValues(model, "cached"),
		written:    v.WithLabelValues(model, "cache_write"),
		completion: v.WithLabelValues(model, "completion"),
		reasoning:  v.WithLabelValues(model, "reasoning"),
		cost:       costs.WithLabelValues(model),
	}
}

// add counts a settled call: what it used, and the nano-USD taken for it.
func (c tokenCounters) add(u billing.Usage, nano int64) {
	c.prompt.Add(float64(u.Prompt))
	c.cached.Add(float64(u.Cached + u.CachedInputAudio))
	c.written.Add(float64(u.CacheWrite + u.CacheWrite1h))
	c.completion.Add(float64(u.Completion))
	c.reasoning.Add(float64(u.Reasoning))
	c.cost.Add(float64(nano))
}

// register makes the meter's metrics and returns the counters of tokens and of their cost.
func (m *Meter) register(registerer prometheus.Registerer) (tokens, costs *prometheus.CounterVec) {
	tokens = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "llm_tokens_total", Help: "Tokens billed. cached and cache_write are parts of prompt, reasoning of completion.",
	}, []string{"model", "kind"})
	costs = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "llm_cost_nano_usd_total", Help: "What settled calls cost their accounts, in nano-USD.",
	}, []string{"model"})
	m.faults = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "llm_usage_faults_total", Help: "Answers whose usage could not be believed, by provider and fault.",
	}, []string{"provider", "fault"})
	if registerer != nil {
		registerer.MustRegister(tokens, costs, m.faults, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gateway_calls_in_flight", Help: "Calls to models under way.",
		}, func() float64 { return float64(m.flight.count()) }))
	}
	return tokens, costs
}
