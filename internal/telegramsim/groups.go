package telegramsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kikuai/kikuai/internal/telegramsim/spec"
)

// maxTopicName is of a topic, in characters (Bot API: createForumTopic).
const maxTopicName = 128

// BasicGroup makes a basic group, which can become a supergroup later, with the bot and these members in it; the
// first made it. The bot hears of it (my_chat_member).
func (s *Server) BasicGroup(title string, members ...int64) (Chat, error) {
	return s.newGroup(ChatGroup, title, members)
}

// newGroup makes a group of either type.
func (s *Server) newGroup(kind, title string, members []int64) (Chat, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	chat := Chat{ID: -w.nextGroup, Type: kind, Title: title}
	if kind == ChatSupergroup {
		chat.ID += supergroupShift
	}
	r := newRoom(chat)
	for i, id := range members {
		if w.users[id].ID == 0 {
			return Chat{}, fmt.Errorf("%w: %d", ErrUserUnknown, id)
		}
		r.members[id] = true
		if i == 0 {
			r.creator = id
		}
	}
	w.nextGroup++
	w.rooms[chat.ID] = r
	w.dirty = true
	if len(members) == 0 {
		return chat, nil
	}
	return chat, s.pushMembership(r, w.users[members[0]], "left", "member")
}

// group finds a group and somebody in it; the caller holds the lock.
func (w *world) group(user, chat int64) (User, *room, error) {
	u, r, err := w.person(user, chat)
	if err == nil && r.private() {
		err = fmt.Errorf("%w: %d is no group", ErrChatUnknown, chat)
	}
	return u, r, err
}

// tell puts a service message of a person's into a group; the bot gets it while it is there.
func (s *Server) tell(u User, r *room, fill func(*Message)) error {
	m := &Message{From: &u, Date: s.now().Unix()}
	fill(m)
	s.world.addMessage(r, m)
	s.hub.to(r, event{Type: "message", Message: m})
	if r.botGone != "" {
		return nil
	}
	return s.push("message", r.chat.ID, m)
}

// Join lets a person into a group.
func (s *Server) Join(user, chat int64) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r := w.users[user], w.rooms[chat]
	switch {
	case u.ID == 0:
		return fmt.Errorf("%w: %d", ErrUserUnknown, user)
	case r == nil || r.private():
		return fmt.Errorf("%w: %d", ErrChatUnknown, chat)
	}
	r.members[user] = true
	err := s.tell(u, r, func(m *Message) { m.NewMembers = []User{u} })
	return err
}

// Leave lets a person leave a group.
func (s *Server) Leave(user, chat int64) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.group(user, chat)
	if err != nil {
		return err
	}
	delete(r.members, user)
	delete(r.admins, user)
	err = s.tell(u, r, func(m *Message) { m.LeftMember = &u })
	return err
}

// Promote makes a member of a group an administrator, or takes that back.
func (s *Server) Promote(user, chat int64, admin bool) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	_, r, err := w.group(user, chat)
	if err != nil {
		return err
	}
	if admin {
		r.admins[user] = true
	} else {
		delete(r.admins, user)
	}
	w.dirty = true
	return nil
}

// RemoveBot takes the bot out of a group: banned, or only removed. The bot hears of it (my_chat_member), and
// writing there is refused from now on.
func (s *Server) RemoveBot(by, chat int64, ban bool) error {
	after := "left"
	if ban {
		after = "kicked"
	}
	return s.setBot(by, chat, after)
}

// AddBot brings the bot back into a group.
func (s *Server) AddBot(by, chat int64) error { return s.setBot(by, chat, "") }

func (s *Server) setBot(by, chat int64, gone string) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.group(by, chat)
	if err != nil || r.botGone == gone {
		return err
	}
	before := r.botGone
	set(&before, "member")
	after := gone
	set(&after, "member")
	r.botGone, w.dirty = gone, true
	return s.pushMembership(r, u, before, after)
}

// Upgrade makes a basic group a supergroup, with a new id: a message in each says so, and what is written to the
// old one is refused with the new id (Bot API: ResponseParameters).
func (s *Server) Upgrade(by, chat int64) (Chat, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, old, err := w.group(by, chat)
	if err != nil {
		return Chat{}, err
	}
	if old.chat.Type != ChatGroup || old.migrated != 0 {
		return Chat{}, fmt.Errorf("%w: %d is no basic group any more", ErrChatUnknown, chat)
	}
	grown := newRoom(Chat{ID: supergroupShift - w.nextGroup, Type: ChatSupergroup, Title: old.chat.Title})
	grown.creator, grown.botGone = old.creator, old.botGone
	for id := range old.members {
		grown.members[id] = true
	}
	for id := range old.admins {
		grown.admins[id] = true
	}
	w.nextGroup++
	w.rooms[grown.chat.ID] = grown
	if err := s.tell(u, old, func(m *Message) { m.MigrateTo = grown.chat.ID }); err != nil {
		return Chat{}, err
	}
	old.migrated = grown.chat.ID
	err = s.tell(u, grown, func(m *Message) { m.MigrateFrom = old.chat.ID })
	return grown.chat, err
}

// Forum turns the topics of a supergroup on.
func (s *Server) Forum(chat int64) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rooms[chat]
	if r == nil || r.chat.Type != ChatSupergroup {
		return fmt.Errorf("%w: %d is no supergroup", ErrChatUnknown, chat)
	}
	r.chat.IsForum, w.dirty = true, true
	s.hub.to(r, event{Type: "chat", Chat: &r.chat})
	return nil
}

// Topic lets a person begin a topic in a forum, or in the private chat (0); its id is that of the message that
// says so.
func (s *Server) Topic(user, chat int64, name string) (int64, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.person(user, chat)
	if err != nil {
		return 0, err
	}
	if !r.private() && !r.chat.IsForum || name == "" || utf8.RuneCountInString(name) > maxTopicName {
		return 0, fmt.Errorf("%w: no forum, or not a topic's name", ErrChatUnknown)
	}
	r.started = true
	return s.begin(u, r, name, topicColour)
}

// topicColour is what a topic has unless it says otherwise (Bot API: createForumTopic lists six).
const topicColour = 7322096

var topicColours = []int64{topicColour, 16766590, 13338331, 9367192, 16749490, 16478047}

// begin begins a topic; u is a person or the bot.
func (s *Server) begin(u User, r *room, name string, colour int64) (int64, error) {
	m := &Message{From: &u, Date: s.now().Unix(), IsTopicMessage: true}
	m.TopicCreated = mustJSON(map[string]any{"name": name, "icon_color": colour})
	s.world.addMessage(r, m)
	m.MessageThreadID = m.MessageID
	r.threads[m.MessageID], r.topics[m.MessageID] = true, name
	s.hub.to(r, event{Type: "message", Message: m})
	s.tellTopics(r)
	if u.IsBot {
		return m.MessageID, nil
	}
	return m.MessageID, s.push("message", r.chat.ID, m)
}

// topic is a named part of a chat, as the page shows it.
type topic struct {
	Thread int64  `json:"thread"`
	Name   string `json:"name"`
}

// listTopics are the topics of a room, the oldest first.
func (r *room) listTopics() []topic {
	list := make([]topic, 0, len(r.topics))
	for _, id := range slices.Sorted(maps.Keys(r.topics)) {
		list = append(list, topic{id, r.topics[id]})
	}
	return list
}

// tellTopics shows a room's people the topics it has now.
func (s *Server) tellTopics(r *room) {
	list := r.listTopics()
	s.hub.to(r, event{Type: "topics", Topics: &list})
}

// hears tells whether the bot gets a message of a person's in this room. In privacy mode a bot in a group gets
// commands, mentions of itself, replies to itself and what was sent through it, unless it is an administrator
// (https://core.telegram.org/bots/faq#what-messages-will-my-bot-get).
func (s *Server) hears(r *room, m *Message) bool {
	switch {
	case r.private():
		return true
	case r.botGone != "":
		return false
	case !s.o.Privacy || r.admins[s.bot.ID]:
		return true
	case m.ReplyToMessage != nil && m.ReplyToMessage.FromBot(), m.ViaBot != nil && m.ViaBot.ID == s.bot.ID:
		return true
	}
	return s.addressed(r, m.Text, m.Entities) || s.addressed(r, m.Caption, m.CaptionEntities)
}

// addressed tells whether a text has a command for the bot, or mentions it. A command without a name is for the
// bot that wrote last: here, the only one.
func (s *Server) addressed(r *room, text string, entities []Entity) bool {
	return slices.ContainsFunc(entities, func(e Entity) bool {
		named := sliceUTF16(text, e.Offset, e.Length)
		switch e.Type {
		case "bot_command":
			_, whose, given := strings.Cut(named, "@")
			if !given {
				return slices.ContainsFunc(r.messages, (*Message).FromBot)
			}
			return strings.EqualFold(whose, s.bot.Username)
		case "mention":
			return strings.EqualFold(strings.TrimPrefix(named, "@"), s.bot.Username)
		case "text_mention":
			return e.User != nil && e.User.ID == s.bot.ID
		}
		return false
	})
}

// sliceUTF16 cuts a part out of a text by UTF-16 units.
func sliceUTF16(text string, offset, length int) string {
	from, to, unit := len(text), len(text), 0
	for i, r := range text {
		if unit == offset {
			from = i
		}
		if unit == offset+length {
			to = i
			break
		}
		unit += utf16Len(string(r))
	}
	return text[min(from, to):to]
}

// member shows what somebody is in a room (Bot API: ChatMember).
func (s *Server) member(r *room, u User) json.RawMessage {
	kind, status := "ChatMemberLeft", "left"
	switch {
	case u.ID == s.bot.ID && r.botGone == "kicked":
		kind, status = "ChatMemberBanned", "kicked"
	case u.ID == s.bot.ID && r.botGone == "" || r.members[u.ID]:
		kind, status = "ChatMemberMember", "member"
		if r.admins[u.ID] {
			kind, status = "ChatMemberAdministrator", "administrator"
		}
		if r.creator == u.ID {
			kind, status = "ChatMemberOwner", "creator"
		}
	}
	shown := map[string]any{}
	if err := json.Unmarshal(spec.Object(kind), &shown); err != nil {
		panic("telegramsim: sample of " + kind + ": " + err.Error())
	}
	shown["status"], shown["user"] = status, u
	if kind == "ChatMemberOwner" {
		shown["is_anonymous"] = false
	}
	return mustJSON(shown)
}
