package webapp

import "github.com/prometheus/client_golang/prometheus"

// liveMetrics count what sockets say and hear.
type liveMetrics struct {
	messages *prometheus.CounterVec
	closed   *prometheus.CounterVec
}

func newLiveMetrics(registerer prometheus.Registerer, open func() float64) *liveMetrics {
	m := &liveMetrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "websocket_messages_total", Help: "Messages on live sockets, by direction (in, out) and type.",
		}, []string{"direction", "type"}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "websocket_closed_total", Help: "Live sockets that were closed, by the code that was said.",
		}, []string{"code"}),
	}
	if registerer != nil {
		registerer.MustRegister(m.messages, m.closed, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "websocket_connections", Help: "Live sockets that are open.",
		}, open))
	}
	return m
}
