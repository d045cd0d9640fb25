package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

const (
	actionDisputed    = "payment.disputed"
	actionDisputeLost = "payment.dispute_lost"
)

// disputed takes in what a card provider tells of a dispute. One that begins is put into
// the audit log and the log, for an operator to answer it at the provider. One that is
// lost is money given back: what it took comes off the account as a refund's does, once,
// in whatever order events come. The cents of an event are what the dispute is about.
func (c *Checkouts) disputed(ctx context.Context, e cardEvent) (result string, err error) {
	if e.currency != cardCurrency || e.cents <= 0 {
		return eventIgnored, nil // not of a payment that was begun here
	}
	fresh, charged := false, false
	var account int64
	err = postgres.InTx(ctx, c.postgres, func(tx pgx.Tx) (err error) {
		result = eventRepeated
		told, news, err := tellDispute(ctx, tx, e)
		if err != nil {
			return err
		}
		fresh = news
		err = tx.QueryRow(ctx, `select account_id from payments where charge_id = $1`, e.payment).Scan(&account)
		if errors.Is(err, pgx.ErrNoRows) { // another shop's; or its payment is told later, and then this counts
			result = eventUnknown
			return nil
		}
		if err != nil {
			return err
		}
		if charged, err = refunded(ctx, tx, e.payment, told); err != nil || !fresh {
			return err
		}
		action := actionDisputed
		if e.what == cardDisputeLost {
			action = actionDisputeLost
		}
		return audit(ctx, tx, Entry{Actor: House, Action: action, AccountID: account, Details: map[string]any{
			"charge": e.payment, "dispute": e.dispute, "amount": e.cents, "currency": e.currency, "reason": e.reason}})
	})
	failpoint.Here("checkout.disputed")
	if err != nil || result == eventUnknown || !fresh {
		return result, err
	}
	result = eventDisputed
	if charged {
		c.payments.outcomes.WithLabelValues(ProviderCard, "dispute_lost").Inc()
	}
	say := "a card payment is disputed: answer it at the provider"
	if e.what == cardDisputeLost {
		say = "a dispute of a card payment is lost"
	}
	c.log.WarnContext(ctx, say, "event", e.id, "dispute", e.dispute, "payment", e.payment, "account_id", account,
		"cents", e.cents, "reason", e.reason)
	return result, nil
}

// tellDispute notes a dispute of a payment, and how much of the payment is gone in all,
// by refunds and lost disputes. News is what was not told of this dispute before.
func tellDispute(ctx context.Context, tx pgx.Tx, e cardEvent) (told int64, news bool, err error) {
	if _, err := tellRefund(ctx, tx, e.payment, 0); err != nil { // with the row's lock
		return 0, false, err
	}
	lost := int64(0)
	if e.what == cardDisputeLost {
		lost = e.cents
	}
	// One that was lost stays so, though its beginning be told later.
	tag, err := tx.Exec(ctx, `update card_refunds set disputes = disputes || jsonb_build_object($2::text, $3::bigint), updated_at = now()
		where charge_id = $1 and coalesce((disputes ->> $2)::bigint, -1) < $3`, e.payment, e.dispute, lost)
	if err != nil {
		return 0, false, fmt.Errorf("note a dispute: %w", err)
	}
	told, err = tellRefund(ctx, tx, e.payment, 0)
	return told, tag.RowsAffected() > 0, err
}
