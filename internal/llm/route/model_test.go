package route

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

// Whatever happens, a deployment's places are those of the attempts under way, never
// more than its limit when one begins, and its limit stays within its bounds.
func TestPlacesNeverLeak(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newTestRouter(Options{Breaker: BreakerOptions{Failures: 3, Recovery: 5 * time.Second, Trials: 2}})
		var members []Member
		for i := range rapid.IntRange(1, 4).Draw(t, "deployments") {
			members = append(members, Member{Name: string(rune('a' + i)), Weight: i + 1, Concurrency: rapid.IntRange(0, 6).Draw(t, "limit")})
		}
		m, err := r.Model(rapid.SampledFrom([]Routing{weighted, sticky, leastLatency}).Draw(t, "routing"), members)
		if err != nil {
			t.Fatal(err)
		}
		now := begin
		var under []*Attempt
		one := func(t *rapid.T) int { // -1: nothing is under way, and the action a step without effect
			if len(under) == 0 {
				return -1
			}
			return rapid.IntRange(0, len(under)-1).Draw(t, "attempt")
		}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond)
			},
			"pick": func(t *rapid.T) {
				q := Query{Now: now, Key: rapid.Uint64Range(0, 5).Draw(t, "key"), Tried: Set(rapid.Uint64Range(0, 15).Draw(t, "tried"))}
				a, err := m.Pick(q)
				if err != nil {
					for i := range m.members {
						if why, _ := m.members[i].look(now.Sub(begin)); why == available {
							t.Fatalf("%v, but %s is available", err, m.members[i].name)
						}
					}
					return
				}
				if d := a.deployment; d.calls.used.Load() > d.calls.limit.Load()/slot {
					t.Fatalf("%s has %d calls and bears %d", d.name, d.calls.used.Load(), d.calls.limit.Load()/slot)
				}
				under = append(under, &a)
			},
			"began": func(t *rapid.T) {
				if i := one(t); i >= 0 {
					under[i].Began(now)
				}
			},
			"end": func(t *rapid.T) {
				i := one(t)
				if i < 0 {
					return
				}
				o := Outcome(rapid.IntRange(0, int(outcomes)-1).Draw(t, "outcome"))
				under[i].End(now, o, time.Duration(rapid.IntRange(0, 3).Draw(t, "seconds"))*time.Second)
				under[i].End(now, o, 0) // twice is once
				under = append(under[:i], under[i+1:]...)
			},
			"": func(t *rapid.T) {
				used := map[string]int64{}
				trials := map[string]int{}
				for _, a := range under {
					used[a.deployment.name]++
					if a.permit.trial && a.permit.period == a.deployment.breaker.word.Load()>>periodBit {
						trials[a.deployment.name]++
					}
				}
				for _, d := range m.members {
					if got := d.calls.used.Load(); got != used[d.name] {
						t.Fatalf("%s has %d places taken by %d attempts", d.name, got, used[d.name])
					}
					if trials[d.name] > 2 || trials[d.name] > d.breaker.trials {
						t.Fatalf("%s has %d trials under way and counts %d", d.name, trials[d.name], d.breaker.trials)
					}
					if limit := d.calls.limit.Load(); limit < d.calls.least || limit > d.calls.most {
						t.Fatalf("%s bears %d/%d", d.name, limit, slot)
					}
				}
			},
		})
	})
}

// The same under real concurrency; the race detector looks on.
func TestManyAtOnce(t *testing.T) {
	r := NewRouter(Options{Breaker: BreakerOptions{Failures: 2, Recovery: time.Millisecond, Trials: 2}})
	m := newTestModel(t, r, sticky, 1, 2, 3)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 3000 {
				r.Request(time.Now())
				a, err := m.Pick(Query{Now: time.Now(), Key: uint64(i)})
				if err != nil {
					continue
				}
				if i%3 == 0 {
					a.Began(time.Now())
				}
				a.End(time.Now(), Outcome((i+worker)%int(outcomes)), 0)
			}
		})
	}
	all.Wait()
	for _, d := range m.members {
		if used := d.calls.used.Load(); used != 0 {
			t.Errorf("%s has %d places taken by nobody", d.name, used)
		}
	}
}

// A rate limit with a time makes a deployment unavailable until then, and opens nothing.
func TestWaiting(t *testing.T) {
	m := newTestModel(t, newTestRouter(Options{}), sticky, 1, 1)
	for range 20 {
		pick(t, m, Query{Now: begin, Tried: Set(0).With(1)}).End(begin, Busy, 0)
	}
	pick(t, m, Query{Now: begin, Tried: Set(0).With(1)}).End(begin, Busy, 30*time.Second)
	pick(t, m, Query{Now: begin, Tried: Set(0).With(1)}).End(begin, Busy, 10*time.Second)
	none := refusedPick(t, m, Query{Now: at(5 * time.Second)})
	if none.Waiting != 2 || none.Broken != 0 || none.Full != 0 || none.RetryAfter != 5*time.Second {
		t.Fatalf("%+v", none)
	}
	if got := pick(t, m, Query{Now: at(10 * time.Second)}).Index(); got != 1 {
		t.Fatalf("deployment %d is asked, whose provider wants to be left alone", got)
	}
	if got := pick(t, m, Query{Now: at(30 * time.Second), Tried: Set(0).With(1)}).Index(); got != 0 {
		t.Fatal("a deployment stays away after its time")
	}
	if m.members[0].State(at(time.Minute)) != Closed {
		t.Fatal("a rate limit opened a breaker")
	}
}

func TestNoneSaysWhy(t *testing.T) {
	r := newTestRouter(Options{Breaker: BreakerOptions{Failures: 1}})
	m, err := r.Model(weighted, []Member{{Name: "a", Concurrency: 1}, {Name: "b"}, {Name: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		a := pick(t, m, Query{Now: begin, Never: m.all &^ Set(0).With(i)})
		switch i {
		case 1:
			a.End(begin, Broken, 0)
		case 2:
			a.End(begin, Busy, time.Hour)
		}
	}
	none := refusedPick(t, m, Query{Now: at(time.Second)})
	if none.Full != 1 || none.Broken != 1 || none.Waiting != 1 || none.RetryAfter != 59*time.Second {
		t.Fatalf("%+v", none)
	}
}

// A limit shrinks by what a provider says plainly, once per round, and never by how
// long answers take.
func TestConcurrency(t *testing.T) {
	m := newTestModel(t, newTestRouter(Options{Breaker: BreakerOptions{Failures: 1000}}), weighted, 1)
	calls := m.members[0].calls
	fill := func(n int) (under []*Attempt) {
		for range n {
			under = append(under, pick(t, m, Query{Now: begin, Stream: true}))
		}
		return under
	}
	end := func(under []*Attempt, o Outcome) {
		for _, a := range under {
			a.End(at(time.Hour), o, 0)
		}
	}
	under := fill(256)
	if none := refusedPick(t, m, Query{Now: begin}); none.Full != 1 {
		t.Fatalf("%+v", none)
	}
	end(under, Answered) // after an hour each
	if got := calls.limit.Load() / slot; got < 256 {
		t.Fatalf("long answers shrank the limit to %d", got)
	}
	calls.limit.Store(256 * slot)
	end(fill(100), Busy)
	if got := calls.limit.Load() / slot; got != 192 {
		t.Fatalf("one round of rate limits made the limit %d, want 192", got)
	}
	for _, o := range []Outcome{Overloaded, Timeout} {
		before := calls.limit.Load()
		end(fill(1), o)
		if calls.limit.Load() >= before {
			t.Fatalf("%v did not shrink the limit", o)
		}
	}
	for _, o := range []Outcome{Broken, Unreachable, Misconfigured, Refused, Gone} {
		before := calls.limit.Load()
		end(fill(1), o)
		if calls.limit.Load() != before {
			t.Fatalf("%v changed the limit", o)
		}
	}
	for range 100 {
		end(fill(1), Busy)
	}
	if got := calls.limit.Load() / slot; got != leastConcurrency {
		t.Fatalf("the limit fell to %d, want %d", got, leastConcurrency)
	}
	before := calls.limit.Load()
	end(fill(1), Answered)
	if calls.limit.Load() != before {
		t.Fatal("a limit that nobody comes near has grown")
	}
	for range 1000 {
		end(fill(int(calls.limit.Load()/slot)), Answered)
	}
	if got := calls.limit.Load() / slot; got < 256 {
		t.Fatalf("the limit has grown to %d only", got)
	}
}

func TestStatedConcurrency(t *testing.T) {
	r := newTestRouter(Options{})
	for _, stated := range []int{8, 2} { // of two models that share a deployment the stricter counts
		if _, err := r.Model(weighted, []Member{{Name: "a", Concurrency: stated}}); err != nil {
			t.Fatal(err)
		}
	}
	m := newTestModel(t, r, weighted, 1)
	for range 100 {
		one, other := pick(t, m, Query{Now: begin}), pick(t, m, Query{Now: begin})
		refusedPick(t, m, Query{Now: begin})
		one.End(begin, Answered, 0)
		other.End(begin, Answered, 0)
	}
}

func TestModelBounds(t *testing.T) {
	r := newTestRouter(Options{})
	for _, n := range []int{0, MostMembers + 1} {
		if _, err := r.Model(weighted, make([]Member, n)); err == nil {
			t.Errorf("a model with %d deployments is accepted", n)
		}
	}
	weights := make([]int, MostMembers)
	m := newTestModel(t, r, weighted, weights...)
	seen := Set(0)
	for range 2000 {
		seen = seen.With(pick(t, m, Query{Now: begin}).Index())
	}
	if seen != ^Set(0) {
		t.Fatalf("chose among %b", seen)
	}
}

// A look at a provider's health counts only while nobody calls it.
func TestChecked(t *testing.T) {
	r := newTestRouter(Options{Breaker: BreakerOptions{Failures: 2}})
	m := newTestModel(t, r, weighted, 1)
	d := r.Deployment("a")
	a := pick(t, m, Query{Now: begin})
	d.Checked(begin, false)
	d.Checked(begin, false)
	a.End(begin, Answered, 0)
	d.Checked(at(idleAfter-1), false)
	d.Checked(at(idleAfter-1), false)
	if d.State(begin) != Closed {
		t.Fatal("a look at the health of a deployment that is called counts")
	}
	d.Checked(at(idleAfter), false)
	d.Checked(at(idleAfter), true)
	d.Checked(at(idleAfter), false)
	if got := d.State(at(idleAfter)); got != Open {
		t.Fatalf("looks that fail make it %v", got)
	}
	d.Checked(at(3*idleAfter), true)
	if got := d.State(at(3 * idleAfter)); got != HalfOpen {
		t.Fatalf("after the recovery time it is %v", got)
	}
}

func TestMetricsAndNotes(t *testing.T) {
	var log strings.Builder
	registry := prometheus.NewRegistry()
	r := newTestRouter(Options{
		Breaker: BreakerOptions{Failures: 1, Recovery: time.Second, Trials: 1}, Registerer: registry,
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})),
	})
	m := newTestModel(t, r, weighted, 1)
	pick(t, m, Query{Now: begin})
	pick(t, m, Query{Now: begin}).End(begin, Broken, 0)
	if r.Extra(begin) {
		t.Fatal("an empty budget gave")
	}
	want := `
# HELP circuit_breaker_state 0: calls go through. 1: half-open, a few go through on trial. 2: open, none do.
# TYPE circuit_breaker_state gauge
circuit_breaker_state{deployment="a"} 2
# HELP llm_deployment_concurrency Calls of a deployment under way (used), and how many it is seen to bear (limit).
# TYPE llm_deployment_concurrency gauge
llm_deployment_concurrency{deployment="a",of="limit"} 256
llm_deployment_concurrency{deployment="a",of="used"} 1
# HELP llm_retry_budget_exhausted_total Attempts beyond a request's first that were not made: a fifth of the requests and ten a second may be.
# TYPE llm_retry_budget_exhausted_total counter
llm_retry_budget_exhausted_total 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"circuit_breaker_state", "llm_deployment_concurrency", "llm_retry_budget_exhausted_total"); err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(r.metrics.attempts.WithLabelValues("a", "broken")); got != 1 {
		t.Errorf("%v attempts are counted", got)
	}
	pick(t, m, Query{Now: at(time.Second)}).End(at(time.Second), Answered, 0)
	notes := `level=WARN msg="a circuit breaker changed" deployment=a from=closed to=open
level=WARN msg="a circuit breaker changed" deployment=a from=open to=half-open
level=INFO msg="a circuit breaker changed" deployment=a from=half-open to=closed
`
	if log.String() != notes {
		t.Errorf("noted\n%swant\n%s", log.String(), notes)
	}
}
