package billing

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

const (
	finishAfter   = time.Minute
	finishAtOnce  = 100
	actionRefund  = "payment.refund_asked"
	actionRefused = "payment.refund_refused"
	actionGiven   = "payment.refunded"
)

// Refunder gives a charge's money back at its provider. It may be asked again for what
// it gave back before, which is no error. An error that wraps ErrRefundRefused is final.
type Refunder interface {
	Refund(ctx context.Context, p Payment) error
}

// Refunded are the details of the notice NoticeRefunded.
type Refunded struct {
	ChargeID   string `json:"charge_id"`
	Amount     int64  `json:"amount"`
	Currency   string `json:"currency"`
	CreditNano int64  `json:"credit_nano"`
}

// Refund gives a whole charge back: the wish is noted in Postgres, then the provider
// gives the money back, then the credit is taken off the account, to zero at the
// lowest; what was spent is written off. Where it stops in between, FinishRefunds goes
// on. A charge that was given back before is no error.
// Errors: ErrChargeUnknown, ErrRefundRefused.
func (p *Payments) Refund(ctx context.Context, chargeID string, by Actor, through Refunder) (Payment, error) {
	err := postgres.InTx(ctx, p.postgres, func(tx pgx.Tx) error {
		var account int64
		var done bool
		err := tx.QueryRow(ctx, `select account_id, coalesce(refund_asked_at, refunded_at) is not null
			from payments where charge_id = $1 for update`, chargeID).Scan(&account, &done)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrChargeUnknown
		}
		if err != nil || done {
			return err
		}
		if _, err := tx.Exec(ctx, `update payments set refund_asked_at = now() where charge_id = $1`, chargeID); err != nil {
			return err
		}
		return audit(ctx, tx, Entry{Actor: by, Action: actionRefund, AccountID: account, Details: map[string]any{"charge": chargeID}})
	})
	if err != nil {
		return Payment{}, fmt.Errorf("refund charge %s: %w", chargeID, err)
	}
	failpoint.Here("payments.refund-asked")
	return p.finish(ctx, chargeID, through)
}

// finish does what is left to do of a refund.
func (p *Payments) finish(ctx context.Context, chargeID string, through Refunder) (Payment, error) {
	payment, err := p.Find(ctx, chargeID)
	if err != nil || !payment.RefundedAt.IsZero() {
		return payment, err
	}
	err = through.Refund(ctx, payment)
	if errors.Is(err, ErrRefundRefused) {
		err = errors.Join(err, p.forgo(ctx, payment))
	}
	if err != nil {
		return payment, fmt.Errorf("refund charge %s: %w", chargeID, err)
	}
	failpoint.Here("payments.refund-given")
	return p.Refunded(ctx, chargeID)
}

// forgo takes the wish for a refund back, as the provider will not fulfil it.
func (p *Payments) forgo(ctx context.Context, payment Payment) error {
	return postgres.InTx(ctx, p.postgres, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update payments set refund_asked_at = null
			where charge_id = $1 and refund_asked_at is not null and refunded_at is null`, payment.ChargeID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return audit(ctx, tx, Entry{Actor: House, Action: actionRefused, AccountID: payment.AccountID,
			Details: map[string]any{"charge": payment.ChargeID}})
	})
}

// Refunded notes that a charge's money was given back, all of it, whoever asked for it,
// and takes the credit off the account: as a debit, which the shard's owner carries out.
// Told again, it is nothing. ErrChargeUnknown.
func (p *Payments) Refunded(ctx context.Context, chargeID string) (Payment, error) {
	fresh := false
	err := postgres.InTx(ctx, p.postgres, func(tx pgx.Tx) (err error) {
		fresh, err = refunded(ctx, tx, chargeID, allOfIt)
		return err
	})
	if err != nil {
		return Payment{}, fmt.Errorf("note the refund of charge %s: %w", chargeID, err)
	}
	failpoint.Here("payments.refunded")
	payment, err := p.Find(ctx, chargeID)
	if fresh {
		p.outcomes.WithLabelValues(payment.Provider, "refunded").Inc()
	}
	return payment, err
}

// allOfIt is more than any charge.
const allOfIt = maxCharged

// refunded writes inside tx that so much of the charge was given back in all, and says
// whether that was news: less than was told before is not.
func refunded(ctx context.Context, tx pgx.Tx, chargeID string, told int64) (bool, error) {
	var account, before, credit, amount int64
	var parts int
	var provider string
	details := Refunded{ChargeID: chargeID}
	err := tx.QueryRow(ctx, `select account_id, provider, amount, currency, credit_nano, refunded, refunds
		from payments where charge_id = $1 for update`, chargeID,
	).Scan(&account, &provider, &amount, &details.Currency, &credit, &before, &parts)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, ErrChargeUnknown
	}
	if told = min(told, amount); err != nil || told <= before {
		return false, err
	}
	parts++
	details.Amount = told - before
	details.CreditNano = share(credit, told, amount) - share(credit, before, amount)
	batch := &pgx.Batch{}
	batch.Queue(`update payments set refunded = $2, refunds = $3, refunded_at = case when $2 = amount then now() end
		where charge_id = $1`, chargeID, told, parts)
	if details.CreditNano > 0 {
		batch.Queue(`insert into debits (reference, account_id, kind, amount_nano, book) values ($1, $2, $3, $4, $5)
			on conflict (reference) do nothing`, refundReference(chargeID, parts), account, kindRefund, details.CreditNano, provider)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return false, err
	}
	if told == amount {
		if err := takeBackReferral(ctx, tx, chargeID); err != nil {
			return false, err
		}
	}
	err = audit(ctx, tx, Entry{Actor: House, Action: actionGiven, AccountID: account, Details: map[string]any{
		"charge": chargeID, "amount": details.Amount, "currency": details.Currency}})
	if err != nil {
		return false, err
	}
	return true, notice(ctx, tx, Notice{AccountID: account, Kind: NoticeRefunded,
		UniqueKey: partName("refunded:"+chargeID, parts), Details: details})
}

// share is the part of a credit that belongs to a part of its charge. Both are below
// 2^53 and 2^20, so the product is taken in 128 bits.
func share(credit, part, whole int64) int64 {
	hi, lo := bits.Mul64(uint64(credit), uint64(part))
	n, _ := bits.Div64(hi, lo, uint64(whole))
	return int64(n)
}

// refundReference names the ledger transaction of a refund's n-th part.
func refundReference(chargeID string, n int) string { return partName("refund:"+chargeID, n) }

func partName(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + ":" + strconv.Itoa(n)
}

// FinishRefunds goes on with the refunds of a provider that were asked for some time
// ago and are not done: whoever began them died, or the provider was away.
func (p *Payments) FinishRefunds(ctx context.Context, provider string, through Refunder) error {
	rows, err := p.postgres.Query(ctx, `select charge_id from payments
		where refund_asked_at <= now() - $2::interval and refunded_at is null and provider = $1
		order by refund_asked_at limit $3`, provider, finishAfter, finishAtOnce)
	if err != nil {
		return fmt.Errorf("find unfinished refunds: %w", err)
	}
	charges, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("find unfinished refunds: %w", err)
	}
	var errs []error
	for _, charge := range charges {
		if _, err := p.finish(ctx, charge, through); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
