package testenv_test

import (
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const cachePackage = module + "/cache"

// TestMoneyAndLimitsKnowNoCache: what decides about balances, API keys and limits cannot
// ask the cache, because it does not import it, by no way. Of the packages that also do
// other things, the files named here do those, and no other file imports it.
func TestMoneyAndLimitsKnowNoCache(t *testing.T) {
	for _, engine := range []string{"billing", "ratelimit", "bot", "internal/stream", "internal/postgres", "internal/llm"} {
		cmd := exec.Command("go", "list", "-deps", "./"+engine)
		cmd.Dir = "../.."
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list %s: %v", engine, err)
		}
		if slices.Contains(strings.Fields(string(out)), cachePackage) {
			t.Errorf("%s reaches the cache", engine)
		}
	}
	for dir, allowed := range map[string][]string{
		"gateway":         {"answers.go", "models.go"}, // not the gate, the meter, keys or the balance
		"handlers":        nil,
		"handlers/hall":   {"hall.go", "kept.go", "sponsor.go"},
		"handlers/people": nil,
		"handlers/talk":   nil,
		"handlers/till":   nil,
		"cmd/kikuai":      {"app.go", "cache.go"},
	} {
		files, err := filepath.Glob("../../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			name := filepath.Base(file)
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imported := range parsed.Imports {
				if path, _ := strconv.Unquote(imported.Path.Value); path == cachePackage && !slices.Contains(allowed, name) {
					t.Errorf("%s/%s imports the cache", dir, name)
				}
			}
		}
	}
}
