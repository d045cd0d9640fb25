package talk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/llm"
)

// Inline mode: what somebody types behind the bot's name in any chat is offered as one
// result, "Ask". Typing costs nothing; the question is asked once that is chosen, of which
// Telegram tells, and its answer takes the message's place. Where Telegram does not tell
// (the bot's inline feedback is off) the button under the message asks.

// ButtonInline begins a button's data; the asker's id and a mark of the question follow.
const ButtonInline = "inline:"

const (
	startInline = "inline" // what the button for those without an account starts the bot with
	inlineChat  = "inline" // in place of a chat's type: others read along

	inlineLeast  = 2           // characters that may be a question
	inlineOutput = 400         // tokens of an answer, at most
	inlineADay   = 500_000_000 // nano-USD that somebody spends so in a day, but for the last answer
	inlineLife   = time.Hour   // of a question that was offered, and of an answer for asking the same again
	inlineTitle  = 64          // characters of the question in the result's title
)

// inlineOutcome is what a question that was asked inline came to.
type inlineOutcome struct {
	Text string `json:"text,omitempty"` // in the model's Markdown
	Cost int64  `json:"cost,omitempty"` // nano-USD
	Said string `json:"said,omitempty"` // in place of an answer
}

// InlineQuery offers to ask what somebody types.
func (r *Room) InlineQuery(ctx context.Context, u *bot.Update) error {
	typed := u.InlineQuery
	if typed.From == nil || typed.From.IsBot {
		return nil
	}
	q := r.Addressed(ctx, inlineRequest(u.ID, *typed.From))
	_, err := r.Accounts.ByTelegram(ctx, q.From.ID)
	switch {
	case errors.Is(err, billing.ErrAccountUnknown):
		return r.Sender.AnswerInline(ctx, typed.ID, &models.InlineQueryResultsButton{Text: q.Voice.Say("inline.start"), StartParameter: startInline})
	case err != nil:
		return fmt.Errorf("account: %w", err)
	}
	question := strings.TrimSpace(typed.Query)
	if utf8.RuneCountInString(question) < inlineLeast {
		return r.Sender.AnswerInline(ctx, typed.ID, nil)
	}
	mark := markOf(question)
	if err := r.turns.Offer(ctx, q.From.ID, mark, question); err != nil {
		return err
	}
	shown := format.Quote(question).Append(format.Plain("…"))
	return r.Sender.AnswerInline(ctx, typed.ID, nil, &models.InlineQueryResultArticle{
		ID: mark, Title: q.Voice.Say("inline.ask", "question", format.Plain(question).Split(inlineTitle)[0].String),
		Description:         q.Voice.Say("inline.about", "model", r.chatModel(talk{}, q.Settings)),
		InputMessageContent: models.InputTextMessageContent{MessageText: shown.String, Entities: shown.Entities},
		ReplyMarkup: models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{
			Text: q.Voice.Say("inline.button"), CallbackData: ButtonInline + strconv.FormatInt(q.From.ID, 10) + ":" + mark,
		}}}},
	})
}

// IsInlineMessage tells whether a message was sent through the bot: where the bot is, in the
// chat with itself above all, it gets that as well.
func (r *Room) IsInlineMessage(m *models.Message) bool {
	return m.ViaBot != nil && m.ViaBot.ID == r.BotID
}

// inlineRequest is what somebody asks where the bot is not.
func inlineRequest(update int64, from models.User) hall.Request {
	return hall.Request{Update: update, Chat: models.Chat{ID: from.ID, Type: inlineChat}, From: from}
}

// markOf stands for a question in a button.
func markOf(question string) string {
	sum := sha256.Sum256([]byte(question))
	return hex.EncodeToString(sum[:8])
}

// InlineChosen asks the question that somebody sent.
func (r *Room) InlineChosen(ctx context.Context, u *bot.Update) error {
	chosen := u.ChosenInlineResult
	question := strings.TrimSpace(chosen.Query)
	if chosen.InlineMessageID == "" || question == "" {
		return nil
	}
	return r.inlineAnswer(ctx, r.Addressed(ctx, inlineRequest(u.ID, chosen.From)), chosen.InlineMessageID, question)
}

// PressInline asks the question of a message that nobody was told of. It is the asker's to
// press, and goes behind what is told of them.
func (r *Room) PressInline(ctx context.Context, p hall.Press) error {
	asker, mark, _ := strings.Cut(p.Data, ":")
	switch {
	case p.Query.InlineMessageID == "":
		return r.Sender.AnswerCallback(ctx, p.Query.ID, "")
	case asker != strconv.FormatInt(p.From.ID, 10):
		return r.Sender.AnswerCallback(ctx, p.Query.ID, p.Voice.Say("inline.not_yours"))
	case !p.Of.Deferred:
		if err := r.Later.Defer(ctx, p.Of); err != nil {
			return err
		}
		return r.Sender.AnswerCallback(ctx, p.Query.ID, "")
	}
	question, err := r.turns.Offered(ctx, p.From.ID, mark)
	if err != nil || question == "" {
		return err
	}
	p.Chat.Type = inlineChat
	return r.inlineAnswer(ctx, p.Request, p.Query.InlineMessageID, question)
}

// inlineAnswer answers a question in the place of the message that asks it. Both ways to
// ask lead here one after another, and the message is what is answered and paid for once.
func (r *Room) inlineAnswer(ctx context.Context, q hall.Request, message, question string) error {
	o, found, err := r.turns.InlineOutcome(ctx, q.From.ID, message)
	if err != nil {
		return err
	}
	if !found {
		if o, err = r.inlineAsk(ctx, q, message, question); err != nil {
			return err
		}
	}
	shown := format.Plain(o.Said)
	if o.Said == "" {
		shown = format.Markdown(o.Text)
		if !q.Settings.HideCost && !shown.Blank() {
			shown = shown.Append(format.Text{String: q.Voice.Say("group.footer", "cost", hall.Dollars(o.Cost))})
		}
	}
	if shown.Blank() {
		shown = format.Plain(q.Voice.Say("chat.empty"))
	}
	return r.Sender.EditInline(ctx, message, format.Quote(question).Append(shown))
}

// inlineAsk asks the model, unless it answered the same person the same within the hour,
// and remembers what came of it.
func (r *Room) inlineAsk(ctx context.Context, q hall.Request, message, question string) (o inlineOutcome, err error) {
	account, err := r.Accounts.ByTelegram(ctx, q.From.ID)
	if errors.Is(err, billing.ErrAccountUnknown) {
		return inlineOutcome{Said: q.Voice.Say("inline.start")}, nil
	}
	if err != nil {
		return o, fmt.Errorf("account: %w", err)
	}
	model := r.chatModel(talk{}, q.Settings)
	same := markOf(model + "\n" + q.Settings.Persona + "\n" + question)
	text, spent, err := r.turns.InlineBefore(ctx, q.From.ID, r.inlineDay(), same)
	if err != nil {
		return o, err
	}
	switch {
	case text != "":
		o.Text = text
	case spent >= inlineADay:
		return inlineOutcome{Said: q.Voice.Say("inline.enough")}, nil
	default:
		answer, err := r.Completer.Complete(ctx, llm.ChatCall{
			AccountID: account.ID, HoldID: "tg-inline-" + markOf(message), LimitScope: "account", LimitID: strconv.FormatInt(account.ID, 10),
			Model: model, MaxOutput: min(r.MaxOutput, inlineOutput),
			Messages: inlinePrompt(q.Settings.Persona, question),
		}, func(string) error { return nil })
		if err != nil && (answer.Text == "" || errors.Is(err, billing.ErrClosed)) {
			sentence, known := r.explain(q, err)
			if !known || ctx.Err() != nil {
				return o, err
			}
			if sentence == "" {
				sentence = q.Voice.Say("inline.later")
			}
			return inlineOutcome{Said: sentence}, nil
		}
		o.Text, o.Cost = answer.Text, answer.CostNano
		r.SpentMore(ctx, account.ID)
	}
	return o, r.turns.RememberInline(ctx, q.From.ID, message, r.inlineDay(), same, o)
}

func (r *Room) inlineDay() string { return r.Now().UTC().Format(time.DateOnly) }
