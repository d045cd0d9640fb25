package telegramsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Order per chat, one in flight per chat, chats in parallel up to max_connections.
func TestDeliveryOrder(t *testing.T) {
	s := start(t, Options{})
	h := newHook(t)
	h.hold = func(arrival) { time.Sleep(time.Millisecond) } // the time an answer takes, so that calls overlap
	const chats, each = 30, 20
	for c := range int64(chats) {
		s.User(1+c, "P")
		for i := range each { // a burst of each chat: they wait in one queue
			if _, err := s.Say(1+c, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.set(t, s, object{"max_connections": 5})
	waitAcked(t, s, chats*each)
	next := map[int64]int{}
	ids := map[int64]bool{}
	for _, a := range h.seen() {
		if a.text != fmt.Sprint(next[a.chat]) {
			t.Fatalf("chat %d: got %q, want %d", a.chat, a.text, next[a.chat])
		}
		next[a.chat]++
		ids[a.id] = true
		if a.secret != "s3cret" {
			t.Fatalf("secret %q", a.secret)
		}
	}
	if h.overlap != 0 || h.most > 5 || h.most < 2 || len(ids) != chats*each {
		t.Fatalf("overlap %d, at once %d, ids %d", h.overlap, h.most, len(ids))
	}
	if d := s.Deliveries(); d.Pending != 0 || d.Duplicates != 0 {
		t.Fatalf("%+v", d)
	}
}

// The first retry comes at once, then after 2, 4, 8 seconds (here hundredths).
func TestRetrySchedule(t *testing.T) {
	s := start(t, Options{RetryScale: 0.02})
	h := newHook(t)
	h.answer = func(n int, _ arrival) (int, http.Header) {
		if n <= 4 {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusNoContent, nil
	}
	h.set(t, s, nil)
	started(t, s, 1, "Ada")
	waitAcked(t, s, 1)
	got := h.seen()
	if len(got) != 5 {
		t.Fatalf("%d attempts", len(got))
	}
	for i, want := range []time.Duration{0, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		gap := got[i+1].at.Sub(got[i].at)
		want = want / 50
		if gap < want-5*time.Millisecond || gap > want+2*time.Second {
			t.Errorf("gap %d: %v, want %v", i+1, gap, want)
		}
	}
	if a := s.Acked()[0]; a.Failures != 4 {
		t.Errorf("failures: %d", a.Failures)
	}
	if info := s.webhookInfo(); info.LastErrorMessage != "Wrong response from the webhook: 503 Service Unavailable" || info.LastErrorDate == 0 {
		t.Errorf("%+v", info)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	s := start(t, Options{RetryScale: 0.01})
	h := newHook(t)
	h.answer = func(n int, _ arrival) (int, http.Header) {
		if n == 1 {
			return http.StatusTooManyRequests, http.Header{"Retry-After": {"30"}}
		}
		return http.StatusOK, nil
	}
	h.set(t, s, nil)
	started(t, s, 1, "Ada")
	waitAcked(t, s, 1)
	if got := h.seen(); got[1].at.Sub(got[0].at) < 290*time.Millisecond {
		t.Fatalf("came back after %v", got[1].at.Sub(got[0].at))
	}
}

// A failing chat does not hold the others up, and a failing webhook gets one connection.
func TestFailuresStayInTheirQueue(t *testing.T) {
	s := start(t, Options{})
	h := newHook(t)
	h.answer = func(_ int, a arrival) (int, http.Header) {
		if a.chat == 1 {
			return http.StatusInternalServerError, nil
		}
		return http.StatusOK, nil
	}
	h.set(t, s, nil)
	started(t, s, 1, "Bad")
	for i := range int64(20) {
		started(t, s, 2+i, "Good")
	}
	waitAcked(t, s, 20)
	if s.updates.len() != 1 {
		t.Fatalf("%d pending", s.updates.len())
	}
}

// Telegram loads twice max_connections queues: when so many fail, nobody else is served until one recovers.
func TestFailingQueuesFillTheWindow(t *testing.T) {
	s := start(t, Options{RetryScale: 0.005})
	h := newHook(t)
	var recovered atomic.Bool
	h.answer = func(_ int, a arrival) (int, http.Header) {
		if a.chat <= 2 && !recovered.Load() {
			return http.StatusInternalServerError, nil
		}
		return http.StatusOK, nil
	}
	h.set(t, s, object{"max_connections": 1})
	for i := range int64(3) {
		started(t, s, 1+i, "P")
	}
	for ctx := soon(t); s.Deliveries().Failures < 6; {
		if ctx.Err() != nil {
			t.Fatalf("%+v", s.Deliveries())
		}
		<-time.After(5 * time.Millisecond)
	}
	if n := len(s.Acked()); n != 0 {
		t.Fatalf("%d acknowledged beyond the window", n)
	}
	recovered.Store(true)
	waitAcked(t, s, 3)
}

func TestCollapseToOneConnection(t *testing.T) {
	s := start(t, Options{RetryScale: 0.02}) // ten seconds are 200 ms
	h := newHook(t)
	var healthy atomic.Bool
	healthy.Store(true)
	h.answer = func(int, arrival) (int, http.Header) {
		if healthy.Load() {
			return http.StatusOK, nil
		}
		return http.StatusBadGateway, nil
	}
	release := make(chan struct{})
	h.hold = func(arrival) {
		select {
		case <-release:
		case <-time.After(2 * time.Millisecond):
		}
	}
	h.set(t, s, object{"max_connections": 20})
	for i := range int64(40) {
		started(t, s, 1+i, "P")
	}
	waitAcked(t, s, 40)
	h.mu.Lock()
	wide := h.most
	h.mu.Unlock()
	if wide < 2 {
		t.Fatalf("only %d at once while it works", wide)
	}
	healthy.Store(false)
	for i := range int64(40) {
		if _, err := s.Say(1+i, "again"); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(400 * time.Millisecond) // the ten seconds, twice
	h.mu.Lock()
	h.most = 0
	h.mu.Unlock()
	<-time.After(300 * time.Millisecond)
	h.mu.Lock()
	narrow := h.most
	h.mu.Unlock()
	if narrow != 1 {
		t.Fatalf("%d at once without a success for ten seconds", narrow)
	}
	healthy.Store(true)
	waitAcked(t, s, 80)
	close(release)
}

func TestAllowedUpdatesAndDrop(t *testing.T) {
	s := start(t, Options{})
	h := newHook(t)
	h.set(t, s, object{"allowed_updates": []string{"my_chat_member"}})
	u := started(t, s, 1, "Ada")
	if err := s.Block(u.ID, true); err != nil {
		t.Fatal(err)
	}
	waitAcked(t, s, 1)
	if got := s.Acked(); got[0].Kind != "my_chat_member" || len(h.seen()) != 1 {
		t.Fatalf("%+v", got)
	}
	if a := post(t, s, "deleteWebhook", nil); !a.OK {
		t.Fatal(a)
	}
	if err := s.Block(u.ID, false); err != nil {
		t.Fatal(err)
	}
	h.set(t, s, object{"allowed_updates": []string{}, "drop_pending_updates": true})
	if _, err := s.Say(u.ID, "hello"); err != nil {
		t.Fatal(err)
	}
	waitAcked(t, s, 2)
	if got := h.seen(); len(got) != 2 || got[1].text != "hello" {
		t.Fatalf("%d arrivals", len(got))
	}
}

func TestDuplicatesAndReplies(t *testing.T) {
	s := start(t, Options{Faults: Faults{DuplicatePercent: 50, Seed: 7}})
	h := newHook(t)
	h.set(t, s, nil)
	for i := range int64(20) {
		started(t, s, 1+i, "P")
	}
	settled := func() bool {
		d := s.Deliveries()
		return d.Pending == 0 && d.Acknowledged == 20 && d.Duplicates > 0 && int64(len(h.seen())) == 20+d.Duplicates
	}
	for ctx := soon(t); !settled(); {
		if ctx.Err() != nil {
			t.Fatalf("%+v, %d arrivals", s.Deliveries(), len(h.seen()))
		}
		<-time.After(5 * time.Millisecond)
	}
}

// A webhook's answer may carry a call.
func TestReplyInAnswer(t *testing.T) {
	s := start(t, Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(object{"method": "sendMessage", "chat_id": 1, "text": "at once"})
	}))
	t.Cleanup(server.Close)
	if a := post(t, s, "setWebhook", object{"url": server.URL}); !a.OK {
		t.Fatal(a)
	}
	started(t, s, 1, "Ada")
	c, err := s.WaitSent(soon(t), 1, func(c Call) bool { return c.Method == "sendMessage" })
	if err != nil || c.Message.Text != "at once" {
		t.Fatal(c, err)
	}
}

func TestSlowWebhook(t *testing.T) {
	s := start(t, Options{AnswerTimeout: 50 * time.Millisecond})
	h := newHook(t)
	var first sync.Once
	h.hold = func(arrival) { first.Do(func() { time.Sleep(200 * time.Millisecond) }) } // beyond the time to answer
	h.set(t, s, nil)
	started(t, s, 1, "Ada")
	waitAcked(t, s, 1)
	if info := s.webhookInfo(); info.LastErrorMessage != "Read timeout expired" {
		t.Fatalf("%+v", info)
	}
}

func TestReplay(t *testing.T) {
	s := start(t, Options{})
	h := newHook(t)
	var calls atomic.Int64
	h.answer = func(int, arrival) (int, http.Header) {
		if calls.Add(1)%10 == 0 {
			return http.StatusBadGateway, nil
		}
		return http.StatusOK, nil
	}
	h.set(t, s, nil)
	report, err := s.Replay(soon(t), ReplayOptions{Chats: 50, PerChat: 10, Text: func(chat int64, i int) string { return fmt.Sprintf("%d/%d", chat, i) }})
	if err != nil {
		t.Fatal(err)
	}
	if report.Queued != 500 || len(report.Acknowledged) != 500 || len(report.Missing) != 0 || report.OutOfOrder != 0 || report.Retries == 0 ||
		report.AckP50 <= 0 || report.AckP99 < report.AckP50 || report.EndP99 < report.AckP50 {
		t.Fatalf("%+v", report)
	}
	last := map[int64][]int64{}
	for _, a := range h.seen() {
		if ids := last[a.chat]; len(ids) == 0 || ids[len(ids)-1] != a.id {
			last[a.chat] = append(last[a.chat], a.id)
		}
	}
	if !cmp.Equal(last, report.Updates) {
		t.Fatal("arrivals differ from what was written")
	}
}
