package cache

import (
	"context"
	"errors"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// servers are what every test of level two's scripts runs on.
func servers(t *testing.T) map[string]*redis.Client {
	t.Helper()
	mini := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr(), MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = mini.Close() })
	return map[string]*redis.Client{"redis": testenv.Redis(t), "miniredis": mini}
}

// TestFetchLevels: a value is loaded once, then comes from memory here and from Redis
// elsewhere; an invalidation takes it from everywhere.
func TestFetchLevels(t *testing.T) {
	for name, client := range servers(t) {
		t.Run(name, func(t *testing.T) {
			a, b := start(t, options(client), spaceOptions()), start(t, options(client), spaceOptions())
			var src source
			src.number.Store(1)
			must(t, a, "k", src.load, 1)
			must(t, a, "k", never(t), 1)
			must(t, b, "k", never(t), 1)
			if hits := b.count(t, "cache_hits_total", "level=l2", "result=hit"); hits != 1 {
				t.Errorf("%v hits of level two, want 1", hits)
			}
			src.number.Store(2)
			if err := a.things.Invalidate(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			must(t, a, "k", src.load, 2)
			testenv.Until(t, "take the message", func() bool { return b.count(t, "cache_invalidations_total", "how=received") == 1 })
			must(t, b, "k", never(t), 2)
			if err := b.things.Put(t.Context(), "k", thing{Number: 3}); err != nil {
				t.Fatal(err)
			}
			must(t, b, "k", never(t), 3)
			testenv.Until(t, "take the message", func() bool { return a.count(t, "cache_invalidations_total", "how=received") == 1 })
			must(t, a, "k", never(t), 3)
			if n := src.asked.Load(); n != 2 {
				t.Errorf("the source was asked %d times, want 2", n)
			}
		})
	}
}

// TestNegative: an absence is remembered, here and elsewhere; other errors are not.
func TestNegative(t *testing.T) {
	client := testenv.Redis(t)
	a, b := start(t, options(client), spaceOptions()), start(t, options(client), spaceOptions())
	missing := func(context.Context) (thing, error) { return thing{}, errors.Join(errors.New("no row"), ErrNotFound) }
	for range 2 {
		if _, err := a.things.Fetch(t.Context(), "k", missing); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	if _, err := b.things.Fetch(t.Context(), "k", never(t)); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if _, found := b.things.Lookup(t.Context(), "k"); found {
		t.Error("an absence was looked up")
	}
	broken := errors.New("broken")
	for range 2 {
		if _, err := a.things.Fetch(t.Context(), "other", func(context.Context) (thing, error) { return thing{}, broken }); !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	if n := a.count(t, "cache_hits_total", "level=source", "result=error"); n != 2 {
		t.Errorf("an error was remembered: %v loads", n)
	}
}
