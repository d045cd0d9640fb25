package telegramsim

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// While nobody listens updates wait; when the server comes back all arrive, in order.
func TestOutage(t *testing.T) {
	s := start(t, Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	if a := post(t, s, "setWebhook", object{"url": "http://" + address}); !a.OK {
		t.Fatal(a)
	}
	for i := range 5 {
		for c := range int64(10) {
			s.User(1+c, "P")
			if _, err := s.Say(1+c, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for ctx := soon(t); s.webhookInfo().LastErrorMessage != "Connection refused"; {
		if ctx.Err() != nil {
			t.Fatalf("%+v", s.webhookInfo())
		}
		<-time.After(5 * time.Millisecond)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	h := &hook{inFlight: map[int64]int{}}
	h.Server = httptest.NewUnstartedServer(h)
	_ = h.Listener.Close()
	h.Listener = l
	h.Start()
	t.Cleanup(h.Close)
	waitAcked(t, s, 50)
	next := map[int64]int{}
	for _, a := range h.seen() {
		if a.text != fmt.Sprint(next[a.chat]) {
			t.Fatalf("chat %d: got %q, want %d", a.chat, a.text, next[a.chat])
		}
		next[a.chat]++
	}
}

func TestGoneEndsTheWebhook(t *testing.T) {
	s := start(t, Options{RetryScale: 0.000001}) // 23 hours are 83 ms
	h := newHook(t)
	h.answer = func(int, arrival) (int, http.Header) { return http.StatusGone, nil }
	h.set(t, s, nil)
	started(t, s, 1, "Ada")
	for ctx := soon(t); s.webhookInfo().URL != ""; {
		if ctx.Err() != nil {
			t.Fatal("the webhook stays")
		}
		<-time.After(5 * time.Millisecond)
	}
	if s.updates.len() != 1 {
		t.Fatal("the update is gone too")
	}
}

// An update whose life ends before it could be sent again is given up, and its queue goes on.
func TestLife(t *testing.T) {
	s := start(t, Options{RetryScale: 0.01, LifeScale: 0.001}) // 150 s are 150 ms, a retry after 3600 s is 36 s away
	h := newHook(t)
	h.answer = func(int, arrival) (int, http.Header) {
		return http.StatusServiceUnavailable, http.Header{"Retry-After": {"3600"}}
	}
	h.set(t, s, nil)
	u := started(t, s, 1, "Ada")
	if a := post(t, s, "sendMessage", object{"chat_id": 1, "text": "x", "reply_markup": buttons(object{"text": "b", "callback_data": "d"})}); !a.OK {
		t.Fatal(a)
	}
	if _, err := s.Press(u.ID, 0, 2, "d"); err != nil {
		t.Fatal(err)
	}
	for ctx := soon(t); len(s.Deliveries().Lost) != 1; {
		if ctx.Err() != nil {
			t.Fatalf("%+v", s.Deliveries())
		}
		<-time.After(5 * time.Millisecond)
	}
}
