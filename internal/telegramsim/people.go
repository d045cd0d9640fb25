package telegramsim

import (
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// callbackLife is how long a callback query may be answered (Client.cpp gives its update 150 s).
const callbackLife = 150 * time.Second

// Saying is what a person writes.
type Saying struct {
	User   int64
	Chat   int64 // 0: the private chat with the bot
	Text   string
	Reply  int64 // the message answered, 0 for none
	Thread int64 // the topic, 0 for none
}

// Say sends a person's text and returns the message; the bot gets it as an update.
func (s *Server) Say(user int64, text string) (*Message, error) {
	return s.Send(Saying{User: user, Text: text})
}

// Send sends a person's text to any chat they are in.
func (s *Server) Send(say Saying) (*Message, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	m, _, err := s.send(say)
	return m, err
}

// send is Send, and tells the update's id; the caller holds the lock.
func (s *Server) send(say Saying) (*Message, int64, error) {
	w := s.world
	u, r, err := w.person(say.User, say.Chat)
	if err != nil {
		return nil, 0, err
	}
	text, entities, refusal := formatted(say.Text, nil)
	if refusal != nil || text == "" || utf16Len(text) > maxText {
		return nil, 0, ErrTextInvalid
	}
	if r.private() && r.blocked {
		return nil, 0, ErrBotBlocked
	}
	m := &Message{From: &u, Date: s.now().Unix(), Text: text, Entities: entities, MessageThreadID: say.Thread, IsTopicMessage: say.Thread != 0}
	if say.Reply != 0 {
		i := r.find(say.Reply)
		if i < 0 {
			return nil, 0, ErrMessageUnknown
		}
		m.ReplyToMessage = withoutReply(r.messages[i])
	}
	if say.Thread != 0 {
		r.threads[say.Thread] = true
	}
	r.started = true
	w.addMessage(r, m)
	s.hub.to(r, event{Type: "message", Message: m})
	id, err := s.pushNumbered("message", r.chat.ID, m)
	return m, id, err
}

// withoutReply drops the nested reply: the Bot API never nests replies further.
func withoutReply(m *Message) *Message {
	if m.ReplyToMessage == nil {
		return m
	}
	flat := *m
	flat.ReplyToMessage = nil
	return &flat
}

// StartBot is pressing Start: the user (re)starts the bot and sends "/start payload".
func (s *Server) StartBot(user int64, payload string) (*Message, error) {
	if !validPayload(payload) {
		return nil, ErrPayload
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.person(user, 0)
	if err != nil {
		return nil, err
	}
	if r.blocked {
		if err := s.setBlocked(u, r, false); err != nil {
			return nil, err
		}
	}
	text := "/start"
	if payload != "" {
		text += " " + payload
	}
	m, _, err := s.send(Saying{User: user, Text: text})
	return m, err
}

// Edit changes a person's own message; the bot gets an edited_message.
func (s *Server) Edit(user, chat, message int64, text string) (*Message, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.person(user, chat)
	if err != nil {
		return nil, err
	}
	i := r.find(message)
	if i < 0 || r.messages[i].From == nil || r.messages[i].From.ID != u.ID {
		return nil, ErrMessageUnknown
	}
	text, entities, refusal := formatted(text, nil)
	if refusal != nil || text == "" || utf16Len(text) > maxText {
		return nil, ErrTextInvalid
	}
	edited := *r.messages[i]
	edited.Text, edited.Entities, edited.EditDate = text, entities, s.now().Unix()
	r.messages[i] = &edited
	w.dirty = true
	s.hub.to(r, event{Type: "edit", Message: &edited})
	return &edited, s.push("edited_message", r.chat.ID, &edited)
}

// Press presses a callback button of one of the bot's messages and returns the query's id.
func (s *Server) Press(user, chat, message int64, data string) (string, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.person(user, chat)
	if err != nil {
		return "", err
	}
	i := r.find(message)
	if i < 0 {
		return "", ErrMessageUnknown
	}
	m := r.messages[i]
	if !hasButton(m.ReplyMarkup, data) {
		return "", ErrButtonUnknown
	}
	id := strconv.FormatInt(u.ID<<20|w.nextQuery, 10)
	w.nextQuery++
	life := s.life(callbackLife)
	if s.faults.staleCallback() {
		life = -1 // its time is already over when the bot hears of it
	}
	w.queries[id] = &query{user: u.ID, chat: r.chat.ID, message: m.MessageID, expires: s.now().Add(life)}
	w.dirty = true
	return id, s.push("callback_query", u.ID, callbackQuery{
		ID: id, From: u, Message: m, ChatInstance: strconv.FormatInt(r.chat.ID^0x5bd1e995, 10), Data: data,
	})
}

type callbackQuery struct {
	ID           string   `json:"id"`
	From         User     `json:"from"`
	Message      *Message `json:"message,omitempty"`
	ChatInstance string   `json:"chat_instance"`
	Data         string   `json:"data,omitempty"`
}

func hasButton(markup []byte, data string) bool {
	found := false
	gjson.GetBytes(markup, "inline_keyboard").ForEach(func(_, row gjson.Result) bool {
		row.ForEach(func(_, button gjson.Result) bool {
			cb := button.Get("callback_data")
			found = found || cb.Exists() && cb.String() == data
			return !found
		})
		return !found
	})
	return found
}

// Stop presses the Stop button of a draft that was sent with can_stop; the bot gets stopped_message_generation.
func (s *Server) Stop(user, draft int64) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	_, r, err := w.person(user, 0)
	if err != nil {
		return err
	}
	if r.draft == nil || !r.draft.CanStop || r.draft.DraftID != draft {
		return ErrDraftUnknown
	}
	stopped := generationStopped{Chat: r.chat, MessageThreadID: r.draft.MessageThreadID, DraftID: draft}
	if !r.draft.KeepOnStop {
		s.endDraft(r, "stopped")
	}
	return s.push("stopped_message_generation", r.chat.ID, stopped)
}

type generationStopped struct {
	Chat            Chat  `json:"chat"`
	MessageThreadID int64 `json:"message_thread_id,omitempty"`
	DraftID         int64 `json:"draft_id"`
}

// Block stops or restarts the bot for a user, as "Stop bot" and "Restart bot" do; the bot gets my_chat_member.
func (s *Server) Block(user int64, blocked bool) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.person(user, 0)
	if err != nil {
		return err
	}
	if r.blocked == blocked {
		return nil
	}
	return s.setBlocked(u, r, blocked)
}

func (s *Server) setBlocked(u User, r *room, blocked bool) error {
	r.blocked = blocked
	s.world.dirty = true
	before, after := "kicked", "member"
	if blocked {
		before, after = after, before
		s.endDraft(r, "stopped")
	}
	s.hub.to(r, event{Type: "blocked", Blocked: &r.blocked, Started: &r.started})
	return s.pushMembership(r, u, before, after)
}

type chatMember struct {
	Status    string `json:"status"`
	User      User   `json:"user"`
	UntilDate *int64 `json:"until_date,omitempty"` // required of "kicked": 0 is for ever
}

type chatMemberUpdated struct {
	Chat Chat       `json:"chat"`
	From User       `json:"from"`
	Date int64      `json:"date"`
	Old  chatMember `json:"old_chat_member"`
	New  chatMember `json:"new_chat_member"`
}

func (s *Server) pushMembership(r *room, by User, before, after string) error {
	member := func(status string) chatMember {
		m := chatMember{Status: status, User: s.bot}
		if status == "kicked" {
			m.UntilDate = new(int64)
		}
		return m
	}
	return s.push("my_chat_member", r.chat.ID, chatMemberUpdated{
		Chat: r.chat, From: by, Date: s.now().Unix(), Old: member(before), New: member(after),
	})
}

func (s *Server) life(d time.Duration) time.Duration {
	return time.Duration(float64(d) * s.o.LifeScale)
}
