package telegramsim

import "encoding/json"

// User is the Bot API's User, as far as the simulator fills it.
type User struct {
	ID           int64  `json:"id"`
	IsBot        bool   `json:"is_bot"`
	FirstName    string `json:"first_name"`
	LastName     string `json:"last_name,omitempty"`
	Username     string `json:"username,omitempty"`
	LanguageCode string `json:"language_code,omitempty"`
}

// Chat types.
const (
	ChatPrivate    = "private"
	ChatGroup      = "group"
	ChatSupergroup = "supergroup"
	ChatChannel    = "channel"
)

// Chat is the Bot API's Chat.
type Chat struct {
	ID        int64  `json:"id"`
	Type      string `json:"type"`
	Title     string `json:"title,omitempty"`
	Username  string `json:"username,omitempty"`
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	IsForum   bool   `json:"is_forum,omitempty"`
}

// Entity is the Bot API's MessageEntity. Offset and Length count UTF-16 units.
type Entity struct {
	Type           string `json:"type"`
	Offset         int    `json:"offset"`
	Length         int    `json:"length"`
	URL            string `json:"url,omitempty"`
	User           *User  `json:"user,omitempty"`
	Language       string `json:"language,omitempty"`
	CustomEmojiID  string `json:"custom_emoji_id,omitempty"`
	UnixTime       int64  `json:"unix_time,omitempty"`
	DateTimeFormat string `json:"date_time_format,omitempty"`
}

// Message is the Bot API's Message, as far as the simulator fills it. A Message handed out is never changed
// afterwards: an edit makes a new one.
type Message struct {
	MessageID         int64              `json:"message_id"`
	MessageThreadID   int64              `json:"message_thread_id,omitempty"`
	From              *User              `json:"from,omitempty"`
	Chat              Chat               `json:"chat"`
	Date              int64              `json:"date"`
	EditDate          int64              `json:"edit_date,omitempty"`
	IsTopicMessage    bool               `json:"is_topic_message,omitempty"`
	ForwardOrigin     *Origin            `json:"forward_origin,omitempty"`
	ReplyToMessage    *Message           `json:"reply_to_message,omitempty"`
	ExternalReply     json.RawMessage    `json:"external_reply,omitempty"` // Bot API: ExternalReplyInfo
	Quote             *Quote             `json:"quote,omitempty"`
	ViaBot            *User              `json:"via_bot,omitempty"`
	Text              string             `json:"text,omitempty"`
	Entities          []Entity           `json:"entities,omitempty"`
	Invoice           *Invoice           `json:"invoice,omitempty"`
	SuccessfulPayment *SuccessfulPayment `json:"successful_payment,omitempty"`
	RefundedPayment   *RefundedPayment   `json:"refunded_payment,omitempty"`
	NewMembers        []User             `json:"new_chat_members,omitempty"`
	LeftMember        *User              `json:"left_chat_member,omitempty"`
	MigrateTo         int64              `json:"migrate_to_chat_id,omitempty"`
	MigrateFrom       int64              `json:"migrate_from_chat_id,omitempty"`
	TopicCreated      json.RawMessage    `json:"forum_topic_created,omitempty"` // Bot API: ForumTopicCreated
	ReplyMarkup       json.RawMessage    `json:"reply_markup,omitempty"`
	Content
}

// Origin is the Bot API's MessageOrigin. Type is user, hidden_user, chat or channel; the fields of the others
// stay empty.
type Origin struct {
	Type            string `json:"type"`
	Date            int64  `json:"date"`
	SenderUser      *User  `json:"sender_user,omitempty"`
	SenderUserName  string `json:"sender_user_name,omitempty"`
	SenderChat      *Chat  `json:"sender_chat,omitempty"`
	Chat            *Chat  `json:"chat,omitempty"`
	MessageID       int64  `json:"message_id,omitempty"`
	AuthorSignature string `json:"author_signature,omitempty"`
}

// Quote is the Bot API's TextQuote: the part of the message answered that is quoted.
type Quote struct {
	Text     string   `json:"text"`
	Entities []Entity `json:"entities,omitempty"`
	Position int      `json:"position"` // UTF-16 units
	IsManual bool     `json:"is_manual,omitempty"`
}

// FromBot tells whether the bot wrote the message.
func (m *Message) FromBot() bool { return m.From != nil && m.From.IsBot }

// Draft is a message preview being streamed into a private chat.
type Draft struct {
	DraftID         int64           `json:"draft_id"`
	MessageThreadID int64           `json:"message_thread_id,omitempty"`
	Text            string          `json:"text"`
	Entities        []Entity        `json:"entities"`
	Rich            json.RawMessage `json:"rich_message,omitempty"` // of a rich draft
	CanStop         bool            `json:"can_stop"`
	KeepOnStop      bool            `json:"keep_on_stop"`
	Expires         int64           `json:"expires"` // Unix seconds
}

// Command is the Bot API's BotCommand.
type Command struct {
	Command     string `json:"command"`
	Description string `json:"description"`
}
