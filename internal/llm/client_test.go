package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// provider is a test server, and the deployment that reaches it.
func provider(t *testing.T, handler http.HandlerFunc) *Deployment {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return deployment(t, fmt.Sprintf("base_url: %q, api_key_env: X", server.URL+"/v1"), "m")
}

func newClient(t *testing.T, timeouts Timeouts) *Client {
	t.Helper()
	c := NewClient(ClientOptions{Timeouts: timeouts})
	t.Cleanup(c.Close)
	return c
}

// complete asks a deployment for an unstreamed chat completion.
func complete(ctx context.Context, c *Client, d *Deployment) (*Answer, error) {
	a := new(chatAnswer)
	return c.Complete(ctx, d.outbound(OpChat, false, []byte(`{}`)), Rendition{a, a})
}

func stream(ctx context.Context, c *Client, d *Deployment) (*Stream, error) {
	return c.Stream(ctx, d.outbound(OpChat, true, []byte(`{}`)))
}

func fault(err error) string {
	var upstream *UpstreamError
	if errors.As(err, &upstream) {
		return upstream.Fault.String()
	}
	return fmt.Sprint(err)
}

const fine = `{"choices":[{"message":{"content":"hi"}}]}`

func TestClientStatuses(t *testing.T) {
	c := newClient(t, Timeouts{})
	for _, q := range []struct {
		status  int
		body    string
		want    string
		message string
	}{
		{200, fine, "<nil>", ""},
		{200, `{"choices":[]}`, "broken", ""},
		{200, `{"error":{"message":"x"}}`, "broken", ""},
		{200, `<html>`, "broken", ""},
		{200, ``, "broken", ""},
		{204, ``, "broken", ""},
		{201, fine, "broken", ""},
		{302, ``, "broken", ""},
		{400, `{"error":{"message":"too long for org-AbCdEf123456 and sk-12345678","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`, "refused", "too long for org-… and sk-…"},
		{400, `<b>no</b>`, "refused", ""},
		{400, `{"error":{"message":"<!DOCTYPE html><p>no"}}`, "refused", ""},
		{400, `{"error":{"type":"invalid_request_error","message":"prompt is too long: 210345 tokens > 200000 maximum"}}`, "refused", "prompt is too long: 210345 tokens > 200000 maximum"},
		{400, `[{"error":{"code":400,"message":"in an array"}}]`, "refused", "in an array"},
		{400, `{"object":"error","message":"without error"}`, "refused", "without error"},
		{422, `{"detail":[{"loc":["body"],"msg":"Field required"}]}`, "refused", "Field required"},
		{422, `{"detail":"not so"}`, "refused", "not so"},
		{404, `{"error":{"message":"Item with id 'rs_1' not found. Items are not persisted when ` + "`store`" + ` is set to false."}}`, "refused", "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."},
		{404, `{"error":{"code":"model_not_found","message":"The item you ask for, a model, does not exist"}}`, "misconfigured", ""},
		{404, `{"detail":"Not Found"}`, "misconfigured", ""},
		{404, `{"error":"model 'x' not found, try pulling it first"}`, "misconfigured", ""},
		{409, `{"error":{"message":"The conversation is in use"}}`, "refused", "The conversation is in use"},
		{200, `{"error":{"code":"context_length_exceeded","message":"too long"}}`, "refused", "too long"},
		{200, `{"error":{"code":429,"message":"x"}}`, "busy", ""},
		{200, `{"error":{"code":"server_error","type":"invalid_request_error","message":"x"}}`, "broken", ""},
		{400, `{"error":"plain words"}`, "refused", "plain words"},
		{413, `{}`, "refused", ""},
		{422, `{}`, "refused", ""},
		{401, `{"error":{"message":"Incorrect API key provided: sk-secret"}}`, "misconfigured", ""},
		{402, ``, "misconfigured", ""},
		{403, ``, "misconfigured", ""},
		{404, ``, "misconfigured", ""},
		{408, ``, "timeout", ""},
		{409, ``, "broken", ""},
		{429, `{"error":{"message":"slow down"}}`, "busy", ""},
		{429, `{"error":{"code":"insufficient_quota"}}`, "misconfigured", ""},
		{500, `{"error":{"message":"secret"}}`, "broken", ""},
		{503, ``, "broken", ""},
		{504, ``, "timeout", ""},
	} {
		d := provider(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(q.status)
			_, _ = io.WriteString(w, q.body)
		})
		a, err := complete(t.Context(), c, d)
		if got := fault(err); got != q.want {
			t.Errorf("%d %s: %s, want %s", q.status, q.body, got, q.want)
		}
		if err == nil {
			if string(a.Bytes()) != q.body {
				t.Errorf("answer %s", a.Bytes())
			}
			a.Release()
			continue
		}
		var upstream *UpstreamError
		if errors.As(err, &upstream) && upstream.Message != q.message || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d %s: message %q, error %v", q.status, q.body, upstream.Message, err)
		}
		if s, err := stream(t.Context(), c, d); err == nil {
			s.Close()
			t.Errorf("%d: a stream was opened", q.status)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"2": 2 * time.Second, "1.5": 1500 * time.Millisecond, "": 0, "soon": 0, "-1": 0, "NaN": 0, "1e99": time.Hour, "Inf": time.Hour,
		"Sat, 21 Nov 2026 10:00:09 GMT": 9 * time.Second, "Sat, 21 Nov 2020 10:00:09 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}

func TestClientTimeouts(t *testing.T) {
	const short = 50 * time.Millisecond
	for name, q := range map[string]struct {
		timeouts Timeouts
		handler  http.HandlerFunc
		cause    error
	}{
		"no first byte": {Timeouts{FirstByte: short}, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, ErrNoAnswer},
		"stall": {Timeouts{Stall: short}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, ErrStalled},
		"drip": {Timeouts{Total: 4 * short}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "data: 1\n\n")
				w.(http.Flusher).Flush()
				time.Sleep(short / 5)
			}
		}, ErrTooLong},
	} {
		// The server notices a client's leaving only once it has read the request.
		d := provider(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			q.handler(w, r)
		})
		c := newClient(t, q.timeouts)
		s, err := stream(t.Context(), c, d)
		for err == nil {
			_, err = s.Next()
		}
		if s != nil {
			s.Close()
		}
		if fault(err) != "timeout" || !errors.Is(err, q.cause) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := provider(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	if _, err := complete(t.Context(), newClient(t, Timeouts{Total: short}), d); !errors.Is(err, ErrTooLong) {
		t.Errorf("a whole answer that does not come: %v", err)
	}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if _, err := complete(ctx, newClient(t, Timeouts{}), d); !errors.Is(err, gone) || fault(err) != "gone" {
		t.Errorf("cancelled: %v", err)
	}
}

func TestClientBounds(t *testing.T) {
	c := newClient(t, Timeouts{})
	endless := func(kind string, text string) *Deployment {
		return provider(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, text); err != nil {
					return
				}
			}
		})
	}
	if _, err := complete(t.Context(), c, endless("application/json", strings.Repeat(" ", 1<<20))); fault(err) != "broken" {
		t.Errorf("an endless answer: %v", err)
	}
	announced := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(maxAnswer+1))
	})
	if _, err := complete(t.Context(), c, announced); fault(err) != "broken" {
		t.Errorf("an answer announced as too long: %v", err)
	}
	for name, text := range map[string]string{"line": strings.Repeat("x", 1<<20), "stream": ": " + strings.Repeat("x", 1000) + "\n\n"} {
		s, err := stream(t.Context(), c, endless("text/event-stream", text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = s.Next(); fault(err) != "broken" {
			t.Errorf("an endless %s: %v", name, err)
		}
		s.Close()
	}
	header := provider(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 2*maxHeader)) })
	if _, err := complete(t.Context(), c, header); fault(err) != "unreachable" {
		t.Errorf("an endless header: %v", err)
	}
}

// TestConnectionsAreKept: after a stream's last event its connection serves again.
func TestConnectionsAreKept(t *testing.T) {
	seen := map[string]bool{}
	d := provider(t, func(w http.ResponseWriter, r *http.Request) {
		seen[r.RemoteAddr] = true
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.Contains(r.Header.Get("Accept"), "event-stream") {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: [DONE]\n\n")
			return
		}
		_, _ = io.WriteString(w, fine)
	})
	c := newClient(t, Timeouts{})
	for range 5 {
		s, err := stream(t.Context(), c, d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		s.Finish()
		a, err := complete(t.Context(), c, d)
		if err != nil {
			t.Fatal(err)
		}
		a.Release()
	}
	if len(seen) != 1 {
		t.Errorf("%d connections", len(seen))
	}
}

func TestAddresses(t *testing.T) {
	check := func(local bool, address string) error { return guard(local)("tcp", address, nil) }
	for _, address := range []string{
		"127.0.0.1:80", "10.1.2.3:443", "172.16.0.1:1", "192.168.1.1:1", "169.254.169.254:80", "100.64.0.1:1", "0.0.0.0:1",
		"[::1]:80", "[::]:80", "[fe80::1%eth0]:80", "[fd00:ec2::254]:80", "[::ffff:127.0.0.1]:80", "[::127.0.0.1]:80",
		"[64:ff9b::7f00:1]:80", "[2002:7f00:1::]:80", "224.0.0.1:1", "255.255.255.255:1", "example.com:80", "x",
	} {
		if err := check(false, address); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"1.1.1.1:443", "[2606:4700::1111]:443", "172.15.0.1:1", "172.32.0.1:1"} {
		if err := check(false, address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:80", "10.1.2.3:443", "[::1]:80", "[fd00::1]:80"} {
		if err := check(true, address); err != nil {
			t.Errorf("local %s: %v", address, err)
		}
	}
	for _, address := range []string{"169.254.169.254:80", "[fd00:ec2::254]:80", "[fe80::1]:80"} {
		if err := check(true, address); !errors.Is(err, ErrAddress) {
			t.Errorf("local %s: %v", address, err)
		}
	}
}

// TestNamesAreCheckedWhenDialled: a public provider's name that leads inside is refused.
func TestNamesAreCheckedWhenDialled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	c, err := LoadCatalogue([]byte(strings.ReplaceAll(contract, "api.openai.com", "localhost:"+port)), env("OPENAI_API_KEY", "k"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model("gpt-4o-mini")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := complete(t.Context(), newClient(t, Timeouts{}), m.Pick()); !errors.Is(err, ErrAddress) {
		t.Errorf("dialled: %v", err)
	}
}
