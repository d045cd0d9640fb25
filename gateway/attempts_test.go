package gateway

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	routing "github.com/kikuai/kikuai/internal/llm/route"
	"github.com/kikuai/kikuai/internal/testenv"
)

const quickPing = 20 * time.Millisecond

// steadfast keeps breakers closed, whatever fails.
func steadfast(s *setup) { s.meter.Circuits = routing.BreakerOptions{Failures: 1000} }

// wound is a clock that a test moves forward.
type wound struct{ ahead atomic.Int64 }

func (h *wound) read() time.Time     { return time.Now().Add(time.Duration(h.ahead.Load())) }
func (h *wound) add(d time.Duration) { h.ahead.Add(int64(d)) }

// TestRetries: what the provider does to one attempt, before anything of an answer has come,
// another deployment makes good, unseen by the client, and paid once.
func TestRetries(t *testing.T) {
	r, s := staged(t, steadfast, func(s *setup) { s.timeouts = llm.Timeouts{FirstByte: 300 * time.Millisecond} })
	whole := map[string]act{
		"an error": fails(500), "an overload": fails(503), "a rate limit": fails(429),
		"our key": fails(401), "our model": fails(404), "a reset": resets, "nonsense": nonsense,
	}
	streamed := map[string]act{
		"a silence": hangs(false), "a silence after it accepted": hangs(true), "an end without an event": breaksOff(0), "an error inside": reports,
	}
	for name, bad := range whole {
		streamed[name] = bad
	}
	for stream, acts := range map[bool]map[string]act{false: whole, true: streamed} {
		for name, bad := range acts {
			t.Run(fmt.Sprintf("%s,%v", name, stream), func(t *testing.T) {
				r.save()
				id, key := r.account(dollar)
				s.next(bad)
				a := r.chat(key, "pair", fmt.Sprintf(`"stream":%v`, stream)).want(t, 200)
				calls := s.called()
				if len(calls) != 2 || calls[0] == calls[1] {
					t.Errorf("called %v, want one and then the other", calls)
				}
				if !strings.Contains(a.body, "well") || strings.Contains(a.body, "error") {
					t.Errorf("the client sees %s", a.body)
				}
				late := name == "a silence after it accepted" || name == "an end without an event" || name == "an error inside"
				if got := a.header.Get(headerAttempts); got != "2" && !late || late && got != "1" {
					t.Errorf("%s attempts", got)
				}
				if got := a.header.Get(headerDeployment); !late && got != "own/"+calls[1] || a.header.Get(headerModel) != "pair" {
					t.Errorf("answered by %q, model %q, called %v", got, a.header.Get(headerModel), calls)
				}
				r.wantBalance(id, dollar-stageCost)
			})
		}
	}
	r.unoccupied()
}

// TestNoRetry: what is the request's fault, or comes after the first word, is not repeated.
func TestNoRetry(t *testing.T) {
	r, s := staged(t)
	id, key := r.account(dollar)
	s.next(fails(400))
	if a := r.chat(key, "pair").want(t, 400); len(s.called()) != 1 {
		t.Errorf("called %v for %s", s.called(), a.body)
	}
	r.wantBalance(id, dollar)
	s.next(breaksOff(1))
	a := r.chat(key, "pair", `"stream":true`).want(t, 200)
	if len(s.called()) != 1 || strings.Contains(a.body, "well") || !strings.Contains(a.body, "half") || !strings.Contains(a.body, "provider_error") {
		t.Errorf("called %v, the client sees %s", s.called(), a.body)
	}
	if r.settled(id) == dollar {
		t.Error("a word that was delivered is not billed")
	}
	r.unoccupied()
}

// TestAttemptsEnd: three attempts, then the most telling error; nothing is billed.
func TestAttemptsEnd(t *testing.T) {
	r, s := staged(t, steadfast)
	id, key := r.account(dollar)
	for _, c := range []struct {
		acts   []act
		calls  int
		status int
		code   string
	}{
		{[]act{fails(500), fails(500), fails(500)}, 3, 502, "provider_error"},
		{[]act{fails(401), resets, fails(500)}, 3, 502, "provider_error"},
		{[]act{fails(504), fails(500), fails(500)}, 3, 504, "provider_timeout"},
		{[]act{fails(429, "Retry-After", "7"), fails(401)}, 2, 429, "provider_rate_limited"},
	} {
		s.next(c.acts...)
		r.save()
		a := r.chat(key, "pair")
		a.wantError(t, c.status, c.code)
		if len(s.called()) != c.calls {
			t.Errorf("called %v, want %d calls", s.called(), c.calls)
		}
		if c.status == 429 && a.header.Get("Retry-After") != "7" {
			t.Errorf("Retry-After %s", a.header.Get("Retry-After"))
		}
	}
	r.wantBalance(id, dollar)
	r.unoccupied()
}

// TestRetryBudget: where nothing has been saved, no attempt follows the first.
func TestRetryBudget(t *testing.T) {
	r, s := staged(t, steadfast)
	_, key := r.account(dollar)
	for r.meter.router.Extra(r.meter.now()) {
	}
	before := r.value("llm_retry_budget_exhausted_total")
	s.next(slices.Repeat([]act{fails(500)}, 100)...)
	began, requests := r.meter.now(), 0
	for range 10 {
		r.chat(key, "single").wantError(t, 502, "provider_error")
		requests++
	}
	most := requests + requests/5 + int(10*r.meter.now().Sub(began).Seconds()) + 1
	if got := len(s.called()); got > most {
		t.Errorf("%d attempts for %d requests, want at most %d", got, requests, most)
	}
	if r.value("llm_retry_budget_exhausted_total") == before {
		t.Error("that the budget is exhausted is not counted")
	}
}

// TestBreakerThroughTheGateway: it opens, so that the provider is not called; half-opens,
// and closes, as its metric shows.
func TestBreakerThroughTheGateway(t *testing.T) {
	now := new(wound)
	r, s := staged(t, func(s *setup) { s.meter.Now = now.read })
	id, key := r.account(dollar)
	state := func() float64 { return r.value("circuit_breaker_state", "deployment", "own/only") }
	s.always("only", fails(500))
	for state() != 2 {
		r.chat(key, "single").want(t, 502)
		now.add(time.Second)
	}
	s.next()
	for range 3 {
		r.chat(key, "single").wantError(t, 502, "provider_error")
	}
	if calls := s.called(); len(calls) != 0 {
		t.Errorf("an open breaker let %d calls through", len(calls))
	}
	now.add(time.Minute)
	if state() != 1 {
		t.Errorf("after a minute its state is %v", state())
	}
	r.chat(key, "single").want(t, 502)
	if calls := s.called(); len(calls) != 1 || state() != 2 {
		t.Errorf("a failing trial let %d calls through and left state %v", len(calls), state())
	}
	now.add(time.Minute)
	s.always("only", says)
	for range 3 {
		r.chat(key, "single").want(t, 200)
	}
	if state() != 0 {
		t.Errorf("after three successes its state is %v", state())
	}
	r.wantBalance(id, dollar-3*stageCost)
}

// TestWaits: a provider that says when to come again is left alone until then.
func TestWaits(t *testing.T) {
	now := new(wound)
	r, s := staged(t, func(s *setup) { s.meter.Now = now.read })
	_, key := r.account(dollar)
	s.next(fails(429, "Retry-After", "20"))
	r.chat(key, "single").wantError(t, 429, "provider_rate_limited")
	now.add(5 * time.Second)
	a := r.chat(key, "single")
	a.wantError(t, 429, "provider_rate_limited")
	if calls := s.called(); len(calls) != 1 || a.header.Get("Retry-After") != "15" {
		t.Errorf("called %v, Retry-After %s", calls, a.header.Get("Retry-After"))
	}
	now.add(15 * time.Second)
	r.chat(key, "single").want(t, 200)
}

// TestFull: a deployment that bears no more calls makes 503 at once.
func TestFull(t *testing.T) {
	r, s := staged(t)
	id, key := r.account(dollar)
	release := make(chan struct{})
	s.always("narrow", func(w http.ResponseWriter, q *http.Request, streamed bool) {
		<-release
		says(w, q, streamed)
	})
	first := make(chan answer)
	go func() { first <- r.chat(key, "narrow") }()
	testenv.Until(r.t, "the first call is there", func() bool { return len(s.called()) == 1 })
	a := r.chat(key, "narrow")
	a.wantError(t, 503, "overloaded")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	close(release)
	(<-first).want(t, 200)
	r.chat(key, "narrow").want(t, 200)
	r.wantBalance(id, dollar-2*stageCost)
	r.unoccupied()
}

// TestSilentBeforeTheFirstToken: a call that was accepted and says nothing is tried
// elsewhere; the client has its headers and pings meanwhile.
func TestSilentBeforeTheFirstToken(t *testing.T) {
	r, s := staged(t, func(s *setup) { s.timeouts = llm.Timeouts{FirstByte: 500 * time.Millisecond} })
	id, key := r.account(dollar)
	s.next(hangs(true))
	w := r.begin(key, "pair")
	if got := w.header.Get(headerAttempts); got != "1" {
		t.Errorf("%s attempts are known when the headers go out", got)
	}
	w.await(": ping")
	w.await("well")
	w.await("[DONE]")
	if calls := s.called(); len(calls) != 2 {
		t.Errorf("called %v", calls)
	}
	r.wantBalance(id, dollar-stageCost)
	r.unoccupied()
}

// TestHedge: a deployment that is silent for long is not waited for.
func TestHedge(t *testing.T) {
	r, s := staged(t)
	for _, stream := range []bool{false, true} {
		for _, accepted := range []bool{false, true} {
			id, key := r.account(dollar)
			r.save()
			s.next(hangs(accepted))
			a := r.chat(key, "hedged", fmt.Sprintf(`"stream":%v`, stream)).want(t, 200)
			calls := s.called()
			if len(calls) != 2 || calls[0] == calls[1] {
				t.Errorf("called %v", calls)
			}
			if a.header.Get(headerAttempts) != "2" || a.header.Get(headerDeployment) != "own/"+calls[1] || !strings.Contains(a.body, "well") {
				t.Errorf("headers %v, answer %s", a.header, a.body)
			}
			r.wantBalance(id, dollar-stageCost)
		}
	}
	id, key := r.account(dollar)
	s.next(fails(500), fails(500), fails(500))
	r.chat(key, "hedged").wantError(t, 502, "provider_error")
	s.next(fails(400))
	r.chat(key, "hedged").want(t, 400)
	s.next()
	r.chat(key, "hedged").want(t, 200)
	r.wantBalance(id, dollar-stageCost)
	r.unoccupied()
}

// TestHedgeIsOver: a hedged call's headers are not kept back until somebody answers, and
// a client that leaves ends all of its attempts.
func TestHedgeIsOver(t *testing.T) {
	r, s := staged(t)
	id, key := r.account(dollar)
	s.next(hangs(true), hangs(true))
	w := r.begin(key, "hedged")
	if _, err := strconv.Atoi(w.header.Get(headerAttempts)); err != nil || w.header.Get(headerDeployment) != "" {
		t.Errorf("headers %v", w.header)
	}
	w.await(": ping")
	w.leave(true)
	r.wantBalance(id, dollar)
	r.unoccupied()
}

// TestSticky: a conversation stays with its deployment.
func TestSticky(t *testing.T) {
	r, s := staged(t)
	_, key := r.account(dollar)
	homes := map[string]bool{}
	for i := range 12 {
		user := fmt.Sprintf(`"user":"someone-%d"`, i)
		s.next()
		for range 3 {
			r.chat(key, "pair", user).want(t, 200)
		}
		calls := s.called()
		if calls[0] != calls[1] || calls[1] != calls[2] {
			t.Errorf("conversation %d went to %v", i, calls)
		}
		homes[calls[0]] = true
	}
	if len(homes) != 2 {
		t.Errorf("all conversations went to %v", homes)
	}
}

// TestHealthChecks: providers are asked, and one that fails is not called while nobody
// has called it.
func TestHealthChecks(t *testing.T) {
	r, s := staged(t, func(s *setup) { s.meter.CheckEvery = 5 * time.Millisecond })
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { done <- r.meter.Watch(ctx) }()
	testenv.Until(r.t, "the provider is asked", func() bool { return s.looked() > 3 })
	if got := r.value("circuit_breaker_state", "deployment", "own/only"); got != 0 {
		t.Errorf("a provider that is well has state %v", got)
	}
	s.always("", fails(500))
	testenv.Until(r.t, "the breaker opens", func() bool { return r.value("circuit_breaker_state", "deployment", "own/only") == 2 })
	cancel()
	r.must(<-done)
	if r.value("llm_health_checks_total", "provider", "own", "well", "no") < 5 {
		t.Error("looks are not counted")
	}
}

// TestPanicGivesBack: a call that breaks off on its way to the provider or back leaves no
// hold, no place and no call under way.
func TestPanicGivesBack(t *testing.T) {
	for _, at := range []string{"(*Live).choose(", "(*Live).ask("} {
		t.Run(at, func(t *testing.T) {
			var armed atomic.Bool
			r, _ := staged(t, func(s *setup) {
				s.meter.Now = func() time.Time {
					if armed.Load() && strings.Contains(string(debug.Stack()), at) {
						armed.Store(false)
						panic("as a translation might")
					}
					return time.Now()
				}
			})
			id, key := r.account(dollar)
			armed.Store(true)
			r.chat(key, "narrow").wantError(t, 500, "internal_error")
			if armed.Load() {
				t.Fatal("it was never there")
			}
			testenv.Until(t, "nothing is held", func() bool { return r.balance(id) == billing.Balance{Available: dollar} })
			r.chat(key, "narrow").want(t, 200) // which has one place
			r.unoccupied()
		})
	}
}
