package testenv

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

// Redis starts a private redis-server and returns a client of it. Both end
// with the test.
func Redis(t testing.TB) *redis.Client {
	t.Helper()
	return RedisServer(t).Client()
}

// RedisHandle is a private redis-server that a test may stop, freeze and
// start again. A step that does not succeed fails the test. The handle is for
// the test's own goroutine.
type RedisHandle struct {
	Addr string // host:port on 127.0.0.1

	t      testing.TB
	server *redisserver.Server
}

// RedisServer starts a private redis-server that persists nothing.
func RedisServer(t testing.TB) *RedisHandle {
	t.Helper()
	return RedisServerWith(t, redisserver.Options{})
}

// RedisServerWith is RedisServer with options, say an append-only file.
func RedisServerWith(t testing.TB, o redisserver.Options) *RedisHandle {
	t.Helper()
	server, err := redisserver.Start(context.Background(), o)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	h := &RedisHandle{Addr: server.Addr, t: t, server: server}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("testenv: end Redis: %v", err)
		}
	})
	return h
}

// URL is the server's redis:// URL, database 0.
func (h *RedisHandle) URL() string { return h.server.URL() }

// Dir is where the server keeps its append-only file.
func (h *RedisHandle) Dir() string { return h.server.Dir() }

// Client returns a new client, closed at the test's end.
func (h *RedisHandle) Client() *redis.Client {
	h.t.Helper()
	return h.ClientWith(redis.Options{ContextTimeoutEnabled: true})
}

// ClientWith is Client with options; the address is filled in.
func (h *RedisHandle) ClientWith(o redis.Options) *redis.Client {
	h.t.Helper()
	o.Network, o.Addr = "tcp", h.Addr
	client := redis.NewClient(&o)
	h.t.Cleanup(func() { _ = client.Close() }) // a test may have closed it
	return client
}

// Stop ends the server in order; clients are refused until Start.
func (h *RedisHandle) Stop() {
	h.t.Helper()
	h.must("stop", h.server.Stop())
}

// Kill ends the server with SIGKILL.
func (h *RedisHandle) Kill() {
	h.t.Helper()
	h.must("kill", h.server.Kill())
}

// Start runs the stopped server again on the same port. Without an append-only
// file it comes back empty.
func (h *RedisHandle) Start() {
	h.t.Helper()
	h.must("start", h.server.Start(context.Background()))
}

// Pause freezes the server: it accepts connections and answers nothing.
func (h *RedisHandle) Pause() {
	h.t.Helper()
	h.must("pause", h.server.Pause())
}

// Resume lets a paused server go on.
func (h *RedisHandle) Resume() {
	h.t.Helper()
	h.must("resume", h.server.Resume())
}

// FlushAll empties every database of the server.
func (h *RedisHandle) FlushAll() {
	h.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: h.Addr})
	defer client.Close()
	h.must("flush", client.FlushAll(context.Background()).Err())
}

func (h *RedisHandle) must(step string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("testenv: %s Redis: %v", step, err)
	}
}
