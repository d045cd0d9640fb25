package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
)

// changedIn is how soon a change of a limit must be in force everywhere, and what a busy
// machine may take besides.
const changedIn = time.Second + 4*time.Second

// pair is a site with two servers that run.
func pair(t *testing.T) (s, other *site, stop func()) {
	t.Helper()
	s = newSite(t)
	other = s.another()
	first, second := s.serve(), other.serve()
	return s, other, func() {
		t.Helper()
		first.stop()
		second.stop()
		s.reconciled()
	}
}

// visits asks so often, at the sites in turn, and counts those that passed. What is
// denied must say when to come back.
func visits(t *testing.T, key string, n int, sites ...*site) (passed int) {
	t.Helper()
	for i := range n {
		status, after := sites[i%len(sites)].models(key)
		switch {
		case status == http.StatusOK:
			passed++
		case status != http.StatusTooManyRequests || after == "":
			t.Errorf("visit %d: %d, Retry-After %q", i, status, after)
		}
	}
	return passed
}

// models asks for the list of models, which is limited and costs nothing.
func (s *site) models(key string) (status int, retryAfter string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/v1/models", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := s.client.Do(request)
	if err != nil {
		return 0, ""
	}
	_ = response.Body.Close()
	return response.StatusCode, response.Header.Get("Retry-After")
}

// passesAgain waits until each site lets a visit through, and returns how long it took.
func passesAgain(t *testing.T, key string, sites ...*site) time.Duration {
	t.Helper()
	began := time.Now()
	for _, one := range sites {
		one.until(changedIn, "let through again", func() bool {
			status, _ := one.models(key)
			return status == http.StatusOK
		})
	}
	return time.Since(began).Round(time.Millisecond)
}

// TestE2ELimitsChange: what an operator changes is in force on running servers within a
// second, denials that they remember included.
func TestE2ELimitsChange(t *testing.T) {
	t.Parallel()
	s, other, stop := pair(t)
	admin := s.operator
	id := fmt.Sprint(personID)
	key := s.key(personID, "1")
	admin("tier", "set", "small", "--rpm", "6")
	admin("tier", "assign", "--telegram-id", id, "--tier", "small")
	if passed := visits(t, key, 12, s, other); passed != 6 {
		t.Errorf("%d of 12 visits passed a tier of 6 a minute", passed)
	}
	admin("tier", "set", "small", "--rpm", "1000")
	tier := passesAgain(t, key, s, other)
	admin("limit", "--key-id", "1", "--rpm", "1")
	if passed := visits(t, key, 6, s, other); passed != 0 {
		t.Errorf("%d visits passed a key of 1 a minute that had made more", passed)
	}
	admin("limit", "--key-id", "1", "--rpm", "1000")
	own := passesAgain(t, key, s, other)
	admin("tier", "set", "small", "--rpm", "1")
	if passed := visits(t, key, 6, s, other); passed != 0 {
		t.Errorf("%d visits passed a tier of 1 a minute that had made more", passed)
	}
	admin("tier", "assign", "--telegram-id", id, "--tier", "none")
	none := passesAgain(t, key, s, other)
	stop()
	t.Logf("limits changed: a tier in force on two servers %s after the command, a key's limit %s, no tier any more %s", tier, own, none)
}

// TestE2EOrganisationShared: accounts of one organisation, on several servers, share one limit
// and one budget to the last call.
func TestE2EOrganisationShared(t *testing.T) {
	t.Parallel()
	const most, workers, calls = 20, 60, 10
	s, other, stop := pair(t)
	ada, ben := s.customer(personID, 1_000_000_000), s.customer(personID+1, 1_000_000_000)
	org := s.organisation("limited", "--rpm", strconv.Itoa(most))
	s.members(org, personID, personID+1)
	began := time.Now()
	var passed atomic.Int64
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			key := []string{ada.key, ben.key}[worker%2]
			if status, _ := []*site{s, other}[worker/2%2].models(key); status == http.StatusOK {
				passed.Add(1)
			} else if status != http.StatusTooManyRequests {
				t.Errorf("a visit answers %d", status)
			}
		})
	}
	group.Wait()
	if took := time.Since(began); passed.Load() != most && took < time.Minute {
		t.Errorf("%d of %d visits passed the organisation's %d a minute", passed.Load(), workers, most)
	}
	s.operator("org", "set", org, "--rpm", "0", "--budget-usd", "0.001") // ten calls
	passesAgain(t, ada.key, s, other)
	passesAgain(t, ben.key, s, other)
	paid, refused := s.shared([]string{ada.key, ben.key}, 40, s, other)
	if paid != calls || refused != 40-calls {
		t.Errorf("%d calls of a budget for %d were paid, %d refused", paid, calls, refused)
	}
	s.operator("org", "set", org, "--budget-usd", "0.0013")
	if paid, _ := s.shared([]string{ada.key, ben.key}, 12, s, other); paid != 3 {
		t.Errorf("%d calls of three more were paid", paid)
	}
	if spent := 2_000_000_000 - mustAvailable(s, ada.key) - mustAvailable(s, ben.key); spent != (calls+3)*callNano {
		t.Errorf("together they spent %d nano-USD", spent)
	}
	stop()
	t.Logf("organisation: %d of %d visits at once passed a shared limit of %d; %d calls of a budget for %d paid", passed.Load(), workers, most, calls+3, calls+3)
}

// operator runs an admin command in this process.
func (s *site) operator(args ...string) {
	s.t.Helper()
	s.arrange(append([]string{"admin"}, args...)...)
}

// organisation makes one and returns its id.
func (s *site) organisation(name string, flags ...string) (id string) {
	s.t.Helper()
	var made struct {
		ID int64 `json:"organisation_id"`
	}
	s.admin(&made, append([]string{"org", "create", name}, flags...)...)
	return fmt.Sprint(made.ID)
}

func (s *site) members(org string, people ...int) {
	s.t.Helper()
	for _, person := range people {
		s.operator("org", "add", "--id", org, "--telegram-id", fmt.Sprint(person))
	}
}

// shared makes that many paid calls at once, with the keys and at the sites in turn.
func (s *site) shared(keys []string, workers int, sites ...*site) (paid, refused int64) {
	s.t.Helper()
	var paidCalls, refusedCalls atomic.Int64
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			status, body := sites[worker/2%len(sites)].chat(keys[worker%len(keys)], "exact", "go", 100)
			switch status {
			case http.StatusOK:
				paidCalls.Add(1)
			case http.StatusPaymentRequired, http.StatusForbidden:
				refusedCalls.Add(1)
			default:
				s.t.Errorf("a call answers %d: %s", status, body)
			}
		})
	}
	group.Wait()
	return paidCalls.Load(), refusedCalls.Load()
}

// TestE2EPlaces: calls under way at once are counted over all servers, and a server that
// is killed keeps its places for as long as its holds and no longer.
func TestE2EPlaces(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const life = 15 * time.Second
	s.env["HOLD_LIFE"] = life.String()
	other := s.another()
	s.model.Assign("sim-slow", llmsim.Script{Tokens: 3000, Cadence: 20 * time.Millisecond})
	first, second := s.serve(), other.serve()
	key := s.key(personID, "1")
	s.operator("limit", "--key-id", "1", "--concurrency", "2")
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var streams sync.WaitGroup
	defer streams.Wait()
	defer leave()
	for range 2 {
		streams.Go(func() {
			s.listen(ctx, key, `{"model":"slow","stream":true,"max_tokens":4000,"messages":[{"role":"user","content":"Tell me a long story."}]}`)
		})
	}
	client := s.redis.Client()
	s.until(30*time.Second, "two calls under way", func() bool {
		return len(client.Keys(t.Context(), "hold:*").Val()) == 2
	})
	denied := func() (bool, string) {
		status, after, body := other.paid(key)
		for busy := time.Now().Add(life / 3); status == http.StatusServiceUnavailable && time.Now().Before(busy); { // nobody knows
			status, after, body = other.paid(key)
		}
		if status != http.StatusOK && status != http.StatusTooManyRequests || status == http.StatusTooManyRequests && after == "" {
			t.Fatalf("a third call answers %d, Retry-After %q: %s", status, after, body)
		}
		return status == http.StatusTooManyRequests, body
	}
	if is, body := denied(); !is || !strings.Contains(body, "rate_limit_exceeded") {
		t.Errorf("a third call of two at once passes: %s", body)
	}
	first.kill()
	killed := time.Now()
	if is, body := denied(); !is {
		t.Errorf("right after the kill the places are free: %s", body)
	}
	s.until(2*time.Minute, "the places free again", func() bool {
		is, _ := denied()
		return !is
	})
	free := time.Since(killed).Round(time.Second)
	if free < life/2 {
		t.Errorf("the places of a killed server were free after %s", free)
	}
	other.until(2*time.Minute, "nothing held any more", func() bool {
		_, held := other.balance(key)
		return held == 0
	})
	second.stop()
	other.reconciled()
	t.Logf("places: free again %s after kill -9", free)
}
