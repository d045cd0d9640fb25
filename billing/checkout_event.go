package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// happening is what a card provider's event tells.
type happening int

const (
	cardNothing  happening = iota // of no concern here
	cardPaid                      // a checkout was paid
	cardRefunded                  // a charge was given back, in whole or in part
)

// cardEvent is a provider's event, as far as it concerns us.
type cardEvent struct {
	id       string // the event's, for the log
	what     happening
	checkout string // ours; of cardPaid
	payment  string // the provider's id of the payment
	cents    int64  // paid; or given back so far, in all
	currency string
}

const cardCurrency = "USD"

// Results of events, as the metric tells them.
const (
	eventForged   = "forged"
	eventIgnored  = "ignored"  // of no concern here
	eventUnknown  = "unknown"  // of a checkout that is not ours
	eventRefused  = "refused"  // paid otherwise than begun: an operator must look
	eventCredited = "credited" // money came
	eventRefunded = "refunded" // money went
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
	result := eventIgnored
	switch event.what {
	case cardPaid:
		result, err = c.paid(ctx, event)
	case cardRefunded:
		result, err = c.refunded(ctx, event)
	}
	if err != nil {
		return databaseError("take in card event "+event.id, err)
	}
	c.events.WithLabelValues(result).Inc()
	return nil
}

// paid credits a checkout, once for each payment of it.
func (c *Checkouts) paid(ctx context.Context, e cardEvent) (result string, err error) {
	var row begun
	var given granted
	err = postgres.InTx(ctx, c.postgres, func(tx pgx.Tx) error {
		given = granted{}
		if row, err = findCheckout(ctx, tx, e.checkout); errors.Is(err, pgx.ErrNoRows) {
			result = eventUnknown
			return nil
		} else if err != nil {
			return err
		}
		told, taken, err := lockCharge(ctx, tx, e.payment)
		if err != nil {
			return err
		}
		if e.cents != row.Cents || e.currency != cardCurrency {
			result, err = eventRefused, refusePayment(ctx, tx, row, e)
			return err
		}
		given, err = grant(ctx, tx, Credit{
			AccountID: row.account, AmountNano: row.CreditNano, Kind: CreditCard, IdempotencyKey: "card:" + e.payment,
			Memo: map[string]string{"checkout": row.ID, "payment": e.payment},
		})
		if err != nil {
			return err
		}
		result = eventCredited
		if given.replayed {
			result = eventRepeated
			return nil
		}
		if _, err := tx.Exec(ctx, `update checkouts set charge_id = coalesce(charge_id, $2) where id = $1`, row.ID, e.payment); err != nil {
			return err
		}
		return takeBack(ctx, tx, row.account, e.payment, told, taken)
	})
	if err != nil {
		return "", err
	}
	switch result {
	case eventUnknown:
		c.log.WarnContext(ctx, "a card payment of a checkout that is not ours", "event", e.id, "checkout", e.checkout, "payment", e.payment)
	case eventRefused:
		c.log.ErrorContext(ctx, "a card payment differs from what was begun and was not credited", "event", e.id, "checkout", row.ID,
			"account_id", row.account, "payment", e.payment, "paid", e.cents, "currency", e.currency, "begun", row.Cents)
	case eventCredited:
		failpoint.Here("checkout.credited")
		c.accounts.projectCredit(ctx, row.account, given.seq, row.CreditNano)
	}
	return result, nil
}

// lockCharge makes the events of one payment take turns, and returns how much of it was
// told to be given back and how much of that became debits.
func lockCharge(ctx context.Context, tx pgx.Tx, payment string) (told, taken int64, err error) {
	err = tx.QueryRow(ctx, `insert into card_refunds (charge_id) values ($1)
		on conflict (charge_id) do update set updated_at = now() returning told, taken`, payment).Scan(&told, &taken)
	return told, taken, err
}

func findCheckout(ctx context.Context, tx pgx.Tx, id string) (row begun, err error) {
	err = tx.QueryRow(ctx, `select id, account_id, cents, credit_nano from checkouts where id = $1`, id).
		Scan(&row.ID, &row.account, &row.Cents, &row.CreditNano)
	return row, err
}

// refusePayment writes down, once, that what was paid is not what was begun: the money
// is with the provider, and an operator decides about it.
func refusePayment(ctx context.Context, tx pgx.Tx, row begun, e cardEvent) error {
	tag, err := tx.Exec(ctx, `update checkouts set charge_id = $2 where id = $1 and charge_id is distinct from $2`, row.ID, e.payment)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	return audit(ctx, tx, Entry{Action: actionPaymentRefused, AccountID: row.account, Details: map[string]any{
		"checkout": row.ID, "payment": e.payment, "paid": e.cents, "currency": e.currency, "begun": row.Cents,
	}})
}

// refunded debits what was given back of a payment, once, now or when the payment
// itself is told.
func (c *Checkouts) refunded(ctx context.Context, e cardEvent) (result string, err error) {
	if e.currency != cardCurrency || e.cents <= 0 {
		return eventIgnored, nil // not of a payment that was begun here
	}
	err = postgres.InTx(ctx, c.postgres, func(tx pgx.Tx) error {
		told, taken, err := lockCharge(ctx, tx, e.payment)
		if err != nil {
			return err
		}
		result = eventRepeated
		if e.cents <= told { // told before, or overtaken by a later one
			return nil
		}
		if _, err := tx.Exec(ctx, `update card_refunds set told = $2 where charge_id = $1`, e.payment, e.cents); err != nil {
			return err
		}
		var account int64
		err = tx.QueryRow(ctx, `select account_id from credits where idempotency_key = $1`, "card:"+e.payment).Scan(&account)
		if errors.Is(err, pgx.ErrNoRows) {
			result = eventUnknown
			return nil
		}
		if err != nil {
			return err
		}
		result = eventRefunded
		return takeBack(ctx, tx, account, e.payment, e.cents, taken)
	})
	return result, err
}

// takeBack makes a debit of what was told to be given back of a credited payment and
// is not taken yet.
func takeBack(ctx context.Context, tx pgx.Tx, account int64, payment string, told, taken int64) error {
	if told <= taken {
		return nil
	}
	batch := &pgx.Batch{}
	batch.Queue(`insert into debits (reference, account_id, kind, amount_nano, book, details) values ($1, $2, 'refund', $3, $4, $5)`,
		fmt.Sprintf("refund:%s:%d", payment, told), account, (told-taken)*nanoPerCent, CreditCard,
		map[string]string{"payment": payment, "given_back_cents": strconv.FormatInt(told, 10)})
	batch.Queue(`update card_refunds set taken = $2 where charge_id = $1`, payment, told)
	return tx.SendBatch(ctx, batch).Close()
}
