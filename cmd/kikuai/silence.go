package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ears know when Redis was last heard from, on any connection. They tell a Redis that is
// gone from one that has much to do, or from a machine that has: what is bounded is how
// long nothing at all is heard from a server, rather than how long one answer takes. Who
// asks a server that is gone is told so as soon as without them; who asks one that answers
// others meanwhile waits for its turn.
type ears struct {
	born  time.Time
	heard sync.Map // address → *atomic.Int64: when bytes last came from there, as time since born
}

// silence is for how long nothing was heard from any server.
func (e *ears) silence() time.Duration {
	var last int64
	e.heard.Range(func(_, heard any) bool {
		last = max(last, heard.(*atomic.Int64).Load())
		return true
	})
	return time.Since(e.born) - time.Duration(last)
}

// silenceGrace is how long is looked once more after a deadline: a process that had no
// processor while the deadline passed may find the answer there.
const silenceGrace = 10 * time.Millisecond

func newEars() *ears { return &ears{born: time.Now()} }

// dialer makes connections that give up after so much silence, or after most of it all.
// exchanges is told how long they waited for answers; nil: nobody is.
func (e *ears) dialer(silence, most time.Duration, config *tls.Config, exchanges prometheus.Observer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		known, _ := e.heard.LoadOrStore(address, new(atomic.Int64))
		c := &patientConn{ears: e, heard: known.(*atomic.Int64), silence: silence, most: most, exchanges: exchanges}
		var err error
		for _, within := range []time.Duration{silence, most - silence} {
			if c.Conn, err = dial(ctx, network, address, config, within); err == nil {
				return c, nil
			}
			if !timedOut(err) || c.quiet() >= silence {
				break
			}
		}
		return nil, err
	}
}

func dial(ctx context.Context, network, address string, config *tls.Config, within time.Duration) (net.Conn, error) {
	plain := &net.Dialer{Timeout: within}
	if config == nil {
		return plain.DialContext(ctx, network, address)
	}
	return (&tls.Dialer{NetDialer: plain, Config: config}).DialContext(ctx, network, address)
}

// patientConn is a connection to Redis whose deadlines are about silence.
type patientConn struct {
	net.Conn
	ears    *ears
	heard   *atomic.Int64 // from all connections to this server
	silence time.Duration
	most    time.Duration
	patient bool // the deadline is ours, and not that of a caller who cannot wait so long

	exchanges prometheus.Observer // nil: nobody observes them
	asked     time.Time           // when what is not answered yet was begun to be sent; zero: all is
}

// NetConn is the connection itself, for those who look whether it still stands.
func (c *patientConn) NetConn() net.Conn { return c.Conn }

// quiet is for how long nothing was heard from the server.
func (c *patientConn) quiet() time.Duration {
	return time.Since(c.ears.born) - time.Duration(c.heard.Load())
}

// SetReadDeadline begins the wait for an answer.
func (c *patientConn) SetReadDeadline(at time.Time) error {
	c.patient = !at.IsZero() && time.Until(at) > c.silence*9/10
	return c.Conn.SetReadDeadline(at)
}

// SetDeadline is SetReadDeadline, and the same for writing.
func (c *patientConn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}

// Read waits for an answer. Like Write, it is called by one goroutine at a time.
func (c *patientConn) Read(b []byte) (int, error) {
	n, err := c.wait(b)
	if !c.asked.IsZero() {
		c.exchanges.Observe(time.Since(c.asked).Seconds())
		c.asked = time.Time{}
	}
	return n, err
}

func (c *patientConn) wait(b []byte) (int, error) {
	began, looked := time.Now(), false
	for {
		n, err := c.Conn.Read(b)
		if n > 0 {
			c.heard.Store(int64(time.Since(c.ears.born)))
		}
		if n > 0 || !c.patient || !timedOut(err) {
			return n, err
		}
		wait := min(c.silence-c.quiet(), c.most-time.Since(began))
		if wait <= 0 {
			if looked {
				return n, err
			}
			wait, looked = silenceGrace, true
		}
		if err := c.Conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return 0, err
		}
	}
}

func (c *patientConn) Write(b []byte) (int, error) {
	if c.exchanges != nil && c.asked.IsZero() {
		c.asked = time.Now()
	}
	n, err := c.Conn.Write(b)
	if !timedOut(err) {
		return n, err
	}
	if err := c.SetWriteDeadline(time.Now().Add(silenceGrace)); err != nil {
		return n, err
	}
	more, err := c.Conn.Write(b[n:])
	return n + more, err
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
