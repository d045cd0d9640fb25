package handlers

import (
	"context"
	"fmt"
	"strings"

	"github.com/kikuai/kikuai/billing"
)

const paymentsShown = 5

// stateWords says how a payment stands.
func stateWords(p billing.Payment) string {
	switch p.State() {
	case billing.PaymentPaid:
		return "paid"
	case billing.PaymentAsked:
		return "being given back"
	case billing.PaymentReduced:
		return "given back in part"
	}
	return "given back"
}

func (r *Router) terms(ctx context.Context, q request) error {
	return r.say(ctx, q, textTerms)
}

func (r *Router) privacy(ctx context.Context, q request) error {
	return r.say(ctx, q, textPrivacy)
}

// paySupport says whom to turn to, and lists the latest payments with the ids by which
// they can be found.
func (r *Router) paySupport(ctx context.Context, q request) error {
	account, err := r.account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	payments, err := r.Payments.Latest(ctx, account.ID, paymentsShown)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString(textPaySupport)
	if r.Support != "" {
		fmt.Fprintf(&text, textPayContact, r.Support)
	}
	for i, p := range payments {
		if i == 0 {
			text.WriteString(textPayLatest)
		}
		fmt.Fprintf(&text, textPayLine, p.PaidAt.UTC().Format(dayShown), price(p.Amount, p.Currency), dollars(p.CreditNano), stateWords(p), p.ChargeID)
	}
	return r.say(ctx, q, text.String())
}
