package main

import (
	"fmt"
	"net/http"
	"testing"
)

// TestE2ERoundTrips: a paid call costs Redis two round trips, whatever limits key and
// account have, and a third where an organisation, or a limit of the whole installation,
// has a say before.
func TestE2ERoundTrips(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// A call's own commands carry its hold's name; nothing in the background does.
	through := newTap(t, s.redis.Addr, "api-")
	s.env["REDIS_URL"] = through.url()
	key := s.key(personID, "1")
	serve := s.serve()
	t.Run("of a key", func(t *testing.T) { s.countRounds(t, through, key, 2) })
	s.command("admin", "limit", "--key-id", "1", "--rpm", "100000", "--tpm", "100000000", "--concurrency", "100", "--per-second", "1000", "--burst", "1000")
	s.command("admin", "tier", "set", "large", "--rpm", "100000", "--tpm", "100000000")
	s.command("admin", "tier", "assign", "--telegram-id", fmt.Sprint(personID), "--tier", "large")
	t.Run("with all limits of key and account", func(t *testing.T) { s.countRounds(t, through, key, 2) })
	s.members(s.organisation("together", "--rpm", "100000", "--tpm", "100000000", "--budget-usd", "1"), personID)
	t.Run("of an organisation", func(t *testing.T) { s.countRounds(t, through, key, 3) })
	serve.stop()
	s.env["RATE_LIMIT_GLOBAL_PER_MINUTE"] = "100000"
	serve = s.serve()
	t.Run("of an organisation, under a limit of all", func(t *testing.T) { s.countRounds(t, through, key, 3) })
	serve.stop()
	s.reconciled()
}

// countRounds makes paid calls one after another and holds their round trips, one after
// another, to so many a call. The first calls bring the scripts, and what the server must
// learn once.
func (s *site) countRounds(t *testing.T, through *tap, key string, most int64) {
	t.Helper()
	const calls = 50
	pay := func() {
		t.Helper()
		if status, body := s.chat(key, "exact", "go", 100); status != http.StatusOK {
			t.Fatalf("a paid call answers %d %s", status, body)
		}
	}
	pay()
	pay()
	tripsBefore, roundsBefore := through.counted()
	for range calls {
		pay()
	}
	trips, rounds := through.counted()
	trips, rounds = trips-tripsBefore, rounds-roundsBefore
	if rounds > most*calls || rounds < 2*calls {
		t.Errorf("%d paid calls took %d round trips one after another, at most %d each", calls, rounds, most)
	}
	t.Logf("round trips: %d paid calls took %d to Redis one after another, %d with those side by side", calls, rounds, trips)
}
