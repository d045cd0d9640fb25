// Package e2e holds the scripts that drive the chat page in a real browser, and
// runs the page's own tests. walk.mjs, the walk of a newcomer, is run by the
// tests of the whole program.
package e2e

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
	installTimeout = 2 * time.Minute
	pageTimeout    = 10 * time.Minute
)

func TestPage(t *testing.T) {
	for tool, mend := range map[string]string{
		"node": "install Node.js 20 or newer (apt-get install nodejs)",
		"npm":  "install npm (apt-get install npm)",
	} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: %s", tool, mend)
		}
	}
	if _, err := os.Stat("node_modules/playwright-core"); errors.Is(err, fs.ErrNotExist) {
		run(t, installTimeout, "npm", "ci")
	}
	run(t, pageTimeout, "npm", "test", "--silent")
}

func run(t *testing.T, limit time.Duration, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	// A browser that outlives its parent must not hold the output open.
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}
