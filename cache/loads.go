package cache

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"time"
)

// loader asks the source. It knows nothing of types.
type loader func(ctx context.Context) (any, error)

// loads runs loaders: bounded in number, each bounded in time, and none can end the
// process.
type loads struct {
	slots   chan struct{}
	timeout time.Duration
	log     *slog.Logger
	spawn   func(func()) bool
}

type loaded struct {
	value any
	delta time.Duration
	err   error
}

// run waits for the loader or its timeout. A loader that does not heed its context
// goes on by itself and keeps its slot until it returns.
func (l *loads) run(ctx context.Context, space string, load loader) loaded {
	select {
	case l.slots <- struct{}{}:
	default:
		return loaded{err: ErrBusy}
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	done := make(chan loaded, 1)
	if !l.spawn(func() {
		r := loaded{err: errExited} // what is left of a loader that calls runtime.Goexit
		defer func() {
			if v := recover(); v != nil {
				r.err = &PanicError{Value: v}
				l.log.Error("a cache loader panicked", "space", space, "panic", v, "stack", string(debug.Stack()))
			}
			done <- r
			cancel()
			<-l.slots
		}()
		start := time.Now()
		value, err := load(ctx)
		r = loaded{value: value, delta: time.Since(start), err: err}
	}) {
		cancel()
		<-l.slots
		return loaded{err: errClosed}
	}
	select {
	case r := <-done:
		return r
	case <-ctx.Done():
	}
	select {
	case r := <-done: // at the same moment
		return r
	default:
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return loaded{err: &LoadTimeoutError{After: l.timeout}}
	}
	return loaded{err: errClosed}
}
