package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestE2EOutages: Redis away means 503 with Retry-After and a red /readyz, Postgres away
// means calls go on; /health stays green, and both recover without a restart.
func TestE2EOutages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	database := testenv.PostgresServer(t)
	s.env["DATABASE_URL"], s.database = database.URL(), database.URL()
	s.command("migrate")
	serve := s.serve()
	key := s.key(personID, "1")
	status := func(path string) int {
		t.Helper()
		code, _ := s.get(path, key)
		return code
	}
	settled := func(what string, want map[string]int) {
		t.Helper()
		s.until(30*time.Second, what, func() bool {
			for path, code := range want {
				if status(path) != code {
					return false
				}
			}
			return true
		})
	}
	settled("up", map[string]int{"/health": 200, "/readyz": 200, "/api/v1/balance": 200})

	for name, outage := range map[string]struct{ begin, end func() }{
		"refused":    {s.redis.Stop, s.redis.Start},
		"black hole": {s.redis.Pause, s.redis.Resume},
	} {
		outage.begin()
		settled(name, map[string]int{"/health": 200, "/readyz": 503, "/api/v1/balance": 503})
		started := time.Now()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/models", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || time.Since(started) > 8*time.Second {
			t.Errorf("%s: %d, Retry-After %q, after %s", name, response.StatusCode, response.Header.Get("Retry-After"), time.Since(started))
		}
		if code, body := s.chat(key, "echo", "hello", 10); code != 503 {
			t.Errorf("%s: a paid call answers %d %s", name, code, body)
		}
		outage.end()
		settled("back from "+name, map[string]int{"/readyz": 200, "/api/v1/balance": 200})
		s.opened(s.redis.Client())
	}
	if code, body := s.chat(key, "echo", "hello", 10); code != 200 {
		t.Fatalf("after the outages of Redis: %d %s", code, body)
	}

	database.Stop()
	settled("without Postgres", map[string]int{"/health": 200, "/readyz": 503, "/api/v1/balance": 200})
	if code, body := s.chat(key, "echo", "hello", 10); code != 200 {
		t.Errorf("a paid call without Postgres: %d %s", code, body)
	}
	database.Start()
	settled("back from Postgres", map[string]int{"/readyz": 200})
	available := mustAvailable(s, key)
	l := s.ledger()
	s.until(30*time.Second, "the ledger is there", func() bool {
		stated, err := l.Balance(t.Context(), 1)
		return err == nil && stated == available
	})
	serve.stop()
	s.reconciled()
}

// TestE2EStartWithoutStores: what is away at the start is named and waited for.
func TestE2EStartWithoutStores(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.redis.Stop()
	serve := s.spawn("serve")
	s.until(startIn, "alive", func() bool {
		code, _ := s.get("/health", "")
		return code == 200
	})
	if code, body := s.get("/readyz", ""); code != 503 || !strings.Contains(body, "redis") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	s.until(10*time.Second, "said", func() bool { return strings.Contains(serve.log.String(), "Redis is away") })
	if text := serve.log.String(); strings.Contains(text, "goroutine ") {
		t.Errorf("a stack trace:\n%s", text)
	}
	s.redis.Start()
	serve.waitReady()
	serve.stop()
}

// TestE2EFaultyConfiguration: every fault in one message, and no secret in it.
func TestE2EFaultyConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env = map[string]string{"KIKUAI_ENV": "production", "LISTEN_ADDR": "nonsense", "KEY_PEPPER": "short-and-secret"}
	out, errs, err := s.try("serve")
	if err == nil {
		t.Fatalf("serve started: %s", out)
	}
	for _, name := range []string{"DATABASE_URL", "REDIS_URL", "TELEGRAM_BOT_TOKEN", "WEBHOOK_SECRET", "PUBLIC_URL", "KEY_PEPPER", "LISTEN_ADDR"} {
		if !strings.Contains(string(errs), name) {
			t.Errorf("%s is not named in:\n%s", name, errs)
		}
	}
	if strings.Contains(string(errs), "short-and-secret") {
		t.Errorf("a secret is printed:\n%s", errs)
	}
}

// TestE2EAdminFirst: everything can be prepared before the first server runs.
func TestE2EAdminFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var credited accountAnswer
	s.admin(&credited, "credit", "--telegram-id", "7", "--usd", "2", "--idempotency-key", "a")
	var made struct {
		Key string `json:"key"`
	}
	s.admin(&made, "key", "--telegram-id", "7", "--name", "x")
	if credited.AvailableNanoUSD != 2_000_000_000 || credited.BalanceCurrent {
		t.Errorf("before any server: %+v", credited)
	}
	serve := s.serve()
	if available := mustAvailable(s, made.Key); available != 2_000_000_000 {
		t.Errorf("available %d", available)
	}
	serve.stop()
	s.reconciled()
}

// TestE2EAdminCommands: credits are idempotent, faults are told.
func TestE2EAdminCommands(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	credit := func(usd, key string) (string, error) {
		out, errs, err := s.try("admin", "credit", "--telegram-id", "7", "--usd", usd, "--idempotency-key", key, "--json")
		return string(out) + string(errs), err
	}
	for range 3 {
		if out, err := credit("1.50", "a"); err != nil || !strings.Contains(out, `"available_nano_usd": 1500000000`) {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, usd := range []string{"2", "0", "-1", "1e3", "0.0000000001", "٣", ""} {
		if out, err := credit(usd, "a"); err == nil {
			t.Errorf("credit of %q: %s", usd, out)
		}
	}
	var stranger accountAnswer
	s.admin(&stranger, "user", "--telegram-id", "8")
	if stranger.AccountID == 0 || stranger.AvailableNanoUSD != 0 {
		t.Errorf("a stranger's account: %+v", stranger)
	}
	if _, _, err := s.try("admin", "user", "--telegram-id", "-8"); err == nil {
		t.Error("a negative Telegram id passes")
	}
	var made struct {
		KeyID int64  `json:"key_id"`
		Key   string `json:"key"`
	}
	s.admin(&made, "key", "--telegram-id", "7", "--name", "x", "--rpm", "2")
	for i, want := range []int{200, 200, 429} {
		if code, body := s.get("/v1/models", made.Key); code != want {
			t.Errorf("request %d: %d %s", i, code, body)
		}
	}
	if _, _, err := s.try("admin", "revoke", "--telegram-id", "8", "--key-id", fmt.Sprint(made.KeyID)); err == nil {
		t.Error("a key was revoked in another's name")
	}
	if _, _, err := s.try("admin", "revoke"); err == nil {
		t.Error("a revocation of no key passes")
	}
	s.command("admin", "revoke", "--key-id", fmt.Sprint(made.KeyID))
	s.command("admin", "revoke", "--telegram-id", "7", "--key", made.Key)
	s.until(5*time.Second, "told that the key is revoked", func() bool { // remembered as denied for a moment, at most
		code, body := s.get("/v1/models", made.Key)
		if code != 401 && code != 429 {
			t.Fatalf("a revoked key answers %d %s", code, body)
		}
		return code == 401
	})
	if code, body := s.get("/v1/models", made.Key); code != 401 {
		t.Errorf("a key that was told to be revoked answers %d %s", code, body)
	}
	serve.stop()
	s.reconciled()
}
