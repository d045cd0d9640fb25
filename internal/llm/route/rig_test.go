package route

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// begin is when the tests' routers begin.
var begin = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return begin.Add(d) }

// newTestRouter chooses the same way in every run.
func newTestRouter(o Options) *Router {
	o.Now = func() time.Time { return begin }
	o.Random = rand.New(rand.NewPCG(1, 2)).Uint64
	return NewRouter(o)
}

// newTestModel has a deployment for each weight: a, b, c …
func newTestModel(t testing.TB, r *Router, routing Routing, weights ...int) *Model {
	t.Helper()
	var members []Member
	for i, w := range weights {
		members = append(members, Member{Name: string(rune('a' + i)), Weight: w})
	}
	m, err := r.Model(routing, members)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func pick(t testing.TB, m *Model, q Query) *Attempt {
	t.Helper()
	a, err := m.Pick(q)
	if err != nil {
		t.Fatal(err)
	}
	return &a
}

func refusedPick(t testing.TB, m *Model, q Query) *NoneError {
	t.Helper()
	var none *NoneError
	if _, err := m.Pick(q); !errors.As(err, &none) {
		t.Fatalf("%v, want none available", err)
	}
	return none
}

var (
	weighted     = Routing{}
	sticky       = Routing{Sticky: true}
	leastLatency = Routing{LeastLatency: true}
)

// shares counts where so many requests go.
func shares(t testing.TB, m *Model, n int, q func(i int) Query) []int {
	t.Helper()
	counts := make([]int, len(m.members))
	for i := range n {
		a := pick(t, m, q(i))
		counts[a.Index()]++
		a.End(begin, Answered, 0)
	}
	return counts
}
