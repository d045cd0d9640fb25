package billing

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// happening is what a card provider's event tells.
type happening int

const (
	cardNothing     happening = iota // of no concern here
	cardPaid                         // a checkout was paid
	cardRefunded                     // a charge was given back, in whole or in part
	cardDisputed                     // the payer's bank wants money back, and asks first
	cardDisputeLost                  // … and has it
)

// cardEvent is a provider's event, as far as it concerns us.
type cardEvent struct {
	id       string // the event's, for the log
	what     happening
	checkout string // ours; of cardPaid
	payment  string // the provider's id of the payment
	cents    int64  // paid; given back so far, in all; or disputed
	currency string
	dispute  string // the provider's id of it; of cardDisputed and cardDisputeLost
	reason   string // the payer's, in the provider's word
}

const (
	cardCurrency         = "USD"
	actionPaymentRefused = "payment.refused"
)

// Results of events, as the metric tells them.
const (
	eventForged   = "forged"
	eventIgnored  = "ignored"  // of no concern here
	eventUnknown  = "unknown"  // of a checkout that is not ours
	eventRefused  = "refused"  // paid otherwise than begun: an operator must look
	eventCredited = "credited" // money came
	eventRefunded = "refunded" // money went
	eventDisputed = "disputed" // an operator must look; lost: money went
	eventRepeated = "repeated" // told before
)

// Deliver takes in an event of the card provider: its body as it came, and its
// signature. It returns nil when the event's effect is durable, so that the provider
// may forget it; the effect is the same however often and in whatever order events come.
// Errors: ErrPaymentUnavailable, ErrPaymentSignature, ErrPaymentEvent, ErrClosed.
func (c *Checkouts) Deliver(ctx context.Context, body []byte, signature string) error {
	if c.cards == nil {
		return ErrPaymentUnavailable
	}
	event, err := c.cards.read(body, signature)
	if err != nil {
		c.events.WithLabelValues(eventForged).Inc()
		return err
	}
	_, err = c.apply(ctx, event)
	return err
}

// apply gives an event its effect.
func (c *Checkouts) apply(ctx context.Context, event cardEvent) (result string, err error) {
	result = eventIgnored
	switch event.what {
	case cardPaid:
		result, err = c.paid(ctx, event)
	case cardRefunded:
		result, err = c.refunded(ctx, event)
	case cardDisputed, cardDisputeLost:
		result, err = c.disputed(ctx, event)
	}
	if err != nil {
		return "", databaseError("take in card event "+event.id, err)
	}
	c.events.WithLabelValues(result).Inc()
	return result, nil
}

// paid credits a checkout, once for each payment of it, and takes back at once what was
// told to be refunded of it already.
func (c *Checkouts) paid(ctx context.Context, e cardEvent) (result string, err error) {
	var row begun
	var charge Charge
	var t taken
	err = postgres.InTx(ctx, c.postgres, func(tx pgx.Tx) error {
		t = taken{}
		if row, err = findCheckout(ctx, tx, e.checkout); errors.Is(err, pgx.ErrNoRows) {
			result = eventUnknown
			return nil
		} else if err != nil {
			return err
		}
		told, err := tellRefund(ctx, tx, e.payment, 0)
		if err != nil {
			return err
		}
		if e.cents != row.Amount || e.currency != cardCurrency {
			result = eventRefused
			return refusePayment(ctx, tx, row, e)
		}
		charge = Charge{ID: e.payment, Provider: ProviderCard, Amount: e.cents, Currency: e.currency,
			AccountID: row.account, CreditNano: row.CreditNano}
		if err := charge.check(); err != nil {
			return err
		}
		if t, err = c.payments.take(ctx, tx, charge); err != nil {
			return err
		}
		if result = eventCredited; t.Replayed {
			result = eventRepeated
			return nil
		}
		if _, err := tx.Exec(ctx, `update checkouts set charge_id = $2 where id = $1`, row.ID, e.payment); err != nil {
			return err
		}
		_, err = refunded(ctx, tx, e.payment, told)
		return err
	})
	if err != nil {
		return "", err
	}
	failpoint.Here("checkout.credited")
	switch result {
	case eventUnknown:
		c.log.WarnContext(ctx, "a card payment of a checkout that is not ours", "event", e.id, "checkout", e.checkout, "payment", e.payment)
	case eventRefused:
		c.log.ErrorContext(ctx, "a card payment differs from what was begun and was not credited", "event", e.id, "checkout", row.ID,
			"account_id", row.account, "payment", e.payment, "paid", e.cents, "currency", e.currency, "begun", row.Amount)
	default:
		c.payments.show(ctx, charge, t)
	}
	return result, nil
}

func findCheckout(ctx context.Context, tx pgx.Tx, id string) (row begun, err error) {
	err = tx.QueryRow(ctx, `select id, account_id, provider, amount, credit_nano from checkouts
		where id = $1 and provider = $2`, id, ProviderCard).
		Scan(&row.ID, &row.account, &row.provider, &row.Amount, &row.CreditNano)
	return row, err
}

// tellRefund notes how much of a payment was given back in all and returns the most that
// was ever told, with what its disputes lost. The row's lock makes the events of one
// payment take turns.
func tellRefund(ctx context.Context, tx pgx.Tx, payment string, cents int64) (told int64, err error) {
	err = tx.QueryRow(ctx, `insert into card_refunds (charge_id, told) values ($1, $2) on conflict (charge_id)
		do update set told = greatest(card_refunds.told, excluded.told), updated_at = now()
		returning told + (select coalesce(sum(cents::bigint), 0)::bigint from jsonb_each_text(disputes) d (id, cents))`, payment, cents).Scan(&told)
	return told, err
}

// refusePayment writes down, once, that what was paid is not what was begun: the money
// is with the provider, and an operator decides about it.
func refusePayment(ctx context.Context, tx pgx.Tx, row begun, e cardEvent) error {
	tag, err := tx.Exec(ctx, `update checkouts set refused = array_append(refused, $2) where id = $1 and $2 <> all (refused)`, row.ID, e.payment)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return audit(ctx, tx, Entry{Action: actionPaymentRefused, AccountID: row.account, Details: map[string]any{
		"checkout": row.ID, "payment": e.payment, "paid": e.cents, "currency": e.currency, "begun": row.Amount,
	}})
}

// refunded takes off the account what was given back of a payment, once: now, or when
// the payment itself is told.
func (c *Checkouts) refunded(ctx context.Context, e cardEvent) (result string, err error) {
	if e.currency != cardCurrency || e.cents <= 0 {
		return eventIgnored, nil // not of a payment that was begun here
	}
	var fresh bool
	err = postgres.InTx(ctx, c.postgres, func(tx pgx.Tx) error {
		told, err := tellRefund(ctx, tx, e.payment, e.cents)
		if err != nil {
			return err
		}
		result = eventRepeated
		fresh, err = refunded(ctx, tx, e.payment, told)
		if errors.Is(err, ErrChargeUnknown) {
			result = eventUnknown
			return nil
		}
		return err
	})
	failpoint.Here("checkout.refunded")
	if err == nil && fresh {
		result = eventRefunded
		c.payments.outcomes.WithLabelValues(ProviderCard, "refunded").Inc()
	}
	return result, err
}

// Refund gives all that is left of a card payment back at the provider.
func (c *Checkouts) Refund(ctx context.Context, p Payment) error {
	if c.cards == nil {
		return ErrPaymentUnavailable
	}
	return c.cards.refund(ctx, p.ChargeID)
}
