package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// failFast is a client as FailFast makes it, of one address.
func failFast(t testing.TB, addr string) redis.UniversalClient {
	t.Helper()
	o, err := FailFast([]string{"redis://" + addr + "/0"})
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// answering is a server that answers every command with one line.
func answering(t *testing.T, line string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := make([]byte, 64<<10)
				for {
					n, err := conn.Read(in)
					if err != nil {
						return
					}
					// One answer per command: each begins an array at a line's start.
					for range strings.Count("\r\n"+string(in[:n]), "\r\n*") {
						if _, err := conn.Write([]byte(line)); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// TestWithoutRedis: whatever Redis does, the caller gets its value from the source, and
// then from memory; and what is invalidated here is gone here.
func TestWithoutRedis(t *testing.T) {
	frozen := testenv.RedisServer(t)
	frozen.Pause()
	t.Cleanup(frozen.Resume)
	stopped := testenv.RedisServer(t)
	stopped.Stop()
	full := testenv.RedisServer(t)
	if err := full.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for name, addr := range map[string]string{
		"refused":  stopped.Addr,
		"frozen":   frozen.Addr,
		"full":     full.Addr,
		"loading":  answering(t, "-LOADING Redis is loading the dataset in memory\r\n"),
		"moved":    answering(t, "-MOVED 1234 127.0.0.1:1\r\n"),
		"readonly": answering(t, "-READONLY You can't write against a read only replica.\r\n"),
		"nonsense": answering(t, "?!\r\n"),
		"ok":       answering(t, "+OK\r\n"), // an answer of the wrong shape
	} {
		t.Run(name, func(t *testing.T) {
			i := idle(t, Options{Redis: failFast(t, addr)}, spaceOptions())
			var src source
			for n := range 3 {
				src.number.Store(int64(n))
				must(t, i, "k", src.load, n)
				must(t, i, "k", never(t), n)
				// A full Redis can still be told to forget.
				if err := i.things.Invalidate(t.Context(), "k"); !errors.Is(err, ErrUnshared) && name != "full" {
					t.Errorf("invalidate: %v", err)
				}
			}
			if err := i.things.Put(t.Context(), "k", thing{Number: 7}); !errors.Is(err, ErrUnshared) {
				t.Errorf("put: %v", err)
			}
			must(t, i, "k", never(t), 7)
			if _, found := i.things.Lookup(t.Context(), "another"); found {
				t.Error("found")
			}
			if err := i.things.InvalidatePattern(t.Context(), "*"); !errors.Is(err, ErrUnshared) && name != "full" {
				t.Errorf("invalidate all: %v", err)
			}
		})
	}
}

// TestPatience: a request waits for a Redis that answers nothing no longer than the
// patience, all its calls together, and after a few nobody does.
func TestPatience(t *testing.T) {
	server := testenv.RedisServer(t)
	// The client would wait much longer: what ends the wait is the cache's own patience.
	client := server.ClientWith(redis.Options{ContextTimeoutEnabled: true, MaxRetries: -1, DialTimeout: patience, ReadTimeout: patience, PoolTimeout: patience})
	i := idle(t, Options{Redis: client}, spaceOptions())
	must(t, i, "warm", func(context.Context) (thing, error) { return thing{}, nil }, 0)
	server.Pause()
	var src source
	var longest time.Duration
	for n := range 10 {
		start := time.Now()
		must(t, i, string(rune('a'+n)), src.load, 0)
		longest = max(longest, time.Since(start))
		if n >= outageAfter && i.level2.outage.failures.Load() < outageAfter {
			t.Fatal("Redis is still waited for")
		}
	}
	t.Logf("longest read with a frozen Redis: %s", longest)
	if longest > 10*defaultPatience { // ten times, for the sake of busy machines; an unbounded call takes seconds
		t.Errorf("a read took %s", longest)
	}
	server.Resume()
	testenv.Until(t, "ask Redis again", func() bool {
		must(t, i, rand.Text(), src.load, 0)
		return i.level2.outage.failures.Load() == 0
	})
}

// TestScriptsFlushed: Redis forgets the scripts, and they are told again.
func TestScriptsFlushed(t *testing.T) {
	client := testenv.Redis(t)
	i := idle(t, options(client), spaceOptions())
	var src source
	for range 2 {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		must(t, i, rand.Text(), src.load, 0)
		if err := i.things.InvalidatePattern(t.Context(), "*"); err != nil {
			t.Fatal(err)
		}
	}
	if n := i.count(t, "cache_hits_total", "level=l2", "result=error"); n != 0 {
		t.Errorf("%v errors of level two", n)
	}
}

// TestPutOffInvalidations: what was invalidated while Redis was away is invalidated
// there when it is back, and not read from there before.
func TestPutOffInvalidations(t *testing.T) {
	server := testenv.RedisServer(t)
	so := spaceOptions()
	so.Tags = func(key string) []string { return []string{"tag of " + key} }
	a, b := start(t, options(server.Client()), so), idle(t, Options{Redis: failFast(t, server.Addr), LockWait: patience}, so)
	var src source
	src.number.Store(1)
	keys := []string{"key", "tagged", "pattern", "put"}
	for _, key := range keys {
		must(t, a, key, src.load, 1)
		must(t, b, key, src.load, 1)
	}
	server.Pause()
	src.number.Store(2)
	for _, err := range []error{
		b.things.Invalidate(t.Context(), "key"), b.things.InvalidateTag(t.Context(), "tag of tagged"),
		b.things.InvalidatePattern(t.Context(), "pat*"), b.things.Put(t.Context(), "put", thing{Number: 2}),
	} {
		if !errors.Is(err, ErrUnshared) {
			t.Fatal(err)
		}
	}
	for _, key := range keys {
		must(t, b, key, src.load, 2)
	}
	server.Resume() // with all that it held
	b.level2.outage.failures.Store(0)
	for _, key := range keys {
		b.memory.drop(b.things.s.at(key))
		must(t, b, key, src.load, 2)
	}
	testenv.Until(t, "tell Redis", func() bool {
		b.catchUp(t.Context())
		return b.backlog.size.Load() == 0
	})
	for _, key := range keys {
		testenv.Until(t, "reach the other instance", func() bool {
			v, err := a.things.Fetch(t.Context(), key, src.load)
			return err == nil && v.Number == 2
		})
		must(t, idle(t, options(server.Client()), so), key, src.load, 2)
	}
}
