package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/kikuai/kikuai/internal/llm"
)

const (
	pingEvery = 5 * time.Second
	// maxUnread is how much of an answer may wait for a slow reader; then the
	// provider waits too.
	maxUnread = 64 << 10 // bytes
	maxKept   = 1 << 20  // bytes of room that is kept for what will come
)

var errGone = errors.New("gateway: the client went away")

// eventStream is the body of a streamed answer. One goroutine runs the call and
// writes events into it, the HTTP server reads them out. The call ends when the server
// closes it, because it is over or a write has failed, or when the lookout finds the
// client gone.
type eventStream struct {
	every  time.Duration // of silence
	ping   []byte        // is sent then
	call   context.Context
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	unread   []byte
	start    int  // of what is unread
	finished bool // nothing more is written
	broken   bool // and what was written is not all there should be
	closed   bool // nobody reads any more
	probing  bool // something is to be sent, so that the client shows whether it is there
	more     chan struct{}
	room     chan struct{}
	timer    *time.Timer
	socket   *socket
}

// startStream runs a call in a goroutine of the server's and takes its events down on t.
// conn is the client's.
func (s *Server) startStream(live *Live, conn net.Conn, requestID string, t *tape) *eventStream {
	e := s.newEventStream(live.ctx, live.cancel, conn, live.ping())
	s.pumps.Go(func() { s.pump(e, live, requestID, t) })
	return e
}

// newEventStream is a stream of a call that ends with the context, and is cancelled when
// the client leaves. conn is the client's; ping is what is sent in a silence, nil: nothing.
func (s *Server) newEventStream(call context.Context, cancel context.CancelCauseFunc, conn net.Conn, ping []byte) *eventStream {
	e := &eventStream{
		every: s.pingEvery, ping: ping, call: call, cancel: cancel,
		more: make(chan struct{}, 1), room: make(chan struct{}, 1),
		timer: time.NewTimer(s.pingEvery),
	}
	e.socket = s.lookout.watch(conn, e)
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
	defer func() { t.trail.streamed(live, receipt, err) }()
	switch {
	case errors.Is(err, errGone):
	case err != nil:
		p := explain(err)
		s.report(requestID, live.account, p.status, err)
		if live.request.Sound {
			e.cutOff()
			return
		}
		body := p.body(shapeOf(live.request.Operation), requestID)
		_ = e.write(live.last().rendition.Fail(nil, llm.Failure{Body: body, Code: p.code, Message: p.message, Err: err})) // who is gone need not be told
	default:
		if live.asIs() && t.wanted(receipt) {
			s.answers.keep(t.key, live.last().rendition.Close(t.events, receipt.final(0)))
		}
		_ = e.write(live.last().rendition.Close(nil, receipt.final(receipt.CostNano))) // likewise
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
		if len(e.unread)-e.start < maxUnread {
			e.unread = append(e.unread[:copy(e.unread, e.unread[e.start:])], events...)
			e.start = 0
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

// cutOff has the connection broken off where the answer is: bytes hold no word of an
// error.
func (e *eventStream) cutOff() {
	e.mu.Lock()
	e.broken = true
	e.mu.Unlock()
}

// ping is what is sent in the silence of a call's answer; nothing in that of sound.
func (l *Live) ping() []byte {
	if l.request.Sound {
		return nil
	}
	return shapeOf(l.request.Operation).ping()
}

// Read returns what has come, or, after a silence or where the client has to show that it
// is there, a comment.
func (e *eventStream) Read(p []byte) (int, error) {
	for {
		n, ping, err := e.take(p)
		if n > 0 || err != nil {
			return n, err
		}
		if !ping {
			e.timer.Reset(e.every)
			select {
			case <-e.more:
				continue
			case <-e.timer.C:
			}
		}
		return copy(p, e.ping), nil
	}
}

// take takes what is there to be read. ping: nothing, and the client is to be probed.
func (e *eventStream) take(p []byte) (n int, ping bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return 0, false, errGone
	case len(e.unread) > e.start:
		n = copy(p, e.unread[e.start:])
		if e.start += n; e.start == len(e.unread) {
			e.unread, e.start = e.unread[:0], 0
			if cap(e.unread) > maxKept {
				e.unread = nil // a picture, which nothing as long follows
			}
		}
		e.probing = false
		signal(e.room)
		return n, false, nil
	case e.broken:
		return 0, false, errCutShort
	case e.finished:
		return 0, false, io.EOF
	}
	ping, e.probing = e.probing, false
	return 0, ping, nil
}

// probe has something sent, unless something is anyway.
func (e *eventStream) probe() {
	e.mu.Lock()
	e.probing = true
	e.mu.Unlock()
	signal(e.more)
}

// leave ends the call, if it still runs: its client has gone.
func (e *eventStream) leave() {
	e.mu.Lock()
	running := !e.closed && !e.finished
	e.closed = true
	e.mu.Unlock()
	if running {
		e.cancel(errGone)
	}
	signal(e.room)
	signal(e.more)
}

// Close is called by the HTTP server once the answer is out or cannot be.
func (e *eventStream) Close() error {
	e.socket.forget()
	e.leave()
	e.timer.Stop()
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
