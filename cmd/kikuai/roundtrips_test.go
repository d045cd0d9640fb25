package main

import (
	"net/http"
	"testing"
)

// TestE2ERoundTrips: a paid call costs Redis two round trips.
func TestE2ERoundTrips(t *testing.T) {
	s := newSite(t)
	// What a paid call touches and nothing in the background does.
	through := newTap(t, s.redis.Addr, "hold:{", "lim:{", "org:{")
	s.env["REDIS_URL"] = through.url()
	serve := s.serve()
	key := s.key(personID, "1")
	t.Run("of a key", func(t *testing.T) { s.countRounds(t, through, key, 2) })
	serve.stop()
	s.reconciled()
}

// countRounds makes paid calls one after another and holds their round trips to so many
// a call. The first call brings the scripts.
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
	before := through.counted()
	for range calls {
		pay()
	}
	rounds := through.counted() - before
	if rounds > most*calls || rounds < 2*calls {
		t.Errorf("%d paid calls took %d round trips to Redis, at most %d each", calls, rounds, most)
	}
	t.Logf("round trips: %d paid calls took %d to Redis", calls, rounds)
}
