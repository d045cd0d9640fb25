package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/testenv"
)

// scrapedIn is far below what Prometheus waits for an answer (10 s where nothing is set),
// and below the shortest wait for a store that does not answer.
const scrapedIn = 200 * time.Millisecond

// TestE2EScraped: while Redis and Postgres are frozen and calls hang on them, what
// Prometheus, a balancer and an operator ask is answered without waiting for either, and
// says that they are away.
func TestE2EScraped(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	database := testenv.PostgresServer(t)
	s.useDatabase(database.URL())
	serve := s.serve()
	key := s.key(personID, "1")
	if status, body := s.chat(key, "exact", "hello", 100); status != http.StatusOK {
		t.Fatalf("a call: %d %s", status, body)
	}
	s.redis.Pause()
	database.Pause()
	var callers sync.WaitGroup
	over := make(chan struct{})
	for range 4 {
		callers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					s.get("/api/v1/balance", key)
					s.get("/api/v1/usage", key)
				}
			}
		})
	}
	s.until(startIn, "not ready", func() bool {
		_, body := s.get("/readyz", "")
		return strings.Contains(body, `"redis":"failing"`) && strings.Contains(body, `"postgres":"failing"`)
	})
	s.until(startIn, "shown as away", func() bool {
		text := s.ops("/metrics")
		return strings.Contains(text, `dependency_up{name="redis"} 0`) && strings.Contains(text, `dependency_up{name="postgres"} 0`)
	})
	var health struct{ Status, Redis, Postgres string }
	if err := json.Unmarshal([]byte(s.ops("/performance/health")), &health); err != nil || health.Status != "degraded" || health.Redis == "ok" || health.Postgres == "ok" {
		t.Errorf("/performance/health: %+v, %v", health, err)
	}
	// Who waits for a store is never so quick; who does not is, once the machine has a moment.
	for name, ask := range map[string]func(){
		"/metrics":             func() { s.ops("/metrics") },
		"/performance/metrics": func() { s.ops("/performance/metrics") },
		"/performance/health":  func() { s.ops("/performance/health") },
		"/health":              func() { s.get("/health", "") },
		"/readyz":              func() { s.get("/readyz", "") },
	} {
		s.until(time.Minute, name+" answered within "+scrapedIn.String(), func() bool {
			began := time.Now()
			ask()
			return time.Since(began) < scrapedIn
		})
	}
	close(over)
	callers.Wait()
	s.redis.Resume()
	database.Resume()
	serve.waitReady()
	serve.stop()
	s.reconciled()
}

// TestWatch: what was not looked at, or has not answered for long, is not taken for well.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWatch(testenv.Logger(t), []dependency{{name: "thing"}}, prometheus.NewPedanticRegistry())
	ask := w.last("thing")
	if err := ask(t.Context()); !errors.Is(err, errNotLooked) {
		t.Errorf("before the first look: %v", err)
	}
	broken := errors.New("broken")
	for _, v := range []reading{{nil, time.Now()}, {broken, time.Now()}} {
		w.seen["thing"].Store(&v)
		if err := ask(t.Context()); !errors.Is(err, v.err) {
			t.Errorf("%v is told as %v", v.err, err)
		}
	}
	w.seen["thing"].Store(&reading{nil, time.Now().Add(-2 * readingLife)})
	if err := ask(t.Context()); err == nil {
		t.Error("a look that never ends counts as well")
	}
}
