// Package ui holds the Mini App, and runs the tests of its units under Node.
package ui

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"time"
)

const (
	installTimeout = 3 * time.Minute
	unitsTimeout   = 3 * time.Minute
)

func TestUnits(t *testing.T) {
	if _, err := os.Stat("node_modules/vitest"); errors.Is(err, fs.ErrNotExist) {
		run(t, installTimeout, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	}
	run(t, unitsTimeout, "npm", "test", "--silent")
}

func run(t *testing.T, limit time.Duration, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
