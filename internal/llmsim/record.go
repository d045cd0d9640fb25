package llmsim

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Request is what the simulator remembers of a request to a model.
type Request struct {
	Path      string // "/v1/chat/completions", "/v1/messages" …
	Model     string
	Stream    bool
	Header    http.Header
	Body      []byte
	Arrived   time.Time
	Status    int  // sent; 0 before
	Sent      int  // tokens handed to the socket, over all choices
	Cancelled bool // the client left before the answer was complete
	Done      bool // the simulator is finished with it, either way
	Ended     time.Time
}

// journal keeps the last requests and tells waiters of every change.
type journal struct {
	mu      sync.Mutex
	size    int
	total   int64
	entries []*Request
	changed chan struct{}
}

// Requests returns the remembered requests, oldest first.
func (s *Server) Requests() []Request {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.copies()
}

// Count is the number of requests to models since the start or the last Reset, those
// for sim-instant and forgotten ones included.
func (s *Server) Count() int64 {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.total + s.instant.Load()
}

// Await returns the first remembered request that satisfies want, waiting for
// one until ctx ends.
func (s *Server) Await(ctx context.Context, want func(Request) bool) (Request, error) {
	for {
		s.journal.mu.Lock()
		entries, changed := s.journal.copies(), s.journal.changed
		s.journal.mu.Unlock()
		for _, r := range entries {
			if want(r) {
				return r, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Request{}, context.Cause(ctx)
		}
	}
}

func (j *journal) copies() []Request {
	out := make([]Request, len(j.entries))
	for i, r := range j.entries {
		out[i] = *r
	}
	return out
}

func (j *journal) open(r *http.Request, body []byte, now time.Time) *Request {
	entry := &Request{Path: r.URL.Path, Header: r.Header.Clone(), Body: body, Arrived: now}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) == j.size {
		j.entries = append(j.entries[:0], j.entries[1:]...)
	}
	j.entries = append(j.entries, entry)
	j.total++
	j.tell()
	return entry
}

func (j *journal) model(entry *Request, model string, stream bool) {
	j.edit(func() { entry.Model, entry.Stream = model, stream })
}

func (j *journal) status(entry *Request, status int) { j.edit(func() { entry.Status = status }) }

func (j *journal) sent(entry *Request) { j.edit(func() { entry.Sent++ }) }

func (j *journal) close(entry *Request, cancelled bool) {
	j.edit(func() { entry.Done, entry.Cancelled, entry.Ended = true, entry.Cancelled || cancelled, time.Now() })
}

func (j *journal) reset() {
	j.edit(func() { j.entries, j.total = nil, 0 })
}

func (j *journal) edit(change func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
	j.tell()
}

// tell wakes every waiter; the caller holds the lock.
func (j *journal) tell() {
	close(j.changed)
	j.changed = make(chan struct{})
}
