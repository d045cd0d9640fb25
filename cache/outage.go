package cache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	outageAfter = 3                      // failures in a row from which on Redis is passed over
	outageProbe = 250 * time.Millisecond // between two looks at it then
)

// outage remembers that Redis does not answer, so that not every request waits to
// learn it. Errors that Redis answered with are no outage.
type outage struct {
	now      func() time.Duration
	failures atomic.Int32
	probe    atomic.Int64 // time of the next look, while passed over
}

// passed says whether Redis is to be passed over by this call. While it is away one
// call per interval is let through to look.
func (o *outage) passed() bool {
	if o.failures.Load() < outageAfter {
		return false
	}
	now, next := int64(o.now()), o.probe.Load()
	return now < next || !o.probe.CompareAndSwap(next, now+int64(outageProbe))
}

// heard takes the outcome of a call.
func (o *outage) heard(err error) {
	if !unreachable(err) {
		o.failures.Store(0)
		return
	}
	if o.failures.Add(1) >= outageAfter {
		o.probe.Store(int64(o.now() + outageProbe))
	}
}

// unreachable tells an outage from an answer. LOADING is an answer that has no value
// behind it for a while.
func unreachable(err error) bool {
	if err == nil || errors.Is(err, redis.Nil) || errors.Is(err, context.Canceled) {
		return false
	}
	var answer redis.Error
	return !errors.As(err, &answer) || redis.HasErrorPrefix(err, "LOADING")
}

// budget is how long one request may still wait for Redis. It is for one goroutine.
type budget struct{ left time.Duration }

// call makes one call of Redis within the budget. errAway: it was not made.
func (l *level2) call(ctx context.Context, b *budget, do func(ctx context.Context) error) error {
	if b.left <= 0 || l.outage.passed() {
		return errAway
	}
	ctx, cancel := context.WithTimeout(ctx, b.left)
	defer cancel()
	start := time.Now()
	err := do(ctx)
	b.left -= time.Since(start)
	l.outage.heard(err)
	return err
}
