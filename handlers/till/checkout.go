package till

import (
	"context"
	"errors"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

// checkoutIn is how long trying to answer makes sense: Telegram waits ten seconds.
const checkoutIn = 9 * time.Second

// PreCheckout decides whether a payment may be made. Whoever pays looks at a spinning
// wheel meanwhile, and where it cannot be decided they had better not pay.
func (r *Room) PreCheckout(ctx context.Context, q *models.PreCheckoutQuery) error {
	ctx, cancel := context.WithTimeout(ctx, checkoutIn)
	defer cancel()
	words, answer := "", "accepted"
	var voice texts.Voice
	if q.From != nil {
		voice = r.Addressed(ctx, hall.Request{From: *q.From}).Voice
	} else {
		voice = r.Texts.Voice("")
	}
	if err := r.mayPay(ctx, q); err != nil {
		var refusal *billing.OfferError
		if errors.As(err, &refusal) {
			words, answer = voice.Say(refusalKey(refusal.Fault)), string(refusal.Fault)
		} else {
			words, answer = voice.Say("pay.later"), "unavailable"
			r.Log.WarnContext(ctx, "payment refused: nobody can say whether it may be made", "error", err)
		}
	}
	r.checkouts.WithLabelValues(answer).Inc()
	return r.Sender.AnswerPreCheckout(ctx, q.ID, words)
}

func (r *Room) mayPay(ctx context.Context, q *models.PreCheckoutQuery) error {
	if q.From == nil {
		return &billing.OfferError{Fault: billing.OfferForeign}
	}
	return r.Payments.Check(ctx, billing.Purchase{
		TelegramID: q.From.ID, Payload: q.InvoicePayload, Amount: int64(q.TotalAmount), Currency: q.Currency,
	})
}

// refusalKey names what the payer is told.
func refusalKey(fault billing.OfferFault) string {
	switch fault {
	case billing.OfferAmount:
		return "pay.amount"
	case billing.OfferStale:
		return "pay.stale"
	case billing.OfferForeign:
		return "pay.foreign"
	case billing.OfferClosed:
		return "pay.closed"
	case billing.OfferSubscribed:
		return "pay.subscribed"
	default:
		return "pay.forged"
	}
}
