package grafana_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/kikuai/kikuai/deploy/grafana"
	"github.com/kikuai/kikuai/deploy/prometheus/metrics"
	"github.com/kikuai/kikuai/internal/testenv"
)

var update = flag.Bool("update", false, "rewrite dashboards/ from the code")

const (
	files     = "dashboards"
	recording = "../prometheus/rules/recording.yml"
	schema    = "schema"
)

func inJSON(t *testing.T, d grafana.Dashboard) []byte {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFiles holds what Grafana loads to the code.
func TestFiles(t *testing.T) {
	left := map[string]bool{}
	entries, err := os.ReadDir(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		left[entry.Name()] = true
	}
	for _, d := range grafana.All() {
		name := d.UID + ".json"
		delete(left, name)
		path := filepath.Join(files, name)
		want := inJSON(t, d)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the code says (%v): make dashboards writes it", path, err)
		}
	}
	for name := range left {
		t.Errorf("%s is of no dashboard", name)
	}
}

// TestPlaces: panels have numbers of their own, lie on the grid and on no other panel.
func TestPlaces(t *testing.T) {
	for _, d := range grafana.All() {
		ids, taken := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			if ids[p.ID] || p.ID == 0 || p.Title == "" {
				t.Errorf("%s: panel %d %q", d.UID, p.ID, p.Title)
			}
			ids[p.ID] = true
			if p.GridPos.X+p.GridPos.W > 24 {
				t.Errorf("%s: %q leaves the grid", d.UID, p.Title)
			}
			for x := range p.GridPos.W {
				for y := range p.GridPos.H {
					at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
					if other := taken[at]; other != "" {
						t.Fatalf("%s: %q lies on %q", d.UID, p.Title, other)
					}
					taken[at] = p.Title
				}
			}
		}
	}
}

// recorded are the names of the recording rules.
func recorded(t *testing.T) (names []string) {
	t.Helper()
	raw, err := os.ReadFile(recording)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Record string }
		}
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			names = append(names, rule.Record)
		}
	}
	return names
}

// TestExpressions: Prometheus' own parser takes each expression, and every metric and label
// in it exists.
func TestExpressions(t *testing.T) {
	checker := metrics.NewChecker(recorded(t)...)
	var rules []map[string]string
	for _, d := range grafana.All() {
		for _, expression := range d.Expressions() {
			if err := checker.Check(expression); err != nil {
				t.Errorf("%s: %v: %s", d.UID, err, expression)
			}
			plain := bytes.ReplaceAll([]byte(expression), []byte("$__rate_interval"), []byte("1m"))
			rules = append(rules, map[string]string{"record": fmt.Sprintf("of:%d", len(rules)), "expr": string(plain)})
		}
	}
	if len(rules) < 40 {
		t.Fatalf("%d expressions", len(rules))
	}
	raw, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rules.yml") // JSON is YAML
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(testenv.PrometheusBinary(t, "promtool"), "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

// TestSchema holds the dashboards to Grafana's own types, strictly: a field that Grafana
// does not know, or a value that it does not take, is an error of the compiler.
func TestSchema(t *testing.T) {
	modules, err := filepath.Abs(filepath.Join(schema, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	compiler := filepath.Join(modules, "typescript", "bin", "tsc")
	if _, err := os.Stat(compiler); err != nil {
		t.Fatalf("Grafana's types are not there: run .ci/prepare (%v)", err)
	}
	dir := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tsconfig.json", "types.ts"} {
		raw, err := os.ReadFile(filepath.Join(schema, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := []byte("import type { Dashboard } from './types';\n")
	for i, d := range grafana.All() {
		text = fmt.Appendf(text, "export const d%d: Dashboard = %s;\n", i, inJSON(t, d))
	}
	// What is wrong must be seen, or the check says nothing: a line after this comment that
	// the compiler takes is an error.
	for i, mistake := range [][2]string{
		{`"graphMode": "area"`, `"graphMode": "lines"`},
		{`"drawStyle": "line"`, `"drawnStyle": "line"`},
		{`"schemaVersion": 41`, `"schemaVersion": "41"`},
		{`"gridPos": {`, `"gridPosition": {`},
	} {
		one := bytes.Replace(inJSON(t, grafana.All()[0]), []byte(mistake[0]), []byte(mistake[1]), 1)
		var line bytes.Buffer
		if err := json.Compact(&line, one); err != nil || bytes.Equal(one, inJSON(t, grafana.All()[0])) {
			t.Fatalf("%s: %v", mistake[0], err)
		}
		text = fmt.Appendf(text, "// @ts-expect-error\nexport const w%d: Dashboard = %s;\n", i, &line)
	}
	if err := os.WriteFile(filepath.Join(dir, "check.ts"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("node", compiler, "--project", dir).CombinedOutput(); err != nil {
		t.Errorf("Grafana's types refuse a dashboard, or take a mistake (unused @ts-expect-error): %v\n%s", err, out)
	}
}
