package telegramsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	pageMessages = 200              // messages in one answer of /sim/state
	maxPageSend  = 96 << 20         // body of /sim/send: a file of 64 MiB is longer in base64
	pingEvery    = 15 * time.Second // of an idle event stream
	frameTimeout = 10 * time.Second // to write one event to a reader
)

// pageState is the answer of GET /sim/state (PAGE.md).
type pageState struct {
	Seq        int64           `json:"seq"`
	User       User            `json:"user"`
	Bot        User            `json:"bot"`
	Chat       Chat            `json:"chat"`
	Started    bool            `json:"started"`
	Blocked    bool            `json:"blocked"`
	Messages   []*Message      `json:"messages"`
	Draft      *Draft          `json:"draft"`
	Typing     bool            `json:"typing"`
	Keyboard   json.RawMessage `json:"keyboard"`
	KeyboardOf int64           `json:"keyboard_of"`
	Topics     []topic         `json:"topics"`
	Members    []User          `json:"members,omitempty"` // of a group, without the bot
	BotGone    bool            `json:"bot_gone"`          // of a group: the bot is not in it
	Commands   []Command       `json:"commands"`
	MenuButton json.RawMessage `json:"menu_button"`
	Pending    int             `json:"pending"`
	Webhook    pageWebhook     `json:"webhook"`
	Stars      int64           `json:"stars"`
	Payments   []Payment       `json:"payments"` // those that the messages are about
}

type pageWebhook struct {
	URL              string `json:"url"`
	LastErrorMessage string `json:"last_error_message"`
	LastErrorDate    int64  `json:"last_error_date"`
}

// PageHandler serves the chat page and its API (PAGE.md) to loopback hosts.
func (s *Server) PageHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sim/users", func(w http.ResponseWriter, _ *http.Request) {
		pageAnswer(w, map[string]any{"users": s.Users(), "bot": s.bot})
	})
	mux.HandleFunc("GET /sim/state", s.pageState)
	mux.HandleFunc("GET /sim/events", s.pageEvents)
	mux.HandleFunc("GET /sim/stars", s.pageStars)
	mux.HandleFunc("GET /sim/invoice", s.pageInvoice)
	mux.HandleFunc("GET /sim/file", s.pageFile)
	mux.HandleFunc("GET /sim/chats", s.pageChats)
	mux.HandleFunc("GET /sim/inline", s.pageInline)
	mux.HandleFunc("GET /sim/faults", func(w http.ResponseWriter, _ *http.Request) { pageAnswer(w, s.Faults()) })
	mux.HandleFunc("POST /sim/faults", s.pageFaults)
	mux.HandleFunc("POST /sim/{action}", s.pageAct)
	mux.HandleFunc("/sim/", func(w http.ResponseWriter, _ *http.Request) {
		pageError(w, http.StatusNotFound, errors.New("no such path or method"))
	})
	mux.HandleFunc("GET /invoice/{slug}", openInvoice)
	files := http.FileServerFS(s.o.UI)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/$") {
			openInvoice(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !loopbackHost(r.Host) || !loopbackOrigin(r.Header.Get("Origin")) {
			pageError(w, http.StatusForbidden, errors.New("only this machine is served"))
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// loopbackHost keeps other names that resolve to this machine (DNS rebinding) out.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func loopbackOrigin(origin string) bool {
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && loopbackHost(u.Host)
}

func pageAnswer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(mustJSON(v))
}

func pageError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(mustJSON(map[string]string{"error": strings.TrimPrefix(err.Error(), "telegramsim: ")}))
}

func statusOf(err error) int {
	var refused *CheckoutRefusedError
	switch {
	case errors.As(err, &refused):
		return http.StatusUnprocessableEntity
	case errors.Is(err, ErrStarsShort):
		return http.StatusPaymentRequired
	case errors.Is(err, ErrCheckoutUnanswered):
		return http.StatusGatewayTimeout
	}
	for _, unknown := range []error{ErrUserUnknown, ErrChatUnknown, ErrMessageUnknown, ErrInvoiceUnknown, ErrPaymentUnknown, ErrSubscriptionUnknown} {
		if errors.Is(err, unknown) {
			return http.StatusNotFound
		}
	}
	return http.StatusBadRequest
}

func queryInt(r *http.Request, name string) int64 {
	n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	return n
}

func (s *Server) pageState(w http.ResponseWriter, r *http.Request) {
	state, err := s.state(queryInt(r, "user"), queryInt(r, "chat"), queryInt(r, "before"))
	if err != nil {
		pageError(w, statusOf(err), err)
		return
	}
	pageAnswer(w, state)
}

func (s *Server) state(user, chat, before int64) (pageState, error) {
	hook := s.webhookInfo()
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.person(user, chat)
	if err != nil {
		return pageState{}, err
	}
	now := s.now()
	messages := r.messages
	if before != 0 {
		n, _ := slices.BinarySearchFunc(messages, before, func(m *Message, id int64) int { return int(m.MessageID - id) })
		messages = messages[:n]
	}
	messages = messages[max(len(messages)-pageMessages, 0):]
	return pageState{
		Seq: s.hub.last(), User: u, Bot: s.bot, Chat: r.chat, Started: r.started, Blocked: r.blocked,
		Messages: append([]*Message{}, messages...), Draft: r.draft, Typing: now.Before(r.typingEnds), Keyboard: r.keyboard,
		KeyboardOf: r.keyboardOf, Topics: r.listTopics(), Members: w.membersOf(r), BotGone: r.botGone != "",
		Commands: w.commandsFor(r, u), MenuButton: w.buttonOf(r), Pending: s.updates.len(),
		Webhook: pageWebhook{URL: hook.URL, LastErrorMessage: hook.LastErrorMessage, LastErrorDate: hook.LastErrorDate},
		Stars:   w.till.wallet(u.ID), Payments: w.till.paymentsIn(u.ID, messages),
	}, nil
}

func (s *Server) pageEvents(w http.ResponseWriter, r *http.Request) {
	user := queryInt(r, "user")
	s.world.mu.Lock()
	_, _, err := s.world.person(user, 0)
	s.world.mu.Unlock()
	if err != nil {
		pageError(w, statusOf(err), err)
		return
	}
	reader := s.hub.open(user)
	if reader == nil {
		pageError(w, http.StatusServiceUnavailable, errors.New("the simulator is closing"))
		return
	}
	defer s.hub.leave(reader)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	chunk := ": open\n\n"
	for {
		_ = control.SetWriteDeadline(time.Now().Add(frameTimeout)) // best effort: the buffer is bounded anyway
		if _, err := io.WriteString(w, chunk); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		case <-ping.C:
			chunk = ": ping\n\n"
		case f, ok := <-reader.frames:
			if !ok {
				return
			}
			chunk = fmt.Sprintf("id: %d\ndata: %s\n\n", f.seq, f.data)
		}
	}
}

// pageRequest is the union of what the page's POST calls take.
type pageRequest struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	LanguageCode string `json:"language_code"`
	User         int64  `json:"user"`
	Chat         int64  `json:"chat"`
	Thread       int64  `json:"thread"`
	Text         string `json:"text"`
	ReplyTo      int64  `json:"reply_to"`
	MessageID    int64  `json:"message_id"`
	Data         string `json:"data"`
	Payload      string `json:"payload"`
	DraftID      int64  `json:"draft_id"`
	Blocked      bool   `json:"blocked"`
	Link         string `json:"link"`
	Stars        int64  `json:"stars"`
	Charge       string `json:"charge"`
	Subscription string `json:"subscription"`
	Action       string `json:"action"`

	Entities    []Entity        `json:"entities"`
	Quote       string          `json:"quote"`
	QuoteAt     *int            `json:"quote_at"`    // UTF-16 units into the text
	Attachments []Attachment    `json:"attachments"` // more than one: an album
	Thing       string          `json:"thing"`
	Shape       json.RawMessage `json:"shape"`
	Forward     *Origin         `json:"forward"`

	Members  []int64 `json:"members"`
	ChatType string  `json:"chat_type"`
	Admin    bool    `json:"admin"`
	Present  bool    `json:"present"`
	Ban      bool    `json:"ban"`
	Offset   string  `json:"offset"`
	Query    string  `json:"query"`
	Result   string  `json:"result"`

	Elsewhere bool   `json:"elsewhere"` // choose in a chat that the simulator does not keep
	Button    string `json:"button"`    // what opened a Mini App
}

func readPage(w http.ResponseWriter, r *http.Request, limit int64, v any) bool {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		pageError(w, http.StatusBadRequest, errors.New("the body must be application/json"))
		return false
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit)).Decode(v)
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		pageError(w, http.StatusRequestEntityTooLarge, fmt.Errorf("the body is over %d MiB", limit>>20))
		return false
	}
	if err != nil {
		pageError(w, http.StatusBadRequest, errors.New("the body is not the JSON object that this call takes"))
		return false
	}
	return true
}

func (s *Server) pageAct(w http.ResponseWriter, r *http.Request) {
	var q pageRequest
	action, limit := r.PathValue("action"), int64(maxBody)
	if action == "send" {
		limit = maxPageSend
	}
	if !readPage(w, r, limit, &q) {
		return
	}
	result, err := s.act(action, q)
	if err != nil {
		pageError(w, statusOf(err), err)
		return
	}
	pageAnswer(w, result)
}

func (s *Server) act(action string, q pageRequest) (any, error) {
	message := func(m *Message, err error) (any, error) { return map[string]any{"message": m}, err }
	switch action {
	case "users":
		if q.Name = strings.TrimSpace(q.Name); q.Name == "" || len(q.Name) > 64 {
			return nil, errors.New("a user needs a name of 1 to 64 bytes")
		}
		set(&q.LanguageCode, "en")
		return map[string]any{"user": s.AddUser(User{ID: q.ID, FirstName: q.Name, LanguageCode: q.LanguageCode})}, nil
	case "start":
		return message(s.StartBot(q.User, q.Payload))
	case "send":
		return s.actSend(q)
	case "edit":
		return message(s.Edit(q.User, q.Chat, q.MessageID, q.Text))
	case "press":
		id, err := s.Press(q.User, q.Chat, q.MessageID, q.Data)
		return map[string]string{"callback_query_id": id}, err
	case "stop":
		return map[string]bool{"ok": true}, s.Stop(q.User, q.DraftID)
	case "block":
		return map[string]bool{"ok": true, "blocked": q.Blocked}, s.Block(q.User, q.Blocked)
	}
	return s.actOnGroups(action, q)
}

func (s *Server) actSend(q pageRequest) (any, error) {
	say := Saying{
		User: q.User, Chat: q.Chat, Text: q.Text, Entities: q.Entities, Reply: q.ReplyTo, Quote: q.Quote, QuoteAt: q.QuoteAt, Thread: q.Thread,
		Thing: q.Thing, Shape: q.Shape, Forward: q.Forward,
	}
	if len(q.Attachments) > 1 {
		sent, err := s.SendAlbum(say, q.Attachments...)
		return map[string]any{"messages": sent}, err
	}
	if len(q.Attachments) == 1 {
		say.Attach = &q.Attachments[0]
	}
	m, err := s.Send(say)
	return map[string]any{"message": m}, err
}

// pageFile shows a file of a message to a person's app.
func (s *Server) pageFile(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	f := s.files.find(id)
	if f == nil {
		pageError(w, http.StatusNotFound, ErrFileUnknown)
		return
	}
	data, err := s.files.content(id)
	if err != nil {
		pageError(w, http.StatusNotFound, err)
		return
	}
	kind := f.MIME
	if !strings.HasPrefix(kind, "image/") && !strings.HasPrefix(kind, "audio/") && !strings.HasPrefix(kind, "video/") || strings.Contains(kind, "svg") {
		kind = "application/octet-stream" // what could run in the page is only ever saved
	}
	w.Header().Set("Content-Type", kind)
	if f.Name != "" {
		w.Header().Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": f.Name}))
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data)) // players ask for ranges
}

func (s *Server) pageFaults(w http.ResponseWriter, r *http.Request) {
	f := s.Faults()
	f.ChatRetryAfter = nil
	if !readPage(w, r, maxBody, &f) {
		return
	}
	if err := s.SetFaults(f); err != nil {
		pageError(w, http.StatusBadRequest, err)
		return
	}
	pageAnswer(w, s.Faults())
}
