package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Stream is a streamed answer under way. It is for one goroutine; what ends it
// from outside is the context it was opened with.
type Stream struct {
	events  *EventReader
	body    *bounded
	parent  context.Context
	call    context.Context
	cancel  context.CancelCauseFunc
	timeout context.CancelFunc
	timer   *time.Timer
	begun   *atomic.Bool
	stall   time.Duration
}

// Stream sends a streamed request and returns once the provider has accepted it.
// The caller closes the stream. Errors: [*UpstreamError], or ctx's cause.
func (c *Client) Stream(ctx context.Context, d *Deployment, body []byte) (*Stream, error) {
	started := time.Now()
	s, err := c.stream(ctx, d, body)
	c.observe(d, started, err)
	return s, err
}

func (c *Client) stream(ctx context.Context, d *Deployment, body []byte) (*Stream, error) {
	total, timeout := context.WithTimeoutCause(ctx, c.timeouts.Total, ErrTooLong)
	call, cancel := context.WithCancelCause(total)
	begun := new(atomic.Bool)
	timer := time.AfterFunc(c.timeouts.FirstByte, func() {
		if begun.Load() {
			cancel(ErrStalled)
		} else {
			cancel(ErrNoAnswer)
		}
	})
	s := &Stream{parent: ctx, call: call, cancel: cancel, timeout: timeout, timer: timer, begun: begun, stall: c.timeouts.Stall}
	response, err := c.send(call, d, d.event, body) //nolint:bodyclose // Close and Finish close it
	if err != nil {
		err = failure(call, ctx, err)
		s.Close()
		return nil, err
	}
	s.timer.Stop()
	s.begun.Store(true)
	s.body = &bounded{body: response.Body, left: maxStream}
	s.events = NewEventReader(s.body, maxEvent)
	if kind := response.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		s.Close()
		return nil, broken(response.StatusCode, fmt.Errorf("the provider answered %.40q in place of events", kind))
	}
	return s, nil
}

// Next waits for the next event, at most as long as silence may last. io.EOF
// ends the stream; other errors are [*UpstreamError], or the cause of the
// context the stream was opened with.
func (s *Stream) Next() (Event, error) {
	s.timer.Reset(s.stall)
	event, err := s.events.Next()
	s.timer.Stop()
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return event, err
	case errors.Is(err, ErrEventTooLong), errors.Is(err, errStreamTooLong):
		return event, broken(http.StatusOK, err)
	}
	return event, failure(s.call, s.parent, err)
}

// Finish reads the end of a body whose last event has been read, so that its
// connection can serve again, and closes the stream.
func (s *Stream) Finish() {
	s.timer.Reset(tailIn)
	var rest [64]byte
	// What a provider sends after its last event interests nobody.
	_, _ = s.body.Read(rest[:])
	s.Close()
}

// Close ends the call at the provider, whatever is left of it.
func (s *Stream) Close() {
	s.timer.Stop()
	s.cancel(context.Canceled)
	s.timeout()
	if s.body != nil {
		_ = s.body.body.Close() // the call is over either way
	}
}

var errStreamTooLong = errors.New("llm: the streamed answer is too long")

// bounded reads at most left bytes of a body.
type bounded struct {
	body io.ReadCloser
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errStreamTooLong
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	return n, err
}
