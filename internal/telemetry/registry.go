package telemetry

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry that knows the Go runtime and the process.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// register returns the collector that stands in the registry under c's
// description: c, or the one of an earlier call, so that several clients share
// one metric. Two different metrics of one name are a mistake in the wiring,
// and it panics.
func register[C prometheus.Collector](registerer prometheus.Registerer, c C) C {
	err := registerer.Register(c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, is := already.ExistingCollector.(C); is {
			return existing
		}
	}
	if err != nil {
		panic("telemetry: " + err.Error())
	}
	return c
}
