package cache

import "sync"

// flights let many readers of one value wait for one read of it. It is what
// golang.org/x/sync/singleflight does, but that its goroutines are the Cache's, which
// waits for them when it closes, and that a flight ends with the generation of its key:
// who asks after an invalidation does not join what began before it.
type flights struct {
	mu  sync.Mutex
	aim map[aim]*flight
}

// aim is what a flight is for.
type aim struct {
	place
	generation uint64
}

// flight is one read under way. entry and err are set when done is closed.
type flight struct {
	done  chan struct{}
	entry *entry
	err   error
}

// join returns the flight to a, and whether it was begun now, by spawn with read. nil:
// nothing is spawned any more.
func (f *flights) join(a aim, spawn func(func()) bool, read func() (*entry, error)) (under *flight, began bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if under, found := f.aim[a]; found {
		return under, false
	}
	begun := &flight{done: make(chan struct{})}
	if !spawn(func() {
		begun.err = errExited
		defer func() {
			if v := recover(); v != nil { // of an encoding or of Tags; loaders have their own
				begun.err = &PanicError{Value: v}
			}
			f.mu.Lock()
			delete(f.aim, a)
			f.mu.Unlock()
			close(begun.done)
		}()
		begun.entry, begun.err = read()
	}) {
		return nil, false
	}
	f.aim[a] = begun
	return begun, true
}
