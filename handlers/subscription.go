package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
)

// Buttons of a monthly top-up that is there.
const (
	buttonSubscription = "subscription:"
	subscriptionCancel = "cancel"
	subscriptionResume = "resume"
)

// monthlyState is a sentence about the account's monthly top-up, and the button that
// goes with it.
func (r *Router) monthlyState(ctx context.Context, account int64) (string, []models.InlineKeyboardButton, error) {
	offer := []models.InlineKeyboardButton{{Text: "Every month", CallbackData: buttonAmount + amountMonthly}}
	s, found, err := r.Payments.Subscription(ctx, account)
	if err != nil {
		return "", nil, fmt.Errorf("monthly top-up: %w", err)
	}
	if !found || s.PaidUntil.Before(time.Now()) {
		return "", offer, nil
	}
	until := s.PaidUntil.UTC().Format(dayShown)
	switch s.State {
	case billing.SubscriptionActive:
		return fmt.Sprintf(textRenews, s.Stars, until),
			[]models.InlineKeyboardButton{{Text: "Cancel the monthly top-up", CallbackData: buttonSubscription + subscriptionCancel}}, nil
	case billing.SubscriptionStopped:
		return fmt.Sprintf(textRunsOut, s.Stars, until),
			[]models.InlineKeyboardButton{{Text: "Resume the monthly top-up", CallbackData: buttonSubscription + subscriptionResume}}, nil
	}
	return fmt.Sprintf(textRunsOut, s.Stars, until), offer, nil
}

// pressSubscription cancels or resumes the monthly top-up, first at Telegram.
func (r *Router) pressSubscription(ctx context.Context, p pressed) error {
	account, err := r.account(ctx, p.request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	s, found, err := r.Payments.Subscription(ctx, account.ID)
	if err != nil {
		return err
	}
	if !found {
		return r.Sender.AnswerCallback(ctx, p.query.ID, textNoMonthly)
	}
	cancel, state := p.data == subscriptionCancel, billing.SubscriptionActive
	if cancel {
		state = billing.SubscriptionStopped
	}
	text := textResumed
	if cancel {
		text = fmt.Sprintf(textCanceled, s.PaidUntil.UTC().Format(dayShown))
	}
	err = r.Sender.CancelSubscription(ctx, p.from.ID, s.ChargeID, cancel)
	switch {
	case refused(err):
		text = textMonthlyRefused
	case err != nil:
		return err
	default:
		if err := r.Payments.SubscriptionChanged(ctx, account.ID, state, true); err != nil {
			return err
		}
	}
	if err := r.Sender.AnswerCallback(ctx, p.query.ID, ""); err != nil {
		return err
	}
	return r.say(ctx, p.request, text)
}

// refused tells whether Telegram will not do what was asked, however often.
func refused(err error) bool {
	var api *bot.APIError
	return errors.As(err, &api) && api.Code == http.StatusBadRequest
}

// subscription takes in that a person changed their monthly top-up, or that it could
// not be renewed.
func (r *Router) subscription(ctx context.Context, u *models.BotSubscriptionUpdated) error {
	account, err := r.Accounts.Find(ctx, u.User.ID)
	if errors.Is(err, billing.ErrAccountUnknown) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	return r.Payments.SubscriptionChanged(ctx, account, string(u.State), false)
}
