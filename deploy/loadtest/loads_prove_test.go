//go:build prove

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestProveLoads puts every load on a whole site, by k6 itself: a tenth of each for five
// seconds. All bounds are kept, and the books balance.
func TestProveLoads(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "../../.ci/k6").Output()
	if err != nil {
		t.Fatalf("build k6: %v", err)
	}
	dir, err := filepath.Abs("k6")
	if err != nil {
		t.Fatal(err)
	}
	s := settings{dir: dir, k6: strings.TrimSpace(string(out)), scale: 0.1, duration: 5 * time.Second}
	here, err := startSite(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer here.close()
	outcomes, err := here.measure(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	var measured []string
	for _, o := range outcomes {
		measured = append(measured, o.name)
		if len(o.missed) > 0 || o.errors > 0 || o.used[nameKikuai].memory == 0 || o.used[nameNginx].processor == 0 {
			t.Errorf("%s: missed %q: %+v", o.name, o.missed, o)
		}
	}
	if !slices.Equal(measured, names()) {
		t.Errorf("measured %v", measured)
	}
	books, err := here.balance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", tables(outcomes, books))
}
