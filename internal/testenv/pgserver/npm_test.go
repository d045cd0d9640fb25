//go:build prove

package pgserver

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestProveNPMBinaries downloads the embedded Postgres, some 25 MB, and runs it.
func TestProveNPMBinaries(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cache := filepath.Join(openDir(t), "cache")
	bin, err := FromNPM(ctx, cache)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{BinDir: bin, Dir: filepath.Join(openDir(t), "db")})
	var version int
	run(t, s.URL("postgres"), "select current_setting('server_version_num')::int / 10000", &version)
	if version != 18 {
		t.Errorf("version %d", version)
	}
	t.Setenv("PATH", "") // the second call finds what the first one left
	again, err := FromNPM(ctx, cache)
	if err != nil || again != bin {
		t.Errorf("the second call: %q, %v", again, err)
	}
}
