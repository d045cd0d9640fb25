package bot

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	callTries       = 4
	firstRetry      = 300 * time.Millisecond
	callbackTextMax = 200 // characters Telegram takes in an answer to a button
)

// errEmptyText is a message with nothing to show; Telegram refuses those.
var errEmptyText = errors.New("bot: message without text")

// Message is one message of ours. Text of any length is split; Entities count in
// UTF-16 units of the whole text; Keyboard goes under the last part.
type Message struct {
	ChatID   int64
	ThreadID int // topic; 0 for none
	Text     string
	Entities []models.MessageEntity
	Keyboard *models.InlineKeyboardMarkup
	ReplyTo  int  // message id; 0 for none, and none if that message is gone
	Silent   bool // without a sound
	// AskReply opens the person's answer to this message, with these words in its field;
	// empty: it does not. It has no Keyboard then.
	AskReply string
}

// SenderOptions are what [NewSender] needs.
type SenderOptions struct {
	Client     *tg.Bot // of [NewClient]
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Sender sends messages to Telegram: in order within a chat, at Telegram's pace, and
// again where that helps. Its errors are, or wrap, an [*APIError]. It has no goroutines
// of its own.
type Sender struct {
	client *tg.Bot
	log    *slog.Logger
	chats  *chats
	pace   *pacer
	retry  time.Duration // first pause between tries of a call

	frameEvery      time.Duration // between two frames of one answer
	groupFrameEvery time.Duration

	calls  *prometheus.CounterVec
	frames *prometheus.CounterVec
}

// NewSender returns a sender that calls by way of o.Client.
func NewSender(o SenderOptions) *Sender {
	metrics := promauto.With(o.Registerer)
	return &Sender{
		client:          o.Client,
		log:             o.Log,
		chats:           newChats(time.Now),
		pace:            newPacer(time.Now),
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
// fits into one message. A message that says the same already is no error.
func (s *Sender) Edit(ctx context.Context, messageID int, m Message) error {
	return s.inTurn(ctx, m.ChatID, func() error {
		parts := split(strings.ToValidUTF8(m.Text, "\uFFFD"), messageMost)
		if len(parts) == 0 {
			return errEmptyText
		}
		return s.editPart(ctx, messageID, &m, parts[0], true)
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
			CallbackQueryID: queryID, Text: clipRunes(text, callbackTextMax),
		})
		if refusedFor(err, "query is too old") || refusedFor(err, "query ID is invalid") {
			return nil
		}
		return err
	})
}

// Heard tells that something came from the chat, so that it can be reached after all.
func (s *Sender) Heard(chatID int64) { s.chats.unblock(chatID) }

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
	parts := split(strings.ToValidUTF8(m.Text, "\uFFFD"), messageMost)
	if len(parts) == 0 {
		return 0, errEmptyText
	}
	for i, p := range parts {
		last := i == len(parts)-1
		if i == 0 && frame != 0 {
			err = s.editPart(ctx, frame, m, p, last)
			if !refusedFor(err, "message to edit not found") && !refusedFor(err, "message can't be edited") {
				if id = frame; err != nil {
					return 0, err
				}
				continue
			}
		}
		if id, err = s.sendPart(ctx, m, p, i == 0, last); err != nil {
			return 0, err
		}
	}
	return id, nil
}

func (s *Sender) sendPart(ctx context.Context, m *Message, p part, first, last bool) (id int, err error) {
	params := &tg.SendMessageParams{
		ChatID: m.ChatID, MessageThreadID: m.ThreadID, Text: p.text, Entities: entitiesOf(m.Entities, p),
		DisableNotification: m.Silent, LinkPreviewOptions: noPreview(),
	}
	switch {
	case last && m.AskReply != "":
		params.ReplyMarkup = &models.ForceReply{ForceReply: true, InputFieldPlaceholder: m.AskReply}
	case last && m.Keyboard != nil:
		params.ReplyMarkup = m.Keyboard
	}
	if first && m.ReplyTo != 0 {
		params.ReplyParameters = &models.ReplyParameters{MessageID: m.ReplyTo, AllowSendingWithoutReply: true}
	}
	err = s.persist(ctx, m.ChatID, "sendMessage", func(ctx context.Context) error {
		sent, err := s.client.SendMessage(ctx, params)
		if refusedFor(err, "can't parse entities") && params.Entities != nil {
			params.Entities = nil
			sent, err = s.client.SendMessage(ctx, params)
		}
		if to := migration(err); to != 0 {
			params.ChatID, m.ChatID = to, to
			sent, err = s.client.SendMessage(ctx, params)
		}
		if err == nil {
			id = sent.ID
		}
		return err
	})
	return id, err
}

func (s *Sender) editPart(ctx context.Context, messageID int, m *Message, p part, last bool) error {
	params := &tg.EditMessageTextParams{
		ChatID: m.ChatID, MessageID: messageID, Text: p.text, Entities: entitiesOf(m.Entities, p), LinkPreviewOptions: noPreview(),
	}
	if last && m.Keyboard != nil {
		params.ReplyMarkup = m.Keyboard
	}
	return s.persist(ctx, m.ChatID, "editMessageText", func(ctx context.Context) error {
		_, err := s.client.EditMessageText(ctx, params)
		if refusedFor(err, "can't parse entities") && params.Entities != nil {
			params.Entities = nil
			_, err = s.client.EditMessageText(ctx, params)
		}
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

// clipRunes cuts text to at most n characters.
func clipRunes(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
