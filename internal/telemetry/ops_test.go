package telemetry_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// serve runs an Ops on a free port and returns a getter of its pages.
func serve(t *testing.T, registry *prometheus.Registry, health func(context.Context) map[string]any) func(path string) (int, string) {
	t.Helper()
	ops := telemetry.NewOps("127.0.0.1:0", registry, health, testenv.Logger(t))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ops.Run(ctx) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case <-ops.Listening():
	case err := <-done:
		done <- nil
		t.Fatal(err)
	}
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return func(path string) (int, string) {
		t.Helper()
		resp, err := client.Get("http://" + ops.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
}

func TestOpsPages(t *testing.T) {
	registry := telemetry.NewRegistry()
	requests := telemetry.NewHTTPMetrics(registry)
	for range 99 {
		requests.Observe("GET", "/v1/models", 200, 2*time.Millisecond)
	}
	requests.Observe("GET", "/v1/models", 500, 40*time.Millisecond)
	get := serve(t, registry, func(context.Context) map[string]any {
		return map[string]any{
			"redis":    map[string]any{"connected": false, "error": "dial redis://:hush@cache:6379: refused"},
			"postgres": struct{ Connected bool }{true}, "leases": 16,
		}
	})

	status, body := get("/metrics")
	for _, want := range []string{
		`http_requests_total{endpoint="/v1/models",method="GET",status="200"} 99`,
		`http_request_duration_seconds_bucket{endpoint="/v1/models",le="0.0005"} 0`,
		`http_request_duration_seconds_bucket{endpoint="/v1/models",le="0.0025"} 99`,
		"go_goroutines ", "process_open_fds ",
	} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("/metrics (%d) lacks %s", status, want)
		}
	}

	var health struct {
		Redis    struct{ Error string }
		Postgres struct{ Connected bool }
		Leases   int
		Process  struct{ Goroutines int }
	}
	status, body = get("/performance/health")
	if err := json.Unmarshal([]byte(body), &health); err != nil || status != 200 {
		t.Fatalf("/performance/health: %d, %v in %s", status, err, body)
	}
	if !health.Postgres.Connected || health.Leases != 16 || health.Process.Goroutines == 0 {
		t.Errorf("/performance/health: %s", body)
	}
	if health.Redis.Error != "dial redis://:***@cache:6379: refused" {
		t.Errorf("an error is shown as %q", health.Redis.Error)
	}

	var metrics map[string][]struct {
		Labels             map[string]string
		Value, Count, Mean *float64
		P50, P95, P99      *float64
	}
	status, body = get("/performance/metrics")
	if err := json.Unmarshal([]byte(body), &metrics); err != nil || status != 200 {
		t.Fatalf("/performance/metrics: %d, %v", status, err)
	}
	duration := metrics["http_request_duration_seconds"]
	if len(duration) != 1 || *duration[0].Count != 100 || *duration[0].P50 <= .001 || *duration[0].P50 > .0025 || *duration[0].P99 > .05 {
		t.Errorf("/performance/metrics: %s", body)
	}

	if status, body := get("/debug/pprof/"); status != 200 || !strings.Contains(body, "goroutine") {
		t.Errorf("/debug/pprof/: %d", status)
	}
	if status, _ := get("/other"); status != 404 {
		t.Errorf("/other: %d", status)
	}
}

func TestOpsSaysThatThePortIsTaken(t *testing.T) {
	first := telemetry.NewOps("127.0.0.1:0", telemetry.NewRegistry(), nil, testenv.Logger(t))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- first.Run(ctx) }()
	<-first.Listening()
	second := telemetry.NewOps(first.Addr(), telemetry.NewRegistry(), nil, testenv.Logger(t))
	if err := second.Run(ctx); err == nil || !strings.Contains(err.Error(), first.Addr()) {
		t.Errorf("on a taken port: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
