package telegramsim

import (
	"encoding/json"
	"sync"
)

// readerBuffer is how many events a reader may be behind before it is cut off.
const readerBuffer = 256

// event is one line of a page's event stream (PAGE.md).
type event struct {
	Type             string          `json:"type"`
	Seq              int64           `json:"seq"`
	ChatID           int64           `json:"chat_id,omitempty"`
	Message          *Message        `json:"message,omitempty"`
	MessageID        int64           `json:"message_id,omitempty"`
	Draft            *Draft          `json:"draft,omitempty"`
	DraftID          int64           `json:"draft_id,omitempty"`
	Reason           string          `json:"reason,omitempty"`
	Action           string          `json:"action,omitempty"`
	Seconds          int             `json:"seconds,omitempty"`
	CallbackQueryID  string          `json:"callback_query_id,omitempty"`
	Text             *string         `json:"text,omitempty"`
	ShowAlert        *bool           `json:"show_alert,omitempty"`
	URL              *string         `json:"url,omitempty"`
	Commands         []Command       `json:"commands,omitempty"`
	MenuButton       json.RawMessage `json:"menu_button,omitempty"`
	Keyboard         json.RawMessage `json:"keyboard,omitempty"`
	Pending          *int            `json:"pending,omitempty"`
	LastErrorMessage *string         `json:"last_error_message,omitempty"`
	Blocked          *bool           `json:"blocked,omitempty"`
	Started          *bool           `json:"started,omitempty"`
	User             *User           `json:"user,omitempty"`
	Stars            *int64          `json:"stars,omitempty"`
	Payment          *Payment        `json:"payment,omitempty"`
	Subscription     *Subscription   `json:"subscription,omitempty"`
	Topics           *[]topic        `json:"topics,omitempty"`
	Chat             *Chat           `json:"chat,omitempty"`
}

// frame is an event on its way to a reader.
type frame struct {
	seq  int64
	data []byte
}

// reader is one open event stream; its channel is closed when it is cut off.
type reader struct {
	user   int64
	frames chan frame
}

// hub hands events to the pages that are open.
type hub struct {
	mu      sync.Mutex
	seq     int64
	readers map[*reader]struct{}
	closed  bool
}

func newHub() *hub { return &hub{readers: map[*reader]struct{}{}} }

// to sends an event to the members of a room.
func (h *hub) to(r *room, e event) {
	e.ChatID = r.chat.ID
	h.send(e, func(user int64) bool { return r.members[user] })
}

// toUser sends an event of a chat to one reader's user.
func (h *hub) toUser(user, chat int64, e event) {
	e.ChatID = chat
	h.send(e, func(id int64) bool { return id == user })
}

// tellWallet, tellPayment and tellSubscription show a person's pages what changed; the caller holds the world's
// lock, so copies are sent.
func (s *Server) tellWallet(user int64) {
	stars := s.world.till.wallet(user)
	s.hub.toUser(user, user, event{Type: "stars", Stars: &stars})
}

func (s *Server) tellPayment(p *Payment) {
	s.world.dirty = true
	shown := *p
	s.hub.toUser(p.User, p.User, event{Type: "payment", Payment: &shown})
	s.tellWallet(p.User)
}

func (s *Server) tellSubscription(sub *Subscription) {
	shown := *sub
	s.hub.toUser(sub.User, sub.User, event{Type: "subscription", Subscription: &shown})
}

func (h *hub) toAll(e event) { h.send(e, func(int64) bool { return true }) }

func (h *hub) send(e event, wanted func(user int64) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	e.Seq = h.seq
	var data []byte
	for r := range h.readers {
		if !wanted(r.user) {
			continue
		}
		if data == nil {
			data = mustJSON(e)
		}
		select {
		case r.frames <- frame{seq: e.Seq, data: data}:
		default: // too slow: cut off, it will load the state anew
			delete(h.readers, r)
			close(r.frames)
		}
	}
}

// last is the number of the newest event.
func (h *hub) last() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seq
}

// open adds a reader; nil when the hub is closed.
func (h *hub) open(user int64) *reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	r := &reader{user: user, frames: make(chan frame, readerBuffer)}
	h.readers[r] = struct{}{}
	return r
}

func (h *hub) leave(r *reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.readers[r]; ok {
		delete(h.readers, r)
		close(r.frames)
	}
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for r := range h.readers {
		delete(h.readers, r)
		close(r.frames)
	}
}
