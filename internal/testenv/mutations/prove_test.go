//go:build prove

package mutations

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
// compile and turn its test red. Without a bug all those tests are green. PROVE_PACKAGE,
// PROVE_BUG and PROVE_SLICE choose among them (see choose).
func TestProveMutations(t *testing.T) {
	chosen, err := choose(table, os.Getenv("PROVE_PACKAGE"), os.Getenv("PROVE_BUG"), os.Getenv("PROVE_SLICE"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), allIn)
	defer cancel()
	p := proof{ctx: ctx, dir: t.TempDir()}
	if err := copyTree(p.dir); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	p.lines = tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(p.lines, "bug\tfile\ttest\tred after")
	for _, pkg := range packages(chosen) {
		t.Run(pkg, func(t *testing.T) { p.sees(t, pkg, chosen) })
	}
	_ = p.lines.Flush()
	t.Logf("mutations: %d of %d bugs turned their test red\n%s", p.red, len(chosen), text.String())
}

// proof is one run over a copy of the module.
type proof struct {
	ctx   context.Context
	dir   string // of the copy
	lines *tabwriter.Writer
	red   int // bugs that were seen
}

// sees seeds those of the bugs that the package's tests see.
func (p *proof) sees(t *testing.T, pkg string, bugs []mutation) {
	var mine []mutation
	var tests []string
	for _, m := range bugs {
		if m.pkg == pkg {
			mine, tests = append(mine, m), append(tests, m.test)
		}
	}
	if !t.Run("without a bug", func(t *testing.T) {
		if out, err := run(p.ctx, p.dir, pkg, strings.Join(tests, "|")); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}) {
		return
	}
	for _, m := range mine {
		t.Run(m.bug, func(t *testing.T) {
			if p.ctx.Err() != nil {
				t.Fatalf("not run: %s are over; choose a package (PKG) or a slice (SLICE)", allIn)
			}
			began, took := time.Now(), "NO"
			if err := m.seed(p.ctx, p.dir); err != nil {
				t.Error(err)
			} else {
				took = time.Since(began).Round(100 * time.Millisecond).String()
				p.red++
			}
			fmt.Fprintf(p.lines, "%s\t%s\t%s\t%s\n", m.bug, m.edits[0].file, m.test, took)
		})
	}
}

// seed puts the bug in, runs the test, and takes the bug out again. An error means
// that the test did not turn red.
func (m mutation) seed(ctx context.Context, dir string) error {
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
	out, err := run(ctx, dir, m.pkg, m.test)
	switch {
	case err == nil:
		return fmt.Errorf("%s stays green", m.test)
	case strings.Contains(out, "[build failed]"):
		return fmt.Errorf("does not compile: %w\n%s", err, out)
	case !strings.Contains(out, "--- FAIL: "+m.test):
		return fmt.Errorf("%s did not fail by itself: %w\n%s", m.test, err, out)
	}
	return nil
}

// run compiles and runs tests of a package. What vet would say of a bug is of no
// interest; that it compiles is. Without paths in it, what the cache has of the tree is of use
// to its copy.
func run(ctx context.Context, dir, pkg, tests string) (string, error) {
	within := fmt.Sprintf("-timeout=%s", runIn)
	command := exec.CommandContext(ctx, "go", "test", "-trimpath", "-count=1", "-vet=off", within, "-run", "^("+tests+")$", "./"+pkg)
	command.Dir = dir
	out, err := command.CombinedOutput()
	return string(out), err
}
