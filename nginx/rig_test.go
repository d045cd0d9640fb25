package nginx_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// patience is for what comes in a moment, on a machine that does much else.
const patience = time.Minute

func TestMain(m *testing.M) { testenv.Main(m) }

// asked is a request as a server behind the front saw it.
type asked struct {
	method, uri, host, body string
	header                  http.Header
	chunked                 bool
}

// behind is a server that notes what it is asked. It puts X-Behind on its answers, and the
// request's id as the program does.
type behind struct {
	*httptest.Server

	mu   sync.Mutex
	seen []asked
}

// newBehind answers by handler; nil: {"ok":true} to everything.
func newBehind(t *testing.T, handler http.HandlerFunc) *behind {
	t.Helper()
	b := &behind{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if r.Header.Get("Upgrade") == "" {
			body, _ = io.ReadAll(r.Body)
		}
		b.mu.Lock()
		b.seen = append(b.seen, asked{
			method: r.Method, uri: r.RequestURI, host: r.Host, body: string(body), header: r.Header.Clone(), chunked: len(r.TransferEncoding) > 0,
		})
		b.mu.Unlock()
		w.Header().Set("X-Behind", "yes")
		w.Header().Set("X-Request-Id", r.Header.Get("X-Request-Id"))
		if handler != nil {
			handler(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ok":true}`)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *behind) address() string { return strings.TrimPrefix(b.URL, "http://") }

// requests are those that were seen so far.
func (b *behind) requests() []asked {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]asked(nil), b.seen...)
}

// last is the newest of them.
func (b *behind) last(t *testing.T) asked {
	t.Helper()
	all := b.requests()
	if len(all) == 0 {
		t.Fatal("the server behind was not asked")
	}
	return all[len(all)-1]
}

// rig is a front with one server behind it.
type rig struct {
	t      *testing.T
	front  *testenv.NginxHandle
	behind *behind
	client *http.Client
}

// newRig starts both; handler as in newBehind.
func newRig(t *testing.T, o testenv.NginxOptions, handler http.HandlerFunc) *rig {
	t.Helper()
	b := newBehind(t, handler)
	o.Upstreams = []string{b.address()}
	front := testenv.Nginx(t, o)
	return &rig{t: t, front: front, behind: b, client: front.Client()}
}

// answer is one whole answer.
type answer struct {
	status int
	header http.Header
	body   string
	proto  string
}

// here tells whether the front itself made it.
func (a answer) here() bool { return a.header.Get("X-Behind") == "" }

// do sends a request as it stands: the path is not tidied. Headers come in pairs.
func (r *rig) do(method, path, body string, headers ...string) answer {
	r.t.Helper()
	return r.by(r.client, method, path, body, headers...)
}

// by is do with another client.
func (r *rig) by(client *http.Client, method, path, body string, headers ...string) answer {
	r.t.Helper()
	a, err := send(client, r.front.URL(), method, path, body, headers...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func send(client *http.Client, base, method, path, body string, headers ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, base, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.URL.Opaque = path
	if strings.HasPrefix(path, "//") { // which would be read as a host
		request.URL.Opaque = "//" + request.URL.Host + path
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: string(text), proto: response.Proto}, err
}

// once fails the test where a header that should stand at most once stands more often.
func (a answer) once(t *testing.T, what string) {
	t.Helper()
	for name, values := range a.header {
		if len(values) != 1 {
			t.Errorf("%s: %s stands %d times: %q", what, name, len(values), values)
		}
	}
}
