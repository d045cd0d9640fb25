package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	ownPage   = `<!doctype html><script type="module" src="/webapp/assets/index-BxK3_9aQ.js"></script>`
	ownHeader = "X-Question"
	ownSeal   = "sealed"
)

// deployed is a deployment as browsers find it: all well, but for what a test spoils.
type deployed struct {
	answers map[string]func(w http.ResponseWriter, r *http.Request)
	headers map[string]string // of /webapp/; "": it is left out
	version uint16            // the least of TLS
	http1   bool
	expired bool
}

func (d *deployed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer := d.answers[r.URL.Path]; answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNotFound)
}

func says(status int, text string, headers ...string) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// health answers as the gateway does; believing: it takes the client's word for where it is.
func health(believing bool) func(w http.ResponseWriter, r *http.Request) {
	return func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		if told := r.Header.Get("X-Real-IP"); believing && told != "" {
			host = told
		}
		if r.Header.Get(ownHeader) != ownSeal {
			_, _ = io.WriteString(w, `{"status":"alive"}`)
			return
		}
		fmt.Fprintf(w, `{"status":"alive","address":%q}`, host)
	}
}

func goodHeaders() map[string]string {
	return map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-cache", "Server": "nginx", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors https://web.telegram.org", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
	}
}

// start runs it and returns its checks.
func (d *deployed) start(t *testing.T) []Check {
	t.Helper()
	answers := map[string]func(w http.ResponseWriter, r *http.Request){
		"/health":  health(false),
		"/webhook": says(http.StatusForbidden, ""),
		"/webapp/": func(w http.ResponseWriter, _ *http.Request) {
			headers := goodHeaders()
			maps.Copy(headers, d.headers)
			for name, value := range headers {
				w.Header().Set(name, value)
				if value == "" {
					w.Header().Del(name)
				}
			}
			_, _ = io.WriteString(w, ownPage)
		},
		"/webapp/assets/index-BxK3_9aQ.js": says(http.StatusOK, "x", "Cache-Control", "public, max-age=2592000, immutable", "Content-Encoding", "br"),
	}
	maps.Copy(answers, d.answers)
	d.answers = answers
	server := httptest.NewUnstartedServer(d)
	server.EnableHTTP2 = !d.http1
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MinVersion: max(d.version, tls.VersionTLS10)}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client := NewWebClient(roots)
	t.Cleanup(client.CloseIdleConnections)
	now := time.Now
	if d.expired {
		now = func() time.Time { return server.Certificate().NotAfter.Add(-time.Hour) }
	}
	return Web{URL: server.URL, Client: client, Question: func() (name, value string) { return ownHeader, ownSeal }, Now: now}.Checks()
}

func TestWebIsWell(t *testing.T) {
	t.Parallel()
	checks := (&deployed{version: tls.VersionTLS12}).start(t)
	for _, f := range Examine(t.Context(), checks) {
		if f.Level != OK {
			t.Errorf("%+v", f)
		}
	}
}

func TestWebFindings(t *testing.T) {
	t.Parallel()
	type answers = map[string]func(w http.ResponseWriter, r *http.Request)
	public := says(http.StatusOK, "x")
	for name, row := range map[string]struct {
		spoilt deployed
		check  string
		want   []string
	}{
		"no server behind":       {deployed{answers: answers{"/health": says(502, "")}}, "web.answers", []string{"fault: answers 502"}},
		"another installation":   {deployed{answers: answers{"/health": says(200, `{"status":"alive"}`)}}, "web.address", []string{"fault: not this installation"}},
		"addresses are chosen":   {deployed{answers: answers{"/health": health(true)}}, "web.address", []string{"fault: can choose the address"}},
		"no policy":              {deployed{headers: map[string]string{"Content-Security-Policy": ""}}, "web.headers", []string{"fault: without the header Content-Security-Policy"}},
		"a policy without frame": {deployed{headers: map[string]string{"Content-Security-Policy": "default-src 'self'"}}, "web.headers", []string{"fault: lacks frame-ancestors"}},
		"sniffing":               {deployed{headers: map[string]string{"X-Content-Type-Options": ""}}, "web.headers", []string{"fault: X-Content-Type-Options"}},
		"no HSTS":                {deployed{headers: map[string]string{"Strict-Transport-Security": "max-age=60"}}, "web.headers", []string{"warning: Strict-Transport-Security"}},
		"a version":              {deployed{headers: map[string]string{"Server": "nginx/1.22.1"}}, "web.headers", []string{"warning: tells a version: nginx/1.22.1"}},
		"public metrics":         {deployed{answers: answers{"/metrics": public, "/debug/pprof/": public}}, "web.private", []string{"fault: /metrics is public", "fault: /debug/pprof/ is public"}},
		"public readiness":       {deployed{answers: answers{"/readyz": says(503, `{"status":"not ready","checks":{}}`)}}, "web.private", []string{"warning: /readyz is public"}},
		"a webhook for all":      {deployed{answers: answers{"/webhook": says(401, "")}}, "web.webhook", []string{"warning: asks anybody"}},
		"a webhook of no secret": {deployed{answers: answers{"/webhook": public}}, "web.webhook", []string{"fault: without the secret"}},
		"a webhook of nobody":    {deployed{answers: answers{"/webhook": says(502, "")}}, "web.webhook", []string{"fault: answers 502"}},
		"no Mini App":            {deployed{answers: answers{"/webapp/": says(503, "", "Content-Type", "text/html")}}, "web.app", []string{"fault: answers 503"}},
		"a page that is kept":    {deployed{headers: map[string]string{"Cache-Control": "max-age=3600"}}, "web.app", []string{"fault: no-cache is right"}},
		"another release":        {deployed{answers: answers{"/webapp/assets/index-BxK3_9aQ.js": says(404, "")}}, "web.app", []string{"fault: answers 404"}},
		"an asset not kept":      {deployed{answers: answers{"/webapp/assets/index-BxK3_9aQ.js": public}}, "web.app", []string{"warning: could be kept"}},
		"an asset as it is": {deployed{answers: answers{"/webapp/assets/index-BxK3_9aQ.js": says(200, "", "Cache-Control", "immutable")}}, "web.app",
			[]string{"warning: uncompressed"}},
		"a hole that is kept": {deployed{answers: answers{"/webapp/assets/none-00000000.js": says(404, "", "Cache-Control", "max-age=60")}}, "web.app", []string{"fault: keep the hole"}},
		"HTTP/1.1":            {deployed{http1: true}, "web.http2", []string{"warning: HTTP/2 is not offered"}},
		"old TLS":             {deployed{}, "web.tls", []string{"warning: TLS 1.1"}},
		"an end":              {deployed{expired: true}, "web.certificate", []string{"fault: ends on"}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, row.spoilt.start(t), row.check, row.want...) })
	}
}

// TestWebUnreachable: what does not answer is told once, whatever else would be looked at.
func TestWebUnreachable(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	client := NewWebClient(nil)
	web := Web{URL: strings.Replace(gone.URL, "http:", "https:", 1), Client: client, Question: func() (name, value string) { return ownHeader, ownSeal }, Now: time.Now}
	faults := 0
	for _, f := range Examine(t.Context(), web.Checks()) {
		if f.Level == Fault {
			faults++
		}
	}
	if faults != 2 { // it does not answer, and has no certificate
		t.Errorf("%d faults", faults)
	}
	web.URL = ""
	expect(t, web.Checks(), "web", "warning: PUBLIC_URL is not set")
	web.URL = gone.URL
	expect(t, web.Checks(), "web.certificate", "warning: plain http")

	stranger := httptest.NewTLSServer(http.NotFoundHandler()) // whose authority nobody knows
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer stranger.Close()
	web.URL = stranger.URL
	expect(t, web.Checks(), "web.certificate", "fault: authority is not known")
	web.URL = strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1)
	roots := x509.NewCertPool()
	roots.AddCert(stranger.Certificate())
	web.Client = NewWebClient(roots)
	expect(t, web.Checks(), "web.certificate", "fault: for other names")
}

func TestMaxAge(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": 0, "max-age=60": time.Minute, "includeSubDomains; Max-Age=3600; preload": time.Hour, "max-age=x": 0, "s-max-age=5": 0,
	} {
		if got := maxAge(header); got != want {
			t.Errorf("%q: %s", header, got)
		}
	}
}
