package till

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

// Buttons of a monthly top-up that is there.
const (
	buttonSubscription = "subscription:"
	subscriptionCancel = "cancel"
	subscriptionResume = "resume"
)

// monthlyState is a sentence about the account's monthly top-up, and the button that
// goes with it.
func (r *Room) monthlyState(ctx context.Context, q hall.Request, account int64) (string, []models.InlineKeyboardButton, error) {
	voice := q.Voice
	offer := []models.InlineKeyboardButton{{Text: voice.Say("topup.monthly"), CallbackData: buttonAmount + amountMonthly}}
	s, found, err := r.Payments.Subscription(ctx, account)
	if err != nil {
		return "", nil, fmt.Errorf("monthly top-up: %w", err)
	}
	if !found || s.PaidUntil.Before(time.Now()) {
		return "", offer, nil
	}
	stars, until := texts.Plain(s.Stars), voice.Day(s.PaidUntil.In(q.Settings.Location()))
	switch s.State {
	case billing.SubscriptionActive:
		return voice.Say("monthly.renews", "stars", stars, "day", until),
			[]models.InlineKeyboardButton{{Text: voice.Say("monthly.cancel"), CallbackData: buttonSubscription + subscriptionCancel}}, nil
	case billing.SubscriptionStopped:
		return voice.Say("monthly.runs_out", "stars", stars, "day", until),
			[]models.InlineKeyboardButton{{Text: voice.Say("monthly.resume"), CallbackData: buttonSubscription + subscriptionResume}}, nil
	}
	return voice.Say("monthly.runs_out", "stars", stars, "day", until), offer, nil
}

// pressSubscription cancels or resumes the monthly top-up, first at Telegram.
func (r *Room) pressSubscription(ctx context.Context, p hall.Press) error {
	account, err := r.Account(ctx, p.Request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	s, found, err := r.Payments.Subscription(ctx, account.ID)
	if err != nil {
		return err
	}
	if !found {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, p.Voice.Say("monthly.none"))
	}
	cancel, state := p.Data == subscriptionCancel, billing.SubscriptionActive
	if cancel {
		state = billing.SubscriptionStopped
	}
	text := p.Voice.Say("monthly.resumed")
	if cancel {
		text = p.Voice.Say("monthly.canceled", "day", p.Voice.Day(s.PaidUntil.In(p.Settings.Location())))
	}
	err = r.Sender.CancelSubscription(ctx, p.From.ID, s.ChargeID, cancel)
	switch {
	case hall.Refused(err):
		text = p.Voice.Say("monthly.refused")
	case err != nil:
		return err
	default:
		if err := r.Payments.SubscriptionChanged(ctx, account.ID, state, true); err != nil {
			return err
		}
	}
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	return r.Say(ctx, p.Request, text)
}

// Subscription takes in that a person changed their monthly top-up, or that it could
// not be renewed.
func (r *Room) Subscription(ctx context.Context, u *models.BotSubscriptionUpdated) error {
	account, err := r.Accounts.Find(ctx, u.User.ID)
	if errors.Is(err, billing.ErrAccountUnknown) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	return r.Payments.SubscriptionChanged(ctx, account, string(u.State), false)
}
