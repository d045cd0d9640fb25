package route

import (
	"sync/atomic"
	"time"
)

const (
	// extraEvery earns an attempt beyond the first by time alone: ten a second.
	extraEvery = 100 * time.Millisecond
	// extraShare earns them by requests: each is worth a fifth of one.
	extraShare = extraEvery / 5
	// extraMost is what can be saved up: ten attempts.
	extraMost = 10 * extraEvery
)

// budget is what all requests together may spend on attempts beyond their first. From
// its beginning, after t seconds and n requests, at most n/5 + 10·t have been spent; in
// any stretch of time at most ten more than that.
//
// It is a token bucket told as one moment: the bucket holds what the time since that
// moment is worth. Requests move it back, attempts move it forward, and it is never
// further back than a full bucket.
type budget struct{ empty atomic.Int64 } // nanoseconds since the router began

// earn counts a request.
func (b *budget) earn(now time.Duration) {
	for {
		at := b.empty.Load()
		least := int64(now - extraMost)
		next := max(at-int64(extraShare), least)
		if next >= at { // full, or nearly: all of its worth is there already
			return
		}
		if b.empty.CompareAndSwap(at, next) {
			return
		}
	}
}

// spend takes one attempt, if there is one.
func (b *budget) spend(now time.Duration) bool {
	for {
		at := b.empty.Load()
		next := max(at, int64(now-extraMost)) + int64(extraEvery)
		if next > int64(now) {
			return false
		}
		if b.empty.CompareAndSwap(at, next) {
			return true
		}
	}
}
