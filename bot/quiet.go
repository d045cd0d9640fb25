package bot

import (
	"sync/atomic"
	"time"
)

// quiet lets one message through in a while, so that a lasting trouble does not fill
// the log.
type quiet struct {
	every time.Duration
	next  atomic.Int64 // unix ns
}

func newQuiet(every time.Duration) *quiet { return &quiet{every: every} }

func (q *quiet) may() bool {
	now := time.Now()
	next := q.next.Load()
	return now.UnixNano() >= next && q.next.CompareAndSwap(next, now.Add(q.every).UnixNano())
}
