package main

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// answering is a server that hands every connection over.
func answering(t *testing.T) (address string, accepted <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	conns := make(chan net.Conn, 8)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(conns)
				return
			}
			conns <- conn
		}
	}()
	return l.Addr().String(), conns
}

// TestSilence: an answer that is late comes through while the server is heard on another
// connection, for as long as most; a server that says nothing at all is given up.
func TestSilence(t *testing.T) {
	const silence, most = 400 * time.Millisecond, time.Minute
	address, accepted := answering(t)
	connect := newEars().dialer(silence, most, nil, nil)
	pair := func() (client, server net.Conn) {
		t.Helper()
		client, err := connect(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server = <-accepted
		t.Cleanup(func() { _, _ = client.Close(), server.Close() })
		return client, server
	}
	ask := func(c net.Conn) error {
		if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
			t.Fatal(err)
		}
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	waiting, late := pair()
	chatting, busy := pair()

	answered := make(chan error, 1)
	go func() { answered <- ask(waiting) }()
	for began := time.Now(); time.Since(began) < 5*silence; {
		if _, err := busy.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		if err := ask(chatting); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := late.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("gave up a server that was heard all the time: %v", err)
	}

	began := time.Now()
	if err := ask(waiting); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a silent server: %v", err)
	}
	if waited := time.Since(began); waited < silence || waited >= most {
		t.Errorf("waited %s for a silent server", waited)
	}
}

// TestSilenceHasAnEnd: however much is heard from a server, one answer is not waited for
// without end, and a caller's own shorter deadline counts.
func TestSilenceHasAnEnd(t *testing.T) {
	const silence, most = 200 * time.Millisecond, 400 * time.Millisecond
	address, accepted := answering(t)
	e := newEars()
	client, err := e.dialer(silence, most, nil, nil)(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer func() { _ = (<-accepted).Close() }()
	heard := client.(*patientConn)
	stop := make(chan struct{})
	defer close(stop)
	go func() { // as if other connections had answers all the time
		for {
			select {
			case <-stop:
				return
			default:
				heard.heard.Store(int64(time.Since(e.born)))
			}
		}
	}()
	for _, within := range []time.Duration{silence, silence / 2} {
		if err := client.SetReadDeadline(time.Now().Add(within)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("deadline in %s: %v", within, err)
		}
	}
}

// counter counts what it observes.
type counter struct{ n int }

func (c *counter) Observe(seconds float64) {
	if seconds >= 0 {
		c.n++
	}
}

// TestExchanges: what was sent and what is waited for are one exchange, in however many
// pieces they go and come, and whether or not an answer comes.
func TestExchanges(t *testing.T) {
	const silence = 100 * time.Millisecond
	address, accepted := answering(t)
	exchanges := &counter{}
	client, err := newEars().dialer(silence, 2*silence, nil, exchanges)(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := <-accepted
	defer server.Close()
	for range 3 {
		for range 2 {
			if _, err := client.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := server.Write([]byte{1, 2}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if exchanges.n != 3 {
		t.Errorf("%d exchanges, want 3", exchanges.n)
	}
	if _, err := client.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if err := client.SetReadDeadline(time.Now().Add(silence)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || exchanges.n != 4 {
		t.Errorf("a silent server: %v, %d exchanges, want 4", err, exchanges.n)
	}
}
