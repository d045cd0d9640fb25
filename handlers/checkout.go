package handlers

import (
	"context"
	"errors"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
)

// checkoutIn is how long trying to answer makes sense: Telegram waits ten seconds.
const checkoutIn = 9 * time.Second

// preCheckout decides whether a payment may be made. Whoever pays looks at a spinning
// wheel meanwhile, and where it cannot be decided they had better not pay.
func (r *Router) preCheckout(ctx context.Context, q *models.PreCheckoutQuery) error {
	ctx, cancel := context.WithTimeout(ctx, checkoutIn)
	defer cancel()
	words, answer := "", "accepted"
	if err := r.mayPay(ctx, q); err != nil {
		var refusal *billing.OfferError
		if errors.As(err, &refusal) {
			words, answer = refusalWords(refusal.Fault), string(refusal.Fault)
		} else {
			words, answer = textPayLater, "unavailable"
			r.Log.WarnContext(ctx, "payment refused: nobody can say whether it may be made", "error", err)
		}
	}
	r.checkouts.WithLabelValues(answer).Inc()
	return r.Sender.AnswerPreCheckout(ctx, q.ID, words)
}

func (r *Router) mayPay(ctx context.Context, q *models.PreCheckoutQuery) error {
	if q.From == nil {
		return &billing.OfferError{Fault: billing.OfferForeign}
	}
	return r.Payments.Check(ctx, billing.Purchase{
		TelegramID: q.From.ID, Payload: q.InvoicePayload, Amount: int64(q.TotalAmount), Currency: q.Currency,
	})
}

// refusalWords are what the payer is shown.
func refusalWords(fault billing.OfferFault) string {
	switch fault {
	case billing.OfferAmount:
		return textPayAmount
	case billing.OfferStale:
		return textPayStale
	case billing.OfferForeign:
		return textPayForeign
	case billing.OfferClosed:
		return textPayClosed
	case billing.OfferSubscribed:
		return textPaySubscribed
	default:
		return textPayForged
	}
}
