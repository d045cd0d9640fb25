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
	// fewCalls are too few to be worth gathering.
	fewCalls = 2
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
	bounded  bool         // the client waits no longer than a call's link has patience
	asking   atomic.Int64 // calls of it that are under way
	beats    atomic.Pointer[beat]
}

func newLink(client redis.Scripter, b breaker, patience time.Duration, silence func() time.Duration) *link {
	j, is := client.(joining)
	return &link{breaker: b, patience: patience, silence: silence, began: time.Now(), bounded: is && j.pipe != nil}
}

// ask asks Redis by way of the breaker.
func ask[T any](ctx context.Context, w *link, call func(context.Context) (T, error)) (value T, err error) {
	err = w.breaker.Do(ctx, func(ctx context.Context) (err error) {
		value, err = await(ctx, w, call)
		return err
	})
	return value, err
}

// await asks past the breaker, for a call that runs one script. What is answered after it
// has given up is lost.
//
// Where next to nobody else asks, the script goes to Redis by itself: on a machine that has
// time, each hand-over to another goroutine takes longer than all that gathering could
// spare. Its connection bounds how long it waits.
func await[T any](ctx context.Context, w *link, call func(context.Context) (T, error)) (T, error) {
	if !w.bounded || ctx.Value(participantKey{}) != nil { // whoever joins others waits for them
		return aside(ctx, w, call)
	}
	way := bound{link: w, alone: w.asking.Add(1) <= fewCalls}
	defer w.asking.Add(-1)
	value, err := call(context.WithValue(ctx, boundKey{}, way))
	w.hear(err)
	return value, err
}

// aside asks on a goroutine of its own, for a call that may be of several scripts, or whose
// client heeds nobody's patience.
func aside[T any](ctx context.Context, w *link, call func(context.Context) (T, error)) (T, error) {
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
			w.hear(a.err)
			return a.value, a.err
		case <-ctx.Done():
			return none, ctx.Err()
		case <-patience.C:
		}
		more := w.left(asked)
		if more <= 0 {
			return none, errSlow
		}
		patience.Reset(more)
	}
}

// hear notes that Redis has answered, unless what came of a call is another's error.
func (w *link) hear(err error) {
	if spoken(err) {
		w.heard.Store(int64(time.Since(w.began)))
	}
}

// left is how much longer a caller waits who has asked then, should nothing be heard
// meanwhile.
func (w *link) left(asked time.Duration) time.Duration {
	now := time.Since(w.began)
	silence := now - max(asked, time.Duration(w.heard.Load()))
	if w.silence != nil {
		silence = min(silence, w.silence())
	}
	return min(w.patience-silence, waitMost*w.patience-(now-asked))
}

// spoken says whether Redis answered, be it with an error.
func spoken(err error) bool {
	var reply redis.Error
	return err == nil || errors.As(err, &reply)
}

// wait waits for a command that was sent to Redis, for as long as patience lasts. With an
// error of its own the command's is not to be read: it may yet come.
func (w *link) wait(ctx context.Context, sent redis.AutoFuture) error {
	asked := time.Since(w.began)
	if sent.WaitContext(w.beat()) != errBeat { //nolint:errorlint // it is nobody else's and never wrapped
		return nil
	}
	for {
		more := w.left(asked)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case more <= 0:
			return errSlow
		}
		// The context's error says no more than that it is time to look again.
		turn, cancel := context.WithTimeoutCause(ctx, more, errBeat)
		_ = sent.WaitContext(turn) // is the command's, or the context's
		over := turn.Err() != nil
		cancel()
		if !over {
			return nil
		}
	}
}

var errBeat = errors.New("gateway: it is time to look whether Redis is away")

// beat is a context that ends within half a patience. All that begin to wait meanwhile
// share it: nearly all have their answer before, and none of these pays for a timer.
type beat struct {
	context.Context

	over chan struct{}
}

func (b *beat) Done() <-chan struct{} { return b.over }

func (b *beat) Err() error {
	select {
	case <-b.over:
		return errBeat
	default:
		return nil
	}
}

func (w *link) beat() *beat {
	for {
		last := w.beats.Load()
		if last != nil && last.Err() == nil {
			return last
		}
		next := &beat{context.Background(), make(chan struct{})}
		if w.beats.CompareAndSwap(last, next) {
			time.AfterFunc(w.patience/2, func() { close(next.over) })
			return next
		}
	}
}
