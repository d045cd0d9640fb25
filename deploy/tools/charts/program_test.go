package charts

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// program is what the chart must agree with, read from the program's own sources.
type program struct {
	settings map[string]bool // of deploy/.env.example, and whether they are secrets
	routes   []string        // of the public listener
	probes   []string        // that /readyz asks
	commands []string        // of the binary
	settle   time.Duration   // that follows the drain at the most
	shards   int
}

var (
	settingLine = regexp.MustCompile(`^#?([A-Z][A-Z0-9_]*)=`)
	routeLine   = regexp.MustCompile(`\{"(?:GET|POST|PATCH|DELETE|HEAD)", ("[^"]+"|Payment\w+),`)
	probeLine   = regexp.MustCompile(`\b(check[A-Z][a-z]+): a\.watch\.last\(`)
	commandLine = regexp.MustCompile("(?m)^\t([A-Z][a-z]+) +[a-z]+Command +`cmd:\"\"")
)

func readProgram(t *testing.T) program {
	t.Helper()
	p := program{settings: settings(t)}
	for _, found := range routeLine.FindAllStringSubmatch(source(t, "gateway/routes.go"), -1) {
		route := strings.Trim(found[1], `"`)
		if strings.HasPrefix(route, "Payment") {
			route = submatch(t, "gateway/payment_page.go", route+` += +"([^"]+)"`)
		}
		p.routes = append(p.routes, route)
	}
	for _, found := range probeLine.FindAllStringSubmatch(source(t, "cmd/kikuai/listener.go"), -1) {
		p.probes = append(p.probes, submatch(t, "cmd/kikuai/health.go", found[1]+` += "([^"]+)"`))
	}
	for _, found := range commandLine.FindAllStringSubmatch(source(t, "cmd/kikuai/main.go"), -1) {
		p.commands = append(p.commands, strings.ToLower(found[1]))
	}
	for path, constant := range map[string]string{
		"bot/dispatcher.go": "abandonAfter", "cmd/kikuai/meter.go": "settleIn", "internal/telemetry/ops.go": "opsShutdownIn", "gateway/server.go": "settleGrace",
	} {
		seconds, err := strconv.Atoi(submatch(t, path, constant+` += (\d+) \* time\.Second`))
		if err != nil {
			t.Fatal(err)
		}
		p.settle += time.Duration(seconds) * time.Second
	}
	p.shards, _ = strconv.Atoi(submatch(t, "internal/stream/shard.go", `Shards += (\d+)`))
	if len(p.routes) < 30 || len(p.probes) != 3 || len(p.commands) < 6 || p.settle < 10*time.Second || p.shards != 16 {
		t.Fatalf("the sources are written otherwise than this test reads them: %d routes, probes %v, commands %v, %s to settle, %d shards",
			len(p.routes), p.probes, p.commands, p.settle, p.shards)
	}
	return p
}

// submatch is what a pattern's group finds in a source.
func submatch(t *testing.T, path, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(source(t, path))
	if found == nil {
		t.Fatalf("%s is not in %s", pattern, path)
	}
	return found[1]
}

// settings reads deploy/.env.example.
func settings(t *testing.T) map[string]bool {
	t.Helper()
	secrets := map[string]bool{}
	comment := ""
	for line := range strings.Lines(source(t, "deploy/.env.example")) {
		if found := settingLine.FindStringSubmatch(line); found != nil {
			secrets[found[1]] = strings.Contains(comment, "[secret]")
		} else if strings.HasPrefix(line, "# ") {
			comment = line
		}
	}
	return secrets
}
