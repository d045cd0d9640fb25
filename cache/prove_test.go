//go:build prove

package cache

import (
	"testing"
	"time"
)

// TestProveCache: a thousand readers at an expiry, and all the time.
func TestProveCache(t *testing.T) {
	t.Logf("cache, expiry: %s", atExpiry(t, 334, 10))
	t.Logf("cache, early refresh: %s", steadyReads(t, 334, 20*time.Second))
}

// TestProveCacheHitRates: what the policies make of a trace.
func TestProveCacheHitRates(t *testing.T) {
	t.Logf("cache, hit rates: %s", hitRates(t, 500_000, 100_000, 10_000))
}
