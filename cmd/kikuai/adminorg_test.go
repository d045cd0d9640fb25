package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
)

// told runs an admin command in this process, which must succeed.
func (s *site) told(args ...string) string {
	s.t.Helper()
	code, out, errs := s.here(append([]string{"admin"}, args...)...)
	if code != 0 {
		s.t.Fatalf("kikuai admin %q: %d\n%s", args, code, errs)
	}
	return out
}

// inForce waits for what was changed to be in force, which takes less than a second, at
// whatever pace this machine has.
const inForce = 10 * time.Second

// TestE2EOrganisation: a tier and an organisation bound what a running server lets
// through, from the moment that the command returned: whichever account calls, and no
// longer than it belongs to the organisation.
func TestE2EOrganisation(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	one, two := s.key(personID, "1"), s.key(personID+1, "1")
	person := func(n int) string { return fmt.Sprint(personID + n) }
	serve := s.serve()
	s.told("org", "create", "Lovelace", "--budget-day-usd", "0.00025") // two and a half calls
	s.told("org", "add", "--id", "1", "--telegram-id", person(0))
	s.told("org", "add", "--id", "1", "--telegram-id", person(1))
	call := func(key string) (int, string) { return s.chat(key, "exact", "go", 100) } // 100,000 nano-USD

	for i, key := range []string{one, two} {
		if status, body := call(key); status != http.StatusOK {
			t.Fatalf("call %d within the budget: %d %s", i+1, status, body)
		}
	}
	for i, key := range []string{one, two} {
		if status, body := call(key); status != http.StatusPaymentRequired || !strings.Contains(body, "budget_exceeded") {
			t.Errorf("call %d beyond the organisation's budget: %d %s", i+3, status, body)
		}
	}
	s.told("org", "remove", "--id", "1", "--telegram-id", person(1))
	if status, body := call(two); status != http.StatusOK {
		t.Errorf("outside of the organisation: %d %s", status, body)
	}
	s.told("org", "set", "1", "--budget-day-usd", "0", "--rpm", "5")
	s.until(inForce, "called without a budget", func() bool { status, _ := call(one); return status == http.StatusOK })
	s.until(inForce, "limited", func() bool { status, _ := call(one); return status == http.StatusTooManyRequests })
	s.told("org", "set", "1", "--rpm", "1000")
	s.until(inForce, "called again", func() bool { status, _ := call(one); return status == http.StatusOK })
	s.told("org", "set", "1", "--status", "suspended")
	if status, body := call(one); status == http.StatusOK {
		t.Errorf("of a suspended organisation: %s", body)
	}
	s.told("org", "set", "1", "--status", "active")

	s.told("tier", "set", "small", "--rpm", "1")
	s.told("tier", "assign", "--telegram-id", person(1), "--tier", "small")
	s.until(inForce, "limited by its tier", func() bool { status, _ := s.get("/v1/models", two); return status == http.StatusTooManyRequests })
	s.told("tier", "set", "small", "--rpm", "10000")
	s.until(inForce, "let in by its tier", func() bool { status, _ := s.get("/v1/models", two); return status == http.StatusOK })

	serve.stop()
	s.reconciled()
	if n := s.one(`select sum(captured_nano)::bigint from organisation_days where organisation_id = 1`); n < 400_000 || n%100_000 != 0 {
		t.Errorf("the ledger has %d of the organisation", n)
	}
}

// TestE2EOrganisationCrash: a server that dies between what a call takes of the
// organisation and what it holds of the account takes nothing: the owner of the
// organisation's shard gives it back when it is sure that there is no such hold.
func TestE2EOrganisationCrash(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.withFailpoints()
	key := s.key(personID, "1")
	keeper := s.keep("organisation.claimed")
	s.until(startIn, "ready", func() bool { status, _ := s.get("/readyz", ""); return status == http.StatusOK })
	s.told("org", "create", "Lovelace", "--budget-day-usd", "0.0001") // one call
	s.told("org", "add", "--id", "1", "--telegram-id", fmt.Sprint(personID))
	_ = s.listen(t.Context(), key, `{"model":"exact","messages":[{"role":"user","content":"go"}],"max_tokens":100}`)
	s.until(startIn, "killed", func() bool { return keeper.kills() == 1 })
	s.until(startIn, "ready again", func() bool { status, _ := s.get("/readyz", ""); return status == http.StatusOK })
	if available, held := s.balance(key); available != billing.NanoPerUSD || held != 0 {
		t.Fatalf("%d and %d held, after a call that never began", available, held)
	}
	if status, body := s.chat(key, "exact", "go", 100); status != http.StatusPaymentRequired {
		t.Fatalf("a call beside one that may yet be under way: %d %s", status, body)
	}
	client := redis.NewClient(&redis.Options{Addr: s.redis.Addr})
	defer func() { _ = client.Close() }()
	claims := client.ZRange(t.Context(), billing.ClaimsKey(1), 0, -1).Val()
	if len(claims) != 1 {
		t.Fatalf("%d claims are left behind", len(claims))
	}
	// Its minute is over.
	if err := client.ZAdd(t.Context(), billing.ClaimsKey(1), redis.Z{Score: 1, Member: claims[0]}).Err(); err != nil {
		t.Fatal(err)
	}
	s.until(time.Minute, "given back", func() bool { return client.ZCard(t.Context(), billing.ClaimsKey(1)).Val() == 0 })
	if status, body := s.chat(key, "exact", "go", 100); status != http.StatusOK {
		t.Errorf("once it was given back: %d %s", status, body)
	}
	if status, _ := s.chat(key, "exact", "go", 100); status != http.StatusPaymentRequired {
		t.Errorf("beyond the budget: %d", status)
	}
	keeper.end()
	serve := s.serve()
	serve.stop()
	s.reconciled()
}
