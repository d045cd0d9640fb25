package llm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// joinMost is the longest body that is sent in one write with its header.
	joinMost = 16 << 10
	// inlineMost is the longest body that is written before the answer is looked for:
	// sockets take so much at once. A provider may refuse a longer one half-way.
	inlineMost = 64 << 10
	// sweepEvery is how often idle connections are looked at that nobody asks for.
	sweepEvery = 30 * time.Second
	// noticesMost is how many answers of 1xx may come before the real one.
	noticesMost = 5
)

var (
	errHeaderTooLong = errors.New("llm: the answer's header is too long")
	errNotices       = errors.New("llm: the provider announces its answer and does not send it")
	errBodyLength    = errors.New("llm: a request of unknown length")
	errHeaderField   = errors.New("llm: a header that cannot be sent")
)

// plainTransport carries requests over HTTP/1.1 without TLS, which is how providers of
// one's own are reached. [http.Transport] does that too, with two goroutines for each
// connection that hand every request and every answer on; here the caller's goroutine
// writes and reads by itself, which takes half of the processor time. HTTP/2 and TLS stay
// with http.Transport, and the answers' form with [http.ReadResponse].
type plainTransport struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex
	idle  map[string][]*plainConn // by address, the one used last at the end; at most idleConns each
	sweep *time.Timer             // runs while there are any
}

func newPlainTransport(connect time.Duration, local bool) *plainTransport {
	return &plainTransport{dial: dialer(connect, local).DialContext, idle: map[string][]*plainConn{}}
}

// plain says whether a provider's address is one for a plainTransport.
func plain(u *url.URL) bool {
	if u.Scheme != "http" {
		return false
	}
	for i := range len(u.Host) {
		if u.Host[i] > '~' { // such a name is to be spelled in ASCII first
			return false
		}
	}
	return true
}

// RoundTrip implements [http.RoundTripper] for requests with a body of known length.
func (t *plainTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	address := r.URL.Host
	if r.URL.Port() == "" {
		address = net.JoinHostPort(r.URL.Hostname(), "80")
	}
	c, err := t.connection(r.Context(), address)
	if err != nil {
		return nil, err
	}
	return c.exchange(r)
}

// connection is an idle one that still stands, or a new one.
func (t *plainTransport) connection(ctx context.Context, address string) (*plainConn, error) {
	for {
		c := t.take(address)
		if c == nil {
			break
		}
		if c.alive() {
			return c, nil
		}
		_ = c.conn.Close()
	}
	conn, err := t.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &plainConn{transport: t, address: address, conn: conn, left: math.MaxInt64}
	c.reader = bufio.NewReaderSize(c, socketRead)
	c.abort = func() { _ = conn.SetDeadline(time.Unix(1, 0)) } // whoever waits is let go
	return c, nil
}

func (t *plainTransport) take(address string) *plainConn {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := t.idle[address]
	if len(idle) == 0 {
		return nil
	}
	last := len(idle) - 1
	c := idle[last]
	idle[last] = nil
	t.idle[address] = idle[:last]
	return c
}

// keep takes back a connection over which the next request may go.
func (t *plainTransport) keep(c *plainConn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	idle := t.idle[c.address]
	if len(idle) >= idleConns {
		_ = c.conn.Close()
		return
	}
	c.since = time.Now()
	t.idle[c.address] = append(idle, c)
	if t.sweep == nil {
		t.sweep = time.AfterFunc(sweepEvery, t.clean)
	}
}

// clean closes idle connections that are old, or that the provider has closed.
func (t *plainTransport) clean() {
	t.mu.Lock()
	defer t.mu.Unlock()
	left := false
	for address, idle := range t.idle {
		kept := idle[:0]
		for _, c := range idle {
			if time.Since(c.since) < idleFor && c.alive() {
				kept = append(kept, c)
			} else {
				_ = c.conn.Close()
			}
		}
		clear(idle[len(kept):])
		if t.idle[address] = kept; len(kept) == 0 {
			delete(t.idle, address)
		}
		left = left || len(kept) > 0
	}
	if t.sweep = nil; left {
		t.sweep = time.AfterFunc(sweepEvery, t.clean)
	}
}

// CloseIdleConnections ends what no call uses.
func (t *plainTransport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, idle := range t.idle {
		for _, c := range idle {
			_ = c.conn.Close()
		}
	}
	clear(t.idle)
	if t.sweep != nil {
		t.sweep.Stop()
		t.sweep = nil
	}
}

// plainConn is a connection, of one call at a time.
type plainConn struct {
	transport *plainTransport
	address   string
	conn      net.Conn
	reader    *bufio.Reader // of the plainConn
	left      int64         // bytes that may be read
	head      []byte        // of the last request, kept for its memory
	abort     func()
	since     time.Time // idle
}

// Read is for reader alone.
func (c *plainConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeaderTooLong
	}
	n, err := c.conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// alive says whether an idle connection stands and nothing came over it that nobody asked
// for.
func (c *plainConn) alive() bool { return c.reader.Buffered() == 0 && quiet(c.conn) }

// exchange sends the request and reads the answer as far as its header. The connection is
// the answer's body's then.
func (c *plainConn) exchange(r *http.Request) (*http.Response, error) {
	stop := context.AfterFunc(r.Context(), c.abort)
	written, err := c.send(r)
	var response *http.Response
	if err == nil {
		response, err = c.receive(r)
	}
	if err != nil {
		stop()
		_ = c.conn.Close()
		return nil, err
	}
	body := &plainBody{conn: c, body: response.Body, stop: stop, written: written, last: response.Close}
	if response.Body == http.NoBody {
		body.end()
	} else {
		response.Body = body
	}
	return response, nil
}

// send writes the request, a long body beside what follows: then its end is told to
// written.
func (c *plainConn) send(r *http.Request) (written chan error, err error) {
	if c.head, err = appendHead(c.head[:0], r); err != nil {
		return nil, err
	}
	if r.Body == nil || r.ContentLength == 0 {
		_, err = c.conn.Write(c.head)
		return nil, err
	}
	if r.ContentLength <= joinMost {
		head := len(c.head)
		whole := append(c.head, make([]byte, r.ContentLength)...)
		if _, err = io.ReadFull(r.Body, whole[head:]); err != nil {
			return nil, err
		}
		c.head = whole
		_, err = c.conn.Write(whole)
		return nil, err
	}
	if _, err = c.conn.Write(c.head); err != nil {
		return nil, err
	}
	if r.ContentLength <= inlineMost {
		return nil, copyBody(c.conn, r)
	}
	written = make(chan error, 1)
	own, err := r.GetBody() // r.Body is closed with the return of RoundTrip
	if err != nil {
		return nil, err
	}
	go func() {
		clone := *r
		clone.Body = own
		written <- copyBody(c.conn, &clone)
	}()
	return written, nil
}

func copyBody(to io.Writer, r *http.Request) error {
	n, err := io.Copy(to, r.Body)
	if err == nil && n != r.ContentLength {
		err = fmt.Errorf("%w: %d bytes instead of %d", errBodyLength, n, r.ContentLength)
	}
	return err
}

// appendHead appends a request's first line and header.
func appendHead(to []byte, r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 || r.ContentLength > inlineMost && r.GetBody == nil {
		return to, errBodyLength
	}
	to = append(append(append(to, r.Method...), ' '), r.URL.RequestURI()...)
	to = append(append(to, " HTTP/1.1\r\nHost: "...), r.Host...)
	to = append(to, "\r\n"...)
	if r.Body != nil || r.Method == http.MethodPost {
		to = append(strconv.AppendInt(append(to, "Content-Length: "...), r.ContentLength, 10), "\r\n"...)
	}
	for name, values := range r.Header {
		for _, value := range values {
			if strings.ContainsAny(name, "\r\n\x00: ") || strings.ContainsAny(value, "\r\n\x00") {
				return to, fmt.Errorf("%w: %.40q", errHeaderField, name)
			}
			to = append(append(append(to, name...), ": "...), value...)
			to = append(to, "\r\n"...)
		}
	}
	return append(to, "\r\n"...), nil
}

// receive reads the answer's header.
func (c *plainConn) receive(r *http.Request) (*http.Response, error) {
	c.left = maxHeader
	if response := commonAnswer(c.reader, r); response != nil {
		c.left = math.MaxInt64
		return response, nil
	}
	for range noticesMost {
		response, err := http.ReadResponse(c.reader, r)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			response.Close = response.Close || response.StatusCode == http.StatusSwitchingProtocols
			c.left = math.MaxInt64
			return response, nil
		}
	}
	return nil, errNotices
}

// plainBody is an answer's body. At its end the connection is kept for the next call;
// closed before, the connection is closed, and with it what the provider would go on
// sending. Close may be called beside Read.
type plainBody struct {
	conn    *plainConn
	body    io.Reader
	stop    func() bool
	written chan error  // the end of the request's body; nil: it was written
	last    bool        // nothing comes over the connection after this
	over    atomic.Bool // the connection is nobody's any more
}

func (b *plainBody) Read(p []byte) (int, error) {
	if b.over.Load() {
		return 0, io.EOF
	}
	n, err := b.body.Read(p)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.end()
	default:
		_ = b.Close()
	}
	return n, err
}

// end gives the connection back after a whole answer.
func (b *plainBody) end() {
	if b.over.Swap(true) {
		return
	}
	kept := b.stop() && !b.last
	if kept && b.written != nil {
		select {
		case err := <-b.written:
			kept = err == nil
		default: // the provider may have answered without reading all of it
			go b.conn.keepAfter(b.written)
			return
		}
	}
	if kept {
		b.conn.transport.keep(b.conn)
		return
	}
	_ = b.conn.conn.Close()
}

// keepAfter keeps the connection if the rest of the request is soon written.
func (c *plainConn) keepAfter(written <-chan error) {
	if c.conn.SetWriteDeadline(time.Now().Add(tailIn)) == nil && <-written == nil && c.conn.SetWriteDeadline(time.Time{}) == nil {
		c.transport.keep(c)
		return
	}
	_ = c.conn.Close()
}

func (b *plainBody) Close() error {
	if b.over.Swap(true) {
		return nil
	}
	b.stop()
	return b.conn.conn.Close()
}
