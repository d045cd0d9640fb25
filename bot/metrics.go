package bot

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// What became of an update.
const (
	outcomeHandled = "handled"
	outcomeStale   = "stale"
	outcomeUnknown = "unknown"
	outcomeDead    = "dead"
)

// Why a try at an update did not succeed.
const (
	reasonError    = "error"
	reasonPanic    = "panic"
	reasonDeadline = "deadline"
	reasonLater    = "later"
)

type dispatcherMetrics struct {
	updates     *prometheus.CounterVec   // type, outcome
	failures    *prometheus.CounterVec   // type, reason
	durations   *prometheus.HistogramVec // type
	redelivered prometheus.Counter
	running     *prometheus.GaugeVec // lane
}

func newDispatcherMetrics(r prometheus.Registerer, lag func() float64) dispatcherMetrics {
	metrics := promauto.With(r)
	metrics.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "telegram_inbox_lag", Help: "Age of the oldest update here that is not handled yet, in seconds.",
	}, lag)
	return dispatcherMetrics{
		updates: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "telegram_updates_total", Help: "Updates by type and what became of them.",
		}, []string{"type", "outcome"}),
		failures: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "telegram_update_failures_total", Help: "Tries at updates that did not succeed, by type and reason.",
		}, []string{"type", "reason"}),
		durations: metrics.NewHistogramVec(prometheus.HistogramOpts{
			Name: "telegram_handler_duration_seconds", Help: "Time of one try of a handler, by type of update.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 180},
		}, []string{"type"}),
		redelivered: metrics.NewCounter(prometheus.CounterOpts{
			Name: "telegram_redeliveries_total", Help: "Updates read again because an owner did not acknowledge them.",
		}),
		running: metrics.NewGaugeVec(prometheus.GaugeOpts{
			Name: "telegram_handlers_running", Help: "Handlers at work, by lane.",
		}, []string{"lane"}),
	}
}
