package webapp

import (
	"context"
	"time"

	"github.com/coder/websocket"
)

var heartbeat = []byte(`{"type":"heartbeat"}`)

// write sends frames until the socket ends. The first event goes out at once, what comes
// within the next moments with the next frame.
func (s *socket) write(ctx context.Context) {
	silence := time.NewTimer(s.live.heartbeat)
	defer silence.Stop()
	var last time.Time
	for {
		expiry := s.expiry()
		select {
		case <-ctx.Done():
			return
		case <-s.ended:
			s.close(s.code)
			return
		case <-expiry:
			if !s.expired() {
				continue
			}
			s.end(closeUnauthorized)
			continue
		case <-silence.C:
			if s.live.beat(ctx, s) != nil {
				return
			}
			silence.Reset(s.live.heartbeat)
			continue
		case <-s.ready:
		}
		if !s.gather(ctx, last.Add(frameEvery).Sub(s.now())) {
			continue
		}
		for {
			events, resume := s.taken()
			if len(events) == 0 {
				break
			}
			if s.send(ctx, frame(events, resume), "events") != nil {
				return
			}
			last = s.now()
		}
		silence.Reset(s.live.heartbeat)
	}
}

// gather waits for more events, unless there are enough for a frame. It says false where
// the socket ends meanwhile.
func (s *socket) gather(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return true
	}
	moment := time.NewTimer(min(wait, frameEvery))
	defer moment.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.ended:
			return false
		case <-moment.C:
			return true
		case <-s.ready:
			if s.waiting() >= eventsMost {
				return true
			}
		}
	}
}

func (s *socket) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// taken takes a frame's events from the queue.
func (s *socket) taken() (events []event, resume string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := min(len(s.queue), eventsMost)
	events, s.queue = s.queue[:n:n], s.queue[n:]
	if len(s.queue) == 0 {
		s.queue = nil
	}
	if n > 0 {
		resume, s.resume = s.resume, ""
	}
	return events, resume
}

// send writes one message. A client that does not take it in time is cut off.
func (s *socket) send(ctx context.Context, text []byte, kind string) error {
	ctx, cancel := context.WithTimeout(ctx, writeIn)
	defer cancel()
	err := s.conn.Write(ctx, websocket.MessageText, text)
	if err == nil {
		s.live.metrics.messages.WithLabelValues("out", kind).Inc()
	}
	return err
}

// beat shows the client, and what stands between, that the connection lives, and sees
// whether the client does.
func (l *Live) beat(ctx context.Context, s *socket) error {
	if err := s.send(ctx, heartbeat, "heartbeat"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pongIn)
	defer cancel()
	return s.conn.Ping(ctx)
}

// expiry is told when it is time to look whether the session has ended; nil: it never does.
func (s *socket) expiry() <-chan time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until.IsZero() {
		return nil
	}
	return time.After(max(0, s.until.Sub(s.now())))
}

func (s *socket) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.until.IsZero() && !s.now().Before(s.until)
}
