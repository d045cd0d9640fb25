package till

import (
	"context"
	"fmt"
	"strings"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
)

const paymentsShown = 5

// stateKey names the words for how a payment stands.
func stateKey(p billing.Payment) string {
	switch p.State() {
	case billing.PaymentPaid:
		return "support.paid"
	case billing.PaymentAsked:
		return "support.asked"
	case billing.PaymentReduced:
		return "support.reduced"
	}
	return "support.refunded"
}

// PaySupport says whom to turn to, and lists the latest payments with the ids by which
// they can be found.
func (r *Room) PaySupport(ctx context.Context, q hall.Request) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	payments, err := r.Payments.Latest(ctx, account.ID, paymentsShown)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString(q.Voice.Say("support.text"))
	if r.Support != "" {
		text.WriteString(q.Voice.Say("support.contact", "contact", r.Support))
	}
	for i, p := range payments {
		if i == 0 {
			text.WriteString(q.Voice.Say("support.latest"))
		}
		text.WriteString(q.Voice.Say("support.line", "day", q.Voice.Day(p.PaidAt.In(q.Settings.Location())), "price", price(q.Voice, p.Amount, p.Currency),
			"credit", hall.Dollars(p.CreditNano), "state", q.Voice.Say(stateKey(p)), "charge", p.ChargeID))
	}
	return r.Say(ctx, q, text.String())
}
