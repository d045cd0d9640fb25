//go:build prove

package mutations

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	runIn = 4 * time.Minute // one test, compiled and run
	allIn = 80 * time.Minute
)

// TestProveMutations seeds one bug after another into a copy of the module; each must
// compile and turn its test red. Without a bug all those tests are green.
func TestProveMutations(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), allIn)
	defer cancel()
	dir := t.TempDir()
	if err := copyTree(dir); err != nil {
		t.Fatal(err)
	}
	tests := map[string][]string{}
	for _, m := range table {
		tests[m.pkg] = append(tests[m.pkg], m.test)
	}
	t.Run("without a bug", func(t *testing.T) {
		for _, pkg := range slices.Sorted(maps.Keys(tests)) {
			if out, err := run(ctx, dir, pkg, strings.Join(tests[pkg], "|")); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		}
	})
	if t.Failed() {
		return
	}
	var text strings.Builder
	lines := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "bug\tfile\ttest\tred after")
	red := 0
	for _, m := range table {
		t.Run(m.bug, func(t *testing.T) {
			began, took := time.Now(), "NO"
			if err := m.seed(ctx, dir); err != nil {
				t.Error(err)
			} else {
				took = time.Since(began).Round(100 * time.Millisecond).String()
				red++
			}
			fmt.Fprintf(lines, "%s\t%s\t%s\t%s\n", m.bug, m.edits[0].file, m.test, took)
		})
	}
	_ = lines.Flush()
	t.Logf("mutations: %d of %d bugs turned their test red\n%s", red, len(table), text.String())
}

// seed puts the bug in, runs the test, and takes the bug out again. An error means
// that the test did not turn red.
func (m mutation) seed(ctx context.Context, dir string) (err error) {
	files, err := m.apply(dir)
	if err != nil {
		return err
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		before, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		defer func() { _ = os.WriteFile(file, before, 0o600) }()
	}
	compile := exec.CommandContext(ctx, "go", "vet", "./"+m.pkg)
	compile.Dir = dir
	if out, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("does not compile: %w\n%s", err, out)
	}
	out, err := run(ctx, dir, m.pkg, m.test)
	if err == nil {
		return fmt.Errorf("%s stays green", m.test)
	}
	if !strings.Contains(out, "--- FAIL: "+m.test) {
		return fmt.Errorf("%s did not fail by itself: %w\n%s", m.test, err, out)
	}
	return nil
}

func run(ctx context.Context, dir, pkg, tests string) (string, error) {
	within := fmt.Sprintf("-timeout=%s", runIn)
	command := exec.CommandContext(ctx, "go", "test", "-count=1", within, "-run", "^("+tests+")$", "./"+pkg)
	command.Dir = dir
	out, err := command.CombinedOutput()
	return string(out), err
}
