package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// tap stands between a server and its Redis and counts round trips: what a connection
// sends before it is answered is one, however many commands it carries.
type tap struct {
	to       string
	listener net.Listener
	needles  [][]byte
	all      sync.WaitGroup

	mu     sync.Mutex
	trips  int64 // that spoke of one of the needles
	rounds int64 // of them, those that began while none was under way: one waited for another
	flying int64 // of them, those under way
	open   []net.Conn
}

// newTap listens in front of the Redis at that address and counts round trips whose
// commands hold one of the needles.
func newTap(t *testing.T, to string, needles ...string) *tap {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{to: to, listener: listener}
	for _, needle := range needles {
		p.needles = append(p.needles, []byte(needle))
	}
	p.all.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// url is the Redis URL of the tap.
func (p *tap) url() string { return "redis://" + p.listener.Addr().String() + "/0" }

// counted is how many round trips there were so far, and how many one after another.
func (p *tap) counted() (trips, rounds int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.trips, p.rounds
}

func (p *tap) began() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trips++
	if p.flying == 0 {
		p.rounds++
	}
	p.flying++
}

func (p *tap) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying--
}

func (p *tap) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.DialTimeout("tcp", p.to, time.Second)
		if err != nil {
			_ = from.Close()
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, from, to)
		p.mu.Unlock()
		burst := &burst{tap: p}
		p.all.Go(func() { pump(to, from, burst.sent) })
		p.all.Go(func() { pump(from, to, burst.answered) })
	}
}

func (p *tap) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close()
	}
	p.all.Wait()
}

// pump copies until either side closes.
func pump(to io.WriteCloser, from io.ReadCloser, saw func([]byte)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			saw(buffer[:n])
			if _, failed := to.Write(buffer[:n]); failed != nil {
				err = errors.Join(err, failed)
			}
		}
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}

// burst is what one connection has sent since the last answer.
type burst struct {
	tap  *tap
	mu   sync.Mutex
	text []byte
	ours bool // it speaks of a needle
}

func (b *burst) sent(text []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, text...)
	for _, needle := range b.tap.needles {
		if !b.ours && bytes.Contains(b.text, needle) {
			b.ours = true
			b.tap.began()
		}
	}
}

func (b *burst) answered([]byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ours {
		b.tap.ended()
	}
	b.text, b.ours = nil, false
}
