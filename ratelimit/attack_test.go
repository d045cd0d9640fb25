package ratelimit_test

import (
	"math"
	"testing"
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

// The limiters that are in wide use, each as its textbook has it, to be attacked beside
// ours. A limiter says whether a request at now, since the beginning, may pass; now
// never steps back.
type limiter func(now time.Duration) bool

const attackSpan = time.Minute

// fixedWindow counts in windows that begin with each full minute.
func fixedWindow(limit int) limiter {
	var window time.Duration
	count := 0
	return func(now time.Duration) bool {
		if w := now / attackSpan; w != window {
			window, count = w, 0
		}
		if count >= limit {
			return false
		}
		count++
		return true
	}
}

// slidingCounter adds to the count of this full minute the one before it, weighted by
// how much of it the trailing window still covers.
func slidingCounter(limit int) limiter {
	var window time.Duration
	var before, count float64
	return func(now time.Duration) bool {
		switch w := now / attackSpan; {
		case w == window+1:
			window, before, count = w, count, 0
		case w > window:
			window, before, count = w, 0, 0
		}
		covered := 1 - float64(now%attackSpan)/float64(attackSpan)
		if count+before*covered+1 > float64(limit) {
			return false
		}
		count++
		return true
	}
}

// fullBurstGCRA lets requests through at the limit's rate, and a whole window's worth of
// them at once after a pause: the token bucket as it is mostly configured.
func fullBurstGCRA(limit int) limiter { return gcra(limit, limit) }

// gcra lets requests through at the limit's rate, and burst of them at once after a pause.
func gcra(limit, burst int) limiter {
	every := attackSpan / time.Duration(limit)
	tolerance := time.Duration(burst-1) * every
	arrival := time.Duration(math.MinInt64 / 2) // the theoretical arrival time
	return func(now time.Duration) bool {
		if arrival-tolerance > now {
			return false
		}
		arrival = max(arrival, now) + every
		return true
	}
}

// attack is a client that waits until shortly before a full minute and from then on
// asks without a pause.
type attack struct {
	begin, end, every time.Duration
}

// against returns when l let the attack through.
func (a attack) against(l limiter) (passed []time.Duration) {
	for now := a.begin; now < a.end; now += a.every {
		if l(now) {
			passed = append(passed, now)
		}
	}
	return passed
}

// trailing counts what passed in (at-attackSpan, at].
func trailing(passed []time.Duration, at time.Duration) (n int) {
	for _, p := range passed {
		if p > at-attackSpan && p <= at {
			n++
		}
	}
	return n
}

// worst is the fullest trailing window, by its end and its count. A window is at its
// fullest when something has just passed.
func worst(passed []time.Duration) (at time.Duration, n int) {
	from := 0
	for to, p := range passed {
		for passed[from] <= p-attackSpan {
			from++
		}
		if to-from+1 > n {
			at, n = p, to-from+1
		}
	}
	return at, n
}

// ours is this package's, by its reference.
func ours(t testing.TB, limit int) limiter {
	var at time.Duration
	memory := ratelimit.NewMemory(func() time.Time { return epoch.Add(at) })
	asked := []ratelimit.Limit{{
		Kind: ratelimit.Window, Name: ratelimit.NameRequests, Scope: ratelimit.ScopeKey, Key: "lim:{s00}:key:attacked",
		Max: int64(limit), Span: attackSpan, Cost: 1,
	}}
	return func(now time.Duration) bool {
		at = now
		d, _, err := memory.Take(t.Context(), "", 0, asked)
		if err != nil {
			t.Fatal(err)
		}
		return d.Allowed
	}
}
