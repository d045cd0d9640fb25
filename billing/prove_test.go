//go:build prove

package billing

import (
	"testing"
	"time"
)

// TestProveRebuild: 100,000 accounts with a key and two messages of the last days each are back in under 30 seconds
// after Redis has lost everything, or its shards have lost their epochs; calls are
// refused at once meanwhile.
func TestProveRebuild(t *testing.T) {
	const accounts = 100_000
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
	flushed, closed := rebuildMany(t, accounts, true), rebuildMany(t, accounts, false)
	for _, b := range []rebuilt{flushed, closed} {
		if b.away > 30*time.Second || b.slowest > 100*time.Millisecond {
			t.Errorf("away for %s, calls refused within %s", b.away, b.slowest)
		}
	}
	t.Logf("rebuild: %d accounts with a key and two messages each: %s after FLUSHALL, %s over old data; %d calls meanwhile refused, p99 %s",
		accounts, round(flushed.away), round(closed.away), flushed.refused+closed.refused, round(max(flushed.slowest, closed.slowest)))
}
