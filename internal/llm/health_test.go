package llm

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestCheck: only a provider that cannot be reached, or fails, is not well.
func TestCheck(t *testing.T) {
	c := newClient(t, Timeouts{})
	status := http.StatusOK
	d := provider(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/models" || r.Header.Get("User-Agent") != userAgent {
			t.Errorf("asked %s %s with %v", r.Method, r.URL, r.Header)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"data":[]}`)
	})
	for _, status = range []int{200, 302, 401, 404, 429} {
		if err := c.Check(t.Context(), d.Provider); err != nil {
			t.Errorf("status %d: %v", status, err)
		}
	}
	for _, status = range []int{500, 502, 503} {
		if err := c.Check(t.Context(), d.Provider); err == nil {
			t.Errorf("status %d is well", status)
		}
	}
	gone := deployment(t, `base_url: "http://127.0.0.1:1", api_key_env: X`, "m")
	if err := c.Check(t.Context(), gone.Provider); err == nil {
		t.Error("a provider that is not there is well")
	}
}

// TestCheckKeepsConnectionsWarm: a call after a look uses its connection.
func TestCheckKeepsConnectionsWarm(t *testing.T) {
	c := newClient(t, Timeouts{})
	var from []string
	d := provider(t, func(w http.ResponseWriter, r *http.Request) {
		from = append(from, r.RemoteAddr)
		_, _ = io.WriteString(w, fine)
	})
	if err := c.Check(t.Context(), d.Provider); err != nil {
		t.Fatal(err)
	}
	a, err := complete(t.Context(), c, d)
	if err != nil {
		t.Fatal(err)
	}
	a.Release()
	if len(from) != 2 || from[0] != from[1] {
		t.Errorf("asked over the connections %v", from)
	}
}

// TestTimeoutsOfAProvider: those of its own go before the client's, and what is left of a
// call's time goes before both.
func TestTimeoutsOfAProvider(t *testing.T) {
	const short, long = 20 * time.Millisecond, time.Minute
	held := make(chan struct{})
	d := provider(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Header.Get("Accept") == "text/event-stream" { // accepted, and silent
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
		}
		select {
		case <-held:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(held) })
	cause := func(err error) error {
		var upstream *UpstreamError
		if !errors.As(err, &upstream) || upstream.Fault != FaultTimeout {
			t.Errorf("%v is no timeout", err)
			return nil
		}
		return upstream.Err
	}
	c := newClient(t, Timeouts{FirstByte: long, Stall: short, Total: long})
	d.Provider.Timeouts = Timeouts{FirstByte: short, Connect: long}
	s, err := stream(t.Context(), c, d)
	if err == nil {
		_, err = s.Next()
		s.Close()
	}
	if got := cause(err); !errors.Is(got, ErrNoAnswer) {
		t.Errorf("silence before the first event: %v", got)
	}
	d.Provider.Timeouts = Timeouts{Total: short}
	if _, err = complete(t.Context(), c, d); !errors.Is(cause(err), ErrTooLong) {
		t.Errorf("a total of its own: %v", err)
	}
	d.Provider.Timeouts = Timeouts{}
	out := d.outbound(OpChat, false, []byte(`{}`))
	out.Within = short
	a := new(chatAnswer)
	if _, err = c.Complete(t.Context(), out, Rendition{a, a}); !errors.Is(cause(err), ErrTooLong) {
		t.Errorf("little time left: %v", err)
	}
}
