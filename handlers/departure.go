package handlers

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
)

// Buttons of a deletion: this and an account's id, or a word.
const (
	buttonDelete = "delete:"
	deleteKeep   = "keep"
)

// deleteAccount says what would be lost, and asks.
func (r *Router) deleteAccount(ctx context.Context, q request) error {
	account, err := r.Accounts.ByTelegram(ctx, q.from.ID)
	if errors.Is(err, billing.ErrAccountUnknown) {
		return r.say(ctx, q, textNothingToDelete)
	}
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	text := fmt.Sprintf(textDelete, dollars(account.Available))
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.chat.ID, ThreadID: q.thread, Text: text,
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{
			{{Text: "Delete my account", CallbackData: buttonDelete + strconv.FormatInt(account.ID, 10)}},
			{{Text: "Keep it", CallbackData: buttonDelete + deleteKeep}},
		}}})
	return err
}

// pressDelete deletes the account that the person was asked about, or lets it be. It
// opens none: pressed again, or after a crash, there is nothing left to delete.
func (r *Router) pressDelete(ctx context.Context, p pressed) error {
	text := textKept
	if p.data != deleteKeep {
		text = textDeleted
		account, err := r.Accounts.ByTelegram(ctx, p.from.ID)
		switch {
		case errors.Is(err, billing.ErrAccountUnknown):
		case err != nil:
			return fmt.Errorf("account: %w", err)
		case p.data != strconv.FormatInt(account.ID, 10):
			text = textNothingToDelete // a button of an earlier account
		default:
			if err := r.depart(ctx, p.request, account.ID); err != nil {
				return err
			}
		}
	}
	if err := r.Sender.AnswerCallback(ctx, p.query.ID, ""); err != nil {
		return err
	}
	if p.shown == nil {
		return r.say(ctx, p.request, text)
	}
	return r.Sender.Edit(ctx, p.shown.ID, bot.Message{ChatID: p.chat.ID, Text: text})
}

// depart ends what Telegram would go on charging for, forgets the conversation and
// closes the account.
func (r *Router) depart(ctx context.Context, q request, account int64) error {
	s, found, err := r.Payments.Subscription(ctx, account)
	if err != nil {
		return err
	}
	if found && s.Running() {
		if err := r.Sender.CancelSubscription(ctx, q.from.ID, s.ChargeID, true); refused(err) {
			r.Log.WarnContext(ctx, "subscription of an account to be deleted not cancelled", "account_id", account, "error", err)
		} else if err != nil {
			return err
		}
	}
	if err := r.turns.Forget(ctx, q.chat.ID); err != nil {
		return err
	}
	if err := r.Accounts.Close(ctx, account, billing.OfAccount(account)); err != nil {
		return err
	}
	return r.forgetPerson(ctx, q.from.ID, account)
}
