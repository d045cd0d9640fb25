package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/failpoint"
)

const (
	noticesAtOnce = 25
	noticePause   = 50 * time.Millisecond // Telegram's pace for what nobody asked for: below 30 a second
	noticeIn      = 20 * time.Second      // for one; it is claimed for a minute
	noticesIn     = 30 * time.Second      // to begin the last of those claimed at once
	noticeLater   = 5 * time.Minute
	lowLife       = 24 * time.Hour // a warning that comes later would be wrong
)

// SendNotices tells account owners what is to be told them, until nothing is due.
func (r *Router) SendNotices(ctx context.Context) error {
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
			if err := r.sendNotice(ctx, n); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(noticePause):
			}
		}
	}
}

// tell sends one notice at once, if nobody else is about to. Where that fails, the
// schedule comes to it.
func (r *Router) tell(ctx context.Context, uniqueKey string) {
	due, err := r.Notices.ClaimOne(ctx, uniqueKey)
	for _, n := range due {
		err = errors.Join(err, r.sendNotice(ctx, n))
	}
	if err != nil {
		r.Log.WarnContext(ctx, "notice left to the schedule", "error", err)
	}
}

// sendNotice sends a claimed notice and marks it. Nobody to tell, and a chat that
// cannot be reached or refuses the words, count as told.
func (r *Router) sendNotice(ctx context.Context, n billing.DueNotice) error {
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
	_, err = r.Sender.Send(within, bot.Message{ChatID: n.TelegramID, Text: text, Keyboard: keyboard})
	switch {
	case err == nil:
		failpoint.Here("notices.sent")
		return r.Notices.Sent(ctx, n.ID)
	case errors.Is(err, bot.ErrBlocked), refused(err):
		r.Log.InfoContext(ctx, "notice not taken", "notice", n.ID, "kind", n.Kind, "error", err)
		return r.Notices.Sent(ctx, n.ID)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	r.Log.WarnContext(ctx, "notice put off", "notice", n.ID, "kind", n.Kind, "error", err)
	return r.Notices.Later(ctx, n.ID, noticeLater)
}

// noticeText says in words what a notice tells; none where it is too late.
func (r *Router) noticeText(ctx context.Context, n billing.DueNotice) (string, *models.InlineKeyboardMarkup, error) {
	switch n.Kind {
	case billing.NoticeLowBalance:
		if time.Since(n.CreatedAt) > lowLife {
			return "", nil, nil
		}
		var d billing.LowBalance
		err := json.Unmarshal(n.Details, &d)
		return fmt.Sprintf(textLow, dollars(d.BalanceNano)), topUpButton(), err
	case billing.NoticeToppedUp, billing.NoticeSubscriptionRenewed:
		var d billing.Paid
		err := json.Unmarshal(n.Details, &d)
		return r.receipt(ctx, n, d), nil, err
	case billing.NoticeRefunded:
		var d billing.Refunded
		err := json.Unmarshal(n.Details, &d)
		return fmt.Sprintf(textRefunded, price(d.Amount, d.Currency), dollars(d.CreditNano)), nil, err
	case billing.NoticeSubscriptionEnded:
		var d billing.Ended
		err := json.Unmarshal(n.Details, &d)
		text := textSubscriptionEnded
		if d.State == billing.SubscriptionFailed {
			text = textSubscriptionFailed
		}
		return fmt.Sprintf(text, d.Stars, d.Until.UTC().Format(dayShown)), nil, err
	}
	return "", nil, fmt.Errorf("handlers: no words for a notice of kind %q", n.Kind)
}

// receipt is what a payment came to, with the balance if that can be told.
func (r *Router) receipt(ctx context.Context, n billing.DueNotice, d billing.Paid) string {
	text := textReceipt
	if n.Kind == billing.NoticeSubscriptionRenewed {
		text = textReceiptMonthly
	}
	text = fmt.Sprintf(text, price(d.Amount, d.Currency), dollars(d.CreditNano))
	if balance, err := r.Accounts.Balance(ctx, n.AccountID); err == nil {
		text += fmt.Sprintf(textReceiptBalance, dollars(balance.Available))
	}
	if !d.Until.IsZero() {
		text += fmt.Sprintf(textReceiptUntil, d.Until.UTC().Format(dayShown))
	}
	return text
}

// price is an amount in the currency's smallest unit, for people.
func price(amount int64, currency string) string {
	if currency == billing.CurrencyStars {
		return fmt.Sprintf("⭐ %d", amount)
	}
	return fmt.Sprintf("$%d.%02d", amount/100, amount%100)
}

func topUpButton() *models.InlineKeyboardMarkup {
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
		{Text: "Top up", CallbackData: buttonTopUp},
	}}}
}
