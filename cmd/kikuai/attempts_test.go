package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const faultyCatalogue = `providers:
  - {name: faulty, protocol: openai, base_url: %s/v1, local: true}
models:
  - id: echo
    prices: {input: "0.15", output: "0.60"}
    context: 128000
    max_output: 4096
    deployments: [{provider: faulty, model: one}, {provider: faulty, model: two}]
`

// faulty is a provider that fails each call, or none, and counts them.
type faulty struct {
	*httptest.Server
	well  atomic.Bool
	calls atomic.Int64
}

func newFaulty(t *testing.T) *faulty {
	f := &faulty{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		if !f.well.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	}))
	t.Cleanup(f.Close)
	return f
}

// siege is what came of many calls of a failing provider.
type siege struct {
	requests, calls int64
	took            time.Duration
	states          []string // of the breakers, as the metrics showed them one after another
}

// most is how many calls of the provider there may be: 1.2 for each request, ten a second,
// and the ten that can have been saved up before.
func (s siege) most() int64 { return s.requests + s.requests/5 + int64(10*s.took.Seconds()) + 10 }

func (s siege) String() string {
	return fmt.Sprintf("%d requests in %.1f s made %d calls of the provider, at most %d may be", s.requests, s.took.Seconds(), s.calls, s.most())
}

// besiege lets workers make calls until it is over, and watches the breakers.
func (s *site) besiege(f *faulty, key string, lasting time.Duration) siege {
	s.t.Helper()
	var requests atomic.Int64
	var group sync.WaitGroup
	before, began := f.calls.Load(), time.Now()
	end := began.Add(lasting)
	for range 16 {
		group.Go(func() {
			for time.Now().Before(end) {
				switch got, body := s.chat(key, "echo", "go", 10); got {
				case http.StatusBadGateway:
					requests.Add(1)
				case http.StatusServiceUnavailable: // Redis was not heard in time on a busy machine
				default:
					s.t.Errorf("answered %d %s", got, body)
					return
				}
			}
		})
	}
	var states []string
	for time.Now().Before(end) {
		if now := s.breakers(); now != "" && (len(states) == 0 || states[len(states)-1] != now) {
			states = append(states, now)
		}
		time.Sleep(5 * time.Millisecond) // between looks, not for anything to happen
	}
	group.Wait()
	return siege{requests.Load(), f.calls.Load() - before, time.Since(began), states}
}

var breakerLine = regexp.MustCompile(`(?m)^circuit_breaker_state\{deployment="faulty/[a-z]+"\} ([0-2])$`)

// breakers are the states of both breakers, the better one first.
func (s *site) breakers() string {
	_, text := s.metrics()
	var states []string
	for _, line := range breakerLine.FindAllStringSubmatch(text, -1) {
		states = append(states, line[1])
	}
	slices.Sort(states)
	return strings.Join(states, "")
}

// attempted sums the attempts as the metrics count them.
func (s *site) attempted() (sum int64) {
	_, text := s.metrics()
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "llm_attempts_total{") {
			n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				s.t.Fatal(err)
			}
			sum += int64(n)
		}
	}
	return sum
}

// underFailure runs a server on a provider that fails every call, first without breakers
// to speak of, so that the budget alone holds attempts back, then with them.
func underFailure(t *testing.T, lasting time.Duration) (budget, broken siege) {
	t.Helper()
	f := newFaulty(t)
	s := newSite(t)
	file := filepath.Join(t.TempDir(), "faulty.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, faultyCatalogue, f.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env["CATALOG_FILE"], s.env["CIRCUIT_BREAKER_FAILURE_THRESHOLD"] = file, "10000"
	serve := s.serve()
	key := s.key(personID, "1")
	budget = s.besiege(f, key, lasting)
	if budget.calls > budget.most() || budget.calls <= budget.requests {
		t.Errorf("without breakers: %s", budget)
	}
	if sum := s.attempted(); sum != f.calls.Load() {
		t.Errorf("the metrics count %d attempts, the provider %d", sum, f.calls.Load())
	}
	serve.stop()

	s.env["CIRCUIT_BREAKER_FAILURE_THRESHOLD"], s.env["CIRCUIT_BREAKER_RECOVERY_TIMEOUT"] = "5", "1"
	serve = s.serve()
	broken = s.besiege(f, key, lasting)
	// Each breaker lets five failures in a row through, what is under way then, and three
	// trials a second at most.
	if most := 2*(5+16) + 2*3*int64(broken.took.Seconds()+1); broken.calls > most {
		t.Errorf("with breakers: %s, and want at most %d", broken, most)
	}
	if !slices.Contains(broken.states, "22") {
		t.Errorf("the breakers did not open: %v", broken.states)
	}
	f.well.Store(true)
	s.until(stopIn, "the breakers closed", func() bool {
		s.chat(key, "echo", "go", 10)
		s.chat(key, "echo", fmt.Sprint(time.Now().UnixNano()), 10) // another conversation, maybe at the other deployment
		state := s.breakers()
		if len(broken.states) == 0 || broken.states[len(broken.states)-1] != state {
			broken.states = append(broken.states, state)
		}
		return state == "00"
	})
	if status, body := s.chat(key, "echo", "go", 10); status != http.StatusOK {
		t.Errorf("a provider that is well again: %d %s", status, body)
	}
	if !slices.ContainsFunc(broken.states, func(state string) bool { return strings.Contains(state, "1") }) {
		t.Errorf("the breakers were never seen half-open: %v", broken.states)
	}
	serve.stop()
	s.reconciled()
	return budget, broken
}

// TestE2EAttempts: a provider that fails every call is called little more than there are
// requests, and with breakers hardly at all.
func TestE2EAttempts(t *testing.T) {
	t.Parallel()
	budget, broken := underFailure(t, 2500*time.Millisecond)
	t.Logf("attempts: %s; with breakers %s; states seen %v", budget, broken, broken.states)
}
