package people

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// Buttons of a deletion: this and an account's id, or a word.
const (
	buttonDelete = "delete:"
	deleteKeep   = "keep"
)

// DeleteAccount says what would be lost, and asks.
func (r *Room) DeleteAccount(ctx context.Context, q hall.Request) error {
	account, err := r.Accounts.ByTelegram(ctx, q.From.ID)
	if errors.Is(err, billing.ErrAccountUnknown) {
		return r.Say(ctx, q, q.Voice.Say("leave.nothing"))
	}
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	text := q.Voice.Say("leave.ask", "balance", hall.Dollars(account.Available))
	gifts, err := r.Gifts.Open(ctx, account.ID)
	if err != nil {
		return err
	}
	if len(gifts) > 0 {
		text += q.Voice.Say("leave.gifts")
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: text,
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{
			{{Text: q.Voice.Say("leave.delete"), CallbackData: buttonDelete + strconv.FormatInt(account.ID, 10)}},
			{{Text: q.Voice.Say("leave.keep"), CallbackData: buttonDelete + deleteKeep}},
		}}})
	return err
}

// pressDelete deletes the account that the person was asked about, or lets it be. It
// opens none: pressed again, or after a crash, there is nothing left to delete.
func (r *Room) pressDelete(ctx context.Context, p hall.Press) error {
	text := p.Voice.Say("leave.kept")
	if p.Data != deleteKeep {
		text = p.Voice.Say("leave.done")
		account, err := r.Accounts.ByTelegram(ctx, p.From.ID)
		switch {
		case errors.Is(err, billing.ErrAccountUnknown):
		case err != nil:
			return fmt.Errorf("account: %w", err)
		case p.Data != strconv.FormatInt(account.ID, 10):
			text = p.Voice.Say("leave.nothing") // a button of an earlier account
		default:
			if err := r.depart(ctx, p.Request, account.ID); err != nil {
				return err
			}
		}
	}
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	if p.Shown == nil {
		return r.Say(ctx, p.Request, text)
	}
	return r.Sender.Edit(ctx, p.Shown.ID, bot.Message{ChatID: p.Chat.ID, Text: text})
}

// depart ends what Telegram would go on charging for, forgets the conversation and
// closes the account.
func (r *Room) depart(ctx context.Context, q hall.Request, account int64) error {
	s, found, err := r.Payments.Subscription(ctx, account)
	if err != nil {
		return err
	}
	if found && s.Running() {
		if err := r.Sender.CancelSubscription(ctx, q.From.ID, s.ChargeID, true); hall.Refused(err) {
			r.Log.WarnContext(ctx, "subscription of an account to be deleted not cancelled", "account_id", account, "error", err)
		} else if err != nil {
			return err
		}
	}
	if err := r.chats.ForgetChat(ctx, q.Chat.ID); err != nil {
		return err
	}
	if err := r.Accounts.Close(ctx, account, billing.OfAccount(account)); err != nil {
		return err
	}
	return r.ForgetPerson(ctx, q.From.ID, account)
}
