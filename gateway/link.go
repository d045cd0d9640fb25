package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// silenceMost is how long a caller waits while Redis answers nobody. A Redis that
	// answers others is not away, however loaded the machine: its answer is waited for.
	silenceMost = 200 * time.Millisecond
	// waitMost is how many times that a caller waits in any case.
	waitMost = 10
)

var errSlow = errors.New("gateway: Redis does not answer")

// breaker stands before Redis.
type breaker interface {
	Open() bool
	Do(ctx context.Context, call func(context.Context) error) error
}

// unbroken is no breaker at all.
type unbroken struct{}

func (unbroken) Open() bool { return false }

func (unbroken) Do(ctx context.Context, call func(context.Context) error) error { return call(ctx) }

// link is the request path's way to Redis. It bounds how long a caller waits, which
// commands that are gathered into pipelines do not by themselves: they heed no context,
// and wait for the pipeline before theirs.
type link struct {
	breaker  breaker
	silence  func() time.Duration // since Redis was heard by anybody here; nil: as these calls know
	patience time.Duration
	began    time.Time
	heard    atomic.Int64 // when Redis last answered anybody, in ns since began
}

func newLink(b breaker, patience time.Duration, silence func() time.Duration) *link {
	return &link{breaker: b, patience: patience, silence: silence, began: time.Now()}
}

// ask asks Redis by way of the breaker.
func ask[T any](ctx context.Context, w *link, call func(context.Context) (T, error)) (value T, err error) {
	err = w.breaker.Do(ctx, func(ctx context.Context) (err error) {
		value, err = await(ctx, w, call)
		return err
	})
	return value, err
}

// await asks past the breaker. What is answered after it has given up is lost.
func await[T any](ctx context.Context, w *link, call func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	asked := time.Since(w.began)
	go func() {
		value, err := call(ctx)
		answered <- answer{value, err}
	}()
	patience := time.NewTimer(w.patience)
	defer patience.Stop()
	var none T
	for {
		select {
		case a := <-answered:
			if spoken(a.err) {
				w.heard.Store(int64(time.Since(w.began)))
			}
			return a.value, a.err
		case <-ctx.Done():
			return none, ctx.Err()
		case <-patience.C:
		}
		now := time.Since(w.began)
		silence := now - max(asked, time.Duration(w.heard.Load()))
		if w.silence != nil {
			silence = min(silence, w.silence())
		}
		if silence >= w.patience || now-asked >= waitMost*w.patience {
			return none, errSlow
		}
		patience.Reset(w.patience - silence)
	}
}

// spoken says whether Redis answered, be it with an error.
func spoken(err error) bool {
	var reply redis.Error
	return err == nil || errors.As(err, &reply)
}
