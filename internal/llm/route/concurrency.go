package route

import "sync/atomic"

const (
	defaultConcurrency = 256
	leastConcurrency   = 4
	mostConcurrency    = 1 << 16

	// slot is the unit of a limit's fractions.
	slot = 1 << 10
)

// concurrency is how many calls at a time a deployment is seen to bear: additive
// increase, multiplicative decrease. Only what the provider says plainly shrinks it,
// by a quarter: a rate limit, an overload, a timeout. How long answers take does not: a
// long answer is what a client asked for. Each answer adds 1/limit, while at least half
// of the limit is in use, since a limit that nobody comes near has not been tried.
type concurrency struct {
	used  atomic.Int64
	limit atomic.Int64 // in 1/slot
	round atomic.Uint32
	least int64 // in 1/slot
	most  int64 // in 1/slot
}

// newConcurrency starts at what the catalogue states, which is never exceeded, or at 256.
func newConcurrency(stated int) *concurrency {
	c := &concurrency{most: mostConcurrency * slot, least: leastConcurrency * slot}
	start := int64(defaultConcurrency) * slot
	if stated > 0 {
		start = min(int64(stated), mostConcurrency) * slot
		c.most = start
	}
	c.least = min(c.least, start)
	c.limit.Store(start)
	return c
}

func (c *concurrency) full() bool { return c.used.Load() >= c.limit.Load()/slot }

// enter takes a place if one is free. round is to be told when it is left.
func (c *concurrency) enter() (round uint32, entered bool) {
	for {
		used := c.used.Load()
		if used >= c.limit.Load()/slot {
			return 0, false
		}
		if c.used.CompareAndSwap(used, used+1) {
			return c.round.Load(), true
		}
	}
}

// leave gives the place back.
func (c *concurrency) leave(o Outcome, round uint32) {
	used := c.used.Add(-1) + 1
	switch {
	case o.congested():
		// Whatever was under way at the last decrease shows what was too much then.
		if c.round.CompareAndSwap(round, round+1) {
			c.move(func(limit int64) int64 { return max(c.least, limit-limit/4) })
		}
	case o == Answered && 2*used*slot >= c.limit.Load():
		c.move(func(limit int64) int64 { return min(c.most, limit+slot*slot/limit) })
	}
}

func (c *concurrency) move(to func(limit int64) int64) {
	for {
		limit := c.limit.Load()
		next := to(limit)
		if next == limit || c.limit.CompareAndSwap(limit, next) {
			return
		}
	}
}
