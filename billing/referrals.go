package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// An invitation is written down when somebody first comes by it, and settled by the first
// payment of theirs that adds at least what the invitation is worth: then both sides are
// credited, in the payment's transaction. A payment that is given back whole takes both
// credits with it.

// Invited are the details of the notices NoticeInvited and NoticeInviting.
type Invited struct {
	CreditNano int64 `json:"credit_nano"`
}

// nobody is who invited somebody that came by themselves.
const nobody = 0

// OpenInvited is [Accounts.Open] of a person who came by the invitation of an account. It
// counts on their very first coming alone: not for who had paid before, or left and came
// back, nor where that account is closed.
func (a *Accounts) OpenInvited(ctx context.Context, profile Profile, referrer int64) (account Account, created bool, err error) {
	return a.open(ctx, profile, referrer, time.Time{})
}

// invite writes inside tx who invited a new account.
func (a *Accounts) invite(ctx context.Context, tx pgx.Tx, accountID, referrer int64) error {
	if a.referral == 0 || referrer == nobody {
		return nil
	}
	_, err := tx.Exec(ctx, `insert into referrals (account_id, referrer_id)
		select $1, id from accounts where id = $2 and id <> $1 and status = $3 and met_at is not null
			and not exists (select from payments where account_id = $1)
		on conflict (account_id) do nothing`, accountID, referrer, StatusActive)
	return err
}

// Referral is what both sides of an invitation are given, in nano-USD; 0: nothing.
func (a *Accounts) Referral() int64 { return a.referral }

// IsInvited tells whether an account came by an invitation that a payment of its owner is
// yet to settle.
func (a *Accounts) IsInvited(ctx context.Context, accountID int64) (invited bool, err error) {
	err = a.postgres.QueryRow(ctx, `select exists (select from referrals where account_id = $1 and settled_at is null)`, accountID).Scan(&invited)
	return invited, databaseError("look for an invitation", err)
}

// Invitations counts who came by an account's invitation, and what it was given for them.
func (a *Accounts) Invitations(ctx context.Context, accountID int64) (came, nano int64, err error) {
	err = a.postgres.QueryRow(ctx, `select count(*), coalesce(sum(referrer_nano), 0)::bigint from referrals where referrer_id = $1`,
		accountID).Scan(&came, &nano)
	return came, nano, databaseError("count invitations", err)
}

// referral is an invitation that a payment may settle, with both accounts locked.
type referral struct {
	account, referrer int64 // account 0: there is none
	active            bool  // the referrer's account
}

// reward is a credit that Redis is yet to be told of.
type reward struct{ account, seq, nano int64 }

// invited locks inside tx the invitation of an account, and then, in the order in which
// the ledger's batches do, both accounts. It comes before any other lock on either.
func invited(ctx context.Context, tx pgx.Tx, accountID int64) (ref referral, err error) {
	err = tx.QueryRow(ctx, `select account_id, referrer_id from referrals where account_id = $1 and settled_at is null for update`,
		accountID).Scan(&ref.account, &ref.referrer)
	if errors.Is(err, pgx.ErrNoRows) {
		return referral{}, nil
	}
	if err != nil {
		return ref, fmt.Errorf("read an invitation: %w", err)
	}
	rows, err := tx.Query(ctx, `select id, status from accounts where id = any($1) order by id for no key update`,
		[]int64{ref.account, ref.referrer})
	if err != nil {
		return ref, fmt.Errorf("lock an invitation's accounts: %w", err)
	}
	var id int64
	var status string
	_, err = pgx.ForEachRow(rows, []any{&id, &status}, func() error {
		ref.active = ref.active || id == ref.referrer && status == StatusActive
		return nil
	})
	return ref, err
}

// settle credits both sides inside tx for a payment that added so much. An invitation
// beyond what its referrer may be rewarded for in a month is settled with nothing.
func (p *Payments) settle(ctx context.Context, tx pgx.Tx, ref referral, chargeID string, added int64) (rewards []reward, err error) {
	nano := p.accounts.referral
	if ref.account == 0 || nano == 0 || added < nano {
		return nil, nil
	}
	var before int
	err = tx.QueryRow(ctx, `select count(*) from referrals
		where referrer_id = $1 and referrer_nano > 0 and settled_at >= date_trunc('month', now(), 'UTC')`, ref.referrer).Scan(&before)
	if err != nil {
		return nil, fmt.Errorf("count invitations: %w", err)
	}
	var given [2]int64 // to who came, to who invited
	if before < p.referralMost {
		given[0] = nano
		if ref.active {
			given[1] = nano
		}
	}
	_, err = tx.Exec(ctx, `update referrals set settled_at = now(), charge_id = $2, referred_nano = $3, referrer_nano = $4
		where account_id = $1`, ref.account, chargeID, given[0], given[1])
	if err != nil {
		return nil, fmt.Errorf("settle an invitation: %w", err)
	}
	for i, account := range []int64{ref.account, ref.referrer} {
		if given[i] == 0 {
			continue
		}
		name := ref.name(i)
		g, err := grant(ctx, tx, Credit{AccountID: account, AmountNano: given[i], Kind: CreditReferral, IdempotencyKey: name})
		if err != nil {
			return nil, err
		}
		rewards = append(rewards, reward{account, g.seq, given[i]})
		kind := [2]string{NoticeInvited, NoticeInviting}[i]
		if err := notice(ctx, tx, Notice{AccountID: account, Kind: kind, UniqueKey: name, Details: Invited{given[i]}}); err != nil {
			return nil, err
		}
	}
	return rewards, nil
}

// name names what one side of the invitation was given, and its notice.
func (r referral) name(side int) string {
	return "referral:" + strconv.FormatInt(r.account, 10) + ":" + [2]string{"came", "invited"}[side]
}

// takeBackReferral writes inside tx the debits by which a payment that was given back
// takes the credits for its invitation along: to zero at the lowest, as any refund.
func takeBackReferral(ctx context.Context, tx pgx.Tx, chargeID string) error {
	var ref referral
	var given [2]int64
	err := tx.QueryRow(ctx, `select account_id, referrer_id, referred_nano, referrer_nano from referrals where charge_id = $1`, chargeID).
		Scan(&ref.account, &ref.referrer, &given[0], &given[1])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read an invitation: %w", err)
	}
	for i, account := range []int64{ref.account, ref.referrer} {
		if given[i] == 0 {
			continue
		}
		_, err := tx.Exec(ctx, `insert into debits (reference, account_id, kind, amount_nano, book) values ($1, $2, $3, $4, $5)
			on conflict (reference) do nothing`, "un"+ref.name(i), account, kindRefund, given[i], bookPromotion)
		if err != nil {
			return fmt.Errorf("take back what an invitation gave: %w", err)
		}
	}
	return nil
}
