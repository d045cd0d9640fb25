package cache

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestTags: a tag takes all its keys from both levels of all instances, and no others.
func TestTags(t *testing.T) {
	for name, client := range servers(t) {
		t.Run(name, func(t *testing.T) { tags(t, client) })
	}
}

func tags(t *testing.T, client redis.UniversalClient) {
	so := spaceOptions()
	so.Tags = func(key string) []string { // account:model
		account, model, _ := strings.Cut(key, ":")
		return []string{"account " + account, "model " + model}
	}
	a, b := start(t, options(client), so), start(t, options(client), so)
	var src source
	keys := []string{"1:x", "1:y", "2:x", "2:y", "{3}:*"}
	for _, key := range keys {
		must(t, a, key, src.load, 0)
		must(t, b, key, never(t), 0)
	}
	for n, row := range []struct {
		tag  string
		keys string
	}{{"account 1", "1:x 1:y"}, {"model y", "1:y 2:y"}, {"account {3}", "{3}:*"}, {"model *", "{3}:*"}, {"account *", ""}} {
		src.number.Store(int64(n + 1))
		if err := a.things.InvalidateTag(t.Context(), row.tag); err != nil {
			t.Fatal(err)
		}
		testenv.Until(t, "take the message", func() bool { return b.count(t, "cache_invalidations_total", "how=received") == float64(n+1) })
		fresh := idle(t, options(client), so)
		for _, key := range keys {
			hit := strings.Contains(" "+row.keys+" ", " "+key+" ")
			for who, i := range map[string]*instance{"who invalidated": a, "the other": b, "a new one": fresh} {
				if _, found := i.things.Lookup(t.Context(), key); found == hit {
					t.Errorf("%s: %s: %s was found: %v", row.tag, who, key, found)
				}
			}
		}
		for _, key := range keys {
			if _, err := b.things.Fetch(t.Context(), key, src.load); err != nil {
				t.Fatal(err)
			}
			if _, found := a.things.Lookup(t.Context(), key); !found {
				t.Errorf("%s was not loaded again", key)
			}
		}
	}
}

// TestPatterns: a pattern takes the keys that match, by their own bytes, from both
// levels of all instances, and no others; never with KEYS.
func TestPatterns(t *testing.T) {
	for name, client := range servers(t) {
		t.Run(name, func(t *testing.T) { patterns(t, client, 100) })
	}
}

// patterns runs on any kind of client, with many more keys than one look finds.
func patterns(t *testing.T, client redis.UniversalClient, many int) {
	a, b := start(t, options(client), spaceOptions()), start(t, options(client), spaceOptions())
	elsewhere := NewSpace[thing](a.Cache, SpaceOptions{Name: "things-2", TTL: spaceOptions().TTL})
	var src source
	keys := []string{"", "a", "ab", "a*b", "a?", "a{b}", "{a}", "\x00", "00", "a/b/c", "A"}
	for n := range many {
		keys = append(keys, fmt.Sprintf("many:%d.", n))
	}
	for n, row := range []struct{ pattern, keys string }{
		{"a*", "a ab a*b a? a{b} a/b/c"},
		{"a?", "ab a?"},
		{`a\*b`, "a*b"},
		{"*00", "00"}, // and not the byte 0, which is %00 in Redis
		{"{*", "{a}"},
		{"a/?/c", "a/b/c"},
		{"", ""},
		{"many:*", "many:*"},
		{"nothing*", "-"},
		{"*", "*"},
	} {
		for _, key := range keys {
			if _, err := a.things.Fetch(t.Context(), key, src.load); err != nil {
				t.Fatal(err)
			}
			if _, found := b.things.Lookup(t.Context(), key); !found {
				t.Fatalf("%q is not there", key)
			}
		}
		if _, err := elsewhere.Fetch(t.Context(), "a", src.load); err != nil {
			t.Fatal(err)
		}
		if err := a.things.InvalidatePattern(t.Context(), row.pattern); err != nil {
			t.Fatal(err)
		}
		testenv.Until(t, "take the message", func() bool { return b.count(t, "cache_invalidations_total", "how=received") == float64(n+1) })
		fresh := idle(t, options(client), spaceOptions())
		for _, key := range keys {
			hit := row.keys == "*" || strings.Contains(" "+row.keys+" ", " "+key+" ") && (key != "" || row.pattern == "") ||
				row.keys == "many:*" && strings.HasPrefix(key, "many:")
			for who, i := range map[string]*instance{"who invalidated": a, "the other": b, "a new one": fresh} {
				if _, found := i.things.Lookup(t.Context(), key); found == hit {
					t.Errorf("%s: %s: %q was found: %v", row.pattern, who, key, found)
				}
			}
		}
		if _, found := elsewhere.Lookup(t.Context(), "a"); !found {
			t.Errorf("%s: another space lost its value", row.pattern)
		}
	}
}

// TestCluster: values, tags, patterns, the order of writes and the messages on three
// masters.
func TestCluster(t *testing.T) {
	cluster := testenv.RedisCluster(t)
	client := cluster.Client()
	t.Run("tags", func(t *testing.T) { tags(t, client) })
	flush(t, client)
	t.Run("patterns", func(t *testing.T) { patterns(t, client, 1000) })
	flush(t, client)
	t.Run("one load", func(t *testing.T) {
		r := newRefreshing(t, client, 3, 0)
		if err := r.fleet[0].things.InvalidatePattern(t.Context(), "*"); err != nil {
			t.Fatal(err)
		}
		for _, i := range r.fleet[1:] {
			testenv.Until(t, "take the message", func() bool { return i.count(t, "cache_invalidations_total", "how=received") == 1 })
		}
		r.src.number.Store(1)
		got := r.readers(t, r.src.load)
		if n := r.src.asked.Load() - 1; n != 1 || got[1] < 999 {
			t.Errorf("%d loads, want 1; values %v", n, got)
		}
	})
	t.Run("a node is away", func(t *testing.T) {
		o := options(client)
		o.RedisPatience = defaultPatience
		i := idle(t, o, spaceOptions())
		var src source
		must(t, i, "away", src.load, 0)
		cluster.NodeOf(valueKey("things", "away")).Pause()
		t.Cleanup(cluster.NodeOf(valueKey("things", "away")).Resume)
		i.memory.drop(i.things.s.at("away"))
		src.number.Store(1)
		must(t, i, "away", src.load, 1)
	})
}

func flush(t *testing.T, client *redis.ClusterClient) {
	t.Helper()
	err := client.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		return node.FlushAll(ctx).Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestWarm fetches what is to be warm, and says what could not be.
func TestWarm(t *testing.T) {
	i := idle(t, options(testenv.Redis(t)), spaceOptions())
	var keys []string
	for n := range 50 {
		keys = append(keys, fmt.Sprint(n))
	}
	err := i.things.Warm(t.Context(), keys, func(_ context.Context, key string) (thing, error) {
		switch key {
		case "13":
			return thing{}, fmt.Errorf("unlucky")
		case "14":
			return thing{}, ErrNotFound
		}
		return thing{Text: key}, nil
	})
	if err == nil || !strings.Contains(err.Error(), `"13"`) || strings.Contains(err.Error(), "14") {
		t.Errorf("warm: %v", err)
	}
	for _, key := range keys {
		if v, found := i.things.Lookup(t.Context(), key); found != (key != "13" && key != "14") || found && v.Text != key {
			t.Errorf("%s: %v, %v", key, v, found)
		}
	}
}

// TestSweep: what has expired leaves memory without being asked for.
func TestSweep(t *testing.T) {
	for _, policy := range []Policy{TinyLFU, LRU, TTL} {
		now := newClock()
		i := start(t, Options{Now: now.Now, Policy: policy}, spaceOptions())
		var src source
		for n := range 10 {
			must(t, i, fmt.Sprint(n), src.load, 0)
		}
		if n, bytes := i.count(t, "cache_entries"), i.count(t, "cache_bytes"); n != 10 || bytes == 0 {
			t.Errorf("%s: %v entries of %v bytes", policy, n, bytes)
		}
		now.Advance(spaceOptions().L1TTL)
		testenv.Until(t, "sweep", func() bool { return i.count(t, "cache_entries") == 0 && i.count(t, "cache_bytes") == 0 })
	}
}
