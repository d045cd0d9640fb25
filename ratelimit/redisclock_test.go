package ratelimit_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/ratelimit"
)

// TestClockOfRedis: only the clock of Redis decides, however far it is from the one of
// the instance that asks.
func TestClockOfRedis(t *testing.T) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	source := ratelimit.NewRedis(client)
	at := time.Now().Add(-24 * time.Hour)
	for step, want := range []struct {
		after   time.Duration
		allowed bool
	}{
		{0, true}, {0, false}, {time.Minute - time.Microsecond, false}, {time.Microsecond, true}, {-5 * time.Second, false},
	} {
		at = at.Add(want.after)
		server.SetTime(at)
		got, err := takeOne(t.Context(), source, "lim:{s00}:clock", 1, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if got.Allowed != want.allowed {
			t.Errorf("step %d: allowed %v, want %v", step, got.Allowed, want.allowed)
		}
	}
}
