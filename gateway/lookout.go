package gateway

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// lookEvery is between two looks at the sockets of all streams' clients.
const lookEvery = time.Second

// lookout notices clients that leave their streams. The HTTP server does not: until
// something is written it never touches the socket, and what is written to a client that
// has left arrives in a buffer. One goroutine looks at all sockets, each look a system
// call that waits for nothing.
//
// Who closes a socket sends a FIN, and so does who only has nothing more to say and goes
// on reading: the two are told apart by what comes back when something is written, a
// reset or an acknowledgement. So a FIN has the stream write a comment, once, and what
// the next look finds decides. A client that closes altogether is noticed within two
// looks, and within one while its stream flows. One that only half-closes keeps its
// answer; should it leave later, the next comment against silence brings the reset.
type lookout struct {
	every time.Duration

	mu      sync.Mutex
	sockets map[*socket]struct{}

	seen  []*socket // of the goroutine, kept for its memory
	start sync.Once
	halt  sync.Once
	quit  chan struct{}
	work  sync.WaitGroup
}

// reader is a stream's end at which its client reads.
type reader interface {
	probe() // something is to be written soon
	leave() // nobody reads any more
}

// socket is a client's connection while a stream is written to it.
type socket struct {
	lookout *lookout
	peer    *peer
	reader  reader
	probed  bool // of the lookout's goroutine
}

// condition is what a socket tells of its client.
type condition int

const (
	connected  condition = iota
	halfClosed           // it sends nothing more
	severed              // it is gone, or the socket is closed on this side
)

func newLookout(every time.Duration) *lookout {
	return &lookout{every: every, sockets: map[*socket]struct{}{}, quit: make(chan struct{})}
}

// watch looks at a connection until forget. It returns nil, which can be forgotten too,
// where a socket does not tell: then failing writes do.
func (l *lookout) watch(conn net.Conn, r reader) *socket {
	owner, is := conn.(syscall.Conn)
	if !is {
		return nil
	}
	raw, err := owner.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{lookout: l, peer: newPeer(raw), reader: r}
	l.mu.Lock()
	l.sockets[s] = struct{}{}
	l.mu.Unlock()
	l.start.Do(func() { l.work.Go(l.run) })
	return s
}

// forget ends the watch. Repeating it is harmless.
func (s *socket) forget() {
	if s == nil {
		return
	}
	s.lookout.mu.Lock()
	delete(s.lookout.sockets, s)
	s.lookout.mu.Unlock()
}

func (l *lookout) run() {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-tick.C:
			l.look()
		}
	}
}

// look looks at every socket once. A stream that ends meanwhile may be told of its client
// all the same, which means nothing to it any more.
func (l *lookout) look() {
	l.mu.Lock()
	for s := range l.sockets {
		l.seen = append(l.seen, s)
	}
	l.mu.Unlock()
	for _, s := range l.seen {
		switch s.peer.condition() {
		case connected:
		case halfClosed:
			if !s.probed {
				s.probed = true
				s.reader.probe()
			}
		case severed:
			s.forget()
			s.reader.leave()
		}
	}
	clear(l.seen) // they hold on to whole calls
	l.seen = l.seen[:0]
}

// close ends the looking.
func (l *lookout) close() {
	l.halt.Do(func() { close(l.quit) })
	l.work.Wait()
}
