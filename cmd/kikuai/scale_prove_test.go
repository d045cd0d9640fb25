//go:build prove

package main

import (
	"testing"
	"time"
)

// TestProveRollingFront replaces each of three servers behind the front five times
// (PROVE_ROUNDS), and kills each once.
func TestProveRollingFront(t *testing.T) {
	fleet(t, voyage{reads: 24, calls: 24, streams: 60, pause: 50 * time.Millisecond, replaced: proveInt(t, "PROVE_ROUNDS", 5) * servers, killed: servers})
}

// TestProveFailover loses masters of a Redis Cluster: crashed, and frozen for as long as it
// takes the others to give them up.
func TestProveFailover(t *testing.T) {
	failedOver(t, failover{kills: 6, freezes: 3, every: 4 * time.Second})
}
