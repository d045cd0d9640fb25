package telemetry

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxSeries bounds the series of one HTTPMetrics; what comes after is counted
// under the endpoint "other".
const maxSeries = 4096

// HTTPMetrics counts requests by http_requests_total{method,endpoint,status}
// and times them by http_request_duration_seconds{endpoint}. Any server can
// use it; its methods may be called from any goroutine.
type HTTPMetrics struct {
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec

	mu     sync.RWMutex
	series map[series]observed
}

type series struct {
	method, endpoint string
	status           int
}

type observed struct {
	count    prometheus.Counter
	duration prometheus.Observer
}

// NewHTTPMetrics registers the two metrics, or finds them registered.
func NewHTTPMetrics(registerer prometheus.Registerer) *HTTPMetrics {
	return &HTTPMetrics{
		requests: register(registerer, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "HTTP requests answered, by method, route and status.",
		}, []string{"method", "endpoint", "status"})),
		durations: register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time from a request's arrival to the end of its handler, by route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"endpoint"})),
		series: map[series]observed{},
	}
}

// Observe counts one answered request. endpoint is the route ("/v1/models"),
// never the raw path; "" is a request that no route took. The strings may lie
// in memory that the server reuses: what is kept is copied.
func (m *HTTPMetrics) Observe(method, endpoint string, status int, took time.Duration) {
	if endpoint == "" {
		endpoint = "none"
	}
	key := series{knownMethod(method), endpoint, status}
	m.mu.RLock()
	o, known := m.series[key]
	m.mu.RUnlock()
	if !known {
		o = m.add(key)
	}
	o.count.Inc()
	o.duration.Observe(took.Seconds())
}

func (m *HTTPMetrics) add(key series) observed {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o, known := m.series[key]; known {
		return o
	}
	full := len(m.series) >= maxSeries
	key.endpoint = strings.Clone(key.endpoint)
	endpoint := key.endpoint
	if full {
		endpoint = "other"
	}
	o := observed{
		count:    m.requests.WithLabelValues(key.method, endpoint, strconv.Itoa(key.status)),
		duration: m.durations.WithLabelValues(endpoint),
	}
	if !full {
		m.series[key] = o
	}
	return o
}

func knownMethod(method string) string {
	for _, known := range [...]string{"GET", "POST", "HEAD", "OPTIONS", "DELETE", "PUT", "PATCH"} {
		if method == known {
			return known
		}
	}
	return "other"
}
