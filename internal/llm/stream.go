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

	"go.opentelemetry.io/otel/trace"

	"github.com/kikuai/kikuai/internal/telemetry"
)

// Stream is a streamed answer under way. It is for one goroutine; what ends it
// from outside is the context it was opened with.
type Stream struct {
	ContentType string  // of a stream of sound
	Whole       *Answer // the answer of a provider that does not stream this: then there are no events

	events  eventSource
	body    *bounded
	parent  context.Context
	call    context.Context
	cancel  context.CancelCauseFunc
	timeout context.CancelFunc
	timer   *time.Timer
	begun   *atomic.Bool
	stall   time.Duration
	span    trace.Span
}

// Stream sends a streamed request and returns once the provider has accepted it, or, where
// it does not stream, has answered whole. The caller closes the stream, unless that is so.
// Errors: [*UpstreamError], or ctx's cause.
func (c *Client) Stream(ctx context.Context, out Outbound) (*Stream, error) {
	started := time.Now()
	ctx, span := out.trace(ctx)
	s, err := c.stream(ctx, out)
	fault := c.observe(out.deployment, started, err)
	if err != nil || s.Whole != nil {
		telemetry.EndSpan(span, fault)
		return s, err
	}
	s.span = span
	return s, nil
}

func (c *Client) stream(ctx context.Context, out Outbound) (*Stream, error) {
	limit := c.limits(out)
	total, timeout := context.WithTimeoutCause(ctx, limit.Total, ErrTooLong)
	call, cancel := context.WithCancelCause(total)
	begun := new(atomic.Bool)
	timer := time.AfterFunc(limit.FirstByte, func() {
		if begun.Load() {
			cancel(ErrStalled)
		} else {
			cancel(ErrNoAnswer)
		}
	})
	s := &Stream{parent: ctx, call: call, cancel: cancel, timeout: timeout, timer: timer, begun: begun, stall: limit.Stall}
	response, err := c.send(call, out) //nolint:bodyclose // Close and Finish close it
	if err != nil {
		err = failure(call, ctx, err)
		s.Close()
		return nil, err
	}
	most, kind := sizesOf(out.operation), response.Header.Get("Content-Type")
	s.body = &bounded{body: response.Body, left: most.stream}
	switch {
	case out.sound:
		s.events = newPieces(s.body)
		s.ContentType, err = soundKind(kind)
	case strings.HasPrefix(kind, "text/event-stream"):
		s.events = NewEventReader(s.body, most.event)
	case out.whole != nil:
		timer.Stop() // it has answered: how long the rest may take is the call's
		s.Whole, err = c.take(response, out.operation, out.whole)
		if err != nil {
			err = failure(call, ctx, err)
		}
		s.Close()
		if err != nil {
			return nil, err
		}
		return s, nil
	default:
		err = fmt.Errorf("the provider answered %.40q in place of events", kind)
	}
	if err != nil {
		s.Close()
		return nil, broken(response.StatusCode, err)
	}
	return s, nil
}

// Next waits for the next event, at most as long as silence may last; for the first one
// until the call has taken as long as a first byte may. io.EOF
// ends the stream; other errors are [*UpstreamError], or the cause of the
// context the stream was opened with.
func (s *Stream) Next() (Event, error) {
	if s.begun.Load() {
		s.timer.Reset(s.stall)
	}
	event, err := s.events.Next()
	s.timer.Stop()
	s.begun.Store(true)
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return event, err
	case errors.Is(err, ErrEventTooLong), errors.Is(err, errStreamTooLong):
		err = broken(http.StatusOK, err)
	default:
		err = failure(s.call, s.parent, err)
	}
	if s.span != nil {
		telemetry.EndSpan(s.span, faultOf(err))
	}
	return event, err
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
	if s.span != nil {
		s.span.End()
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
