package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

// TestE2ELoading: a Redis that is reading its file back means 503 with Retry-After,
// quickly; what it had read is in force again when it is done, with nothing lost.
func TestE2ELoading(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// Redis' own brake for such tests: so many µs for each command of the file. It looks
	// at its clients, and answers that it is loading, each 1,024 commands.
	disk, err := redisserver.Start(t.Context(), redisserver.Options{AppendOnly: true, Args: []string{
		"--key-load-delay", "50", "--auto-aof-rewrite-percentage", "0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	s.env["REDIS_URL"] = disk.URL()
	serve := s.serve()
	key := s.key(personID, "1")
	if status, body := s.chat(key, "exact", "go", 100); status != http.StatusOK {
		t.Fatalf("before: %d %s", status, body)
	}
	ballast(t, disk.Addr, 20_000) // two seconds of loading
	// What a second's fsync has not put on disk is put there by an orderly end.
	if err := disk.Stop(); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() { started <- disk.Start(context.WithoutCancel(t.Context())) }()
	asked := redis.NewClient(&redis.Options{Addr: disk.Addr, MaxRetries: -1})
	defer asked.Close()
	refused, seen, loading := 0, 0, time.Now()
	var slowest time.Duration
	for over := false; !over; {
		began := time.Now()
		status, retryAfter, body := s.paid(key)
		switch {
		case status == http.StatusServiceUnavailable && retryAfter != "":
			refused++
			slowest = max(slowest, time.Since(began))
			if err := asked.Ping(t.Context()).Err(); err != nil && strings.HasPrefix(err.Error(), "LOADING") {
				seen++
			}
		case status == http.StatusOK:
			over = true
		default:
			t.Fatalf("while Redis loads: %d %s", status, body)
		}
		if strings.Contains(body, "LOADING") {
			t.Errorf("an internal message: %s", body)
		}
		if time.Since(loading) > time.Minute {
			t.Fatal("not back within a minute")
		}
	}
	took := time.Since(loading)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if refused == 0 || seen == 0 {
		t.Errorf("%d calls refused, Redis seen loading %d times", refused, seen)
	}
	s.until(startIn, "ready", func() bool {
		status, _ := s.get("/readyz", "")
		return status == http.StatusOK
	})
	if available := mustAvailable(s, key); available != 1_000_000_000-2*callNano {
		t.Errorf("available %d after two calls", available)
	}
	serve.stop()
	s.reconciled()
	t.Logf("loading: %d calls refused in %s, the slowest in %s; balance exact", refused, took.Round(time.Millisecond), slowest.Round(time.Millisecond))
}

// ballast writes what takes Redis a while to read back.
func ballast(t *testing.T, addr string, keys int) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range keys {
			p.Set(t.Context(), fmt.Sprintf("ballast:%d", i), "x", 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// paid makes one paid call and also returns what it was told of when to come back.
func (s *site) paid(key string) (status int, retryAfter, body string) {
	s.t.Helper()
	const call = `{"model":"exact","max_tokens":100,"messages":[{"role":"user","content":"go"}]}`
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/v1/chat/completions", strings.NewReader(call))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := s.client.Do(request)
	if err != nil {
		return 0, "", err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", err.Error()
	}
	return response.StatusCode, response.Header.Get("Retry-After"), string(answer)
}
