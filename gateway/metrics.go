package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/billing"
)

// tokenCounters count one model's tokens.
type tokenCounters struct{ prompt, cached, completion, reasoning prometheus.Counter }

func newTokenCounters(v *prometheus.CounterVec, model string) tokenCounters {
	return tokenCounters{
		prompt:     v.WithLabelValues(model, "prompt"),
		cached:     v.WithLabelValues(model, "cached"),
		completion: v.WithLabelValues(model, "completion"),
		reasoning:  v.WithLabelValues(model, "reasoning"),
	}
}

func (c tokenCounters) add(u billing.Usage) {
	c.prompt.Add(float64(u.Prompt))
	c.cached.Add(float64(u.Cached))
	c.completion.Add(float64(u.Completion))
	c.reasoning.Add(float64(u.Reasoning))
}

// register makes the meter's metrics and returns the counter of tokens.
func (m *Meter) register(registerer prometheus.Registerer) *prometheus.CounterVec {
	tokens := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "llm_tokens_total", Help: "Tokens billed. cached is a part of prompt, reasoning of completion.",
	}, []string{"model", "kind"})
	m.faults = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "llm_usage_faults_total", Help: "Answers whose usage could not be believed, by provider and fault.",
	}, []string{"provider", "fault"})
	if registerer != nil {
		registerer.MustRegister(tokens, m.faults, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gateway_calls_in_flight", Help: "Calls to models under way.",
		}, func() float64 { return float64(m.flight.count()) }))
	}
	return tokens
}
