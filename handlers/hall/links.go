package hall

import (
	"context"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
)

// Payloads of /start that buttons and links carry.
const (
	StartTopUp = "topup"
	startGroup = "group" // of the button for those without an account
)

// StartLink opens the chat with this bot and tells it so much.
func (h *Hall) StartLink(payload string) string {
	return "https://t.me/" + h.Username + "?start=" + payload
}

// SayInGroup says something with a button that goes on in private.
func (h *Hall) SayInGroup(ctx context.Context, q Request, text, label string) error {
	_, err := h.Sender.Send(ctx, bot.Message{
		ChatID: q.Chat.ID, ThreadID: q.Thread, ReplyTo: q.ReplyTo, Text: text, Keyboard: h.Privately(label, startGroup),
	})
	return err
}

// Privately is a button that opens the chat with this bot.
func (h *Hall) Privately(label, payload string) *models.InlineKeyboardMarkup {
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{Text: label, URL: h.StartLink(payload)}}}}
}
