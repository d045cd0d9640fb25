package handlers

import (
	"context"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// app opens the Mini App, where it is served.
func (r *Router) app(ctx context.Context, q hall.Request) error {
	address := ""
	if r.App != nil {
		address = r.App(ctx)
	}
	if address == "" {
		return r.Say(ctx, q, q.Voice.Say("app.none"))
	}
	_, err := r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: q.Voice.Say("app.text"),
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
			{Text: q.Voice.Say("app.button"), WebApp: &models.WebAppInfo{URL: address}}}}}})
	return err
}
