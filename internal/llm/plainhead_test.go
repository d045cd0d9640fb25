package llm

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// commonForms are answers that commonAnswer reads by itself, and others that it must leave.
var commonForms = map[string]bool{
	"Content-Length: 2\r\n": true,
	"content-length:2\r\ncontent-type: application/json\r\nServer: \tx \r\n":      true,
	"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n":                 true,
	"Content-Length: 2\r\nConnection: Keep-Alive\r\nX-Empty:\r\nX-Ünicode: x\r\n": false,
	"Content-Length: 2\r\nX: Ünicode\r\n":                                         true,
	"Content-Length: 2\r\nConnection: keep-alive\r\n":                             true,
	"Content-Length: 2\r\nConnection: close\r\n":                                  false,
	"Content-Length: 2\r\nContent-Length: 2\r\n":                                  false,
	"Content-Length: +2\r\n":                                                      false,
	"Content-Length: 2, 2\r\n":                                                    false,
	"Content-Length: 0\r\n":                                                       false,
	"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n":                         false,
	"Content-Length: 2\r\nPragma: no-cache\r\n":                                   false,
	"Content-Length: 2\r\n X: folded\r\n":                                         false,
	"Content-Length : 2\r\n":                                                      false,
	"Content-Length: 2\nX: y\r\n":                                                 false,
	"Content-Length: 2\r\nX: a\rb\r\n":                                            false,
	"X: y\r\n":                                                                    false,
	"":                                                                            false,
}

func TestCommonAnswer(t *testing.T) {
	for lines, common := range commonForms {
		sameAnswer(t, commonStatus+lines+"\r\n{}"+"rest", &common)
	}
	no := false
	for _, answer := range []string{"", "HTTP/1.1 2", "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		commonStatus + "Content-Length: 2\r\n", commonStatus + "X: " + strings.Repeat("y", socketRead) + "\r\nContent-Length: 2\r\n\r\n{}"} {
		sameAnswer(t, answer, &no)
	}
	yes := true
	sameAnswer(t, commonStatus+"Content-Length: 3\r\n\r\n{}", &yes) // and there it ends
}

// FuzzCommonAnswer: what is read here is what http.ReadResponse reads.
func FuzzCommonAnswer(f *testing.F) {
	for lines := range commonForms {
		f.Add(commonStatus + lines + "\r\n{}rest")
	}
	f.Fuzz(func(t *testing.T, answer string) { sameAnswer(t, answer, nil) })
}

// sameAnswer compares both ways to read an answer; common, if it is not nil, says whether it
// is one of the commonest form.
func sameAnswer(t *testing.T, answer string, common *bool) {
	t.Helper()
	request := &http.Request{Method: http.MethodPost}
	reader := bufio.NewReaderSize(strings.NewReader(answer), socketRead)
	ours := commonAnswer(reader, request)
	if common != nil && (ours != nil) != *common {
		t.Fatalf("%q is of the commonest form: %t", answer, ours != nil)
	}
	if ours == nil {
		if left, err := io.ReadAll(reader); string(left) != answer || err != nil {
			t.Fatalf("of %q only %q is left, and %v", answer, left, err)
		}
		return
	}
	other := bufio.NewReaderSize(strings.NewReader(answer), socketRead)
	theirs, err := http.ReadResponse(other, request)
	if err != nil {
		t.Fatalf("%q is none: %v", answer, err)
	}
	if got, want := told(ours, reader), told(theirs, other); got != want {
		t.Fatalf("%q is read as\n%s\nand by http.ReadResponse as\n%s", answer, got, want)
	}
}

// told is all that an answer says, and what is left behind it.
func told(r *http.Response, reader *bufio.Reader) string {
	body, err := io.ReadAll(r.Body)
	left, _ := io.ReadAll(reader)
	return fmt.Sprintf("%s %d %s %d.%d %v %d %v %t %q %v %q", r.Status, r.StatusCode, r.Proto, r.ProtoMajor, r.ProtoMinor,
		r.Header, r.ContentLength, r.TransferEncoding, r.Close, body, err, left)
}
