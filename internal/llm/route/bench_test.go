package route

import (
	"testing"
	"time"
)

// healthy is what an attempt that succeeds costs: counted, picked, begun, ended.
func healthy(r *Router, m *Model, now time.Time, key uint64) {
	r.Request(now)
	a, err := m.Pick(Query{Now: now, Key: key, Stream: true})
	if err != nil {
		panic(err)
	}
	a.Began(now)
	a.End(now, Answered, 0)
}

var shapes = []struct {
	name    string
	routing Routing
	weights []int
}{
	{"one", sticky, []int{1}},
	{"sticky3", sticky, []int{1, 2, 3}},
	{"weighted3", weighted, []int{1, 2, 3}},
	{"latency3", leastLatency, []int{1, 2, 3}},
}

func BenchmarkAttempt(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			r := newTestRouter(Options{})
			m := newTestModel(b, r, s.routing, s.weights...)
			b.ReportAllocs()
			key := uint64(0)
			for b.Loop() {
				key++
				healthy(r, m, begin, key)
			}
		})
	}
}

func BenchmarkAttemptParallel(b *testing.B) {
	r := NewRouter(Options{})
	m := newTestModel(b, r, sticky, 1, 2, 3)
	now := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for key := uint64(1); pb.Next(); key++ {
			healthy(r, m, now, key)
		}
	})
}

func TestHealthyAttemptAllocatesNothing(t *testing.T) {
	for _, s := range shapes {
		r := newTestRouter(Options{})
		m := newTestModel(t, r, s.routing, s.weights...)
		if got := testing.AllocsPerRun(1000, func() { healthy(r, m, begin, 7) }); got != 0 {
			t.Errorf("%s: %v allocations", s.name, got)
		}
	}
}
