//go:build prove

package main

import "testing"

// TestProveBroadcast: thousands of people, two servers, three kills.
func TestProveBroadcast(t *testing.T) {
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	broadcast(t, casting{people: 3000, blocked: 40, servers: 2, kills: 4, binary: path})
}
