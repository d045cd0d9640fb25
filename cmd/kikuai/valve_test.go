package main

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// valve stands between a server and its Redis. Once it is shut, connections stay and new
// ones are taken, but nothing passes any more: what was swallowed, Redis never comes to,
// as it would have after a freeze.
type valve struct {
	to       string
	listener net.Listener
	closed   atomic.Bool
	all      sync.WaitGroup

	mu   sync.Mutex
	open []net.Conn
}

func newValve(t *testing.T, to string) *valve {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{to: to, listener: listener}
	v.all.Go(v.accept)
	t.Cleanup(v.close)
	return v
}

// url is the Redis URL of the valve.
func (v *valve) url() string { return "redis://" + v.listener.Addr().String() + "/0" }

func (v *valve) shut() { v.closed.Store(true) }

func (v *valve) isShut() bool { return v.closed.Load() }

func (v *valve) accept() {
	for {
		from, err := v.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.DialTimeout("tcp", v.to, time.Second)
		if err != nil {
			_ = from.Close()
			continue
		}
		v.mu.Lock()
		v.open = append(v.open, from, to)
		v.mu.Unlock()
		v.all.Go(func() { v.pass(to, from) })
		v.all.Go(func() { v.pass(from, to) })
	}
}

// pass copies until either side closes, and swallows what comes once the valve is shut.
func (v *valve) pass(to io.WriteCloser, from io.ReadCloser) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !v.closed.Load() {
			if _, failed := to.Write(buffer[:n]); failed != nil {
				err = failed
			}
		}
		if err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
	}
}

func (v *valve) close() {
	_ = v.listener.Close()
	v.mu.Lock()
	open := v.open
	v.mu.Unlock()
	for _, conn := range open {
		_ = conn.Close()
	}
	v.all.Wait()
}
