package cache

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestLostMessages: an instance whose subscription broke while something was
// invalidated does not serve the old value once it hears again.
func TestLostMessages(t *testing.T) {
	server := testenv.RedisServer(t)
	client := server.Client()
	a, b := start(t, options(client), spaceOptions()), start(t, options(client), spaceOptions())
	var src source
	for n := range 5 {
		src.number.Store(int64(n))
		must(t, b, "k", src.load, n)
		before := b.count(t, "cache_resyncs_total")
		src.number.Store(int64(n + 1))
		// Cut every subscription, and invalidate before they are back.
		if err := client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		if err := a.things.Invalidate(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		testenv.Until(t, "hear again", func() bool { return b.count(t, "cache_resyncs_total") > before })
		testenv.Until(t, "give up the old value", func() bool {
			v, err := b.things.Fetch(t.Context(), "k", src.load)
			return err == nil && v.Number == n+1
		})
	}
}

// TestDeafInstance: one that hears nothing at all serves an old value for L1TTL and no
// longer.
func TestDeafInstance(t *testing.T) {
	client := testenv.Redis(t)
	now := newClock()
	o := options(client)
	o.Now = now.Now
	so := spaceOptions()
	so.L1TTL = 5 * time.Second
	deaf, other := idle(t, o, so), idle(t, options(client), so)
	var src source
	must(t, deaf, "k", src.load, 0)
	src.number.Store(1)
	if err := other.things.Invalidate(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	now.Advance(so.L1TTL - time.Nanosecond)
	must(t, deaf, "k", never(t), 0)
	now.Advance(time.Nanosecond)
	must(t, deaf, "k", src.load, 1)
}

// TestSilentSubscription: one that answers nothing, without an error, is given up.
func TestSilentSubscription(t *testing.T) {
	server := testenv.RedisServer(t)
	i := start(t, Options{Redis: redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1})}, spaceOptions())
	t.Cleanup(func() { _ = i.redis.Close() })
	before := i.count(t, "cache_resyncs_total")
	server.Pause()
	time.AfterFunc(3*time.Second, server.Resume) // a second of silence, and one for the answer to a ping
	testenv.Until(t, "subscribe anew", func() bool { return i.count(t, "cache_resyncs_total") > before })
}

// TestStrayMessages: what is not understood empties level one, for it might be a newer
// version's invalidation; one for a space that is not here does nothing.
func TestStrayMessages(t *testing.T) {
	client := testenv.Redis(t)
	i := start(t, options(client), spaceOptions())
	var src source
	must(t, i, "k", src.load, 0)
	publish := func(text string) {
		t.Helper()
		if err := client.Publish(t.Context(), channel, text).Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish(message{from: "x", order: order{space: "elsewhere", kind: oneKey, text: "k"}}.String())
	testenv.Until(t, "take the message", func() bool { return i.count(t, "cache_invalidations_total", "how=received") == 1 })
	if i.memory.store.size() != 1 {
		t.Error("another space's message emptied level one")
	}
	for n, text := range []string{"", "x", "x key things", "x key things %4", "x nothing things k", "x key THINGS k", "x key things k more"} {
		publish(text)
		testenv.Until(t, "count it", func() bool { return i.count(t, "cache_stray_messages_total") == float64(n+1) })
		if i.memory.store.size() != 0 {
			t.Errorf("%q left level one as it was", text)
		}
		must(t, i, "k", never(t), 0)
	}
}
