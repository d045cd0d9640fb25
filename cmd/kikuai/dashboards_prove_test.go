//go:build prove

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/deploy/grafana"
	"github.com/kikuai/kikuai/deploy/grafana/preview"
	"github.com/kikuai/kikuai/internal/llmsim"
)

const drawnTime = 90 * time.Second

// mayBeEmpty are panels about what has not happened to the site that is drawn.
func mayBeEmpty() []string {
	return []string{
		"Usage that could not be believed", "Denied", "Kept answers", "Scheduled jobs that failed", "Messages on them",
		"Errors", "Attempts that failed", "Circuit breakers that are not closed", "Redis: memory",
		"Replica behind", "Reads that may be a little old",
	}
}

// TestProveDashboards draws every dashboard with the numbers of a busy site, whose provider
// fails for a while, and finds no panel without any. KIKUAI_SHOTS=dir keeps the pages, and
// pictures of them.
func TestProveDashboards(t *testing.T) {
	d := newDrill(t)
	d.until(drillIn, "busy", d.seen.well)
	from := time.Now()
	for _, broken := range []bool{false, true, false} {
		if broken {
			d.model.Assign("", llmsim.Script{Status: 500})
		} else {
			d.model.Assign("", llmsim.Script{Headers: drillEvery}) // so that calls are seen under way
		}
		for i := range 20 {
			d.get(fmt.Sprintf("/nothing/%d", i), "")
			d.get("/api/v1/usage", d.key)
			d.get("/api/v1/usage", "kk_guessed")
			time.Sleep(drawnTime / 60)
		}
	}
	panels, empty := 0, 0
	for _, dashboard := range grafana.All() {
		drawn, err := preview.Draw(t.Context(), dashboard, preview.Source{
			URL: d.prometheus.URL, Client: d.client, From: from, To: time.Now(), Step: drillEvery, Rate: 10 * drillEvery,
		})
		if err != nil {
			t.Fatal(err)
		}
		panels += len(dashboard.Panels)
		empty += len(drawn.Empty)
		for _, title := range drawn.Empty {
			if !slices.Contains(mayBeEmpty(), title) {
				t.Errorf("%s: nothing is shown by %q", dashboard.UID, title)
			}
		}
		if dir := os.Getenv("KIKUAI_SHOTS"); dir != "" {
			shoot(t, dir, dashboard.UID, drawn)
		}
	}
	t.Logf("dashboards: %d drawn of %d panels, %d of them about what did not happen", len(grafana.All()), panels, empty)
}

// shoot keeps a page and a picture of it.
func shoot(t *testing.T, dir, name string, drawn preview.Drawn) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	page, picture := filepath.Join(dir, name+".html"), filepath.Join(dir, name+".png")
	if err := os.WriteFile(page, []byte(drawn.HTML), 0o644); err != nil {
		t.Fatal(err)
	}
	var browser string
	for _, known := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(known); err == nil {
			browser = found
			break
		}
	}
	if browser == "" {
		t.Fatal("Chromium is not installed: run .ci/prepare")
	}
	absolute, err := filepath.Abs(page)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir="+t.TempDir(),
		"--screenshot="+picture, fmt.Sprintf("--window-size=%d,%d", drawn.Width, drawn.Height), "file://"+absolute).CombinedOutput()
	if err != nil {
		t.Errorf("picture of %s: %v\n%s", name, err, strings.TrimSpace(string(out)))
	}
}
