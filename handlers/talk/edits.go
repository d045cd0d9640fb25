package talk

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/go-telegram/bot/models"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// ButtonAnew begins a button's data; the id of the message that was edited follows.
const ButtonAnew = "anew:"

const editLife = 24 * time.Hour // of an offer to answer an edited message anew

// later puts an update behind what its chat has waiting.
type later interface {
	Defer(ctx context.Context, u *bot.Update) error
}

// Edited offers to answer anew where the message was a question that the conversation
// still knows.
func (r *Room) Edited(ctx context.Context, u *bot.Update) error {
	m := u.EditedMessage
	if m.From == nil || m.From.IsBot || m.Chat.Type != models.ChatTypePrivate {
		return nil
	}
	q := hall.Request{Update: u.ID, Chat: m.Chat, Thread: m.MessageThreadID, From: *m.From}
	k, err := r.turns.Talk(ctx, topic{q.Chat.ID, q.Thread})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(k.exchanges, func(e exchange) bool { return slices.Contains(e.Asked, m.ID) }) {
		return nil
	}
	offered, err := r.turns.Edited(ctx, q.Chat.ID, m.ID, u.Raw)
	if err != nil || offered {
		return err
	}
	q = r.Addressed(ctx, q)
	_, err = r.Sender.Send(ctx, bot.Message{
		ChatID: q.Chat.ID, ThreadID: q.Thread, ReplyTo: m.ID, Silent: true, Text: q.Voice.Say("talk.edited"),
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
			{Text: q.Voice.Say("talk.anew"), CallbackData: ButtonAnew + strconv.Itoa(m.ID)},
		}}},
	})
	return err
}

// pressAnew answers the press at once; the question is asked in the chat's turn.
func (r *Room) pressAnew(ctx context.Context, p hall.Press) error {
	if err := r.Later.Defer(ctx, p.Of); err != nil {
		return err
	}
	return r.Sender.AnswerCallback(ctx, p.Query.ID, "")
}

// Anew asks an edited message as it is by now, once. Where it was the latest question, the
// answer takes the place of the one before in the conversation.
func (r *Room) Anew(ctx context.Context, p hall.Press) error {
	message, err := strconv.Atoi(p.Data)
	if err != nil {
		return nil //nolint:nilerr // a button that was made up asks nothing
	}
	t := r.newTurn(p.Request)
	t.again, t.edited = true, message
	return r.take(ctx, t, func(ctx context.Context, t *turn) (string, error) {
		raw, err := r.turns.Edit(ctx, t.Chat.ID, message)
		if err != nil {
			return "", err
		}
		if raw == nil {
			return t.Voice.Say("talk.edit_gone"), nil
		}
		if t.pieces, err = piecesOf([][]byte{raw}); err != nil {
			return "", err
		}
		if from := t.pieces[0].Message.From; from == nil || from.ID != t.From.ID {
			return t.Voice.Say("talk.edit_gone"), nil
		}
		if n := len(t.before.exchanges); n > 0 && slices.Contains(t.before.exchanges[n-1].Asked, message) {
			t.replace(t.before.exchanges[n-1].Turn)
		}
		return "", nil
	})
}

// Edited keeps an edited message's newest text, and tells whether an answer to it was
// offered before, by another update.
func (c conversations) Edited(ctx context.Context, chat int64, message int, raw []byte) (offered bool, err error) {
	before, err := c.redis.SetArgs(ctx, editKey(chat, message), raw, redis.SetArgs{Get: true, TTL: editLife}).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, hall.Away("edited message", err)
	}
	return before != string(raw), nil
}

// Edit returns an edited message's newest text as it came; nil where it was answered or is
// too old.
func (c conversations) Edit(ctx context.Context, chat int64, message int) ([]byte, error) {
	raw, err := c.redis.Get(ctx, editKey(chat, message)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, hall.Away("edited message", err)
	}
	return raw, nil
}
