package testenv

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

const (
	prometheusIn   = 30 * time.Second
	prometheusPoll = 50 * time.Millisecond
	prometheusAsk  = 10 * time.Second
)

// PrometheusBinary finds prometheus or promtool: installed, or where .ci/prepare unpacks
// the system's package, which it does not install because that would start a service.
func PrometheusBinary(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	cached, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	path := filepath.Join(cached, "kikuai", "prometheus", "usr", "bin", name)
	if !executable(path) {
		t.Fatalf("testenv: %s is not there: run .ci/prepare (macOS: brew install prometheus)", name)
	}
	return path
}

// PrometheusOptions say what a Prometheus watches.
type PrometheusOptions struct {
	Targets []string      // host:port, scraped under the job "kikuai"
	Rules   []string      // files
	Every   time.Duration // between two scrapes, and two evaluations
}

// PrometheusHandle is a private Prometheus.
type PrometheusHandle struct {
	URL string

	t      testing.TB
	client *http.Client
}

// Prometheus starts one and waits until it answers. It ends with the test.
func Prometheus(t testing.TB, o PrometheusOptions) *PrometheusHandle {
	t.Helper()
	binary := PrometheusBinary(t, "prometheus")
	for range 5 {
		h, err := startPrometheus(t, binary, o)
		if err == nil {
			return h
		}
		t.Logf("testenv: Prometheus: %v", err) // its port may have been taken meanwhile
	}
	t.Fatal("testenv: Prometheus does not start")
	return nil
}

const prometheusConfig = `global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}
rule_files: %[2]s
scrape_configs:
  - job_name: kikuai
    static_configs: [{targets: %[3]s}]
`

func startPrometheus(t testing.TB, binary string, o PrometheusOptions) (*PrometheusHandle, error) {
	port, err := child.FreePort()
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	rules, targets := inJSON(o.Rules), inJSON(o.Targets) // which YAML reads, too
	every := strconv.FormatInt(o.Every.Milliseconds(), 10) + "ms"
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, prometheusConfig, every, rules, targets), 0o600); err != nil {
		return nil, err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	process, err := child.Start(exec.Command(binary,
		"--config.file="+config, "--web.listen-address="+addr, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--query.lookback-delta="+strconv.FormatInt(max(3*o.Every, 5*time.Second).Milliseconds(), 10)+"ms", "--log.level=warn",
	), syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := process.Stop(syscall.SIGTERM, prometheusIn); err != nil {
			t.Errorf("testenv: end Prometheus: %v", err)
		}
	})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	h := &PrometheusHandle{URL: "http://" + addr, t: t, client: &http.Client{Transport: transport, Timeout: prometheusAsk}}
	ctx, cancel := context.WithTimeout(context.Background(), prometheusIn)
	defer cancel()
	return h, process.Await(ctx, prometheusPoll, func(ctx context.Context) bool {
		return h.get(ctx, "/-/ready", nil) == nil
	})
}

func inJSON(list []string) string {
	if len(list) == 0 {
		return "[]"
	}
	raw, _ := json.Marshal(list) // strings can always be said
	return string(raw)
}

// get asks for a page; into may be nil.
func (h *PrometheusHandle) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.URL+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := h.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", path, response.StatusCode)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}

// Firing are the alerts that fire now, by name, sorted; an alert of several series is
// named once.
func (h *PrometheusHandle) Firing() []string {
	h.t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string            `json:"state"`
				Labels map[string]string `json:"labels"`
			} `json:"alerts"`
		} `json:"data"`
	}
	if err := h.get(h.t.Context(), "/api/v1/alerts", &answer); err != nil {
		h.t.Fatalf("testenv: Prometheus: %v", err)
	}
	var names []string
	for _, alert := range answer.Data.Alerts {
		if alert.State == "firing" {
			names = append(names, alert.Labels["alertname"])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Value is what an expression comes to now: of several series the first one's, and false
// where there is none.
func (h *PrometheusHandle) Value(expression string) (float64, bool) {
	h.t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := h.get(h.t.Context(), "/api/v1/query?query="+url.QueryEscape(expression), &answer); err != nil {
		h.t.Fatalf("testenv: Prometheus: %s: %v", expression, err)
	}
	if len(answer.Data.Result) == 0 {
		return 0, false
	}
	value, err := strconv.ParseFloat(strings.TrimSpace(fmt.Sprint(answer.Data.Result[0].Value[1])), 64)
	return value, err == nil
}
