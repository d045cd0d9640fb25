package till

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/failpoint"
)

const (
	noticesAtOnce = 25
	noticeIn      = 20 * time.Second // for one; it is claimed for half a minute at least
	noticesIn     = 30 * time.Second // to begin the last of those claimed at once
	noticeLater   = 5 * time.Minute
	nanoPerCent   = billing.NanoPerUSD / 100
	starSign      = "⭐ "
	lowLife       = 24 * time.Hour // a warning that comes later would be wrong
)

// SendNotices tells account owners what is to be told them, until nothing is due.
func (r *Room) SendNotices(ctx context.Context) error {
	for {
		claimed := time.Now()
		due, err := r.Notices.Claim(ctx, noticesAtOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, n := range due {
			if time.Since(claimed) > noticesIn {
				return nil // Telegram is slow: the rest falls due again
			}
			if err := r.sendNotice(ctx, n, r.Sender.SendUnasked); err != nil {
				return err
			}
		}
	}
}

// tell sends one notice at once, if nobody else is about to. Where that fails, the
// schedule comes to it.
func (r *Room) tell(ctx context.Context, uniqueKey string) {
	due, err := r.Notices.ClaimOne(ctx, uniqueKey)
	for _, n := range due {
		err = errors.Join(err, r.sendNotice(ctx, n, r.Sender.Send))
	}
	if err != nil {
		r.Log.WarnContext(ctx, "notice left to the schedule", "error", err)
	}
}

// sendNotice sends a claimed notice and marks it. Nobody to tell, and a chat that
// cannot be reached or refuses the words, count as told.
func (r *Room) sendNotice(ctx context.Context, n billing.DueNotice, send func(context.Context, bot.Message) (int, error)) error {
	text, keyboard, err := r.noticeText(ctx, n)
	if err != nil {
		r.Log.ErrorContext(ctx, "notice that cannot be read", "notice", n.ID, "kind", n.Kind, "error", err)
		return r.Notices.Sent(ctx, n.ID)
	}
	if n.TelegramID == 0 || text == "" {
		return r.Notices.Sent(ctx, n.ID)
	}
	within, cancel := context.WithTimeout(ctx, noticeIn)
	defer cancel()
	_, err = send(within, bot.Message{ChatID: n.TelegramID, Text: text, Keyboard: keyboard})
	switch {
	case err == nil:
		failpoint.Here("notices.sent")
		return r.Notices.Sent(ctx, n.ID)
	case errors.Is(err, bot.ErrBlocked), hall.Refused(err):
		r.Log.InfoContext(ctx, "notice not taken", "notice", n.ID, "kind", n.Kind, "error", err)
		return r.Notices.Sent(ctx, n.ID)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	r.Log.WarnContext(ctx, "notice put off", "notice", n.ID, "kind", n.Kind, "error", err)
	return r.Notices.Later(ctx, n.ID, noticeLater)
}

// noticeText says in words what a notice tells; none where it is too late.
func (r *Room) noticeText(ctx context.Context, n billing.DueNotice) (string, *models.InlineKeyboardMarkup, error) {
	voice, settings := r.Addressee(ctx, n.AccountID)
	switch n.Kind {
	case billing.NoticeLowBalance:
		if settings.MuteLow || time.Since(n.CreatedAt) > lowLife {
			return "", nil, nil
		}
		var d billing.LowBalance
		err := json.Unmarshal(n.Details, &d)
		return voice.Say("notice.low", "balance", hall.Dollars(d.BalanceNano)), topUpButton(voice), err
	case billing.NoticeToppedUp, billing.NoticeSubscriptionRenewed:
		var d billing.Paid
		err := json.Unmarshal(n.Details, &d)
		return r.receipt(ctx, voice, settings.Location(), n, d), nil, err
	case billing.NoticeRefunded:
		var d billing.Refunded
		err := json.Unmarshal(n.Details, &d)
		return voice.Say("notice.refunded", "price", price(voice, d.Amount, d.Currency), "credit", hall.Dollars(d.CreditNano)), nil, err
	case billing.NoticeGiftTaken, billing.NoticeGiftReturned:
		key := "notice.gift_taken"
		if n.Kind == billing.NoticeGiftReturned {
			key = "notice.gift_returned"
		}
		var d billing.Given
		err := json.Unmarshal(n.Details, &d)
		return voice.Say(key, "amount", hall.Dollars(d.AmountNano)), nil, err
	case billing.NoticeInvited, billing.NoticeInviting:
		key := "notice.invited"
		if n.Kind == billing.NoticeInviting {
			key = "notice.inviting"
		}
		var d billing.Invited
		err := json.Unmarshal(n.Details, &d)
		return voice.Say(key, "credit", hall.Dollars(d.CreditNano)), nil, err
	case billing.NoticeSubscriptionEnded:
		var d billing.Ended
		err := json.Unmarshal(n.Details, &d)
		key := "monthly.ended"
		if d.State == billing.SubscriptionFailed {
			key = "monthly.failed"
		}
		return voice.Say(key, "stars", texts.Plain(d.Stars), "day", voice.Day(d.Until.In(settings.Location()))), nil, err
	}
	return "", nil, fmt.Errorf("till: no words for a notice of kind %q", n.Kind)
}

// receipt is what a payment came to, with the balance if that can be told.
func (r *Room) receipt(ctx context.Context, voice texts.Voice, at *time.Location, n billing.DueNotice, d billing.Paid) string {
	key := "receipt.once"
	if n.Kind == billing.NoticeSubscriptionRenewed {
		key = "receipt.monthly"
	}
	text := voice.Say(key, "price", price(voice, d.Amount, d.Currency), "credit", hall.Dollars(d.CreditNano))
	if balance, err := r.Accounts.Balance(ctx, n.AccountID); err == nil {
		text += voice.Say("receipt.balance", "balance", hall.Dollars(balance.Available))
	}
	if !d.Until.IsZero() {
		text += voice.Say("receipt.until", "day", voice.Day(d.Until.In(at)))
	}
	return text
}

// price is an amount in the currency's smallest unit, for people.
func price(voice texts.Voice, amount int64, currency string) string {
	if currency == billing.CurrencyStars {
		return starSign + texts.Plain(amount)
	}
	return voice.Dollars(amount * nanoPerCent)
}

func topUpButton(voice texts.Voice) *models.InlineKeyboardMarkup {
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
		{Text: voice.Say("topup.button"), CallbackData: buttonTopUp},
	}}}
}
