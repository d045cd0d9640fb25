package bot

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"
	"unicode/utf16"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"
)

const (
	callTries       = 4
	firstRetry      = 300 * time.Millisecond
	callbackTextMax = 200 // UTF-16 units that Telegram takes in an answer to a button
)

// Message is one message of ours. Text of any length is split; Entities count in
// UTF-16 units of the whole text; Keyboard goes under the last part. With a Photo or a
// Document, of which there may be one, Text is its caption, or comes before it where it
// is too long for that; there need be none.
type Message struct {
	ChatID   int64
	ThreadID int // topic; 0 for none, and none if that topic is gone
	Text     string
	Entities []models.MessageEntity
	Rich     string // HTML of a rich message in place of Text, unless Telegram refuses that; "" for none
	Photo    *File
	Document *File
	Keyboard *models.InlineKeyboardMarkup
	ReplyTo  int  // message id; 0 for none, and none if that message is gone
	Silent   bool // without a sound
	// AskReply opens the person's answer to this message, with these words in its field;
	// empty: it does not. It has no Keyboard then.
	AskReply string
}

// SenderOptions are what [NewSender] needs.
type SenderOptions struct {
	Client     *tg.Bot       // of [NewClient]
	Redis      redis.Cmdable // by which instances keep one pace, and whose calls fail fast by themselves; nil: this is the only one
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Sender sends messages to Telegram: in order within a chat, at Telegram's pace, and
// again where that helps. Its errors are, or wrap, an [*APIError]. All
// instances keep one pace. It has no goroutines of its own.
type Sender struct {
	client *tg.Bot
	log    *slog.Logger
	chats  *chats
	pace   *sharedPace
	retry  time.Duration // first pause between tries of a call

	frameEvery      time.Duration // between two frames of one answer
	groupFrameEvery time.Duration

	calls  *prometheus.CounterVec
	frames *prometheus.CounterVec
}

// NewSender returns a sender that calls by way of o.Client.
func NewSender(o SenderOptions) *Sender {
	metrics := promauto.With(o.Registerer)
	var shared paceRedis
	if o.Redis != nil {
		shared = o.Redis
	}
	return &Sender{
		client:          o.Client,
		log:             o.Log,
		chats:           newChats(time.Now),
		pace:            newSharedPace(shared, o.Log, time.Now),
		retry:           firstRetry,
		frameEvery:      frameEvery,
		groupFrameEvery: groupFrameEvery,
		calls: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "telegram_calls_total", Help: "Calls to the Bot API by method and what became of them.",
		}, []string{"method", "outcome"}),
		frames: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "telegram_frames_total", Help: "Frames of streamed answers: sent, or replaced by a newer one unsent.",
		}, []string{"outcome"}),
	}
}

// Send sends a message and returns the id of its last part. It waits for the chat's
// turn and pace until ctx ends. A chat that cannot be reached is [ErrBlocked].
func (s *Sender) Send(ctx context.Context, m Message) (id int, err error) {
	err = s.inTurn(ctx, m.ChatID, func() error {
		id, err = s.sendParts(ctx, &m, 0)
		return err
	})
	return id, err
}

// Edit replaces the text and the keyboard of a message of ours; of a longer text, what
// fits into one message. With a Photo it replaces the picture, the caption and the
// keyboard of a message that has a picture. A message that says the same already is no
// error.
func (s *Sender) Edit(ctx context.Context, messageID int, m Message) error {
	const fresh = true
	parts, err := m.parts(fresh)
	if err != nil {
		return err
	}
	p := parts[len(parts)-1]
	if !p.file {
		p = parts[0]
	}
	p.last = true
	return s.inTurn(ctx, m.ChatID, func() error {
		if p.file {
			return s.editPhoto(ctx, messageID, &m, p)
		}
		return s.editPart(ctx, messageID, &m, p)
	})
}

// Typing shows for some seconds that an answer is being made. It is not repeated when
// it fails.
func (s *Sender) Typing(ctx context.Context, chatID int64, threadID int) error {
	if s.chats.rest(chatID) > 0 || s.chats.isBlocked(chatID) {
		return nil
	}
	_, err := s.client.SendChatAction(ctx, &tg.SendChatActionParams{
		ChatID: chatID, MessageThreadID: threadID, Action: models.ChatActionTyping,
	})
	return s.count(ctx, "sendChatAction", chatID, err)
}

// AnswerCallback ends a button's waiting and shows text for a moment, if there is any.
// A query that Telegram has given up already is no error.
func (s *Sender) AnswerCallback(ctx context.Context, queryID, text string) error {
	const noChat = 0
	return s.persist(ctx, noChat, "answerCallbackQuery", func(ctx context.Context) error {
		_, err := s.client.AnswerCallbackQuery(ctx, &tg.AnswerCallbackQueryParams{
			CallbackQueryID: queryID, Text: clipUnits(text, callbackTextMax),
		})
		if refusedFor(err, "query is too old") || refusedFor(err, "query ID is invalid") {
			return nil
		}
		return err
	})
}

// Heard tells that something came from the chat, so that it can be reached after all.
func (s *Sender) Heard(chatID int64) { s.chats.heard(chatID) }

// Lost tells that the chat cannot be reached: the person blocked the bot, or the group
// removed it.
func (s *Sender) Lost(ctx context.Context, chatID int64) {
	s.chats.block(chatID)
	s.pace.block(ctx, chatID)
}

// inTurn runs f while nothing else goes into the chat.
func (s *Sender) inTurn(ctx context.Context, chat int64, f func() error) error {
	if err := s.chats.acquire(ctx, chat); err != nil {
		return err
	}
	defer s.chats.release(chat)
	return f()
}

// sendParts sends m in the chat's turn. Where frame is not 0, the first part replaces
// the text of that message.
func (s *Sender) sendParts(ctx context.Context, m *Message, frame int) (id int, err error) {
	if m.Rich != "" && frame == 0 {
		if id, err = s.sendPart(ctx, m, part{rich: true, first: true, last: true}); !refused(err) {
			return id, err
		}
	}
	parts, err := m.parts(frame == 0)
	if err != nil {
		return 0, err
	}
	for i, p := range parts {
		p.first, p.last = i == 0, i == len(parts)-1
		if p.first && frame != 0 && !p.file {
			err = s.editPart(ctx, frame, m, p)
			if !refusedFor(err, "message to edit not found") && !refusedFor(err, "message can't be edited") {
				if id = frame; err != nil {
					return 0, err
				}
				continue
			}
		}
		if id, err = s.sendPart(ctx, m, p); err != nil {
			return 0, err
		}
	}
	return id, nil
}

// sendPart sends one part of m. What Telegram finds fault with and the message can do
// without is left out: entities that do not parse, a topic that is gone.
func (s *Sender) sendPart(ctx context.Context, m *Message, p part) (id int, err error) {
	method, call := s.posting(m, &p)
	err = s.persist(ctx, m.ChatID, method, func(ctx context.Context) error {
		for {
			sent, err := call(ctx)
			switch {
			case err == nil:
				id = sent.ID
			case refusedFor(err, "can't parse entities") && p.entities != nil:
				p.entities = nil
				continue
			case refusedFor(err, "message thread not found") && m.ThreadID != 0:
				m.ThreadID = 0
				continue
			case migration(err) != 0 && migration(err) != m.ChatID:
				m.ChatID = migration(err)
				continue
			}
			return err
		}
	})
	return id, err
}

// posting returns the call that sends a part as it and its message stand by then.
func (s *Sender) posting(m *Message, p *part) (method string, call func(context.Context) (*models.Message, error)) {
	switch {
	case p.rich:
		return "sendRichMessage", func(ctx context.Context) (*models.Message, error) {
			return s.client.SendRichMessage(ctx, &tg.SendRichMessageParams{
				ChatID: m.ChatID, MessageThreadID: m.ThreadID, RichMessage: models.InputRichMessage{HTML: m.Rich},
				DisableNotification: m.Silent, ReplyMarkup: m.markup(p), ReplyParameters: m.reply(p),
			})
		}
	case p.file && m.Photo != nil:
		return "sendPhoto", func(ctx context.Context) (*models.Message, error) {
			return s.client.SendPhoto(ctx, &tg.SendPhotoParams{
				ChatID: m.ChatID, MessageThreadID: m.ThreadID, Photo: m.Photo.upload(), Caption: p.text, CaptionEntities: p.entities,
				DisableNotification: m.Silent, ReplyMarkup: m.markup(p), ReplyParameters: m.reply(p),
			})
		}
	case p.file:
		return "sendDocument", func(ctx context.Context) (*models.Message, error) {
			return s.client.SendDocument(ctx, &tg.SendDocumentParams{
				ChatID: m.ChatID, MessageThreadID: m.ThreadID, Document: m.Document.upload(), Caption: p.text, CaptionEntities: p.entities,
				DisableNotification: m.Silent, ReplyMarkup: m.markup(p), ReplyParameters: m.reply(p),
			})
		}
	}
	return "sendMessage", func(ctx context.Context) (*models.Message, error) {
		return s.client.SendMessage(ctx, &tg.SendMessageParams{
			ChatID: m.ChatID, MessageThreadID: m.ThreadID, Text: p.text, Entities: p.entities, LinkPreviewOptions: noPreview(),
			DisableNotification: m.Silent, ReplyMarkup: m.markup(p), ReplyParameters: m.reply(p),
		})
	}
}

// editPart puts a part of m in the place of a message's text.
func (s *Sender) editPart(ctx context.Context, messageID int, m *Message, p part) error {
	params := &tg.EditMessageTextParams{
		ChatID: m.ChatID, MessageID: messageID, Text: p.text, Entities: p.entities, LinkPreviewOptions: noPreview(),
	}
	if p.last && m.Keyboard != nil {
		params.ReplyMarkup = m.Keyboard
	}
	return s.persistEdit(ctx, m.ChatID, "editMessageText", func(ctx context.Context) error {
		_, err := s.client.EditMessageText(ctx, params)
		if refusedFor(err, "can't parse entities") && params.Entities != nil {
			params.Entities = nil
			_, err = s.client.EditMessageText(ctx, params)
		}
		return err
	})
}

// editPhoto puts m's picture and a caption in the place of a message's.
func (s *Sender) editPhoto(ctx context.Context, messageID int, m *Message, p part) error {
	if m.Photo == nil {
		return errNotAPhoto
	}
	return s.persistEdit(ctx, m.ChatID, "editMessageMedia", func(ctx context.Context) error {
		params := &tg.EditMessageMediaParams{
			ChatID: m.ChatID, MessageID: messageID, Media: &models.InputMediaPhoto{
				Media: attached + m.Photo.Name, MediaAttachment: bytes.NewReader(m.Photo.Data),
				Caption: p.text, CaptionEntities: p.entities,
			},
		}
		if m.Keyboard != nil {
			params.ReplyMarkup = m.Keyboard
		}
		_, err := s.client.EditMessageMedia(ctx, params)
		return err
	})
}

// persistEdit is persist for a call to which it is no fault that nothing changes.
func (s *Sender) persistEdit(ctx context.Context, chat int64, method string, call func(context.Context) error) error {
	return s.persist(ctx, chat, method, func(ctx context.Context) error {
		err := call(ctx)
		if refusedFor(err, "message is not modified") {
			return nil
		}
		return err
	})
}

func noPreview() *models.LinkPreviewOptions {
	disabled := true
	return &models.LinkPreviewOptions{IsDisabled: &disabled}
}

// refused tells whether Telegram found fault with a call itself.
func refused(err error) bool {
	var api *APIError
	return errors.As(err, &api) && api.Code == http.StatusBadRequest
}

// refusedFor tells whether Telegram refused a call with these words.
func refusedFor(err error, words string) bool {
	var api *APIError
	return errors.As(err, &api) && api.Code == http.StatusBadRequest && strings.Contains(api.Description, words)
}

func migration(err error) int64 {
	var api *APIError
	if errors.As(err, &api) {
		return api.MigrateTo
	}
	return 0
}

// clipUnits cuts text to at most n UTF-16 units, between characters.
func clipUnits(text string, n int) string {
	for i, r := range text {
		if n -= utf16.RuneLen(r); n < 0 {
			return text[:i]
		}
	}
	return text
}
