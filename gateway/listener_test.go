package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// raw sends bytes on a socket of their own, and then nothing more, and returns all
// answers until the server closes the connection.
func (r *rig) raw(sent string) (answers []answer) {
	r.t.Helper()
	conn := r.dial()
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, sent); err == nil { // else it was refused before all of it was sent
		_ = conn.(*net.TCPConn).CloseWrite() // the server may have closed it by now
	}
	reader := bufio.NewReader(conn)
	for {
		a, err := readAnswer(reader)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				r.t.Errorf("the connection stays open after %d answers to %.200q", len(answers), sent)
			}
			return answers
		}
		answers = append(answers, a)
	}
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	r.must(err)
	r.must(conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

func readAnswer(reader *bufio.Reader) (answer, error) {
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if response.Close {
		response.Header.Set("Connection", "close") // which reading takes off
	}
	return answer{response.StatusCode, response.Header, string(body)}, err
}

const (
	healthy = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
	parting = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	posted  = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
)

// TestSmuggling: where a request's end could be read in two ways, there is no request, no
// second one, and no connection any more.
func TestSmuggling(t *testing.T) {
	r := newRig(t)
	for name, sent := range map[string]string{
		"CL.TE":                          posted + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE.CL":                          posted + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"CL.TE in other letters":         posted + "content-length: 5\r\ntransfer-ENCODING: Chunked\r\n\r\n0\r\n\r\n",
		"CL.TE identity":                 posted + "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello",
		"TE identity":                    posted + "Transfer-Encoding: identity\r\n\r\nhello",
		"TE.TE":                          posted + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
		"TE.TE twice":                    posted + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"TE a list":                      posted + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"TE quoted":                      posted + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
		"TE with a vertical tab":         posted + "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n",
		"TE with a space before a colon": posted + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"TE folded":                      posted + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"TE over HTTP/1.0":               "POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"CL.CL":                          posted + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"CL.CL alike":                    posted + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"CL a list":                      posted + "Content-Length: 5, 5\r\n\r\nhello",
		"CL with a sign":                 posted + "Content-Length: +5\r\n\r\nhello",
		"CL below zero":                  posted + "Content-Length: -5\r\n\r\nhello",
		"CL hexadecimal":                 posted + "Content-Length: 0x5\r\n\r\nhello",
		"CL empty":                       posted + "Content-Length: \r\n\r\nhello",
		"CL beyond 64 bits":              posted + "Content-Length: 18446744073709551621\r\n\r\nhello",
		"CL folded":                      posted + "Content-Length:\r\n 5\r\n\r\nhello",
		"bare LF between headers":        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\nContent-Length: 5\r\n\r\nhello",
		"bare LF throughout":             "POST /v1/chat/completions HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello",
		"bare LF at the headers' end":    "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\nhello",
		"bare CR in a header":            posted + "X: y\rContent-Length: 5\r\n\r\nhello",
		"NUL in a header":                posted + "X: y\x00z\r\nContent-Length: 5\r\n\r\nhello",
		"folded header":                  posted + "X: y\r\n z\r\nContent-Length: 5\r\n\r\nhello",
		"header without a name":          posted + ": y\r\nContent-Length: 5\r\n\r\nhello",
		"header without a colon":         posted + "X y\r\nContent-Length: 5\r\n\r\nhello",
		"two hosts":                      posted + "Host: y\r\nContent-Length: 5\r\n\r\nhello",
		"bare LF after a chunk's size":   posted + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
		"bare LF after a chunk":          posted + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
		"LF in a chunk's extension":      posted + "Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
		"chunk longer than it says":      posted + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
		"chunk's size with a sign":       posted + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
		"chunk's size as 0x":             posted + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
		"chunk's size beyond 64 bits":    posted + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
		"chunk's size empty":             posted + "Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n",
		"length in a trailer":            posted + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
		"address in a trailer":           posted + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Real-Ip: 1.2.3.4\r\n\r\n",
		"no version":                     "GET /health\r\nHost: x\r\n\r\n",
		"an unknown method":              "SPY /health HTTP/1.1\r\nHost: x\r\n\r\n",
		"another protocol":               "GET /health HTTP/2.0\r\nHost: x\r\n\r\n",
		"the preface of HTTP/2":          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a space too many":               "GET  /health HTTP/1.1\r\nHost: x\r\n\r\n",
		"a tab for a space":              "GET\t/health HTTP/1.1\r\nHost: x\r\n\r\n",
		"NUL in the path":                "GET /health\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
		"TLS":                            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			answers := r.raw(sent + healthy + healthy)
			if len(answers) > 1 {
				t.Fatalf("%d answers to one broken request", len(answers))
			}
			for _, a := range answers {
				if a.status != 400 || a.header.Get("Connection") != "close" || strings.Contains(a.body, "fasthttp") || strings.Contains(a.body, "header") {
					t.Errorf("%d %s %s", a.status, a.header, a.body)
				}
			}
		})
	}
	r.t = t
	if a := r.do("GET", "/health", "", ""); a.status != 200 {
		t.Errorf("afterwards: %d", a.status)
	}
}

// TestHonestFraming: what is unusual and clear is served.
func TestHonestFraming(t *testing.T) {
	r := newRig(t)
	_, key := r.account(dollar)
	authorized := posted + "Authorization: Bearer " + key + "\r\n"
	body := chatBody("paid")
	chunks := fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n", 7, body[:7], len(body)-7, body[7:])
	for name, c := range map[string]struct {
		sent     string
		statuses []int
	}{
		"chunks":                {authorized + "Transfer-Encoding: chunked\r\n\r\n" + chunks + "\r\n" + parting, []int{200, 200}},
		"chunks with a trailer": {authorized + "Transfer-Encoding: chunked\r\n\r\n" + chunks + "X-Sum: 5\r\n\r\n" + parting, []int{200, 200}},
		"a chunk's extension": {authorized + "Transfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x;name=value\r\n%s\r\n0\r\n\r\n", len(body), body) + parting, []int{200, 200}},
		"pipelined":                {healthy + healthy + healthy + parting, []int{200, 200, 200, 200}},
		"pipelined behind errors":  {"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" + posted + "Content-Length: 2\r\n\r\n{}" + parting, []int{404, 401, 200}},
		"absolute form":            {"GET http://elsewhere.example/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", []int{200}},
		"an empty line before":     {"\r\n" + parting, []int{200}},
		"a body where none counts": {"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + parting, []int{200, 200}},
		"HTTP/1.0":                 {"GET /health HTTP/1.0\r\n\r\n" + parting, []int{200}},
		"expecting to continue":    {authorized + "Expect: 100-continue\r\nConnection: close\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body, []int{100, 200}},
		"many headers":             {"GET /health HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 1000) + "Connection: close\r\n\r\n", []int{200}},
		"too many headers":         {"GET /health HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n", []int{431}},
		"a proxy's request":        {"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\nConnection: close\r\n\r\n", []int{404}},
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			var got []int
			for _, a := range r.raw(c.sent) {
				got = append(got, a.status)
			}
			if fmt.Sprint(got) != fmt.Sprint(c.statuses) {
				t.Errorf("answered %v, want %v", got, c.statuses)
			}
		})
	}
}

// TestEncodedBodies: none is inflated, whatever it would come to.
func TestEncodedBodies(t *testing.T) {
	r := newRig(t)
	_, key := r.account(dollar)
	var member bytes.Buffer
	w := gzip.NewWriter(&member)
	_, err := w.Write(make([]byte, 1<<20))
	r.must(err)
	r.must(w.Close())
	bomb := strings.Repeat(member.String(), 256) // one stream of members after each other
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, encoding := range []string{"gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "gzip, gzip", "x-unknown"} {
		r.do("POST", "/v1/chat/completions", key, bomb, "Content-Encoding", encoding).wantError(t, 415, "unsupported_encoding")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// TestFormsStayBytes: a form is a body like others; nothing of it is unpacked into memory
// or files before anybody has asked who sends it.
func TestFormsStayBytes(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := newRig(t)
	_, key := r.account(dollar)
	form := "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n" + strings.Repeat("x", 18<<20) + "\r\n--b--\r\n"
	a := r.do("POST", "/v1/chat/completions", key, form, "Content-Type", "multipart/form-data; boundary=b")
	a.wantError(t, 400, "invalid_request")
	r.do("POST", "/v1/chat/completions", "", "--b\r\nbroken", "Content-Type", "multipart/form-data; boundary=b").wantError(t, 401, "invalid_api_key")
	files, err := os.ReadDir(os.TempDir())
	r.must(err)
	if len(files) > 0 {
		t.Errorf("%d files were written", len(files))
	}
}

// TestOddBodies: what is no request is refused by name, and what is one is answered.
func TestOddBodies(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	post := func(body string) answer { return r.do("POST", "/v1/chat/completions", key, body) }
	for name, body := range map[string]string{
		"nothing":                      "",
		"only spaces":                  strings.Repeat(" ", 4<<20),
		"null":                         "null",
		"a number":                     "1e999999",
		"a list":                       "[" + chatBody("paid") + "]",
		"two objects":                  chatBody("paid") + chatBody("paid"),
		"rest after the object":        chatBody("paid") + "x",
		"a byte order mark":            "\xef\xbb\xbf" + chatBody("paid"),
		"UTF-16":                       "{\x00\"\x00m\x00\"\x00}\x00",
		"a comment":                    "{/* */" + chatBody("paid")[1:],
		"a comma at the end":           strings.TrimSuffix(chatBody("paid"), "}") + ",}",
		"NaN":                          chatBody("paid", `"temperature":NaN`),
		"single quotes":                `{'model':'paid'}`,
		"a raw line break in a string": chatBody("paid", "\"user\":\"a\nb\""),
		"deep lists":                   `{"model":"paid","messages":` + strings.Repeat("[", 4<<20),
		"deep objects":                 `{"model":"paid","x":` + strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 300) + "}",
		"a model twice":                `{"model":"free",` + chatBody("paid")[1:],
		"a model in capitals":          chatBody("paid", `"MODEL":"free"`),
		"an escaped model twice":       chatBody("paid", `"\u006dodel":"free"`),
		"messages twice":               chatBody("paid", `"messages":[]`),
		"no messages":                  `{"model":"paid","messages":[]}`,
		"messages of numbers":          `{"model":"paid","messages":[1]}`,
		"a message without a role":     `{"model":"paid","messages":[{"content":"x"}]}`,
		"a role that is a number":      `{"model":"paid","messages":[{"role":1}]}`,
		"max_tokens zero":              chatBody("paid", `"max_tokens":0`),
		"max_tokens below zero":        chatBody("paid", `"max_tokens":-1`),
		"max_tokens a fraction":        chatBody("paid", `"max_tokens":1.5`),
		"max_tokens an exponent":       chatBody("paid", `"max_tokens":1e3`),
		"max_tokens a string":          chatBody("paid", `"max_tokens":"10"`),
		"max_tokens beyond 32 bits":    chatBody("paid", `"max_tokens":4294967297`),
		"max_tokens beyond 64 bits":    chatBody("paid", `"max_tokens":18446744073709551617`),
		"max_tokens of 4 MiB":          chatBody("paid", `"max_tokens":1`+strings.Repeat("0", 4<<20)),
		"max_tokens beyond the model":  chatBody("paid", `"max_tokens":2147483647`),
		"max_tokens twice":             chatBody("paid", `"max_tokens":1`, `"max_tokens":2`),
		"n of a million":               chatBody("paid", `"n":1000000`),
		"stream a string":              chatBody("paid", `"stream":"yes"`),
		"another tier":                 chatBody("paid", `"service_tier":"priority"`),
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			post(body).wantError(t, 400, "invalid_request")
		})
	}
	r.t = t
	for name, body := range map[string]string{
		"4 MiB of words":           strings.Replace(chatBody("free"), "Say", strings.Repeat("word ", 4<<20/5), 1),
		"a huge number":            chatBody("free", `"seed":`+strings.Repeat("9", 10_000)),
		"an exponent beyond sense": chatBody("free", `"x":1e999999`),
		"bytes that are no UTF-8":  strings.Replace(chatBody("free"), "Say", "\xff\xfe\xc0\x80", 1),
		"half a surrogate":         strings.Replace(chatBody("free"), "Say", `\ud800`, 1),
		"NUL":                      strings.Replace(chatBody("free"), "Say", `\u0000`, 1),
		"unknown fields twice":     chatBody("free", `"x":1`, `"x":2`),
		"many fields":              chatBody("free", strings.Repeat(`"x":1,`, 100_000)+`"y":2`),
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			post(body).want(t, 200)
		})
	}
	r.t = t
	// A role that we do not know may be one that the provider does: it is asked.
	if a := post(strings.Replace(chatBody("free"), `"user"`, `"wizard"`, 1)); a.status != 400 || a.get("error.code").Str != "invalid_value" {
		t.Errorf("an unknown role: %d %s", a.status, a.body)
	}
	r.wantBalance(id, dollar)
}
