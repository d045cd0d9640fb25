package handlers

import (
	"context"
	"slices"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/talk"
)

// buttons are what all rooms put under messages.
func (r *Router) buttons() []hall.Button {
	return slices.Concat(r.Till.Buttons(), r.Talk.Buttons(), r.People.Buttons())
}

// press finds what a button does. One that nobody knows any more does nothing, and one
// pressed too soon says how long to wait: its query is answered in any case.
func (r *Router) press(ctx context.Context, u *bot.Update) error {
	query := u.CallbackQuery
	p := hall.Press{Of: u, Query: query, Shown: query.Message.Message, Request: hall.Request{Update: u.ID, From: query.From}}
	if p.Shown != nil {
		p.Chat, p.Thread = p.Shown.Chat, p.Shown.MessageThreadID
	} else {
		p.Chat = models.Chat{ID: query.From.ID, Type: models.ChatTypePrivate}
	}
	if data, found := strings.CutPrefix(query.Data, talk.ButtonStop); found { // which waits for nothing and passes every limit
		p.Data = data
		return r.Talk.PressStop(ctx, p)
	}
	p.Request = r.Addressed(ctx, p.Request)
	if data, found := strings.CutPrefix(query.Data, talk.ButtonAnew); found && u.Deferred {
		p.Data = data
		return r.Talk.Anew(ctx, p)
	}
	if data, found := strings.CutPrefix(query.Data, talk.ButtonInline); found && u.Deferred {
		p.Data = data
		return r.Talk.PressInline(ctx, p)
	}
	for _, b := range r.buttons() {
		rest, found := strings.CutPrefix(query.Data, b.Name)
		if !found || rest != "" && !strings.HasSuffix(b.Name, ":") {
			continue
		}
		p.Data = rest
		wait, err := r.Admit(ctx, p.Request)
		if err != nil {
			return err
		}
		if wait > 0 {
			return r.Sender.AnswerCallback(ctx, query.ID, p.Voice.Say("command.too_fast", "wait", hall.InWords(p.Voice, wait)))
		}
		return r.Owe(p.Request, b.Do(ctx, p))
	}
	return r.Sender.AnswerCallback(ctx, query.ID, "")
}
