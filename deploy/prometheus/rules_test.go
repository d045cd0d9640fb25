// Package prometheus_test tries the rules: promtool takes them, each alert fires when it
// should and does not when it should not, leads to its page, and asks for what exists.
package prometheus_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/kikuai/kikuai/deploy/prometheus/metrics"
	"github.com/kikuai/kikuai/internal/testenv"
)

const (
	runbook = "https://github.com/kikuai/kikuai/blob/main/deploy/runbook/"
	pages   = "../runbook"
)

type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	for _, path := range matching(t, "rules/*.yml") {
		var file struct{ Groups []struct{ Rules []rule } }
		read(t, path, &file)
		for _, group := range file.Groups {
			all = append(all, group.Rules...)
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d rules", len(all))
	}
	return all
}

func matching(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	return paths
}

// TestPromtool has Prometheus' own tool check the configuration and run every case.
func TestPromtool(t *testing.T) {
	promtool := testenv.PrometheusBinary(t, "promtool")
	for _, args := range [][]string{
		{"check", "config", "prometheus.yml"},
		append([]string{"test", "rules"}, matching(t, "tests/*.yml")...),
	} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestCases: each alert has a case in which it fires, for each severity that it has, and
// one in which it does not.
func TestCases(t *testing.T) {
	type key struct{ alert, severity string }
	fires, quiet := map[key]bool{}, map[string]bool{}
	for _, path := range matching(t, "tests/*.yml") {
		var file struct {
			Tests []struct {
				Cases []struct {
					Name     string `yaml:"alertname"`
					Expected []struct {
						Labels map[string]string `yaml:"exp_labels"`
					} `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		read(t, path, &file)
		for _, test := range file.Tests {
			for _, c := range test.Cases {
				quiet[c.Name] = quiet[c.Name] || len(c.Expected) == 0
				for _, expected := range c.Expected {
					fires[key{c.Name, expected.Labels["severity"]}] = true
				}
			}
		}
	}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if !fires[key{r.Alert, r.Labels["severity"]}] {
			t.Errorf("no case has %s fire as a %s", r.Alert, r.Labels["severity"])
		}
		if !quiet[r.Alert] {
			t.Errorf("no case has %s stay quiet", r.Alert)
		}
	}
}

// TestAlerts: each says how urgent it is, what it is about, and where its page is; and each
// page is of an alert.
func TestAlerts(t *testing.T) {
	left := map[string]bool{}
	for _, path := range matching(t, pages+"/*.md") {
		left[filepath.Base(path)] = true
	}
	delete(left, "README.md")
	delete(left, "DRILL.md")
	alerts := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert+".md"] = true
		if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" {
			t.Errorf("%s is %q: it is a page or a ticket", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" || r.Annotations["runbook_url"] != runbook+r.Alert+".md" {
			t.Errorf("%s: %v", r.Alert, r.Annotations)
		}
	}
	for page := range alerts {
		if !left[page] {
			t.Errorf("the runbook has no %s", page)
		}
		delete(left, page)
	}
	for page := range left {
		t.Errorf("%s is of no alert", page)
	}
}

// TestNames: every metric and label that a rule asks for exists.
func TestNames(t *testing.T) {
	all := rules(t)
	var recorded []string
	for _, r := range all {
		if r.Record != "" {
			recorded = append(recorded, r.Record)
		}
	}
	checker := metrics.NewChecker(recorded...)
	for _, r := range all {
		if err := checker.Check(r.Expr); err != nil {
			t.Errorf("%s%s: %v", r.Record, r.Alert, err)
		}
	}
}
