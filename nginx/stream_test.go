package nginx_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestStreams: each chunk of an answer is with the client before the next one is sent, as
// the server wrote it, over either version of HTTP; a reload does not end it.
func TestStreams(t *testing.T) {
	more := make(chan struct{})
	r := newRig(t, testenv.NginxOptions{}, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/health" {
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-more:
		case <-q.Context().Done():
			return
		}
		_, _ = io.WriteString(w, "data: two\n\n")
	})
	for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/v1/proxy/llm"} {
		for _, client := range []*http.Client{r.client, r.front.HTTP2()} {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.front.URL()+path, strings.NewReader(`{"stream":true}`))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept-Encoding", "gzip, br")
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			reader := bufio.NewReader(response.Body)
			if line, err := reader.ReadString('\n'); line != "data: one\n" {
				t.Fatalf("%s by %s: %q %v", path, response.Proto, line, err)
			}
			if path == "/v1/messages" {
				r.front.Reload(nil)
				if a := r.do("GET", "/health", ""); a.status != http.StatusOK {
					t.Errorf("after a reload: %d", a.status)
				}
			}
			select {
			case more <- struct{}{}:
			case <-ctx.Done():
				t.Fatalf("%s: the server does not wait", path)
			}
			if rest, err := io.ReadAll(reader); string(rest) != "\ndata: two\n\n" || err != nil {
				t.Errorf("%s by %s: %q %v", path, response.Proto, rest, err)
			}
			if got := response.Header.Get("Content-Encoding") + response.Header.Get("X-Accel-Buffering"); got != "" {
				t.Errorf("%s: %v", path, response.Header)
			}
		}
	}
}

// TestLive: the socket's address is the one where a connection may become another.
func TestLive(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Upgrade") == "" {
			return
		}
		conn, err := websocket.Accept(w, q, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }()
		for {
			kind, text, err := conn.Read(q.Context())
			if err != nil || conn.Write(q.Context(), kind, text) != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	at := "wss" + strings.TrimPrefix(r.front.URL(), "https")
	conn, _, err := websocket.Dial(ctx, at+"/api/v1/live", &websocket.DialOptions{HTTPClient: r.client, HTTPHeader: http.Header{"Origin": {r.front.URL()}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	for _, text := range []string{"one", "two"} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(ctx); err != nil || string(got) != text {
			t.Fatalf("%q %v", got, err)
		}
	}
	if got := r.behind.last(t).header.Get("Origin"); got != r.front.URL() {
		t.Errorf("the origin is %q", got)
	}
	for _, path := range []string{"/api/v1/balance", "/v1/chat/completions", "/api/v1/live/x", "/webapp/"} {
		a := r.do("GET", path, "", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "websocket", "HTTP2-Settings", "AAMAAABkAAQAAP__")
		if got := r.behind.last(t); a.status != http.StatusOK || got.header.Get("Upgrade")+got.header.Get("Connection") != "" {
			t.Errorf("%s: %d %v", path, a.status, got.header)
		}
	}
	for _, protocol := range []string{"h2c", "TLS/1.0", "websocket, h2c"} {
		r.do("GET", "/api/v1/live", "", "Connection", "Upgrade", "Upgrade", protocol)
		if got := r.behind.last(t).header.Get("Upgrade"); got != "" {
			t.Errorf("%s went through as %q", protocol, got)
		}
	}
}

// TestReload: what the options say after a reload is in force for what comes then.
func TestReload(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	r.do("GET", "/health", "")
	other := newBehind(t, nil)
	r.front.Reload(func(o *testenv.NginxOptions) { o.Upstreams = []string{other.address()} })
	first := len(r.behind.requests())
	for range 5 {
		if a := r.by(r.front.Client(), "GET", "/health", ""); a.status != http.StatusOK {
			t.Fatalf("%d", a.status)
		}
	}
	if len(other.requests()) != 5 || len(r.behind.requests()) != first {
		t.Errorf("%d at the new server, %d more at the old one", len(other.requests()), len(r.behind.requests())-first)
	}
	if err := r.front.Server.Reload(t.Context(), func(o *testenv.NginxOptions) { o.Variables = map[string]string{"FRONT_WORKER_CONNECTIONS": "many"} }); err == nil {
		t.Error("a configuration that nginx does not take was taken")
	}
	if a := r.do("GET", "/health", ""); a.status != http.StatusOK {
		t.Errorf("after a reload that failed: %d", a.status)
	}
}

// TestStopped: the front comes back on its ports whatever happened to it, and servers that
// were restarted meanwhile are found.
func TestStopped(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{}, nil)
	for name, end := range map[string]func(){"stopped": r.front.Stop, "killed": r.front.Kill} {
		end()
		if _, err := send(r.client, r.front.URL(), "GET", "/health", ""); err == nil {
			t.Errorf("%s, and it answers", name)
		}
		began := time.Now()
		r.front.Start()
		if a := r.do("GET", "/health", ""); a.status != http.StatusOK {
			t.Errorf("%s and started: %d", name, a.status)
		}
		t.Logf("back in %s", time.Since(began).Round(time.Millisecond))
	}
}
