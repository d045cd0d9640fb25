package testenv

import (
	"context"
	"net/http"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv/nginxserver"
)

// NginxOptions are a front's. Upstreams (host:port of the servers behind) is all that must
// be given; /webhook is then open to loopback, and nothing is limited.
type NginxOptions = nginxserver.Options

// NginxHandle is the production front of nginx/ on loopback, with TLS. A step that does not
// succeed fails the test. The handle is for the test's own goroutine; clients are for any.
//
//	front := testenv.Nginx(t, testenv.NginxOptions{Upstreams: []string{"127.0.0.1:8080"}})
//	front.Client().Get(front.URL() + "/health")
type NginxHandle struct {
	*nginxserver.Server

	t testing.TB
}

// Nginx starts a front. It ends with the test.
func Nginx(t testing.TB, o NginxOptions) *NginxHandle {
	t.Helper()
	server, err := nginxserver.Start(context.Background(), o)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	h := &NginxHandle{Server: server, t: t}
	t.Cleanup(func() {
		if said, err := server.ErrorLog(); err == nil && t.Failed() {
			t.Logf("nginx said:\n%s", said[max(0, len(said)-8<<10):])
		}
		if err := server.Close(); err != nil {
			t.Errorf("testenv: end nginx: %v", err)
		}
	})
	return h
}

// Client trusts the front and speaks HTTP/1.1. It comes from 127.0.0.1.
func (h *NginxHandle) Client() *http.Client { return h.client(false, "") }

// HTTP2 is Client by HTTP/2.
func (h *NginxHandle) HTTP2() *http.Client { return h.client(true, "") }

// ClientFrom is Client from another address of loopback, such as 127.0.0.7.
func (h *NginxHandle) ClientFrom(address string) *http.Client { return h.client(false, address) }

func (h *NginxHandle) client(http2 bool, from string) *http.Client {
	transport := h.Transport(http2, from)
	h.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// CAFile is a file with the certificate that clients must trust.
func (h *NginxHandle) CAFile() string {
	h.t.Helper()
	file, err := h.Server.CAFile()
	h.must("write the authority's certificate", err)
	return file
}

// Reload has the front take over its options as change leaves them: other Upstreams, say.
// Answers under way go on.
func (h *NginxHandle) Reload(change func(*NginxOptions)) {
	h.t.Helper()
	h.must("reload", h.Server.Reload(context.Background(), change))
}

// Stop ends the front in order: answers under way are finished. Start brings it back.
func (h *NginxHandle) Stop() { h.t.Helper(); h.must("stop", h.Server.Stop()) }

// Kill ends master and workers as a crash of the machine would.
func (h *NginxHandle) Kill() { h.t.Helper(); h.must("kill", h.Server.Kill()) }

// Start runs a stopped front again.
func (h *NginxHandle) Start() { h.t.Helper(); h.must("start", h.Server.Start(context.Background())) }

// AccessLog is one line of JSON for each request, a second after it at the latest.
func (h *NginxHandle) AccessLog() string {
	h.t.Helper()
	text, err := h.Server.AccessLog()
	h.must("read its access log", err)
	return text
}

func (h *NginxHandle) must(step string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("testenv: %s nginx: %v", step, err)
	}
}
