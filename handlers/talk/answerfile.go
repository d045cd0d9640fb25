package talk

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/handlers/hall"
)

const (
	// buttonFile begins the data of the button under a long answer; its turn follows.
	buttonFile   = "file:"
	messagesMost = 3   // of one answer; a longer one is offered as a file, or comes as one
	excerptMost  = 600 // units of an answer under its file
	answerFile   = "kikuai-answer.md"
)

// long tells whether an answer takes more messages than anybody likes to scroll.
func long(t format.Text) bool { return len(t.Split(format.MessageMost)) > messagesMost }

// document is an answer as a file, in the model's Markdown.
func document(answer string) *bot.File {
	return &bot.File{Name: answerFile, Data: []byte(strings.TrimSpace(answer) + "\n")}
}

// excerpt is the beginning of a long answer, and where the rest is.
func excerpt(q hall.Request, t format.Text) format.Text {
	return t.Split(excerptMost)[0].Append(format.Text{String: " …\n\n" + q.Voice.Say("answer.in_file")})
}

// fileButton offers the answer of a turn as a file.
func fileButton(q hall.Request, turn int64) *models.InlineKeyboardMarkup {
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{
		Text: q.Voice.Say("answer.as_file"), CallbackData: buttonFile + strconv.FormatInt(turn, 10),
	}}}}
}

// pressFile sends an answer as a file, under its message.
func (r *Room) pressFile(ctx context.Context, p hall.Press) error {
	o, found, err := r.outcomeOf(ctx, p)
	if err != nil {
		return err
	}
	if !found {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, p.Voice.Say("answer.gone"))
	}
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	m := bot.Message{ChatID: p.Chat.ID, ThreadID: p.Thread, Document: document(o.Text)}
	if p.Shown != nil {
		m.ReplyTo = p.Shown.ID
	}
	_, err = r.Sender.Send(ctx, m)
	return err
}

// outcomeOf finds what the turn that a button names came to, in the button's own chat.
func (r *Room) outcomeOf(ctx context.Context, p hall.Press) (o outcome, found bool, err error) {
	turn, err := strconv.ParseInt(p.Data, 10, 64)
	if err != nil {
		return o, false, nil //nolint:nilerr // a button that was made up has no answer
	}
	stored, found, err := r.Effect(ctx, p.Chat.ID, turn)
	if err != nil || !found {
		return o, false, err
	}
	if err := json.Unmarshal([]byte(stored), &o); err != nil {
		return o, false, fmt.Errorf("effect of update %d: %w", turn, err)
	}
	return o, o.Text != "", nil
}
