package nginx_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestRequestLimit: what one address asks for beyond its rate is answered by the front, in
// the shape of who asks, and no server sees it; another address is not touched.
func TestRequestLimit(t *testing.T) {
	const burst = 5
	r := newRig(t, testenv.NginxOptions{Rate: 1, Burst: burst}, nil)
	paths := []string{"/v1/chat/completions", "/v1/messages", "/api/v1/balance", "/webapp/x.js"}
	codes := map[string]bool{}
	began, passed := time.Now(), 0
	for i := range 40 {
		path := paths[i%len(paths)]
		a := r.do("POST", path, "{}")
		if a.status == http.StatusOK {
			passed++
			continue
		}
		if a.status != http.StatusTooManyRequests {
			t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		codes[r.told(path, a)] = true
	}
	most := 1 + burst + int(time.Since(began).Seconds()) + 1
	if passed < 1+burst || passed > most || passed != len(r.behind.requests()) {
		t.Errorf("%d passed, between %d and %d may; the server saw %d", passed, 1+burst, most, len(r.behind.requests()))
	}
	for _, code := range []string{"openai requests rate_limit_exceeded", "anthropic rate_limit_error", "plain rate_limit_exceeded"} {
		if !codes[code] {
			t.Errorf("nobody was told %q, but %v", code, codes)
		}
	}
	if a := r.by(r.front.ClientFrom("127.0.0.9"), "GET", "/v1/models", ""); a.status != http.StatusOK {
		t.Errorf("another address: %d", a.status)
	}
}

// TestRequestLimitOfNetworks: all addresses of an IPv6 /64 are one client.
func TestRequestLimitOfNetworks(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{Rate: 1, Burst: 1, RealIPFrom: []string{"127.0.0.0/8"}}, nil)
	passed := func(address func(int) string) (n int) {
		began := time.Now()
		for i := range 20 {
			if r.do("GET", "/v1/models", "", "X-Forwarded-For", address(i)).status == http.StatusOK {
				n++
			}
		}
		return n - int(time.Since(began).Seconds())
	}
	if n := passed(func(i int) string { return fmt.Sprintf("2001:db8:1:2:%x::5", i+1) }); n < 1 || n > 3 {
		t.Errorf("%d requests of one network passed", n)
	}
	if n := passed(func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) }); n < 1 || n > 3 {
		t.Errorf("%d requests of one network with zeros passed", n)
	}
	if n := passed(func(i int) string { return fmt.Sprintf("2001:db8:1:%x::5", i+16) }); n < 19 {
		t.Errorf("%d requests of 20 networks passed", n)
	}
	if n := passed(func(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }); n < 19 {
		t.Errorf("%d requests of 20 IPv4 addresses passed", n)
	}
}

// TestConnectionLimit: an address has so many requests under way, and no more.
func TestConnectionLimit(t *testing.T) {
	over := make(chan struct{})
	r := newRig(t, testenv.NginxOptions{Connections: 2}, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/v1/chat/completions" {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-over:
			case <-q.Context().Done():
			}
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range 2 {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.front.URL()+"/v1/chat/completions", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := r.client.Do(request) // its header has come, its body has not
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
	}
	a := r.do("GET", "/v1/models", "")
	if code := r.told("/v1/models", a); a.status != http.StatusTooManyRequests {
		t.Errorf("a third: %d %s", a.status, code)
	}
	if a := r.by(r.front.ClientFrom("127.0.0.9"), "GET", "/v1/models", ""); a.status != http.StatusOK {
		t.Errorf("another address: %d", a.status)
	}
	close(over)
	testenv.Until(t, "a place is free", func() bool { return r.do("GET", "/v1/models", "").status == http.StatusOK })
}

// TestRealIP: servers are told who really asks, whatever the client says of itself.
func TestRealIP(t *testing.T) {
	lies := []string{"X-Real-IP", "203.0.113.1", "X-Forwarded-For", "203.0.113.2", "Forwarded", "for=203.0.113.3", "X-Forwarded-Host", "evil.example",
		"X-Forwarded-Proto", "http", "Connection", "X-Real-IP, close"}
	r := newRig(t, testenv.NginxOptions{}, nil)
	r.by(r.front.ClientFrom("127.0.0.9"), "GET", "/api/v1/balance", "", append(lies, "Authorization", "Bearer kk_1", "X-Api-Key", "kk_2", "Traceparent", "00-a-b-01")...)
	got := r.behind.last(t)
	authority := strings.TrimPrefix(r.front.URL(), "https://")
	for name, want := range map[string]string{
		"X-Real-Ip": "127.0.0.9", "X-Forwarded-For": "127.0.0.9", "Forwarded": "", "X-Forwarded-Host": authority, "X-Forwarded-Proto": "https",
		"Authorization": "Bearer kk_1", "X-Api-Key": "kk_2", "Traceparent": "00-a-b-01", "Upgrade": "", "Connection": "",
	} {
		if values := got.header.Values(name); strings.Join(values, "|") != want {
			t.Errorf("%s is %q, want %q", name, values, want)
		}
	}
	if got.host != authority {
		t.Errorf("the host is %q", got.host)
	}
	r.front.Reload(func(o *testenv.NginxOptions) { o.RealIPFrom = []string{"127.0.0.9/32", "198.51.100.0/24"} })
	for from, want := range map[string]string{"127.0.0.9": "203.0.113.7", "127.0.0.8": "127.0.0.8"} {
		r.by(r.front.ClientFrom(from), "GET", "/health", "", "X-Forwarded-For", "192.0.2.66, 203.0.113.7, 198.51.100.4")
		if got := r.behind.last(t).header.Get("X-Real-Ip"); got != want {
			t.Errorf("through %s: %q, want %q", from, got, want)
		}
	}
}

// TestWebhook: updates come from Telegram's networks alone, by whatever spelling of the
// address; the secret goes through, and no body above Telegram's.
func TestWebhook(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{Telegram: []string{"127.0.0.7"}, Rate: 1, Burst: 1}, nil)
	telegram := r.front.ClientFrom("127.0.0.7")
	for range 20 { // and the limit of an address is not for it
		a := r.by(telegram, "POST", "/webhook", `{"update_id":1}`, "X-Telegram-Bot-Api-Secret-Token", "s-e_cret")
		if got := r.behind.last(t); a.status != http.StatusOK || got.header.Get("X-Telegram-Bot-Api-Secret-Token") != "s-e_cret" || got.body != `{"update_id":1}` {
			t.Fatalf("%d %+v", a.status, got)
		}
	}
	if a := r.by(telegram, "POST", "/webhook", strings.Repeat("x", 1<<20)); a.status != http.StatusOK {
		t.Errorf("1 MiB: %d", a.status)
	}
	before := len(r.behind.requests())
	if a := r.by(telegram, "POST", "/webhook", strings.Repeat("x", 1<<20+1)); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("above 1 MiB: %d", a.status)
	}
	for i, path := range []string{
		"/webhook", "/webhook?x=1", "//webhook", "/./webhook", "/webhook/", "/webhook/.", "/v1/../webhook", "/v1/%2e%2e/webhook", "/v1/..%2fwebhook",
		"/%77ebhook", "/WEBHOOK", "/webhook%00", "/webhook;x", "/api/v1/../../webhook", "/webapp/../webhook", "/webhook%2f", "/x/..//webhook",
	} {
		from := fmt.Sprintf("127.0.1.%d", i+1) // each with a limit of its own
		a := r.by(r.front.ClientFrom(from), "POST", path, "{}", "X-Telegram-Bot-Api-Secret-Token", "s-e_cret")
		if a.status != http.StatusForbidden && a.status != http.StatusNotFound && a.status != http.StatusBadRequest {
			t.Errorf("%s from elsewhere: %d %s", path, a.status, a.body)
		}
	}
	if n := len(r.behind.requests()); n != before {
		t.Errorf("%d strangers' updates reached the server: %+v", n-before, r.behind.last(t))
	}
}

// TestPrivate: what is for the inside is not there, by whatever spelling.
func TestPrivate(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	for _, name := range []string{"metrics", "performance", "performance/health", "performance/metrics", "debug", "debug/pprof/", "debug/pprof/heap", "readyz", "internal", ".env", ".git/config", "server-status"} {
		for _, form := range []string{"/%s", "//%s", "/./%s", "/v1/../%s", "/v1/%%2e%%2e/%s", "/%s?x", "/webapp/../%s", "/%s/", "/health/../%s"} {
			path := fmt.Sprintf(form, name)
			if a := r.do("GET", path, ""); a.status != http.StatusNotFound {
				t.Errorf("%s: %d %s", path, a.status, a.body)
			}
		}
	}
	if n := len(r.behind.requests()); n > 0 {
		t.Errorf("%d of them reached the server: %+v", n, r.behind.last(t))
	}
}

// TestGone: a client that leaves a stream has left it for the server, too.
func TestGone(t *testing.T) {
	left := make(chan struct{})
	r := newRig(t, testenv.NginxOptions{}, func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		<-q.Context().Done()
		close(left)
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.front.URL()+"/v1/chat/completions", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.ReadFull(response.Body, make([]byte, len("data: one\n\n"))); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the server is not told")
	}
}
