package main

import (
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/deploy/prometheus/metrics"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite deploy/prometheus/metrics/METRICS.md from the program")

const metricsFile = "../../deploy/prometheus/metrics/METRICS.md"

const metricsHead = `# Metrics

What the program shows at ` + "`/metrics`" + ` of ` + "`OPS_ADDR`" + `, beside Go's runtime (` + "`go_…`" + `) and the process (` + "`process_…`" + `). Labels are bounded: routes, models and deployments of the catalogue, shards, and words of ours; never an account, an address or what a caller sent. Tests hold this list to the program, and rules and dashboards to this list. ` + "`go test ./cmd/kikuai -run '^TestMetricsListed$' -update`" + ` rewrites it.

| metric | type | labels | what |
|---|---|---|---|
`

// wired is the program with everything turned on, and nothing that it depends on there.
func wired(t *testing.T) *App {
	t.Helper()
	settings := map[string]string{
		"KIKUAI_ENV": "testing", "LISTEN_ADDR": "127.0.0.1:0", "OPS_ADDR": "127.0.0.1:0",
		"DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing", "DATABASE_REPLICA_URL": "postgres://nobody@127.0.0.1:2/nothing", "REDIS_URL": "redis://127.0.0.1:1/0",
		"TELEGRAM_BOT_TOKEN": simToken, "TELEGRAM_API_URL": "http://127.0.0.1:1", "WEBHOOK_SECRET": simSecret,
		"PUBLIC_URL": "http://127.0.0.1:1", "KEY_PEPPER": sitePepper,
		"STRIPE_SECRET_KEY": "sk_test_nothing", "STRIPE_WEBHOOK_SECRET": "whsec_nothing",
	}
	c, err := config.Load(func(name string) (string, bool) { value, set := settings[name]; return value, set }, config.NeedServe)
	if err != nil {
		t.Fatal(err)
	}
	app, err := New(c, testenv.Logger(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return app
}

var descShape = regexp.MustCompile(`(?s)^Desc\{fqName: "([^"]*)", help: "(.*?)"(?:, unit: "[^"]*")?, constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)

// described is what a registry could ever show, values or none.
func described(t *testing.T, registry *prometheus.Registry) map[string]metrics.Metric {
	t.Helper()
	descs := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descs)
		close(descs)
	}()
	all := map[string]metrics.Metric{}
	for desc := range descs {
		found := descShape.FindStringSubmatch(desc.String())
		if found == nil {
			t.Errorf("a description of another shape: %s", desc)
			continue
		}
		if !metrics.Ours(found[1]) {
			continue
		}
		m := metrics.Metric{Name: found[1], Type: typeOf(found[1]), Help: found[2]}
		for constant := range strings.SplitSeq(found[3], ",") {
			if name, _, is := strings.Cut(constant, "="); is {
				m.Labels = append(m.Labels, name)
			}
		}
		for label := range strings.SplitSeq(found[4], ",") {
			if label != "" {
				m.Labels = append(m.Labels, label)
			}
		}
		all[m.Name] = m
	}
	return all
}

// typeOf goes by the names' conventions, which the scrape of a running server is held to.
func typeOf(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_duration_seconds"):
		return "histogram"
	}
	return "gauge"
}

// TestMetricsListed holds METRICS.md to what the program can show.
func TestMetricsListed(t *testing.T) {
	all := described(t, wired(t).registry)
	var b strings.Builder
	b.WriteString(metricsHead)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(all[name].Row() + "\n")
	}
	if *update {
		if err := os.WriteFile(metricsFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if raw, err := os.ReadFile(metricsFile); err != nil || string(raw) != b.String() {
		t.Errorf("METRICS.md is not what the program shows (%v): go test ./cmd/kikuai -run '^TestMetricsListed$' -update", err)
	}
}
