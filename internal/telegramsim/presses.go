package telegramsim

import (
	"strconv"
	"time"

	"github.com/tidwall/gjson"
)

// callbackLife is how long a callback query may be answered (Client.cpp gives its update 150 s).
const callbackLife = 150 * time.Second

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
	if !hasButton(r.messages[i].ReplyMarkup, data) {
		return "", ErrButtonUnknown
	}
	return s.press(u, r, r.messages[i], data)
}

// Forge presses a button that is not there, as an app of ill will can: with any data, below any message of the
// chat, or one that is gone, of which the bot learns no more than its id (Bot API: InaccessibleMessage).
func (s *Server) Forge(user, chat, message int64, data string) (string, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, r, err := w.person(user, chat)
	if err != nil {
		return "", err
	}
	if i := r.find(message); i >= 0 {
		return s.press(u, r, r.messages[i], data)
	}
	return s.press(u, r, &Message{MessageID: message, Chat: r.chat}, data)
}

// press queues a callback query; the caller holds the lock.
func (s *Server) press(u User, r *room, m *Message, data string) (string, error) {
	w := s.world
	id := strconv.FormatInt(u.ID<<20|w.nextQuery, 10)
	w.nextQuery++
	life := s.life(callbackLife)
	if s.faults.staleCallback() {
		life = -1 // its time is already over when the bot hears of it
	}
	w.queries[id] = &query{user: u.ID, chat: r.chat.ID, message: m.MessageID, expires: s.now().Add(life)}
	w.dirty = true
	pressed := callbackQuery{ID: id, From: u, Message: m, ChatInstance: strconv.FormatInt(r.chat.ID^0x5bd1e995, 10), Data: data}
	if id := w.inlineOf(m); id != "" { // the bot learns no more of what was sent through it
		pressed.Message, pressed.InlineMessageID = nil, id
	}
	return id, s.push("callback_query", u.ID, pressed)
}

type callbackQuery struct {
	ID              string   `json:"id"`
	From            User     `json:"from"`
	Message         *Message `json:"message,omitempty"`
	InlineMessageID string   `json:"inline_message_id,omitempty"`
	ChatInstance    string   `json:"chat_instance"`
	Data            string   `json:"data,omitempty"`
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
