package route

import (
	"testing"
	"time"
)

func about(t *testing.T, got []int, want ...int) {
	t.Helper()
	for i := range want {
		if slack := want[i]/10 + 50; got[i] < want[i]-slack || got[i] > want[i]+slack {
			t.Errorf("requests went to %v, want about %v", got, want)
			return
		}
	}
}

func TestWeighted(t *testing.T) {
	m := newTestModel(t, newTestRouter(Options{}), weighted, 6, 3, 1)
	now := func(int) Query { return Query{Now: begin, Key: 7} }
	about(t, shares(t, m, 10_000, now), 6000, 3000, 1000)
	about(t, shares(t, m, 10_000, func(int) Query { return Query{Now: begin, Never: Set(0).With(0)} }), 0, 7500, 2500)
}

// Conversations are spread by weight, keep their deployment, and only those of a
// deployment that is away move, and come back.
func TestSticky(t *testing.T) {
	m := newTestModel(t, newTestRouter(Options{}), sticky, 6, 3, 1)
	about(t, shares(t, m, 10_000, func(i int) Query { return Query{Now: begin, Key: uint64(i + 1)} }), 6000, 3000, 1000)
	about(t, shares(t, m, 10_000, func(int) Query { return Query{Now: begin} }), 6000, 3000, 1000) // no conversation
	for key := uint64(1); key < 500; key++ {
		home := pick(t, m, Query{Now: begin, Key: key})
		home.End(begin, Answered, 0)
		moved := pick(t, m, Query{Now: begin, Key: key, Tried: Set(0).With((home.Index() + 1) % 3)})
		moved.End(begin, Answered, 0)
		if moved.Index() != home.Index() {
			t.Fatalf("conversation %d moved although its deployment is there", key)
		}
		away := pick(t, m, Query{Now: begin, Key: key, Tried: Set(0).With(home.Index())})
		away.End(begin, Answered, 0)
		if away.Index() == home.Index() {
			t.Fatal("a deployment that was tried is tried again although others are there")
		}
	}
}

// Instances agree on where a conversation goes.
func TestStickyIsTheSameEverywhere(t *testing.T) {
	one := newTestModel(t, newTestRouter(Options{}), sticky, 1, 1, 1)
	other := newTestModel(t, NewRouter(Options{Now: func() time.Time { return begin }}), sticky, 1, 1, 1)
	for key := uint64(1); key < 500; key++ {
		if a, b := pick(t, one, Query{Now: begin, Key: key}), pick(t, other, Query{Now: begin, Key: key}); a.Index() != b.Index() {
			t.Fatalf("conversation %d goes to %d here and to %d there", key, a.Index(), b.Index())
		} else {
			a.End(begin, Answered, 0)
			b.End(begin, Answered, 0)
		}
	}
}

func TestLeastLatency(t *testing.T) {
	m := newTestModel(t, newTestRouter(Options{}), leastLatency, 1, 1, 1)
	takes := []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, 20 * time.Millisecond}
	stream := true
	run := func(n int) []int {
		counts := make([]int, 3)
		for range n {
			a := pick(t, m, Query{Now: begin, Stream: stream})
			counts[a.Index()]++
			a.Began(at(takes[a.Index()]))
			a.End(at(time.Minute), Answered, 0) // how long an answer is does not matter
		}
		return counts
	}
	got := run(3000)
	for i := range got {
		if got[i] == 0 {
			t.Fatalf("deployment %d was never tried: %v", i, got)
		}
	}
	if got[2] < 2800 {
		t.Fatalf("requests went to %v, want nearly all to the quickest", got)
	}
	takes[2] = time.Second // exploring finds out that another has become the quickest
	if got = run(3000); got[0] < 2700 {
		t.Fatalf("requests went to %v, want nearly all to the one that is quickest now", got)
	}
	if stream = false; run(3)[0] == 3 {
		t.Fatal("whole answers are judged by how soon streamed ones begin")
	}
}

// Who answers nobody must not seem quick.
func TestLeastLatencyTimeout(t *testing.T) {
	m := newTestModel(t, newTestRouter(Options{Breaker: BreakerOptions{Failures: 1000}}), leastLatency, 1, 1)
	counts := make([]int, 2)
	for range 1000 {
		a := pick(t, m, Query{Now: begin})
		counts[a.Index()]++
		if a.Index() == 0 {
			a.End(at(time.Minute), Timeout, 0)
		} else {
			a.Began(at(time.Second))
			a.End(at(time.Second), Answered, 0)
		}
	}
	if counts[0] > 60 {
		t.Fatalf("%d of 1,000 requests went to a deployment that does not answer", counts[0])
	}
}
