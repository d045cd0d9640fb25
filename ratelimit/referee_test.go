package ratelimit_test

import (
	"cmp"
	"slices"
	"time"
)

// The referee knows the definition of each kind of limit and nothing of how the
// limiter keeps it: it looks at what was let through and when.

// admission is something that was let through.
type admission struct {
	at   int64 // µs
	cost int64
	gone int64 // µs, of a concurrency lease: when it was given back or ran out
}

func byTime(a, b admission) int { return cmp.Compare(a.at, b.at) }

// mostInWindow is the largest sum of costs in any trailing window (t-w, t].
func mostInWindow(list []admission, w time.Duration) (most int64) {
	slices.SortStableFunc(list, byTime)
	from, sum := 0, int64(0)
	for _, a := range list {
		sum += a.cost
		for list[from].at <= a.at-w.Microseconds() {
			sum -= list[from].cost
			from++
		}
		most = max(most, sum)
	}
	return most
}

// mostFromBucket is the fullest that a bucket must have been for what was taken from it,
// in whole tokens, rounded up, where it refills by that many thousandths of a token per
// second: over any span of time, what was taken less what flowed in meanwhile.
func mostFromBucket(list []admission, refill int64) int64 {
	const unit = 1_000_000_000 // thousandths of a token × µs in a second
	slices.SortStableFunc(list, byTime)
	var drawn, most, last int64 // in units of a token
	for i, a := range list {
		if i > 0 {
			drawn = max(0, drawn-refill*(a.at-last))
		}
		last = a.at
		drawn += a.cost * unit
		most = max(most, drawn)
	}
	return (most + unit - 1) / unit
}

// mostAtOnce is how many leases were ever held at the same moment.
func mostAtOnce(list []admission) (most int64) {
	type turn struct {
		at   int64
		step int64
	}
	turns := make([]turn, 0, 2*len(list))
	for _, a := range list {
		turns = append(turns, turn{a.at, 1}, turn{a.gone, -1})
	}
	slices.SortFunc(turns, func(a, b turn) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.step, b.step)) // what is over makes room first
	})
	held := int64(0)
	for _, t := range turns {
		held += t.step
		most = max(most, held)
	}
	return most
}
