package telegramsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Errors of the people's side (the Bot API's side answers a *RefusalError).
var (
	ErrUserUnknown    = errors.New("telegramsim: no such user")
	ErrChatUnknown    = errors.New("telegramsim: no such chat")
	ErrMessageUnknown = errors.New("telegramsim: no such message")
	ErrNotMember      = errors.New("telegramsim: the user is not in this chat")
	ErrBotBlocked     = errors.New("telegramsim: the user has blocked the bot")
	ErrButtonUnknown  = errors.New("telegramsim: the message has no button with this data")
	ErrDraftUnknown   = errors.New("telegramsim: no such draft that can be stopped")
	ErrTextInvalid    = errors.New("telegramsim: a text needs 1 to 4096 UTF-16 units of UTF-8, a caption up to 1024")
	ErrQuote          = errors.New("telegramsim: a quote is a part of the message answered, of up to 1024 UTF-16 units")
	ErrPayload        = errors.New("telegramsim: a start payload has at most 64 of A-Z a-z 0-9 _ -")
	ErrUpdateInvalid  = errors.New("telegramsim: not an update of a kind that the Bot API knows")
	ErrPendingFull    = errors.New("telegramsim: too many updates wait for the bot")
)

const (
	firstUserID     = 1001
	firstGroupID    = 1_000_000_001 // supergroup ids are -100 followed by this
	supergroupShift = -1_000_000_000_000
	typingSeconds   = 5 // sendChatAction: "the status is set for 5 seconds or less"
)

// world is everybody and everything said, under one lock. The bot's rights follow from it.
type world struct {
	mu             sync.Mutex
	users          map[int64]User
	rooms          map[int64]*room
	queries        map[string]*query // callback queries not yet answered
	inline         map[string]*inlineQuery
	inlineMessages map[string]*Message // sent through the bot where it is not; kept while the simulator runs
	till           *till
	commands       map[string][]Command
	menuButton     json.RawMessage // the default one
	nextUser       int64
	nextGroup      int64
	nextMessage    int64 // private chats and basic groups share one counter, as they do for an account
	nextQuery      int64
	nextAlbum      int64
	historyLimit   int
	dirty          bool // something to save
}

// room is one chat and what the simulator keeps of it.
type room struct {
	chat        Chat
	messages    []*Message // in order of id
	members     map[int64]bool
	admins      map[int64]bool // of a group; the bot's id too, where it is one
	creator     int64          // of a group
	botGone     string         // of a group: "left" or "kicked" while the bot is not in it
	migrated    int64          // of a basic group: the supergroup it became
	threads     map[int64]bool
	topics      map[int64]string // the names of the threads that have one
	nextMessage int64            // of supergroups, which count for themselves
	started     bool             // private: the user wrote to the bot first
	blocked     bool             // private: the user stopped the bot
	draft       *Draft
	draftEnds   time.Time
	typingEnds  time.Time
	keyboard    json.RawMessage
	keyboardOf  int64 // the message that the keyboard came with
	menuButton  json.RawMessage
}

// query is a pressed button waiting for answerCallbackQuery.
type query struct {
	user, chat, message int64
	expires             time.Time
}

func newWorld(historyLimit int) *world {
	return &world{
		users: map[int64]User{}, rooms: map[int64]*room{}, queries: map[string]*query{}, inline: map[string]*inlineQuery{}, inlineMessages: map[string]*Message{}, commands: map[string][]Command{},
		till: newTill(), nextUser: firstUserID, nextGroup: firstGroupID, nextMessage: 1, nextQuery: 1, historyLimit: historyLimit,
	}
}

func newRoom(chat Chat) *room {
	return &room{chat: chat, members: map[int64]bool{}, admins: map[int64]bool{}, threads: map[int64]bool{}, topics: map[int64]string{}, nextMessage: 1}
}

func (r *room) private() bool { return r.chat.Type == ChatPrivate }

// find returns the index of a message, or -1.
func (r *room) find(id int64) int {
	i, ok := slices.BinarySearchFunc(r.messages, id, func(m *Message, id int64) int { return int(m.MessageID - id) })
	if !ok {
		return -1
	}
	return i
}

// addMessage gives m its id and keeps it.
func (w *world) addMessage(r *room, m *Message) {
	counter := &w.nextMessage
	if r.chat.Type == ChatSupergroup || r.chat.Type == ChatChannel {
		counter = &r.nextMessage
	}
	m.MessageID, m.Chat = *counter, r.chat
	*counter++
	r.messages = append(r.messages, m)
	if over := len(r.messages) - w.historyLimit; over > 0 {
		for _, old := range r.messages[:over] {
			if old.Invoice != nil {
				delete(w.till.bills, billKey{r.chat.ID, old.MessageID})
			}
		}
		r.messages = slices.Delete(r.messages, 0, over)
	}
	w.dirty = true
}

// User registers a person, or renames one. An id of 0 takes the next free one.
func (s *Server) User(id int64, name string) User {
	return s.AddUser(User{ID: id, FirstName: name, LanguageCode: "en"})
}

// AddUser registers a person with everything that is known of them.
func (s *Server) AddUser(u User) User {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if u.ID == 0 {
		for w.users[w.nextUser].ID != 0 {
			w.nextUser++
		}
		u.ID = w.nextUser
	}
	w.users[u.ID] = u
	r := w.rooms[u.ID]
	if r == nil {
		r = newRoom(Chat{})
		w.rooms[u.ID] = r
	}
	r.chat = Chat{ID: u.ID, Type: ChatPrivate, FirstName: u.FirstName, LastName: u.LastName, Username: u.Username}
	r.members[u.ID] = true
	w.dirty = true
	s.hub.toAll(event{Type: "user", User: &u})
	return u
}

// Users lists the registered people by id.
func (s *Server) Users() []User {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	users := make([]User, 0, len(w.users))
	for _, u := range w.users {
		users = append(users, u)
	}
	slices.SortFunc(users, func(a, b User) int { return int(a.ID - b.ID) })
	return users
}

// Group makes a supergroup with the bot and these members in it, and tells the bot (my_chat_member).
func (s *Server) Group(title string, members ...int64) (Chat, error) {
	return s.newGroup(ChatSupergroup, title, members)
}

// Messages returns what is kept of a chat, oldest first.
func (s *Server) Messages(chat int64) []*Message {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.rooms[chat]; r != nil {
		return slices.Clone(r.messages)
	}
	return nil
}

// Draft returns the preview shown in a private chat, or nil.
func (s *Server) Draft(chat int64) *Draft {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.rooms[chat]; r != nil {
		return r.draft
	}
	return nil
}

// person finds a user and the room they want to act in; 0 is their private chat. Callers hold the lock.
func (w *world) person(user, chat int64) (User, *room, error) {
	u, ok := w.users[user]
	if !ok {
		return User{}, nil, fmt.Errorf("%w: %d", ErrUserUnknown, user)
	}
	if chat == 0 {
		chat = user
	}
	r := w.rooms[chat]
	if r == nil {
		return u, nil, fmt.Errorf("%w: %d", ErrChatUnknown, chat)
	}
	if !r.members[user] {
		return u, nil, ErrNotMember
	}
	return u, r, nil
}

// commandsFor picks the list that a person sees in a chat (Bot API: "Determining list of commands").
func (w *world) commandsFor(r *room, u User) []Command {
	chat := r.chat.ID
	scopes := []string{fmt.Sprintf("chat:%d", chat), "all_private_chats"}
	if !r.private() {
		scopes = []string{fmt.Sprintf("chat_member:%d:%d", chat, u.ID)}
		if r.admins[u.ID] || r.creator == u.ID {
			scopes = append(scopes, fmt.Sprintf("chat_administrators:%d", chat))
		}
		scopes = append(scopes, fmt.Sprintf("chat:%d", chat))
		if r.admins[u.ID] || r.creator == u.ID {
			scopes = append(scopes, "all_chat_administrators")
		}
		scopes = append(scopes, "all_group_chats")
	}
	for _, scope := range append(scopes, "default") {
		for _, lang := range []string{u.LanguageCode, ""} {
			if list, ok := w.commands[scope+"/"+lang]; ok {
				return list
			}
		}
	}
	return []Command{}
}

func validPayload(payload string) bool {
	return len(payload) <= maxStartPayload && plain(payload)
}

// plain tells whether a parameter holds only what links may carry.
func plain(parameter string) bool {
	return strings.Trim(parameter, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
