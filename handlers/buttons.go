package handlers

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
)

// pressed is a button that somebody pressed.
type pressed struct {
	request
	query *models.CallbackQuery
	data  string          // what follows the button's name
	shown *models.Message // under which it is; nil: too old for Telegram to say
}

// button is what a pressed button does; it must answer the query, whatever happens,
// or the person's client shows it as still working.
type button struct {
	name string // the data is this, or begins so where it ends with a colon
	do   func(context.Context, pressed) error
}

func (r *Router) buttons() []button {
	return []button{
		{revokePrefix, r.pressRevoke},
		{buttonTopUp, r.pressTopUp},
		{buttonAmount, r.pressTopUp},
		{buttonMonthly, r.pressMonthly},
		{buttonSubscription, r.pressSubscription},
		{buttonUsage, r.pressUsage},
		{buttonDelete, r.pressDelete},
	}
}

// press finds what a button does. One that nobody knows any more does nothing, and one
// pressed too soon says how long to wait: its query is answered in any case.
func (r *Router) press(ctx context.Context, u *bot.Update) error {
	query := u.CallbackQuery
	p := pressed{query: query, shown: query.Message.Message, request: request{update: u.ID, from: query.From}}
	if p.shown != nil {
		p.chat, p.thread = p.shown.Chat, p.shown.MessageThreadID
	} else {
		p.chat = models.Chat{ID: query.From.ID, Type: models.ChatTypePrivate}
	}
	for _, b := range r.buttons() {
		rest, found := strings.CutPrefix(query.Data, b.name)
		if !found || rest != "" && !strings.HasSuffix(b.name, ":") {
			continue
		}
		p.data = rest
		wait, err := r.admit(ctx, p.request)
		if err != nil {
			return err
		}
		if wait > 0 {
			return r.Sender.AnswerCallback(ctx, query.ID, fmt.Sprintf(textTooFast, inWords(wait)))
		}
		return r.owe(p.request, b.do(ctx, p))
	}
	return r.Sender.AnswerCallback(ctx, query.ID, "")
}
