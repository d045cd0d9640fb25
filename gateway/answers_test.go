package gateway

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/internal/testenv"
)

// still is a deterministic request's field, and old asks for answers of the last hour.
const (
	still = `"temperature":0`
	old   = "max-age=3600"
)

// answering makes a rig that keeps answers, on a clock that tests move.
func answering(t *testing.T, edit ...func(*setup)) (*rig, *hands) {
	t.Helper()
	clock := &hands{now: time.Now().Truncate(time.Second)}
	c, err := cache.New(cache.Options{Redis: testenv.Redis(t), RedisPatience: patience, Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	space := NewAnswerSpace(c, time.Hour)
	return newRig(t, append(edit, func(s *setup) { s.server.Answers, s.server.Now = space, clock.time })...), clock
}

// hands are a clock that tests set.
type hands struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hands) time() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hands) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func (r *rig) complete(key, body string, headers ...string) answer {
	r.t.Helper()
	return r.do("POST", "/v1/chat/completions", key, body, headers...)
}

// overwrite changes what Redis has of an account.
func (r *rig) overwrite(account int64, field string, value any) {
	r.t.Helper()
	testenv.Until(r.t, "Redis has it", func() bool { // it may be slow for once
		return r.client.HSet(r.t.Context(), billing.AcctKey(account), field, value).Err() == nil
	})
}

// wantCache checks X-Cache and that an answer is one.
func (a answer) wantCache(t testing.TB, state string) answer {
	t.Helper()
	if a.status != http.StatusOK || a.header.Get("X-Cache") != state {
		t.Errorf("answered %d with X-Cache %q, want %q: %s", a.status, a.header.Get("X-Cache"), state, a.body)
	}
	return a
}

// TestAnswersAreGivenAgain: the same request of the same account gets the same answer,
// free, without the provider, and counts as a request.
func TestAnswersAreGivenAgain(t *testing.T) {
	r, clock := answering(t)
	account, key := r.account(1_000_000_000)
	body := chatBody("paid", still)
	first := r.complete(key, body, "Cache-Control", old).wantCache(t, cacheMiss)
	spent := 1_000_000_000 - r.settled(account)
	if spent <= 0 || nano(t, first.header.Get("X-Cost-USD")) != spent {
		t.Fatalf("the first costs %d: %v", spent, first.header)
	}
	clock.pass(90*time.Second + time.Millisecond)
	again := r.complete(key, body, "Cache-Control", "Max-Age=3600").wantCache(t, cacheHit)
	if again.header.Get("X-Cost-USD") != "0.00" || again.header.Get("Age") != "90" || again.header.Get("Content-Type") != "application/json" ||
		again.header.Get("RateLimit") == "" || again.header.Get("X-Request-Id") == first.header.Get("X-Request-Id") {
		t.Errorf("headers %v", again.header)
	}
	if cost := again.get("usage.cost"); cost.Raw != "0.00" || again.get("usage.total_tokens").Int() != first.get("usage.total_tokens").Int() {
		t.Errorf("usage %s, first %s", again.get("usage").Raw, first.get("usage").Raw)
	}
	if strings.Replace(first.body, `"cost":`+first.get("usage.cost").Raw, `"cost":0.00`, 1) != again.body {
		t.Errorf("answered\n%s\nfirst\n%s", again.body, first.body)
	}
	remaining := func(a answer) string { return a.header.Get("X-Ratelimit-Remaining-Requests") }
	if next := r.complete(key, body, "Cache-Control", old).wantCache(t, cacheHit); remaining(next) >= remaining(again) || remaining(again) >= remaining(first) {
		t.Errorf("requests left: %s, %s, %s", remaining(first), remaining(again), remaining(next))
	}
	if n := r.sim.Count(); n != 1 {
		t.Errorf("the provider was called %d times", n)
	}
	r.wantBalance(account, 1_000_000_000-spent)
	if got := r.ledger(account, 1); got != spent {
		t.Errorf("the ledger has %d, want %d", got, spent)
	}
	for result, want := range map[string]float64{cacheHit: 2, cacheMiss: 1, "stored": 1} {
		if got := testutil.ToFloat64(r.server.answers.results.WithLabelValues(result)); got != want {
			t.Errorf("%s: %v, want %v", result, got, want)
		}
	}
}

// TestAnswersAreTheAccounts: nobody gets another account's answer, or any without a key
// that is good, or for an account that may not make calls.
func TestAnswersAreTheAccounts(t *testing.T) {
	r, _ := answering(t)
	account, key := r.account(1_000_000_000)
	_, other := r.account(1_000_000_000)
	body := chatBody("paid", still)
	r.complete(key, body, "Cache-Control", old).wantCache(t, cacheMiss)
	r.complete(other, body, "Cache-Control", old).wantCache(t, cacheMiss)
	if n := r.sim.Count(); n != 2 {
		t.Errorf("the provider was called %d times", n)
	}
	r.complete("", body, "Cache-Control", old).wantError(t, http.StatusUnauthorized, "invalid_api_key")
	forged := key[:len(key)-20] + strings.Repeat("A", 20)
	r.complete(forged, body, "Cache-Control", old).wantError(t, http.StatusUnauthorized, "invalid_api_key")
	keys, err := r.desk.Keys.List(t.Context(), account)
	r.must(err)
	stranger := key // well formed, of this account, and revoked
	r.must(r.desk.Keys.Revoke(t.Context(), account, keys[0].ID, billing.OfAccount(account)))
	r.complete(stranger, body, "Cache-Control", old).wantError(t, http.StatusUnauthorized, "invalid_api_key")

	_, third := r.account(1_000_000_000)
	r.complete(third, body, "Cache-Control", old).wantCache(t, cacheMiss)
	shut := int64(3)
	r.overwrite(shut, "status", "suspended")
	r.complete(third, body, "Cache-Control", old).wantError(t, http.StatusForbidden, "account_inactive")
	r.overwrite(shut, "status", "active")
	r.complete(third, body, "Cache-Control", old).wantCache(t, cacheHit)
}

// TestAnswersWithinTheLimit: an answer that was given before counts like any request.
func TestAnswersWithinTheLimit(t *testing.T) {
	r, _ := answering(t)
	_, key := r.account(1_000_000_000, 3)
	body := chatBody("paid", still)
	for _, state := range []string{cacheMiss, cacheHit, cacheHit} {
		r.complete(key, body, "Cache-Control", old).wantCache(t, state)
	}
	denied := r.complete(key, body, "Cache-Control", old)
	denied.wantError(t, http.StatusTooManyRequests, "rate_limit_exceeded")
	if denied.header.Get("Retry-After") == "" || denied.header.Get("X-Cache") != "" {
		t.Errorf("headers %v", denied.header)
	}
}

// TestAnswersWithoutMoney: what is free needs no balance.
func TestAnswersWithoutMoney(t *testing.T) {
	r, _ := answering(t)
	account, key := r.account(1_000_000)
	body := chatBody("paid", still, `"max_tokens":50`)
	r.complete(key, body, "Cache-Control", old).wantCache(t, cacheMiss)
	left := r.settled(account)
	r.overwrite(account, "available", 0)
	r.complete(key, body, "Cache-Control", old).wantCache(t, cacheHit)
	r.complete(key, chatBody("paid", still, `"max_tokens":51`), "Cache-Control", old).wantError(t, http.StatusPaymentRequired, "insufficient_balance")
	r.overwrite(account, "available", left)
}

// TestAnswersAsAskedFor walks through the ways to ask, and not to.
func TestAnswersAsAskedFor(t *testing.T) {
	r, clock := answering(t)
	_, key := r.account(1_000_000_000)
	calls := int64(0)
	step := func(what, body, control, state string, called bool) {
		t.Helper()
		var headers []string
		if control != "" {
			headers = []string{"Cache-Control", control}
		}
		if called {
			calls++
		}
		r.complete(key, body, headers...).wantCache(t, state)
		if n := r.sim.Count(); n != calls {
			t.Errorf("%s: the provider was called %d times, want %d", what, n, calls)
			calls = n
		}
	}
	body := chatBody("paid", still)
	step("nothing asked", body, "", "", true)
	step("no-cache alone asks for nothing", body, "no-cache", "", true)
	step("max-age=0 alone asks for nothing", body, "max-age=0", "", true)
	step("not a number", body, "max-age=soon", "", true)
	step("no-store", body, "max-age=60, no-store", "", true)
	step("asked, and nothing was kept so far", body, "max-age=60", cacheMiss, true)
	step("asked again", body, "private , MAX-AGE=\"60\"", cacheHit, false)
	step("not asked", body, "", "", true)
	step("a new one", body, "max-age=60, no-cache", cacheMiss, true)
	clock.pass(30 * time.Second)
	step("young enough", body, "max-age=30", cacheHit, false)
	step("too old", body, "max-age=29", cacheMiss, true)
	step("the new one is kept", body, "max-age=1", cacheHit, false)
	step("the least of two", body, "max-age=60, max-age=0", "", true)
	step("another body", chatBody("paid", still, `"user":"x"`), "max-age=60", cacheMiss, true)

	field := chatBody("paid", still, `"cache_max_age":60`)
	step("asked in the body", field, "", cacheMiss, true)
	if sent := r.sim.Requests(); strings.Contains(string(sent[len(sent)-1].Body), "cache_max_age") {
		t.Errorf("the provider was sent %s", sent[len(sent)-1].Body)
	}
	step("again", field, "", cacheHit, false)
	step("the body, and a header against it", field, "no-store", "", true)
	step("the body, and a new one", field, "no-cache", cacheMiss, true)
	step("the body, and a new one otherwise", field, "max-age=0", cacheMiss, true)
	clock.pass(10 * time.Second)
	step("the body and less in the header", field, "max-age=9", cacheMiss, true)

	step("not deterministic", chatBody("paid", `"seed":7`), old, cacheBypass, true)
	step("still not", chatBody("paid", `"seed":7`), old, cacheBypass, true)
	step("tools", chatBody("paid", still, `"tools":[{"type":"function","function":{"name":"f"}}]`), old, cacheBypass, true)
	r.complete(key, chatBody("paid", still, `"cache_max_age":-1`)).wantError(t, http.StatusBadRequest, "invalid_request")
	r.complete(key, chatBody("absent", still), "Cache-Control", old).wantError(t, http.StatusNotFound, "model_not_found")
}

// TestOnlyWholeAnswersAreKept: not what was cut short, by the balance, a fault or the
// provider, and not what is too long.
func TestOnlyWholeAnswersAreKept(t *testing.T) {
	r, _ := answering(t)
	_, key := r.account(1_000_000_000)
	for _, model := range []string{"sim-cut", "sim-error-stream", "sim-no-done"} {
		for range 2 {
			body := chatBody(model, still, `"stream":true`)
			if got := r.complete(key, body, "Cache-Control", old); got.header.Get("X-Cache") != cacheMiss && model != "sim-no-done" {
				t.Errorf("%s: X-Cache %q: %.200s", model, got.header.Get("X-Cache"), got.body)
			}
		}
	}
	for _, model := range []string{"sim-error-400", "sim-error-500", "sim-error-200", "sim-html-200"} {
		for range 2 {
			if got := r.complete(key, chatBody(model, still), "Cache-Control", old); got.status < 400 || got.header.Get("X-Cache") == cacheHit {
				t.Errorf("%s: %d, X-Cache %q", model, got.status, got.header.Get("X-Cache"))
			}
		}
	}
	for range 2 { // the length that the request stated is part of it
		body := chatBody("sim-tokens-500", still, `"max_tokens":20`)
		if got := r.complete(key, body, "Cache-Control", old); got.get("choices.0.finish_reason").Str != "length" {
			t.Fatalf("not cut: %s", got.body)
		}
	}
	r.complete(key, chatBody("sim-tokens-500", still, `"max_tokens":20`), "Cache-Control", old).wantCache(t, cacheHit)

	_, poor := r.account(400_000) // affords some 50 tokens
	for range 2 {
		got := r.complete(poor, chatBody("sim-tokens-500", still), "Cache-Control", old).wantCache(t, cacheMiss)
		if got.get("choices.0.finish_reason").Str != "length" {
			t.Fatalf("not cut: %s", got.body)
		}
		r.overwrite(r.accounts, "available", 400_000)
	}
}

// TestStreamedAnswersAreGivenAgain as a well-formed stream.
func TestStreamedAnswersAreGivenAgain(t *testing.T) {
	r, _ := answering(t)
	account, key := r.account(1_000_000_000)
	for _, options := range []string{`"stream":true`, `"stream":true,"stream_options":{"include_usage":true}`} {
		body := chatBody("paid", still, options)
		before := r.settled(account)
		first := r.complete(key, body, "Cache-Control", old).wantCache(t, cacheMiss)
		spent := before - r.settled(account)
		again := r.complete(key, body, "Cache-Control", old).wantCache(t, cacheHit)
		if again.header.Get("Content-Type") != first.header.Get("Content-Type") || again.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("headers %v", again.header)
		}
		one, two := streamed(t, first.body), streamed(t, again.body)
		if len(one) != len(two) || two[len(two)-1] != "[DONE]" {
			t.Fatalf("streamed\n%s\nfirst\n%s", again.body, first.body)
		}
		for i := range one {
			if cost := gjson.Get(one[i], "usage.cost"); cost.Exists() {
				if nano(t, cost.Raw) != spent || gjson.Get(two[i], "usage.cost").Raw != "0.00" || !json.Valid([]byte(two[i])) {
					t.Errorf("usage %s, then %s", one[i], two[i])
				}
				continue
			}
			if one[i] != two[i] {
				t.Errorf("event %d: %s, then %s", i, one[i], two[i])
			}
		}
		if r.settled(account) != before-spent {
			t.Error("the second was charged")
		}
	}
	if n := r.sim.Count(); n != 2 {
		t.Errorf("the provider was called %d times", n)
	}
}

// TestLongAnswersAreNotKept: a tape that ran over keeps nothing, in memory either.
func TestLongAnswersAreNotKept(t *testing.T) {
	tape := &tape{recall: recall{key: "k"}}
	event := []byte(strings.Repeat("x", maxCachedAnswer/2))
	for range 3 {
		tape.record(event)
	}
	if !tape.over || tape.events != nil {
		t.Errorf("over: %v, %d bytes kept", tape.over, len(tape.events))
	}
	r, _ := answering(t)
	r.server.answers.keep("k", make([]byte, maxCachedAnswer+1))
	if _, found := r.server.answers.space.Lookup(t.Context(), "k"); found {
		t.Error("a long answer was kept")
	}
}
