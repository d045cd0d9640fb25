package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

const (
	loadScripts   = "../../deploy/loadtest/k6"
	loadScriptsIn = 4 * time.Minute
)

// TestE2ELoadScripts runs every script of the load tests for two seconds, all at once and
// each with a load that any machine can bear: what they ask for is answered, every step of
// theirs succeeds. How long anything takes is not looked at here.
func TestE2ELoadScripts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.serve()
	raw, err := json.Marshal([]string{s.key(1, "5"), s.key(2, "5")})
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(keys, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob(filepath.Join(loadScripts, "*.js"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts, %v", len(scripts), err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), loadScriptsIn)
	defer cancel()
	var running sync.WaitGroup
	for _, script := range scripts {
		running.Go(func() {
			var err error
			for range 3 { // a busy machine may be late
				if err = s.shortLoad(ctx, script, keys); err == nil || ctx.Err() != nil {
					break
				}
			}
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(script), err)
			}
		})
	}
	running.Wait()
	s.reconciled()
}

// shortLoad runs one script under Node, which stands in for k6, and says what was not as it
// should be.
func (s *site) shortLoad(ctx context.Context, script, keys string) error {
	file := filepath.Join(s.t.TempDir(), "summary.json")
	node := exec.CommandContext(ctx, "node", "--no-warnings", "--experimental-websocket", "--import", "../../deploy/loadtest/short/register.mjs",
		"../../deploy/loadtest/short/run.mjs", script)
	node.WaitDelay = 5 * time.Second
	node.Env = append(os.Environ(), "BASE_URL="+s.url, "KEYS_FILE="+keys, "MODEL=exact", "BOT_TOKEN="+simToken,
		"SCALE=0.02", "DURATION=2", "PATIENCE=60", "SUMMARY="+file)
	printed, err := node.CombinedOutput()
	raw, readErr := os.ReadFile(file)
	if readErr != nil {
		return fmt.Errorf("%w\n%s", errors.Join(readErr, err), printed)
	}
	var told struct {
		Metrics map[string]struct {
			Type       string
			Values     map[string]float64
			Thresholds map[string]struct{ OK bool }
		}
	}
	if err := json.Unmarshal(raw, &told); err != nil {
		return err
	}
	var faults []error
	if requests := told.Metrics["http_reqs"].Values["count"]; requests < 4 {
		faults = append(faults, fmt.Errorf("it asked %g times", requests))
	}
	if failed := told.Metrics["http_req_failed"].Values["fails"]; told.Metrics["http_req_failed"].Values["passes"] > 0 {
		faults = append(faults, fmt.Errorf("not all of its requests were answered well, but %g\n%s", failed, printed))
	}
	for metric, figures := range told.Metrics {
		if figures.Type == "trend" || metric == "dropped_iterations" {
			continue // how fast it is here says nothing
		}
		for bound, kept := range figures.Thresholds {
			if !kept.OK {
				faults = append(faults, fmt.Errorf("%s: %s is not kept: %v", metric, bound, figures.Values))
			}
		}
	}
	return errors.Join(faults...)
}
