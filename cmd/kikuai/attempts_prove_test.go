//go:build prove

package main

import (
	"testing"
	"time"
)

// TestProveAttempts is TestE2EAttempts for longer.
func TestProveAttempts(t *testing.T) {
	budget, broken := underFailure(t, 20*time.Second)
	t.Logf("a provider at 100 %% failure: %s; with breakers %s; states of both breakers %v", budget, broken, broken.states)
}
