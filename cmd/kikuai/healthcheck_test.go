package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:80": "127.0.0.1:80", "[::]:80": "[::1]:80",
		"127.0.0.1:1": "127.0.0.1:1", "10.0.0.7:8080": "10.0.0.7:8080", "kikuai:8080": "kikuai:8080",
	} {
		if got, err := reachable(addr); got != want || err != nil {
			t.Errorf("%s is reached at %q, %v; want %q", addr, got, err, want)
		}
	}
	if got, err := reachable("8080"); err == nil {
		t.Errorf("8080 is reached at %q", got)
	}
}

// TestHealthCommand: exit code 0 for a server that says 200, 1 for one that says anything
// else, says nothing or is away; in words.
func TestHealthCommand(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/health":
			_, _ = w.Write([]byte(`{"status":"alive"}`))
		case "/readyz":
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"status":"not ready"}`))
		}
	}))
	defer server.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	away, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := away.Addr().String()
	_ = away.Close()

	for _, row := range []struct {
		addr, says string
		args       []string
		code       int
	}{
		{server.Listener.Addr().String(), `{"status":"alive"}`, []string{"health"}, 0},
		{server.Listener.Addr().String(), `the server answers 503: {"status":"not ready"}`, []string{"health", "--ready"}, 1},
		{silent.Listener.Addr().String(), "the server does not answer", []string{"health"}, 1},
		{gone, "the server does not answer", []string{"health"}, 1},
		{"8080", "LISTEN_ADDR", []string{"health"}, 1},
	} {
		s := &site{t: t, env: map[string]string{"KIKUAI_ENV": "production", "LISTEN_ADDR": row.addr}}
		code, out, errs := s.here(row.args...)
		if code != row.code || !strings.Contains(out+errs, row.says) {
			t.Errorf("%v at %s: %d %q %q, want %d %q", row.args, row.addr, code, out, errs, row.code, row.says)
		}
	}
}
