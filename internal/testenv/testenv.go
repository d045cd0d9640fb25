// Package testenv gives tests the real thing: a private redis-server per call
// and a fresh, migrated Postgres database per call. What is missing on the
// machine fails the test with the command that installs it; nothing is ever
// skipped.
//
// A package whose tests use it hands its TestMain over:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
package testenv

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// runner is a package's tests: a *testing.M, or what wraps one.
type runner interface{ Run() int }

// Main runs the package's tests, ends the servers they shared, and fails the
// run when a goroutine is left. ignore names goroutines of libraries that
// cannot be ended.
func Main(m runner, ignore ...goleak.Option) {
	code := m.Run()
	if err := closeCluster(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv: end Postgres:", err)
		code = max(code, 1)
	}
	if err := closeStripe(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv: end stripe-mock:", err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(ignore...); err != nil {
			fmt.Fprintln(os.Stderr, "testenv:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// Logger writes to t's log, at every level, and falls silent when t ends, so
// that a goroutine that is still on its way out cannot fail a later test.
func Logger(t testing.TB) *slog.Logger {
	t.Helper()
	w := &logWriter{t: t}
	t.Cleanup(w.silence)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type logWriter struct {
	mu   sync.Mutex
	t    testing.TB
	over bool
}

func (w *logWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.t.Logf("%s", line[:len(line)-1]) // without the handler's newline
	}
	return len(line), nil
}

func (w *logWriter) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}
