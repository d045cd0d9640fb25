package nginx_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

// shake tries a handshake.
func (r *rig) shake(change func(*tls.Config)) (tls.ConnectionState, error) {
	c := r.front.TLS("h2", "http/1.1")
	change(c)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", r.front.Address(), c)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.ConnectionState(), nil
}

// TestTLS: 1.2 and 1.3 with forward secrecy, HTTP/2, and no word to whom names another host.
func TestTLS(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	for name, change := range map[string]func(*tls.Config){
		"TLS 1.1": func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
		"no forward secrecy": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		},
		"an old mode": func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		},
		"another's name":         func(c *tls.Config) { c.ServerName = "elsewhere.example" },
		"no name":                func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = "", true },
		"a protocol of nobody's": func(c *tls.Config) { c.NextProtos = []string{"spdy/3"} },
	} {
		if _, err := r.shake(change); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for want, version := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		state, err := r.shake(func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version })
		if err != nil || state.Version != version || state.NegotiatedProtocol != "h2" {
			t.Errorf("TLS %s: %v %+v", want, err, state.Version)
		}
	}
	if a := r.by(r.front.HTTP2(), "GET", "/v1/models", ""); a.status != http.StatusOK || a.proto != "HTTP/2.0" {
		t.Errorf("HTTP/2: %d %s", a.status, a.proto)
	}
	if a := r.do("GET", "/v1/models", ""); a.status != http.StatusOK || a.proto != "HTTP/1.1" {
		t.Errorf("HTTP/1.1: %d %s", a.status, a.proto)
	}
	before := len(r.behind.requests())
	for _, client := range []*http.Client{r.client, r.front.HTTP2()} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.front.URL()+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "elsewhere.example"
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("another's host is answered %d by %s", response.StatusCode, response.Proto)
		}
	}
	if n := len(r.behind.requests()); n != before {
		t.Errorf("%d requests for another's host reached the server", n-before)
	}
}

// TestPlain: plain HTTP leads to HTTPS, answers ACME challenges, and no other name.
func TestPlain(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	challenge := filepath.Join(r.front.ACMERoot(), ".well-known", "acme-challenge")
	if err := os.MkdirAll(challenge, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(challenge, "token"), []byte("token.thumbprint"), 0o644); err != nil {
		t.Fatal(err)
	}
	plain := func(method, path string) answer {
		t.Helper()
		a, err := send(r.client, r.front.HTTPURL(), method, path, "")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := plain("GET", "/.well-known/acme-challenge/token"); a.status != http.StatusOK || a.body != "token.thumbprint" {
		t.Errorf("the challenge: %d %q", a.status, a.body)
	}
	for _, path := range []string{"/", "/v1/models?a=b%20c", "/webapp/"} {
		for _, method := range []string{"GET", "POST"} {
			if a := plain(method, path); a.status != http.StatusPermanentRedirect || a.header.Get("Location") != r.front.URL()+path {
				t.Errorf("%s %s: %d %v", method, path, a.status, a.header)
			}
		}
	}
	if a := plain("GET", "/.well-known/acme-challenge/../../../../etc/passwd"); a.status == http.StatusOK {
		t.Errorf("a path out of its folder: %d %q", a.status, a.body)
	}
	request, err := http.NewRequest(http.MethodGet, r.front.HTTPURL()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "elsewhere.example"
	if response, err := r.client.Do(request); err == nil {
		_ = response.Body.Close()
		t.Errorf("another's host: %d", response.StatusCode)
	}
	if a, err := send(r.client, "http://"+strings.TrimPrefix(r.front.URL(), "https://"), "GET", "/v1/models", ""); err != nil || a.status != http.StatusBadRequest || len(r.behind.requests()) > 0 {
		t.Errorf("plain HTTP where TLS is spoken: %d %v", a.status, err)
	}
}

// TestBootstrap: without a certificate the front starts, answers ACME challenges and tells
// everybody else to come back; with one, a reload opens it.
func TestBootstrap(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{NoCertificate: true}, nil)
	challenge := filepath.Join(r.front.ACMERoot(), ".well-known", "acme-challenge")
	if err := os.MkdirAll(challenge, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(challenge, "token"), []byte("token.thumbprint"), 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := send(r.client, r.front.HTTPURL(), "GET", "/.well-known/acme-challenge/token", "")
	if err != nil || a.body != "token.thumbprint" {
		t.Errorf("the challenge: %d %q %v", a.status, a.body, err)
	}
	a, err = send(r.client, r.front.HTTPURL(), "POST", "/v1/messages", "{}")
	if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "1" || !strings.Contains(a.body, `"overloaded_error"`) {
		t.Errorf("%d %v %s %v", a.status, a.header, a.body, err)
	}
	if _, err := r.shake(func(*tls.Config) {}); err == nil {
		t.Error("there is TLS without a certificate")
	}
	if err := r.front.Certify(); err != nil {
		t.Fatal(err)
	}
	r.front.Reload(nil)
	if a := r.do("GET", "/v1/models", ""); a.status != http.StatusOK {
		t.Errorf("with a certificate: %d", a.status)
	}
}

// TestStapling: the issuer's word on the certificate comes with the handshake.
func TestStapling(t *testing.T) {
	var responder issuer
	server := httptest.NewServer(&responder)
	t.Cleanup(server.Close)
	b := newBehind(t, nil)
	front := testenv.Nginx(t, testenv.NginxOptions{Upstreams: []string{b.address()}, Responder: server.URL})
	responder.authority.Store(front.Authority())
	r := &rig{t: t, front: front, behind: b, client: front.Client()}
	testenv.Until(t, "an answer of the issuer is stapled", func() bool {
		state, err := r.shake(func(*tls.Config) {})
		if err != nil {
			t.Fatal(err)
		}
		return len(state.OCSPResponse) > 0
	})
}
