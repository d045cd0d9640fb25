package hall

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// ProfileOf is what an update tells of the person it is from.
func ProfileOf(q Request) billing.Profile {
	return billing.Profile{
		TelegramID: q.From.ID,
		Name:       strings.TrimSpace(q.From.FirstName + " " + q.From.LastName),
		Language:   q.From.LanguageCode,
	}.Clean()
}

// Met notes what an account has of its owner by now.
func (h *Hall) Met(ctx context.Context, p billing.Profile) {
	if h.kept == nil {
		return
	}
	if err := h.kept.profiles.Put(ctx, profileKey(p.TelegramID), p); err != nil {
		h.Log.DebugContext(ctx, "profile not told to all instances yet", "error", err)
	}
}

// Request is one message or button press, with whom it is from.
type Request struct {
	Update int64
	Chat   models.Chat
	Thread int
	From   models.User
	Args   string
	// ReplyTo is the message that asks, where others write, too: in a group; else 0.
	ReplyTo int

	Settings billing.Settings // of whom it is from; shared, not to be changed
	Voice    texts.Voice      // in which they are spoken to
}

// Private tells whether nobody else reads along.
func (q Request) Private() bool { return q.Chat.Type == models.ChatTypePrivate }

// Account returns the sender's account, opening it on first contact.
func (h *Hall) Account(ctx context.Context, q Request) (billing.Account, error) {
	account, err := h.Accounts.ByTelegram(ctx, q.From.ID)
	if errors.Is(err, billing.ErrAccountUnknown) {
		account, _, err = h.Open(ctx, q)
	}
	noteAccount(ctx, account, err)
	return account, err
}

// noteAccount lets the log lines of the update tell whose it is.
func noteAccount(ctx context.Context, account billing.Account, err error) {
	if err == nil {
		telemetry.Note(ctx, slog.Int64("account_id", account.ID))
	}
}

// Payer is account, but in a group opens none.
func (h *Hall) Payer(ctx context.Context, q Request) (billing.Account, error) {
	if q.Private() {
		return h.Account(ctx, q)
	}
	account, err := h.Accounts.ByTelegram(ctx, q.From.ID)
	noteAccount(ctx, account, err)
	return account, err
}

// Open opens the account of whom a request is from, and tells whether there was none.
func (h *Hall) Open(ctx context.Context, q Request) (billing.Account, bool, error) {
	profile := ProfileOf(q)
	account, created, err := h.Accounts.Open(ctx, profile)
	if err == nil {
		h.Met(ctx, profile)
	}
	return account, created, err
}

// Say sends one message of ours into the request's chat.
func (h *Hall) Say(ctx context.Context, q Request, text string) error {
	_, err := h.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, ReplyTo: q.ReplyTo, Text: text})
	return err
}
