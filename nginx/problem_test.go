package nginx_test

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// problem is an error in any of the three shapes.
type problem struct {
	Type  string
	Error struct {
		Code, Type, Message string
		Param               *string
		RequestID           string `json:"request_id"`
	}
	RequestID string `json:"request_id"`
}

// told reads an error that the front made and checks all that does not depend on which
// it is. It returns its code (Anthropic's: its type).
func (r *rig) told(path string, a answer) (code string) {
	r.t.Helper()
	a.once(r.t, path)
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || !a.here() {
		r.t.Fatalf("%s: %d %v %q: %v", path, a.status, a.header, a.body, err)
	}
	id := a.header.Get("X-Request-Id")
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000",
	} {
		if a.header.Get(name) != want {
			r.t.Errorf("%s: %s is %q", path, name, a.header.Get(name))
		}
	}
	if len(id) != 32 || p.Error.Message == "" || a.header.Get("Content-Security-Policy") == "" {
		r.t.Errorf("%s: %v %s", path, a.header, a.body)
	}
	if waits := a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable; waits != (a.header.Get("Retry-After") == "1") {
		r.t.Errorf("%s: %d with Retry-After %q", path, a.status, a.header.Get("Retry-After"))
	}
	switch {
	case p.Type == "error": // Anthropic's
		if p.RequestID != id || a.header.Get("Request-Id") != id {
			r.t.Errorf("%s: %v %s", path, a.header, a.body)
		}
		return "anthropic " + p.Error.Type
	case strings.Contains(a.body, `"param":null`): // OpenAI's
		return "openai " + p.Error.Type + " " + p.Error.Code
	}
	if p.Error.RequestID != id {
		r.t.Errorf("%s: %v %s", path, a.header, a.body)
	}
	return "plain " + p.Error.Code
}

// TestProblems: whatever the front answers by itself has the shape that the client speaks,
// a name, and says when to come back.
func TestProblems(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{Telegram: []string{"127.0.0.7"}}, nil)
	long := strings.Repeat("x", 1<<20+1)
	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
		code               string
	}{
		{method: "GET", path: "/", status: 404, code: "plain not_found"},
		{method: "GET", path: "/nothing.js", status: 404, code: "plain not_found"},
		{method: "POST", path: "/webhook", body: "{}", status: 403, code: "plain forbidden"},
		{method: "POST", path: "/api/v1/keys", body: long, status: 413, code: "plain request_too_large"},
		{method: "POST", path: "/v1/chat/completions", body: strings.Repeat("x", 27<<20+1), status: 413, code: "openai invalid_request_error request_too_large"},
		{method: "POST", path: "/v1/messages", body: strings.Repeat("x", 27<<20+1), status: 413, code: "anthropic request_too_large"},
		{method: "SPY", path: "/v1/chat/completions", status: 405, code: "openai invalid_request_error method_not_allowed"},
		{method: "PUT", path: "/v1/messages/count_tokens", status: 405, code: "anthropic invalid_request_error"},
		{method: "TRACE", path: "/v1/models/a%20b", status: 405, code: "openai invalid_request_error method_not_allowed"},
		{method: "PUT", path: "/v1/models", headers: []string{"Anthropic-Version", "2023-06-01"}, status: 405, code: "anthropic invalid_request_error"},
		{method: "PUT", path: "/webapp/", status: 405, code: "plain method_not_allowed"},
		{method: "GET", path: "/health", headers: []string{"X-Long", strings.Repeat("x", 9<<10)}, status: 431, code: "plain headers_too_large"},
	} {
		a := r.do(c.method, c.path, c.body, c.headers...)
		if code := r.told(c.path, a); a.status != c.status || code != c.code {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, a.status, code, c.status, c.code)
		}
	}
	if n := len(r.behind.requests()); n > 0 {
		t.Errorf("the server behind was asked %d times", n)
	}
}

// TestAway: when no server can be reached that is us, 503, and no provider's 502.
func TestAway(t *testing.T) {
	front := testenv.Nginx(t, testenv.NginxOptions{Upstreams: []string{closed(t), closed(t)}})
	r := &rig{t: t, front: front, client: front.Client()}
	for _, c := range []struct{ method, path, code string }{
		{"POST", "/v1/chat/completions", "openai server_error service_unavailable"},
		{"POST", "/v1/messages", "anthropic overloaded_error"},
		{"GET", "/api/v1/balance", "plain service_unavailable"},
		{"GET", "/webapp/", "plain service_unavailable"},
	} {
		a := r.do(c.method, c.path, "{}")
		if code := r.told(c.path, a); a.status != http.StatusServiceUnavailable || code != c.code {
			t.Errorf("%s: %d %s", c.path, a.status, code)
		}
	}
}

// TestHeaders: what every answer carries stands on it once, whoever made it; what a server
// has said itself is left alone.
func TestHeaders(t *testing.T) {
	own := map[string]string{"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Referrer-Policy": "origin", "X-Content-Type-Options": "nosniff", "Cache-Control": "private"}
	r := newRig(t, testenv.NginxOptions{Webroot: site}, func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("Server", "program/1.2.3")
		if strings.HasPrefix(q.URL.Path, "/payment/") {
			for name, value := range own {
				w.Header().Set(name, value)
			}
		}
		switch q.URL.Path {
		case "/v1/models":
			w.WriteHeader(http.StatusTooManyRequests)
		case "/api/v1/usage":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	for _, path := range []string{
		"/", "/webapp", "/webapp/", "/webapp/assets/index-BxK3_9aQ.js", "/webapp/favicon.svg", "/webapp/nothing.js", "/v1/models", "/v1/chat/completions",
		"/api/v1/balance", "/api/v1/usage", "/api/v1/proxy/llm", "/api/v1/live", "/graphql", "/graphql/schema", "/payment/done", "/health", "/webhook",
	} {
		a := r.do("GET", path, "", "X-Request-Id", "mine-1")
		a.once(t, path)
		for _, name := range []string{"Strict-Transport-Security", "X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy"} {
			if a.header.Get(name) == "" {
				t.Errorf("%s: no %s", path, name)
			}
		}
		if a.header.Get("X-Request-Id") != "mine-1" || a.header.Get("Server") != "nginx" {
			t.Errorf("%s: %v", path, a.header)
		}
		if waits := a.header.Get("Retry-After"); waits != "" {
			t.Errorf("%s: a server's %d is given Retry-After", path, a.status)
		}
		for name, value := range own {
			if got := a.header.Get(name); strings.HasPrefix(path, "/payment/") && got != value {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
	}
}

// TestNames: a request's name goes to the server and comes back; one that is not
// presentable is not kept.
func TestNames(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	for _, name := range []string{"", "has space", strings.Repeat("x", 65), "käse", `"quoted"`} {
		a := r.do("GET", "/health", "", "X-Request-Id", name)
		got := a.header.Get("X-Request-Id")
		if len(got) != 32 || r.behind.last(t).header.Get("X-Request-Id") != got {
			t.Errorf("%q became %q", name, got)
		}
	}
	if a := r.do("GET", "/health", "", "X-Request-Id", "a.B-3_"); a.header.Get("X-Request-Id") != "a.B-3_" {
		t.Errorf("a presentable name is lost: %v", a.header)
	}
}
