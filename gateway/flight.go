package gateway

import (
	"context"
	"errors"
	"sync"
)

var (
	errBusy    = errors.New("gateway: too many calls under way")
	errClosing = errors.New("gateway: shutting down")
)

// flight counts what is under way, up to a bound, and can be waited for.
type flight struct {
	mu     sync.Mutex
	n      int
	most   int
	closed bool
	empty  chan struct{}
}

func newFlight(most int) *flight { return &flight{most: most, empty: make(chan struct{})} }

// begin counts one more. errBusy, errClosing.
func (f *flight) begin() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return errClosing
	case f.n >= f.most:
		return errBusy
	}
	f.n++
	return nil
}

func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.closed && f.n == 0 {
		close(f.empty)
	}
}

func (f *flight) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// close lets nothing more begin.
func (f *flight) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.closed = true
	if f.n == 0 {
		close(f.empty)
	}
}

// wait returns when, after close, all has ended, or with ctx's error.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
