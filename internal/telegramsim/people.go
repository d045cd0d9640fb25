package telegramsim

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/telegramsim/spec"
)

// Saying is what a person sends: a text, a file with the text as caption, or another thing.
type Saying struct {
	User     int64
	Chat     int64           // 0: the private chat with the bot
	Text     string          // up to 4096 UTF-16 units, as a caption up to 1024
	Entities []Entity        // what the person's app marks; commands, mentions and links are found besides
	Reply    int64           // the message answered, 0 for none
	Quote    string          // the part of it that is quoted, word for word
	QuoteAt  *int            // where it begins, in UTF-16 units; nil: where the words stand first
	External json.RawMessage // Bot API's ExternalReplyInfo: what is answered stands in another chat
	Thread   int64           // the topic, 0 for none
	Attach   *Attachment
	Thing    string          // another content, one of Things, instead of text and file
	Shape    json.RawMessage // of Thing; nil: a sample
	Forward  *Origin         // whose words they are, where they are forwarded

	album string
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
	if err := r.writable(); err != nil {
		return nil, 0, err
	}
	m := &Message{From: &u, Date: s.now().Unix(), MessageThreadID: say.Thread, IsTopicMessage: say.Thread != 0}
	if err := say.answers(m, r); err != nil {
		return nil, 0, err
	}
	if err := s.fill(m, say); err != nil {
		return nil, 0, err
	}
	if say.Thread != 0 {
		r.threads[say.Thread] = true
	}
	id, err := s.said(r, m)
	return m, id, err
}

// writable tells why a person cannot write into a room, or nil.
func (r *room) writable() error {
	switch {
	case r.private() && r.blocked:
		return ErrBotBlocked
	case r.migrated != 0:
		return fmt.Errorf("%w: it became %d", ErrChatUnknown, r.migrated)
	}
	return nil
}

// said puts a person's message into a room; the bot gets it where it hears it, and the update's id is told.
func (s *Server) said(r *room, m *Message) (int64, error) {
	r.started = true
	s.world.addMessage(r, m)
	if gjson.GetBytes(r.keyboard, "force_reply").Bool() {
		r.keyboard, r.keyboardOf = nil, 0 // what asked for words has them
	}
	s.hub.to(r, event{Type: "message", Message: m})
	if !s.hears(r, m) {
		return 0, nil
	}
	return s.pushNumbered("message", r.chat.ID, m)
}

// fill gives a message its content.
func (s *Server) fill(m *Message, say Saying) error {
	text, entities, refusal := formatted(say.Text, say.Entities)
	switch {
	case refusal != nil:
		return fmt.Errorf("%w: %w", ErrTextInvalid, refusal)
	case say.Thing != "":
		if err := m.setThing(say.Thing, say.Shape); err != nil {
			return err
		}
	case say.Attach != nil:
		if utf16Len(text) > maxCaption {
			return ErrTextInvalid
		}
		content, err := s.attach(*say.Attach)
		if err != nil {
			return err
		}
		m.Content = content
		m.Caption, m.CaptionEntities, m.MediaGroupID = text, entities, say.album
	default:
		if text == "" || utf16Len(text) > maxText {
			return ErrTextInvalid
		}
		m.Text, m.Entities = text, entities
	}
	return nil
}

// answers sets what a message answers and where it comes from.
func (say *Saying) answers(m *Message, r *room) error {
	m.ForwardOrigin = say.Forward
	if say.External != nil {
		if err := spec.CheckObject("ExternalReplyInfo", say.External); err != nil {
			return fmt.Errorf("%w: %w", ErrQuote, err)
		}
		m.ExternalReply = say.External
	}
	if say.Reply == 0 {
		if say.Quote != "" && say.External == nil {
			return ErrQuote
		}
		if say.Quote != "" { // where it stood cannot be looked up here
			m.Quote = &Quote{Text: say.Quote, IsManual: true}
		}
		return nil
	}
	i := r.find(say.Reply)
	if i < 0 {
		return ErrMessageUnknown
	}
	m.ReplyToMessage = withoutReply(r.messages[i])
	if say.Quote == "" {
		return nil
	}
	whole := m.ReplyToMessage.Text + m.ReplyToMessage.Caption // it has one of them
	at := strings.Index(whole, say.Quote)
	if at < 0 || utf16Len(say.Quote) > maxQuote {
		return ErrQuote
	}
	position := utf16Len(whole[:at])
	if say.QuoteAt != nil {
		if position = *say.QuoteAt; position < 0 || sliceUTF16(whole, position, utf16Len(say.Quote)) != say.Quote {
			return ErrQuote
		}
	}
	m.Quote = &Quote{Text: say.Quote, Position: position, IsManual: true}
	return nil
}

// Paste sends a text of any length as a person's app does: cut into messages of 4096 UTF-16 units.
func (s *Server) Paste(say Saying) ([]*Message, error) {
	var sent []*Message
	for rest := say.Text; rest != ""; {
		units, end := 0, len(rest)
		for i, r := range rest {
			if units += utf16Len(string(r)); units > maxText {
				end = i
				break
			}
		}
		say.Text, rest = rest[:end], rest[end:]
		m, err := s.Send(say)
		if err != nil {
			return sent, err
		}
		sent = append(sent, m)
	}
	return sent, nil
}

// withoutReply drops the nested reply: the Bot API never nests replies further.
func withoutReply(m *Message) *Message {
	if m.ReplyToMessage == nil && m.ExternalReply == nil && m.Quote == nil {
		return m
	}
	flat := *m
	flat.ReplyToMessage, flat.ExternalReply, flat.Quote = nil, nil, nil
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

// Edit changes the text or the caption of a person's own message; the bot gets an edited_message.
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
	edited := *r.messages[i]
	text, entities, refusal := formatted(text, nil)
	if refusal != nil {
		return nil, fmt.Errorf("%w: %w", ErrTextInvalid, refusal)
	}
	switch {
	case edited.media() && utf16Len(text) <= maxCaption:
		edited.Caption, edited.CaptionEntities = text, entities
	case edited.Text != "" && text != "" && utf16Len(text) <= maxText:
		edited.Text, edited.Entities = text, entities
	default:
		return nil, ErrTextInvalid
	}
	edited.EditDate = s.now().Unix()
	r.messages[i] = &edited
	w.dirty = true
	s.hub.to(r, event{Type: "edit", Message: &edited})
	if !s.hears(r, &edited) {
		return &edited, nil
	}
	return &edited, s.push("edited_message", r.chat.ID, &edited)
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
