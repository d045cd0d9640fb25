package telegramsim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deleteAge is how old a message of a user may be for the bot to delete it (Bot API: deleteMessage).
const deleteAge = 48 * time.Hour

// target finds the chat of a call and checks that the bot may write there (Client.cpp: check_chat,
// check_chat_access). The caller holds the world's lock.
func (s *Server) target(c *call) (*room, *RefusalError) {
	raw := strings.TrimSpace(c.params["chat_id"])
	if raw == "" {
		return nil, badRequest("chat_id is empty")
	}
	if name, ok := strings.CutPrefix(raw, "@"); ok {
		for _, r := range s.world.rooms {
			if !r.private() && r.chat.Username != "" && strings.EqualFold(r.chat.Username, name) {
				c.chat = r.chat.ID
				return r, nil
			}
		}
		return nil, badRequest("chat not found")
	}
	id, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return nil, badRequest("chat not found")
	}
	r := s.world.rooms[id]
	switch {
	case r == nil:
		return nil, badRequest("chat not found")
	case r.migrated != 0:
		refusal := badRequest("group chat was upgraded to a supergroup chat")
		refusal.MigrateTo = r.migrated
		return nil, refusal
	case r.botGone == "kicked":
		return nil, forbidden("bot was kicked from the %s chat", r.chat.Type)
	case r.botGone != "":
		return nil, forbidden("bot is not a member of the %s chat", r.chat.Type)
	case r.blocked:
		return nil, forbidden("bot was blocked by the user")
	case r.private() && !r.started:
		return nil, forbidden("bot can't initiate conversation with a user")
	}
	if thread, ok := c.params.Int("message_thread_id"); ok && thread != 0 && !r.threads[thread] {
		return nil, badRequest("message thread not found")
	}
	return r, nil
}

// sendable text of a call: parsed first, then (with the chat known) fixed and measured.
func (s *Server) fixText(text string, entities []Entity, empty bool) (string, []Entity, *RefusalError) {
	text, entities, refusal := formatted(text, entities)
	if refusal != nil {
		return "", nil, refusal
	}
	if text == "" && !empty {
		return "", nil, badRequest("text must be non-empty")
	}
	if utf16Len(text) > maxText {
		return "", nil, badRequest("message is too long")
	}
	return text, entities, nil
}

func sendMessage(s *Server, c *call) (any, *RefusalError) {
	if c.params["text"] == "" {
		return nil, badRequest("message text is empty")
	}
	text, entities, refusal := inputText(c.params, "text", "entities")
	if refusal != nil {
		return nil, refusal
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	o, refusal := s.open(c, func(r *room, buttons *markup) (refusal *RefusalError) {
		if text, entities, refusal = s.fixText(text, entities, false); refusal != nil {
			return refusal
		}
		return buttons.check(r)
	})
	if refusal != nil {
		return nil, refusal
	}
	o.message.Text, o.message.Entities = text, entities
	return s.sendOpened(c, o), nil
}

// showKeyboard puts a reply keyboard in force, or ends the one that is.
func (s *Server) showKeyboard(r *room, markup markup) {
	if markup.keyboard == nil {
		return
	}
	r.keyboard, r.keyboardOf = markup.keyboard, r.messages[len(r.messages)-1].MessageID // which has just been posted
	if string(r.keyboard) == "null" {
		r.keyboard, r.keyboardOf = nil, 0
	}
	s.hub.to(r, event{Type: "keyboard", Keyboard: markup.keyboard, MessageID: r.keyboardOf})
}

// newMessage is a message of the bot's, without its content: in the topic and as the
// reply that the call says.
func (s *Server) newMessage(c *call, r *room) (m *Message, refusal *RefusalError) {
	m = &Message{From: &s.bot, Date: s.now().Unix()}
	m.MessageThreadID, _ = c.params.Int("message_thread_id")
	m.IsTopicMessage = m.MessageThreadID != 0
	m.ReplyToMessage, refusal = replied(c.params, r)
	return m, refusal
}

// post puts the bot's message into a chat: what announced it is over.
func (s *Server) post(c *call, r *room, m *Message) {
	s.world.addMessage(r, m)
	c.message = m
	s.endDraft(r, "final")
	r.typingEnds = time.Time{}
	s.hub.to(r, event{Type: "message", Message: m})
}

// replied finds the message that reply_parameters (or the older reply_to_message_id) names.
func replied(p Params, r *room) (*Message, *RefusalError) {
	var reply struct {
		MessageID    int64 `json:"message_id"`
		AllowWithout bool  `json:"allow_sending_without_reply"`
	}
	if raw := p["reply_parameters"]; raw != "" {
		if json.Unmarshal([]byte(raw), &reply) != nil {
			return nil, badRequest("can't parse reply parameters JSON object")
		}
	} else {
		reply.MessageID, _ = p.Int("reply_to_message_id")
		reply.AllowWithout = p.Bool("allow_sending_without_reply")
	}
	if reply.MessageID == 0 {
		return nil, nil
	}
	if i := r.find(reply.MessageID); i >= 0 {
		return withoutReply(r.messages[i]), nil
	}
	if reply.AllowWithout {
		return nil, nil
	}
	return nil, badRequest("message to be replied not found")
}

// editable finds the message of an edit (Client.cpp: check_message with AccessRights::Edit).
func (s *Server) editable(c *call) (*room, int, *RefusalError) {
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, 0, refusal
	}
	id, _ := c.params.Int("message_id")
	i := r.find(id)
	if i < 0 {
		return nil, 0, badRequest("message to edit not found")
	}
	if m := r.messages[i]; !m.FromBot() || m.RefundedPayment != nil {
		return nil, 0, badRequest("message can't be edited")
	}
	return r, i, nil
}

func editMessageText(s *Server, c *call) (any, *RefusalError) {
	rich, refusal := richOf(c.params)
	if refusal != nil {
		return nil, refusal
	}
	if c.params["text"] == "" && rich == nil {
		return nil, badRequest("message text is empty")
	}
	text, entities, refusal := inputText(c.params, "text", "entities")
	if refusal != nil {
		return nil, refusal
	}
	return s.editMessage(c, func(m *Message) *RefusalError {
		if m.Invoice != nil || m.media() {
			return badRequest("there is no text in the message to edit")
		}
		m.Text, m.Entities, refusal = s.fixText(text, entities, rich != nil)
		m.Rich = rich
		return refusal
	})
}

func editMessageReplyMarkup(s *Server, c *call) (any, *RefusalError) {
	return s.editMessage(c, func(*Message) *RefusalError { return nil })
}

// editMessage applies a change and the new inline keyboard: none removes it.
func (s *Server) editMessage(c *call, change func(*Message) *RefusalError) (any, *RefusalError) {
	markup, refusal := inputMarkup(c.params["reply_markup"])
	if refusal != nil {
		return nil, refusal
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.params["chat_id"] == "" && c.params["message_id"] == "" {
		if id := c.params["inline_message_id"]; id != "" {
			return s.editInline(id, markup, change)
		}
		return nil, badRequest("message identifier is not specified")
	}
	r, i, refusal := s.editable(c)
	if refusal != nil {
		return nil, refusal
	}
	before := r.messages[i]
	check := markup.check
	if before.Invoice != nil {
		check = markup.checkInvoice
	}
	if refusal := check(r); refusal != nil {
		return nil, refusal
	}
	after := *before
	if refusal := change(&after); refusal != nil {
		return nil, refusal
	}
	after.ReplyMarkup = markup.inline
	if after.Invoice != nil && after.ReplyMarkup == nil {
		after.ReplyMarkup = s.world.till.bills[billKey{r.chat.ID, before.MessageID}].payButton()
	}
	if sameContent(&after, before) {
		return nil, badRequest(saidNotModified)
	}
	after.EditDate = s.now().Unix()
	r.messages[i] = &after
	w.dirty = true
	c.message = &after
	s.hub.to(r, event{Type: "edit", Message: &after})
	return &after, nil
}

func sameEntity(a, b Entity) bool {
	if (a.User == nil) != (b.User == nil) || a.User != nil && a.User.ID != b.User.ID {
		return false
	}
	a.User, b.User = nil, nil
	return a == b
}

func deleteMessage(s *Server, c *call) (any, *RefusalError) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	id, _ := c.params.Int("message_id")
	i := r.find(id)
	if i < 0 {
		return nil, badRequest("message to delete not found")
	}
	if s.now().Sub(time.Unix(r.messages[i].Date, 0)) > deleteAge {
		return nil, badRequest("message can't be deleted for everyone")
	}
	s.erase(r, i)
	return true, nil
}

func (s *Server) erase(r *room, i int) {
	id := r.messages[i].MessageID
	r.messages = slices.Delete(slices.Clone(r.messages), i, i+1)
	delete(s.world.till.bills, billKey{r.chat.ID, id})
	s.world.dirty = true
	s.hub.to(r, event{Type: "delete", MessageID: id})
}

// deleteMessages skips what it cannot find (Bot API: deleteMessages).
func deleteMessages(s *Server, c *call) (any, *RefusalError) {
	var ids []int64
	if json.Unmarshal([]byte(c.params["message_ids"]), &ids) != nil {
		return nil, badRequest("can't parse message identifiers JSON object")
	}
	if len(ids) == 0 || len(ids) > 100 {
		return nil, badRequest("from 1 to 100 message identifiers must be specified")
	}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	for _, id := range ids {
		if i := r.find(id); i >= 0 {
			s.erase(r, i)
		}
	}
	return true, nil
}

func getChat(s *Server, c *call) (any, *RefusalError) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	r, refusal := s.target(c)
	if refusal != nil {
		return nil, refusal
	}
	return struct {
		Chat
		AccentColorID    int            `json:"accent_color_id"`
		MaxReactionCount int            `json:"max_reaction_count"`
		Gifts            map[string]any `json:"accepted_gift_types"`
	}{Chat: r.chat, MaxReactionCount: 11, Gifts: map[string]any{}}, nil
}
