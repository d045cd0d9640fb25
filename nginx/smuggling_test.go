package nginx_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// raw sends bytes over a connection of their own and then nothing more, and returns all
// answers until the front closes it.
func (r *rig) raw(sent string) (answers []answer) {
	r.t.Helper()
	conn, err := tls.Dial("tcp", r.front.Address(), r.front.TLS("http/1.1"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, sent); err == nil {
		_ = conn.CloseWrite()
	}
	for reader := bufio.NewReader(conn); ; {
		response, err := http.ReadResponse(reader, nil)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			r.t.Errorf("the connection stays open after %d answers to %.100q", len(answers), sent)
		}
		if err != nil {
			return answers
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		answers = append(answers, answer{status: response.StatusCode, header: response.Header, body: string(body)})
	}
}

const (
	posted   = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
	smuggled = "GET /api/v1/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
)

// broken are requests whose end could be read in two ways, or that are none.
var broken = map[string]string{
	"CL.TE":                          posted + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"TE.CL":                          posted + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	"CL.TE in other letters":         posted + "content-length: 5\r\ntransfer-ENCODING: Chunked\r\n\r\n0\r\n\r\n",
	"CL.TE identity":                 posted + "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello",
	"TE.TE":                          posted + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
	"TE.TE twice":                    posted + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"TE a list":                      posted + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"TE quoted":                      posted + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
	"TE with a vertical tab":         posted + "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n",
	"TE over HTTP/1.0":               "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"CL.CL":                          posted + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
	"CL.CL alike":                    posted + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
	"CL a list":                      posted + "Content-Length: 5, 5\r\n\r\nhello",
	"CL with a sign":                 posted + "Content-Length: +5\r\n\r\nhello",
	"CL below zero":                  posted + "Content-Length: -5\r\n\r\nhello",
	"CL hexadecimal":                 posted + "Content-Length: 0x5\r\n\r\nhello",
	"CL beyond 64 bits":              posted + "Content-Length: 18446744073709551621\r\n\r\nhello",
	"NUL in a header":                posted + "X: y\x00z\r\nContent-Length: 5\r\n\r\nhello",
	"two hosts":                      posted + "Host: localhost\r\nContent-Length: 5\r\n\r\nhello",
	"no host":                        "POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
	"another's host":                 "GET /health HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n",
	"chunk longer than it says":      posted + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
	"chunk's size with a sign":       posted + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
	"chunk's size as 0x":             posted + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
	"chunk's size beyond 64 bits":    posted + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
	"chunk's size empty":             posted + "Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n",
	"no version":                     "GET /health\r\nHost: localhost\r\n\r\n",
	"an unknown method":              "SPY /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	"a method in small letters":      "get /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"another protocol":               "GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n",
	"the preface of HTTP/2":          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"NUL in the path":                "GET /health\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"a proxy's request":              "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"trace":                          "TRACE /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	"headers without end":            posted + strings.Repeat("X-Y: "+strings.Repeat("z", 1000)+"\r\n", 100) + "\r\n",
	"a header longer than any":       posted + "X-Y: " + strings.Repeat("z", 20_000) + "\r\n\r\n",
	"an address longer than any":     "GET /" + strings.Repeat("z", 20_000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
	"CRLF in the address":            "GET /health%0d%0a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
	"a host with a path":             "GET /health HTTP/1.1\r\nHost: localhost/../x\r\n\r\n",
	"a folded header":                posted + "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello",
	"TE with a space before a colon": posted + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nhello",
}

// TestSmuggling: a request that could be read in two ways ends at the front, and what
// follows it on its connection is nobody's request.
func TestSmuggling(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	for name, sent := range broken {
		before := len(r.behind.requests())
		answers := r.raw(sent + smuggled + smuggled)
		if n := len(r.behind.requests()); n != before {
			t.Errorf("%s: %d requests reached the server: %+v", name, n-before, r.behind.last(t))
		}
		if len(answers) > 1 {
			t.Errorf("%s: %d answers", name, len(answers))
		}
		for _, a := range answers {
			if a.status < 400 || a.status == http.StatusInternalServerError || a.status == http.StatusNotFound && !strings.Contains(name, "address") || strings.Contains(a.body, "nginx/") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
	}
	if a := r.do("GET", "/health", ""); a.status != http.StatusOK {
		t.Errorf("afterwards: %d", a.status)
	}
}

// TestWholeBodies: a server is asked when all of a body is there, and told its length, even
// where the client did not know it.
func TestWholeBodies(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	conn, err := tls.Dial("tcp", r.front.Address(), r.front.TLS("http/1.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	read := func(status int) {
		t.Helper()
		response, err := http.ReadResponse(reader, nil)
		if err != nil || response.StatusCode != status {
			t.Fatalf("%v, want %d: %v", response, status, err)
		}
	}
	_, _ = io.WriteString(conn, posted+"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
	read(http.StatusContinue)
	if n := len(r.behind.requests()); n > 0 {
		t.Errorf("a server was asked before there was a body")
	}
	_, _ = io.WriteString(conn, "2\r\nhe\r\n")
	_, _ = io.WriteString(conn, "3\r\nllo\r\n0\r\n\r\n")
	read(http.StatusOK)
	if q := r.behind.last(t); q.body != "hello" || q.chunked || q.header.Get("Content-Length") != "5" {
		t.Errorf("the server saw %+v", q)
	}
}

// TestOneReading: what is odd and clear reaches a server in one form, with one length and
// no encoding, and each request that reaches it has one answer.
func TestOneReading(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	const parting = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
	for name, c := range map[string]struct {
		sent   string
		bodies []string // of the requests that a server sees
	}{
		"pipelined":             {posted + "Content-Length: 5\r\n\r\nhello" + smuggled + parting, []string{"hello", "", ""}},
		"chunks":                {posted + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" + parting, []string{"hello", ""}},
		"chunks' extensions":    {posted + "Transfer-Encoding: chunked\r\n\r\n5;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n" + parting, []string{"hello", ""}},
		"a trailer":             {posted + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Real-IP: 1.2.3.4\r\nContent-Length: 9\r\n\r\n" + parting, []string{"hello", ""}},
		"bare LF":               {"POST /v1/chat/completions HTTP/1.1\nHost: localhost\nContent-Length: 5\n\nhello" + parting, []string{"hello", ""}},
		"bare LF after a chunk": {posted + "Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n" + parting, []string{"hello", ""}},
		"a body where none counts": {"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 54\r\n\r\n" +
			smuggled + strings.Repeat(" ", 54-len(smuggled)) + parting, []string{smuggled + strings.Repeat(" ", 54-len(smuggled)), ""}},
		"an absolute address":    {"GET https://localhost/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", []string{""}},
		"HTTP/1.0":               {"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n" + smuggled, []string{""}},
		"expecting to continue":  {posted + "Expect: 100-continue\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", []string{"hello"}},
		"an underscore's header": {posted + "Transfer_Encoding: chunked\r\nX_Real_IP: 1.2.3.4\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", []string{"hello"}},
	} {
		before := len(r.behind.requests())
		answers := r.raw(c.sent)
		seen := r.behind.requests()[before:]
		if len(seen) != len(c.bodies) {
			t.Errorf("%s: a server saw %d requests, want %d: %+v", name, len(seen), len(c.bodies), seen)
			continue
		}
		served := 0
		for _, a := range answers {
			if !a.here() {
				served++
			}
		}
		if served != len(seen) {
			t.Errorf("%s: %d requests, %d answers", name, len(seen), served)
		}
		for i, q := range seen {
			if q.body != c.bodies[i] || q.chunked || q.header.Get("X_Real_IP")+q.header.Get("Transfer_Encoding") != "" || q.header.Get("X-Real-IP") != "127.0.0.1" {
				t.Errorf("%s: request %d is %+v", name, i, q)
			}
		}
	}
}
