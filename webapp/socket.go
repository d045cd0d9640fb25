package webapp

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	authIn         = 5 * time.Second  // to say who one is
	heartbeatEvery = 25 * time.Second // of silence
	pongIn         = 20 * time.Second // for the answer to a sign of life
	writeIn        = 10 * time.Second // of one frame
	admitIn        = 5 * time.Second  // to look who somebody is

	eventsMost  = 50                    // of a frame
	frameEvery  = 50 * time.Millisecond // at most so often, unless a frame is full
	queueMost   = 1024                  // events that wait for a client; one that reads no faster is closed
	messageMost = 4 << 10               // bytes of what a client says
	repliesMost = 60                    // messages of a client in a minute
	compress    = 1 << 10               // bytes of a frame from which on it is compressed
)

// Codes that sockets are closed with, beside the protocol's own.
const (
	closeAway         = websocket.StatusGoingAway
	closePolicy       = websocket.StatusPolicyViolation
	closeLater        = websocket.StatusTryAgainLater
	closeUnauthorized = websocket.StatusCode(4401)
	closeTooMany      = websocket.StatusCode(4429)
)

// reasons are what a client is told beside the code.
var reasons = map[websocket.StatusCode]string{
	closeAway:         "the server stops; come back with the last event's id",
	closePolicy:       "messages are {\"type\":\"auth\",...}, and few of them",
	closeLater:        "come back with the last event's id",
	closeUnauthorized: "the session or key has ended, or never was one",
	closeTooMany:      "too many connections or tries",
}

// admission says who a token speaks for.
type admission func(ctx context.Context, token string) (billing.Presence, error)

// socket is one client's connection.
type socket struct {
	live  *Live
	conn  *websocket.Conn
	admit admission
	now   func() time.Time

	// These are under the Live's mu.
	account int64
	key     int64
	after   *billing.FeedPlace // that the client comes back with; nil: it is new
	placed  bool               // seq is known
	seq     int64              // of the last transaction that it was told of
	greeted bool               // it was told a balance

	mu     sync.Mutex
	queue  []event
	resume string
	until  time.Time // when who it speaks for ends; zero: never
	code   websocket.StatusCode
	ended  chan struct{} // closed by end
	ready  chan struct{} // there are events
}

func newSocket(l *Live, conn *websocket.Conn, admit admission) *socket {
	conn.SetReadLimit(messageMost)
	return &socket{live: l, conn: conn, admit: admit, now: l.now, ended: make(chan struct{}), ready: make(chan struct{}, 1)}
}

// run serves the socket until it is closed. who is nil where the client is yet to say it.
func (s *socket) run(who *billing.Presence, after *billing.FeedPlace) {
	defer s.cut()
	if s.live.enter(s) != nil {
		s.close(closeLater)
		return
	}
	defer s.live.leave(s)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var code websocket.StatusCode
	if who == nil {
		if who, after, code = s.introduced(ctx); code != 0 {
			s.close(code)
			return
		}
	}
	s.until, s.key, s.after = who.Until, who.KeyID, after // nobody else has it yet
	if !s.live.watch(s, who.AccountID) {
		s.close(closeTooMany)
		return
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		defer cancel()
		s.write(ctx)
	})
	s.read(ctx)
	if !s.over() { // else it is being closed with a word
		cancel()
	}
	writing.Wait()
}

// message is what a client says.
type message struct {
	Type  string  `json:"type"`
	Token string  `json:"token"`
	After *string `json:"after"`
}

// introduced waits for the client to say who it is. A code says why it is closed instead.
func (s *socket) introduced(ctx context.Context) (*billing.Presence, *billing.FeedPlace, websocket.StatusCode) {
	ctx, cancel := context.WithTimeout(ctx, s.live.authIn)
	defer cancel()
	go func() {
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	m, err := s.next(ctx)
	if err != nil || m.Type != "auth" || m.Token == "" {
		return nil, nil, closeUnauthorized
	}
	who, code := s.ask(ctx, m.Token)
	if code != 0 {
		return nil, nil, code
	}
	return &who, afterOf(m.After), 0
}

// afterOf is the place that a client comes back with. One that cannot be read is further
// back than anybody can be told of.
func afterOf(text *string) *billing.FeedPlace {
	if text == nil || *text == "" {
		return nil
	}
	place, is := parsePlace(*text)
	if !is {
		place.Seq = -resumeMost - 1
	}
	return &place
}

// ask says who a token speaks for, or with which code the socket is closed.
func (s *socket) ask(ctx context.Context, token string) (billing.Presence, websocket.StatusCode) {
	ctx, cancel := context.WithTimeout(ctx, admitIn)
	defer cancel()
	who, err := s.admit(ctx, token)
	var exceeded *ratelimit.ExceededError
	switch {
	case err == nil:
		return who, 0
	case errors.As(err, &exceeded):
		return who, closeTooMany
	case errors.Is(err, billing.ErrClosed), ctx.Err() != nil:
		return who, closeLater
	}
	return who, closeUnauthorized
}

// next reads a message. What is no JSON is one of no type.
func (s *socket) next(ctx context.Context) (m message, err error) {
	_, text, err := s.conn.Read(ctx)
	if err == nil && json.Unmarshal(text, &m) != nil {
		m = message{}
	}
	kind := "other"
	if m.Type == "auth" {
		kind = m.Type
	}
	if err == nil {
		s.live.metrics.messages.WithLabelValues("in", kind).Inc()
	}
	return m, err
}

// read hears the client until it leaves. All that it may say is who it is by now, before
// the session ends that it came with.
func (s *socket) read(ctx context.Context) {
	began, heard := s.now(), 0
	for {
		m, err := s.next(ctx)
		if err != nil {
			return
		}
		if now := s.now(); now.Sub(began) >= time.Minute {
			began, heard = now, 0
		}
		if heard++; heard > repliesMost {
			s.end(closePolicy)
			return
		}
		if m.Type != "auth" {
			continue
		}
		who, code := s.ask(ctx, m.Token)
		if code == 0 && (who.AccountID != s.account || who.KeyID != s.key) {
			code = closeUnauthorized
		}
		if code != 0 {
			s.end(code)
			return
		}
		s.mu.Lock()
		s.until = who.Until
		s.mu.Unlock()
		s.wake() // so that the end is looked at again
	}
}

// settle gives a new socket its place. mu of the Live is held.
func (s *socket) settle(now billing.FeedPlace, at time.Time) {
	s.placed, s.seq = true, now.Seq
	if s.after == nil {
		return
	}
	if s.after.Seq > now.Seq || now.Seq-s.after.Seq > resumeMost {
		s.resumed(resumeGap)
		return
	}
	s.seq = s.after.Seq
	s.resumed(resumeFull)
	place := now
	place.Seq = s.after.Seq
	if s.after.Settings != now.Settings {
		s.push(encode(place, eventSettings, at, struct{}{}))
	}
	if s.after.Keys != now.Keys {
		s.push(encode(place, eventKey, at, keyData{nil, billing.KeyChanged}))
	}
}

func (s *socket) resumed(how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resume = how
}

// hear takes what stands above its place. mu of the Live is held.
func (s *socket) hear(entries []billing.FeedEntry, events []event) (heard bool) {
	for i, e := range entries {
		if e.Seq <= s.seq {
			continue
		}
		if !s.push(events[i]) {
			return false
		}
		s.seq, heard = e.Seq, true
	}
	return heard
}

// push queues events. It says false, and ends the socket, where the client does not keep up.
func (s *socket) push(events ...event) bool {
	if len(events) == 0 {
		return true
	}
	s.mu.Lock()
	full := len(s.queue)+len(events) > queueMost
	if !full {
		s.queue = append(s.queue, events...)
	}
	s.mu.Unlock()
	if full {
		s.end(closeLater)
		go s.cut() // it hears no word: a frame may be stuck on its way there
		return false
	}
	s.wake()
	return true
}

func (s *socket) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// end asks the socket to close with a code. The first one counts.
func (s *socket) end(code websocket.StatusCode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.code == 0 {
		s.code = code
		close(s.ended)
	}
}

func (s *socket) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code != 0
}

// cut breaks the connection.
func (s *socket) cut() { _ = s.conn.CloseNow() }

// close says why and closes.
func (s *socket) close(code websocket.StatusCode) {
	s.live.metrics.closed.WithLabelValues(strconv.Itoa(int(code))).Inc()
	_ = s.conn.Close(code, reasons[code])
}
