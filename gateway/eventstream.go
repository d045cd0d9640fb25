package gateway

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/kikuai/kikuai/internal/llm"
)

const (
	pingEvery = 5 * time.Second
	// maxUnread is how much of an answer may wait for a slow reader; then the
	// provider waits too.
	maxUnread = 64 << 10 // bytes
)

var (
	errGone   = errors.New("gateway: the client went away")
	pingEvent = []byte(": ping\n\n")
	doneEvent = []byte(eventData + "[DONE]" + eventEnd)
)

const (
	eventData = "data: " // before an event's data
	eventEnd  = "\n\n"
)

// eventStream is the body of a streamed answer. One goroutine runs the call and
// writes events into it, the HTTP server reads them out. Closing it ends the call.
type eventStream struct {
	ping   time.Duration
	call   context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	unread   []byte
	finished bool // nothing more is written
	closed   bool // nobody reads any more
	more     chan struct{}
	room     chan struct{}
	timer    *time.Timer
}

// startStream runs a call in a goroutine of the server's and takes its events down on t.
func (s *Server) startStream(live *Live, requestID string, t *tape) *eventStream {
	e := &eventStream{
		ping:   s.pingEvery,
		call:   live.ctx,
		cancel: live.cancel,
		more:   make(chan struct{}, 1),
		room:   make(chan struct{}, 1),
		timer:  time.NewTimer(s.pingEvery),
	}
	s.pumps.Go(func() { s.pump(e, live, requestID, t) })
	return e
}

// pump runs the call and ends the stream in the way the call ended.
func (s *Server) pump(e *eventStream, live *Live, requestID string, t *tape) {
	defer live.Close()
	defer e.finish()
	receipt, err := live.Run(func(raw []byte, _ llm.Chunk) error {
		t.record(raw)
		return e.write(raw)
	})
	switch {
	case errors.Is(err, errGone):
	case err != nil:
		p := explain(err)
		s.report(requestID, p.status, err)
		event := append([]byte("data: "), p.body(shapeOpenAI, requestID)...)
		_ = e.write(append(event, "\n\n"...)) // who is gone need not be told
	default:
		s.answers.keepStream(t, receipt)
		_ = e.write(append(receipt.Closing, doneEvent...)) // likewise
	}
}

// write adds whole events, waiting while the reader is too far behind.
func (e *eventStream) write(events []byte) error {
	for {
		e.mu.Lock()
		if e.closed {
			e.mu.Unlock()
			return errGone
		}
		if len(e.unread) < maxUnread {
			e.unread = append(e.unread, events...)
			e.mu.Unlock()
			signal(e.more)
			return nil
		}
		e.mu.Unlock()
		select {
		case <-e.room: // reading and closing both make room
		case <-e.call.Done():
			return context.Cause(e.call)
		}
	}
}

func (e *eventStream) finish() {
	e.mu.Lock()
	e.finished = true
	e.mu.Unlock()
	signal(e.more)
}

// Read returns what has come, or, after a silence, a comment that keeps the
// connection busy.
func (e *eventStream) Read(p []byte) (int, error) {
	for {
		e.mu.Lock()
		if len(e.unread) > 0 {
			n := copy(p, e.unread)
			e.unread = e.unread[:copy(e.unread, e.unread[n:])]
			e.mu.Unlock()
			signal(e.room)
			return n, nil
		}
		finished := e.finished
		e.mu.Unlock()
		if finished {
			return 0, io.EOF
		}
		e.timer.Reset(e.ping)
		select {
		case <-e.more:
		case <-e.timer.C:
			return copy(p, pingEvent), nil
		}
	}
}

// Close is called by the HTTP server once the answer is out or cannot be.
func (e *eventStream) Close() error {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	finished := e.finished
	e.mu.Unlock()
	if closed {
		return nil
	}
	if !finished {
		e.cancel(errGone)
	}
	signal(e.room)
	e.timer.Stop()
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
