package metrics_test

import (
	"strings"
	"testing"

	"github.com/kikuai/kikuai/deploy/prometheus/metrics"
)

func TestCheck(t *testing.T) {
	checker := metrics.NewChecker("job:http_requests:rate5m")
	for expression, want := range map[string]string{
		`sum by (job) (rate(http_requests_total{job="kikuai",status=~"5.."}[5m]))`:                         "",
		`histogram_quantile(0.99, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket[5m])))`: "",
		`job:http_requests:rate5m > 0 unless up{instance="a{b"} == 0`:                                      "",
		`rate(http_requests_total{instance=~"$instance"}[$__rate_interval]) * 60 > 1e9`:                    "",
		`max without (instance) (circuit_breaker_state) and on (job) absent(up)`:                           "",
		`http_request_total`:                                           "no metric is named http_request_total",
		`rate(http_requests_total_bucket[5m])`:                         "no metric is named http_requests_total_bucket",
		`http_request_duration_seconds`:                                "no metric is named http_request_duration_seconds",
		`job:http_requests:rate1m`:                                     "no metric is named job:http_requests:rate1m",
		`http_requests_total{path="/"}`:                                "http_requests_total has no label path",
		`http_request_duration_seconds_count{le="1"}`:                  "http_request_duration_seconds has no label le",
		`sum by (endpoint, model) (rate(http_requests_total[5m]))`:     "no metric here has a label model",
		`up / ignoring(deployment) group_left(provider) http_requests`: "no metric is named http_requests",
	} {
		err := checker.Check(expression)
		if err == nil && want == "" {
			continue
		}
		if err == nil || want == "" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", expression, err, want)
		}
	}
}

func TestList(t *testing.T) {
	list := metrics.List()
	if len(list) < 50 {
		t.Fatalf("METRICS.md lists %d metrics", len(list))
	}
	for name, m := range list {
		if m.Name != name || m.Help == "" || !metrics.Ours(name) {
			t.Errorf("a row that says little: %s", m.Row())
		}
	}
}
