package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// Given are the details of the notices NoticeGiftTaken and NoticeGiftReturned.
type Given struct {
	AmountNano int64 `json:"amount_nano"`
}

// Take credits a gift to the account that has its code: once, to the first that comes.
// The giver's own account takes it back. Taken again by the account that has it, it is
// returned as it is. Errors: ErrGiftUnknown, ErrGiftPending, ErrGiftTaken, ErrGiftGone,
// ErrAmount, ErrAccountUnknown.
func (g *Gifts) Take(ctx context.Context, code string, accountID int64) (Gift, error) {
	id, ok := g.read(code)
	if !ok {
		return Gift{}, ErrGiftUnknown
	}
	return g.settle(ctx, id, NoticeGiftTaken, func(s giftState) (int64, error) {
		switch {
		case s.CreditedTo == accountID:
			return accountID, nil
		case s.CreditedTo == s.AccountID, s.CreditedTo == 0 && s.expired && accountID != s.AccountID:
			return 0, ErrGiftGone
		case s.CreditedTo != 0:
			return 0, ErrGiftTaken
		case !s.funded:
			return 0, ErrGiftPending
		}
		return accountID, nil
	})
}

// Return gives back what nobody took in time, at most 100 gifts of a call, and is to be
// called again and again.
func (g *Gifts) Return(ctx context.Context) error {
	rows, err := g.postgres.Query(ctx, `select id from gifts where settled_at is null and expires_at <= now()
		and exists (select from ledger_transactions where reference = 'gift:' || gifts.id)
		order by expires_at limit $1`, giftsAtOnce)
	if err != nil {
		return databaseError("find gifts to return", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return databaseError("find gifts to return", err)
	}
	var errs []error
	for _, id := range ids {
		_, err := g.settle(ctx, id, NoticeGiftReturned, func(s giftState) (int64, error) {
			if s.CreditedTo == 0 && !s.expired { // asked for again meanwhile
				return 0, ErrGiftPending
			}
			return s.AccountID, nil
		})
		if err != nil && !errors.Is(err, ErrGiftPending) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// giftState is a gift under its lock.
type giftState struct {
	Gift
	expired bool
	funded  bool // the ledger has what was taken for it
}

// settle credits a gift to the account that to decides on, unless it was settled before,
// and has the giver told by a notice of that kind, unless it was the giver who took it.
func (g *Gifts) settle(ctx context.Context, id int64, kind string, to func(giftState) (account int64, err error)) (Gift, error) {
	var s giftState
	var credit granted
	fresh := false
	err := postgres.InTx(ctx, g.postgres, func(tx pgx.Tx) (err error) {
		fresh = false
		if s, err = lockGift(ctx, tx, id); err != nil {
			return err
		}
		account, err := to(s)
		if err != nil || s.CreditedTo != 0 {
			return err
		}
		credit, err = grant(ctx, tx, Credit{AccountID: account, AmountNano: s.AmountNano, Kind: CreditGift,
			IdempotencyKey: giftReference(id)})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `update gifts set settled_at = now(), credited_to = $2, transaction_id = $3 where id = $1`,
			id, account, credit.transaction)
		if err != nil {
			return err
		}
		s.CreditedTo, fresh = account, true
		if kind == NoticeGiftTaken && account == s.AccountID {
			return nil
		}
		return notice(ctx, tx, Notice{AccountID: s.AccountID, Kind: kind, UniqueKey: GiftNotice(id), Details: Given{s.AmountNano}})
	})
	if err != nil {
		return Gift{}, databaseError("settle a gift", err)
	}
	failpoint.Here("gifts.settled")
	if fresh {
		g.accounts.projectCredit(ctx, s.CreditedTo, credit.seq, s.AmountNano)
	}
	s.Code = g.code(id)
	return s.Gift, nil
}

// GiftNotice is the unique key of the notice that tells a giver what became of a gift.
func GiftNotice(id int64) string { return giftReference(id) }

// lockGift reads a gift for whoever is to settle it. Its lock comes before those on
// accounts.
func lockGift(ctx context.Context, tx pgx.Tx, id int64) (s giftState, err error) {
	s.ID = id
	err = tx.QueryRow(ctx, `select account_id, amount_nano, expires_at, coalesce(credited_to, 0), expires_at <= now()
		from gifts where id = $1 for update`, id).Scan(&s.AccountID, &s.AmountNano, &s.Expires, &s.CreditedTo, &s.expired)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, ErrGiftUnknown
	}
	if err != nil {
		return s, fmt.Errorf("read a gift: %w", err)
	}
	err = tx.QueryRow(ctx, `select exists (select from ledger_transactions where reference = $1 and account_id = $2)`,
		giftReference(id), s.AccountID).Scan(&s.funded)
	return s, err
}
