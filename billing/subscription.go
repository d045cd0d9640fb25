package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/postgres"
)

// States of a monthly top-up.
const (
	SubscriptionActive   = "active"
	SubscriptionCanceled = "canceled" // by its owner, at Telegram: paid until its end, not renewed
	SubscriptionStopped  = "stopped"  // by the bot at its owner's wish, and the bot alone can resume it
	SubscriptionFailed   = "failed"   // could not be renewed
)

// Subscription is the monthly top-up of an account.
type Subscription struct {
	AccountID int64
	ChargeID  string // of its first payment, by which Telegram knows it
	Stars     int64
	PaidUntil time.Time
	State     string
}

// Running tells whether it will be renewed.
func (s Subscription) Running() bool { return s.State == SubscriptionActive }

// subscribe notes inside tx what a payment means for the account's monthly top-up.
// Telegram knows one by its first payment; renewals do not change that.
func subscribe(ctx context.Context, tx pgx.Tx, account int64, c Charge) error {
	_, err := tx.Exec(ctx, `insert into subscriptions as s (account_id, charge_id, stars, paid_until, state)
		values ($1, $2, $3, $4, 'active')
		on conflict (account_id) do update set
			charge_id = case when $5 or s.state <> 'active' then excluded.charge_id else s.charge_id end,
			stars = excluded.stars, paid_until = greatest(s.paid_until, excluded.paid_until), state = 'active', updated_at = now()
		where excluded.paid_until > s.paid_until or $5`, account, c.ID, c.Amount, c.Until, c.First)
	if err != nil {
		return fmt.Errorf("note the subscription: %w", err)
	}
	return nil
}

// Subscription returns the account's monthly top-up, running or ended; found is false
// where there never was one.
func (p *Payments) Subscription(ctx context.Context, accountID int64) (s Subscription, found bool, err error) {
	err = p.postgres.QueryRow(ctx, `select account_id, charge_id, stars, paid_until, state from subscriptions where account_id = $1`,
		accountID).Scan(&s.AccountID, &s.ChargeID, &s.Stars, &s.PaidUntil, &s.State)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, false, nil
	}
	if err != nil {
		return s, false, fmt.Errorf("find a subscription: %w", err)
	}
	return s, true, nil
}

// SubscriptionChanged notes that a monthly top-up was cancelled, resumed or could not
// be renewed. Unless silent, the owner is told of an end. An account without one is no
// error: its payment was not told yet, and will say what is.
func (p *Payments) SubscriptionChanged(ctx context.Context, accountID int64, state string, silent bool) error {
	switch state {
	case SubscriptionActive, SubscriptionCanceled, SubscriptionStopped, SubscriptionFailed:
	default:
		return fmt.Errorf("billing: a subscription cannot be %q", cleanText(state, 20))
	}
	err := postgres.InTx(ctx, p.postgres, func(tx pgx.Tx) error {
		s := Subscription{AccountID: accountID, State: state}
		err := tx.QueryRow(ctx, `update subscriptions set state = $2, updated_at = now()
			where account_id = $1 and state <> $2 returning charge_id, stars, paid_until`, accountID, state,
		).Scan(&s.ChargeID, &s.Stars, &s.PaidUntil)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil || silent || state == SubscriptionActive {
			return err
		}
		return notice(ctx, tx, Notice{AccountID: accountID, Kind: NoticeSubscriptionEnded,
			UniqueKey: fmt.Sprintf("subscription:%s:%s:%d", s.ChargeID, state, s.PaidUntil.Unix()),
			Details:   Ended{Stars: s.Stars, Until: s.PaidUntil, State: state}})
	})
	if err != nil {
		return fmt.Errorf("note a subscription's state: %w", err)
	}
	return nil
}

// Ended are the details of the notice NoticeSubscriptionEnded.
type Ended struct {
	Stars int64     `json:"stars"`
	Until time.Time `json:"until"`
	State string    `json:"state"`
}
