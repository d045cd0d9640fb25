package llm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// rawServer answers each connection with a function of it, and counts connections.
type rawServer struct {
	address string
	conns   atomic.Int64
	ended   chan struct{} // one for each connection that the server has seen end
}

func newRawServer(t *testing.T, serve func(conn net.Conn, in *bufio.Reader)) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{address: listener.Addr().String(), ended: make(chan struct{}, 64)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			all.Go(func() {
				defer func() { _ = conn.Close(); s.ended <- struct{}{} }()
				serve(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	return s
}

func newPlain(t *testing.T) *plainTransport {
	t.Helper()
	transport := newPlainTransport(time.Second, true)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func plainRequest(ctx context.Context, t *testing.T, address, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/v1/chat?x=1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer k")
	return r
}

// echo answers requests with the given raw answers, one after the other.
func echo(answers ...string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, in *bufio.Reader) {
		for i := 0; ; i++ {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			if _, err := io.WriteString(conn, answers[min(i, len(answers)-1)]); err != nil || answers[min(i, len(answers)-1)] == "" {
				return
			}
		}
	}
}

// What comes back is what http.Transport says that comes back, for answers of every form.
func TestPlainAlikeTransport(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, answer := range map[string]string{
		"length":         ok + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"chunked":        ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
		"trailer":        ok + "Transfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n",
		"empty":          ok + "Content-Length: 0\r\n\r\n",
		"no content":     "HTTP/1.1 204 No Content\r\n\r\n",
		"notice before":  "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok + "Content-Length: 1\r\n\r\na",
		"error":          "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nwait",
		"two lengths":    ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
		"bad length":     ok + "Content-Length: x\r\n\r\nabc",
		"bad chunk":      ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
		"no HTTP":        "SSH-2.0-x\r\n\r\n",
		"bad header":     ok + "no colon\r\n\r\n",
		"nothing at all": "",
	} {
		t.Run(name, func(t *testing.T) {
			s := newRawServer(t, echo(answer))
			theirs := &http.Transport{}
			t.Cleanup(theirs.CloseIdleConnections)
			said := map[bool]string{}
			for _, ours := range []bool{false, true} {
				var transport http.RoundTripper = theirs
				if ours {
					transport = newPlain(t)
				}
				for range 2 {
					said[ours] += describe(transport.RoundTrip(plainRequest(t.Context(), t, s.address, "{}")))
				}
			}
			if said[true] != said[false] {
				t.Fatalf("ours:\n%s\nhttp.Transport's:\n%s", said[true], said[false])
			}
		})
	}
}

// describe says all that the program uses of an answer.
func describe(response *http.Response, err error) string {
	if err != nil {
		return "no answer\n"
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %q %q %d %q broken: %t\n", response.StatusCode, response.Header.Get("Content-Type"),
		response.Header.Get("Retry-After"), response.ContentLength, body, err != nil)
}

// A request goes out whole, whatever its length, and connections are used again.
func TestPlainSends(t *testing.T) {
	type seen struct{ line, host, key, body string }
	got := make(chan seen, 1)
	s := newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			got <- seen{r.Method + " " + r.RequestURI, r.Host, r.Header.Get("Authorization"), string(body)}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	transport := newPlain(t)
	for _, size := range []int{0, 1, joinMost, joinMost + 1, inlineMost, inlineMost + 1, 1 << 20} {
		body := strings.Repeat("x", size)
		if said := describe(transport.RoundTrip(plainRequest(t.Context(), t, s.address, body))); !strings.Contains(said, `"ok" broken: false`) {
			t.Fatalf("%d bytes: %s", size, said)
		}
		if g := <-got; g != (seen{"POST /v1/chat?x=1", s.address, "Bearer k", body}) {
			t.Fatalf("%d bytes arrived as %d: %+.60v", size, len(g.body), g)
		}
		testenv.Until(t, "the connection to be free", func() bool {
			transport.mu.Lock()
			defer transport.mu.Unlock()
			return len(transport.idle[s.address]) == 1
		})
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections for calls one after the other", n)
	}
}

// An idle connection that the provider has closed, or over which it has said something
// unasked, carries no request.
func TestPlainIdleEnds(t *testing.T) {
	for name, after := range map[string]string{"closed": "", "speaks": "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			s := newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = io.WriteString(conn, after)
			})
			transport := newPlain(t)
			for i := range 3 {
				if said := describe(transport.RoundTrip(plainRequest(t.Context(), t, s.address, ""))); !strings.HasPrefix(said, "200") {
					t.Fatalf("call %d: %s", i, said)
				}
				<-s.ended // the FIN is on its way before this
				testenv.Until(t, "the connection's end", func() bool {
					transport.mu.Lock()
					defer transport.mu.Unlock()
					idle := transport.idle[s.address]
					return len(idle) == 0 || !idle[0].alive()
				})
			}
		})
	}
}

// A call that is cancelled ends at once, wherever it is, and its connection with it.
func TestPlainCancelled(t *testing.T) {
	for name, begin := range map[string]string{"before the header": "", "in the header": "HTTP/1.1 200", "in the body": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"} {
		t.Run(name, func(t *testing.T) {
			s := newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				_, _ = io.WriteString(conn, begin)
				_, _ = in.ReadByte() // until the other side leaves
			})
			transport := newPlain(t)
			ctx, cancel := context.WithCancel(t.Context())
			response, err := func() (*http.Response, error) {
				if name != "in the body" {
					time.AfterFunc(10*time.Millisecond, cancel)
				}
				return transport.RoundTrip(plainRequest(ctx, t, s.address, ""))
			}()
			if name == "in the body" {
				if err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(10*time.Millisecond, cancel)
				_, err = io.ReadAll(response.Body)
				_ = response.Body.Close()
			}
			cancel()
			if err == nil {
				t.Fatal("the call went on")
			}
			<-s.ended
			if c := transport.take(s.address); c != nil {
				_ = c.conn.Close()
				t.Fatal("the connection was kept")
			}
		})
	}
}

// A context that ends after the answer does nothing to the next call.
func TestPlainCancelledAfter(t *testing.T) {
	s := newRawServer(t, echo("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	transport := newPlain(t)
	for i := range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		said := describe(transport.RoundTrip(plainRequest(ctx, t, s.address, "{}")))
		cancel()
		if !strings.Contains(said, `"ok"`) {
			t.Fatalf("call %d: %s", i, said)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A provider may refuse a long request before it has read it: the refusal arrives, and the
// connection is not used again.
func TestPlainRefusedHalfWay(t *testing.T) {
	refused := make(chan struct{})
	s := newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 4\r\n\r\nlong")
		<-refused // reads nothing of the body and keeps the connection
	})
	transport := newPlain(t)
	said := describe(transport.RoundTrip(plainRequest(t.Context(), t, s.address, strings.Repeat("x", 32<<20))))
	close(refused)
	if !strings.HasPrefix(said, "413") || !strings.Contains(said, `"long" broken: false`) {
		t.Fatalf("the caller saw %s", said)
	}
	if c := transport.take(s.address); c != nil {
		t.Fatal("the connection was kept, with half a request in it")
	}
}

// A header without an end is not read for ever.
func TestPlainHeaderBound(t *testing.T) {
	s := newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n"); err != nil {
			return
		}
		line := []byte("X-A: " + strings.Repeat("a", 1000) + "\r\n")
		for {
			if _, err := conn.Write(line); err != nil {
				return
			}
		}
	})
	_, err := newPlain(t).RoundTrip(plainRequest(t.Context(), t, s.address, ""))
	if !errors.Is(err, errHeaderTooLong) {
		t.Fatalf("read on until %v", err)
	}
}

// What would end a header early is not sent.
func TestPlainHeaderFields(t *testing.T) {
	s := newRawServer(t, echo("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	for _, field := range [][2]string{{"X-A", "a\r\nX-B: c"}, {"X-A\r\nX-B", "c"}, {"X-A: b", "c"}, {"X-A", "a\x00"}} {
		r := plainRequest(t.Context(), t, s.address, "")
		r.Header[field[0]] = []string{field[1]}
		_, err := newPlain(t).RoundTrip(r)
		if !errors.Is(err, errHeaderField) {
			t.Errorf("%q: %q was sent: %v", field[0], field[1], err)
		}
	}
}

// Many calls at a time mix nothing up, and no more connections are kept than were used.
func TestPlainManyAtATime(t *testing.T) {
	s := newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			var body bytes.Buffer
			if _, err := body.ReadFrom(r.Body); err != nil {
				return
			}
			if _, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", body.Len(), body.Bytes()); err != nil {
				return
			}
		}
	})
	transport := newPlain(t)
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			for i := range 50 {
				body := strings.Repeat(fmt.Sprintf("%d.%d ", worker, i), 1+i*100)
				if said := describe(transport.RoundTrip(plainRequest(t.Context(), t, s.address, body))); !strings.Contains(said, fmt.Sprintf("%q broken: false", body)) {
					t.Errorf("%d.%d came back as %.80s", worker, i, said)
				}
			}
		})
	}
	all.Wait()
	if n := s.conns.Load(); n > 16 {
		t.Errorf("%d connections for 16 callers", n)
	}
}

// Idle connections do not live for ever.
func TestPlainCleans(t *testing.T) {
	s := newRawServer(t, echo("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	transport := newPlain(t)
	if said := describe(transport.RoundTrip(plainRequest(t.Context(), t, s.address, ""))); !strings.HasPrefix(said, "200") {
		t.Fatal(said)
	}
	transport.clean()
	if n := len(transport.idle[s.address]); n != 1 {
		t.Fatalf("%d idle connections after a look at a young one", n)
	}
	transport.idle[s.address][0].since = time.Now().Add(-idleFor)
	transport.clean()
	<-s.ended
	if n := len(transport.idle); n != 0 {
		t.Fatalf("%d idle connections are left", n)
	}
}

// A connection over which nothing may follow carries no other request: one that the
// provider means to close, and one whose call was cancelled, however much had come.
func TestPlainLast(t *testing.T) {
	for name, answer := range map[string]string{
		"connection: close": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.0":          "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"cancelled":         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			s := newRawServer(t, echo(answer)) // which goes on reading
			transport := newPlain(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			response, err := transport.RoundTrip(plainRequest(ctx, t, s.address, ""))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if name == "cancelled" {
				cancel() // the rest has come already, or is read no more
			}
			_, _ = io.ReadAll(response.Body)
			if c := transport.take(s.address); c != nil {
				_ = c.conn.Close()
				t.Fatal("the connection was kept")
			}
		})
	}
}
