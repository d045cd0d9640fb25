package telegramsim

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/telegramsim/spec"
)

// hook is a webhook under test: it notes what arrives and answers what the test says.
type hook struct {
	*httptest.Server
	t        *testing.T
	mu       sync.Mutex
	arrivals []arrival
	inFlight map[int64]int
	most     int // in flight at once
	overlap  int // arrivals of a chat while another of it was in flight
	now      int
	answer   func(n int, a arrival) (status int, header http.Header) // n counts from 1
	hold     func(a arrival)                                         // called while in flight
}

type arrival struct {
	id, chat int64
	text     string
	at       time.Time
	secret   string
	body     []byte
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{t: t, inFlight: map[int64]int{}}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

// ServeHTTP is the webhook.
func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if err := spec.CheckObject("Update", body); err != nil {
		h.t.Errorf("an update is not what the Bot API documents: %v\n%s", err, body)
	}
	a := arrival{
		id: gjson.GetBytes(body, "update_id").Int(), chat: gjson.GetBytes(body, "message.chat.id").Int(),
		text: gjson.GetBytes(body, "message.text").String(), at: time.Now(), body: body,
		secret: r.Header.Get("X-Telegram-Bot-Api-Secret-Token"),
	}
	h.mu.Lock()
	h.arrivals = append(h.arrivals, a)
	n := len(h.arrivals)
	h.now++
	h.most = max(h.most, h.now)
	if h.inFlight[a.chat]++; h.inFlight[a.chat] > 1 {
		h.overlap++
	}
	answer, hold := h.answer, h.hold
	h.mu.Unlock()
	if hold != nil {
		hold(a)
	}
	status, header := http.StatusOK, http.Header(nil)
	if answer != nil {
		status, header = answer(n, a)
	}
	h.mu.Lock()
	h.now--
	h.inFlight[a.chat]--
	h.mu.Unlock()
	for k, v := range header {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
}

func (h *hook) seen() []arrival {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.arrivals)
}

func (h *hook) set(t *testing.T, s *Server, extra object) {
	t.Helper()
	params := object{"url": h.URL + "/hook", "secret_token": "s3cret"}
	for k, v := range extra {
		params[k] = v
	}
	if a := post(t, s, "setWebhook", params); !a.OK {
		t.Fatal(a)
	}
}

func waitAcked(t *testing.T, s *Server, n int) {
	t.Helper()
	if err := s.WaitAcked(soon(t), n); err != nil {
		t.Fatalf("%d of %d acknowledged: %v; %+v", len(s.Acked()), n, err, s.webhookInfo())
	}
}
