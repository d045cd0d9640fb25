package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/bot"
)

const (
	nameMost    = 200      // characters
	messageMost = 64 << 10 // bytes of a message as it is kept
	fileMost    = 16 << 20 // bytes of a document beside it
	captionMost = 1024     // UTF-16 units of a message with a document, by Telegram
	fileNamed   = 100      // characters
	putMost     = 1000     // messages put at once
)

// ErrPost is found by errors.Is in what is wrong with a post.
var ErrPost = errors.New("outbox: a post needs a name of 1 to 200 characters, a chat, words, no file but a document of at most 16 MiB, and with a wish to be put alone")

// Post is a message for the outbox.
type Post struct {
	// Name says what the message is, such as "feedback:<update>": a second post of the
	// name is left out, for thirty days after the first was sent. At most 200 characters.
	Name    string
	Message bot.Message // its ChatID says whom to; without Photo and ReplyTo
	Due     time.Time   // not before; zero: at once
	Expires time.Time   // not after; zero: whenever it can be sent
	// Wish is the SHA-256 of what somebody asked for under a name of their own choice: a
	// second post of the name with another wish is ErrWish. Such a post is put alone. nil:
	// the name says it all.
	Wish []byte
}

// ErrWish is a post whose name stands for something else that was wished.
var ErrWish = errors.New("outbox: the name stands for another wish")

// Outbox is where messages wait.
type Outbox struct {
	postgres *pgxpool.Pool
	put      chan struct{} // of capacity 1: something was put here by this process
}

// New connects to nothing.
func New(pool *pgxpool.Pool) *Outbox { return &Outbox{postgres: pool, put: make(chan struct{}, 1)} }

// executor is a pool or a transaction.
type executor interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Put puts messages into the outbox and returns how many of them were not there yet.
// All are, or none.
func (o *Outbox) Put(ctx context.Context, posts ...Post) (added int, err error) {
	added, err = put(ctx, o.postgres, posts)
	if added > 0 {
		o.nudge()
	}
	return added, err
}

// PutIn is Put inside tx, the transaction of what the messages tell.
func (o *Outbox) PutIn(ctx context.Context, tx pgx.Tx, posts ...Post) (added int, err error) {
	return put(ctx, tx, posts)
}

func (o *Outbox) nudge() {
	select {
	case o.put <- struct{}{}:
	default:
	}
}

func put(ctx context.Context, db executor, posts []Post) (added int, err error) {
	if len(posts) > putMost {
		return 0, fmt.Errorf("outbox: %d messages at once, at most %d", len(posts), putMost)
	}
	names, chats, messages := make([]string, len(posts)), make([]int64, len(posts)), make([]string, len(posts))
	due, expires := make([]*time.Time, len(posts)), make([]*time.Time, len(posts))
	fileNames, files, wishes := make([]*string, len(posts)), make([][]byte, len(posts)), make([][]byte, len(posts))
	for i, p := range posts {
		if messages[i], err = p.encoded(); err != nil {
			return 0, err
		}
		if p.Wish != nil && len(posts) > 1 {
			return 0, ErrPost
		}
		names[i], chats[i], due[i], expires[i], wishes[i] = p.Name, p.Message.ChatID, given(p.Due), given(p.Expires), p.Wish
		if file := p.Message.Document; file != nil {
			fileNames[i], files[i] = &file.Name, file.Data
		}
	}
	tag, err := db.Exec(ctx, `insert into outbox (name, chat_id, message, due_at, expires_at, file_name, file, wish)
		select name, chat, message::jsonb, coalesce(due, now()), expires, file_name, file, wish
		from unnest($1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::bytea[], $8::bytea[])
			with ordinality as p (name, chat, message, due, expires, file_name, file, wish, n)
		order by n on conflict (name) do nothing`, names, chats, messages, due, expires, fileNames, files, wishes)
	if err != nil {
		return 0, fmt.Errorf("put into the outbox: %w", err)
	}
	added = int(tag.RowsAffected())
	if added == 0 && len(posts) == 1 && wishes[0] != nil {
		err = sameWish(ctx, db, names[0], wishes[0])
	}
	return added, err
}

// sameWish says whether a name that is there stands for this wish. ErrWish.
func sameWish(ctx context.Context, db executor, name string, wish []byte) error {
	var another bool
	err := db.QueryRow(ctx, `select exists (select from outbox where name = $1 and wish <> $2)`, name, wish).Scan(&another)
	switch {
	case err != nil:
		return fmt.Errorf("look into the outbox: %w", err)
	case another:
		return ErrWish
	}
	return nil
}

func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (p *Post) encoded() (string, error) {
	if n := utf8.RuneCountInString(p.Name); n == 0 || n > nameMost || p.Message.ChatID == 0 {
		return "", ErrPost
	}
	words := p.Message
	if file := words.Document; file != nil {
		if file.Name == "" || utf8.RuneCountInString(file.Name) > fileNamed || len(file.Data) == 0 || len(file.Data) > fileMost ||
			len(utf16.Encode([]rune(words.Text))) > captionMost {
			return "", ErrPost
		}
		words.Document = nil // it is kept beside them
	}
	return encode(words)
}

// words are a message as it is kept: what it says, and not to whom.
type words struct {
	Thread   int                          `json:"thread,omitempty"`
	Text     string                       `json:"text"`
	Entities []models.MessageEntity       `json:"entities,omitempty"`
	Keyboard *models.InlineKeyboardMarkup `json:"keyboard,omitempty"`
	Silent   bool                         `json:"silent,omitempty"`
}

func encode(m bot.Message) (string, error) {
	m.Text = strings.ReplaceAll(m.Text, "\x00", "") // which Postgres does not take
	if strings.TrimSpace(m.Text) == "" || m.Photo != nil || m.Document != nil || m.ReplyTo != 0 || m.AskReply != "" || !utf8.ValidString(m.Text) {
		return "", ErrPost
	}
	text, err := json.Marshal(words{Thread: m.ThreadID, Text: m.Text, Entities: m.Entities, Keyboard: m.Keyboard, Silent: m.Silent})
	if err != nil || len(text) > messageMost {
		return "", ErrPost
	}
	return string(text), nil
}

// withFile is decode for a message that may have a document.
func withFile(chat int64, text []byte, name *string, file []byte) (bot.Message, error) {
	m, err := decode(chat, text)
	if name != nil {
		m.Document = &bot.File{Name: *name, Data: file}
	}
	return m, err
}

// decode is the message for a chat.
func decode(chat int64, text []byte) (bot.Message, error) {
	var w words
	if err := json.Unmarshal(text, &w); err != nil {
		return bot.Message{}, fmt.Errorf("outbox: message that cannot be read: %w", err)
	}
	return bot.Message{ChatID: chat, ThreadID: w.Thread, Text: w.Text, Entities: w.Entities, Keyboard: w.Keyboard, Silent: w.Silent}, nil
}
