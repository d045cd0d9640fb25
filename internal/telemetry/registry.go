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

// BuildInfo registers kikuai_build_info{version,profile}, which is always 1: several
// versions at a time are an upgrade under way.
func BuildInfo(registerer prometheus.Registerer, version, profile string) {
	registerer.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "kikuai_build_info", Help: "Which version runs here, and in which profile; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "profile": profile},
	}, func() float64 { return 1 }))
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
