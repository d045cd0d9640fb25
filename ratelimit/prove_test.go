//go:build prove

package ratelimit_test

import "testing"

// TestProveLimits: a million arrivals at five kinds of limits on a hand-moved clock.
func TestProveLimits(t *testing.T) { t.Logf("limits: %s", besiege(t, 150_000, 50)) }
