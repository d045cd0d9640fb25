package billing

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Types of movements.
const (
	MovedByCall       = "call"
	MovedByTopUp      = "top_up"
	MovedByBonus      = "bonus" // money of the house
	MovedByGift       = "gift"
	MovedByRefund     = "refund"
	MovedByAdjustment = "adjustment"
)

// Movement is a transaction as its account's owner is told of it.
type Movement struct {
	ID         int64
	Seq        int64 // its number among the account's
	Type       string
	Method     string // ProviderStars or ProviderCard, of a top-up or refund; "": another
	At         time.Time
	Nano       int64  // what the balance changed by
	WrittenOff int64  // nano-USD that should have been taken beside it and were not there
	Model      string // of a call that was applied; ""
	KeyID      int64  // of a call; 0: none
}

// MovementQuery asks for a page of movements, the newest first.
type MovementQuery struct {
	AccountID int64
	Before    int64 // those with smaller numbers; 0: from the newest
	Most      int
	NoCalls   bool // calls are left out
}

// newest is a number behind those of all movements.
const newest = math.MaxInt64

const (
	movementsOf = `
select t.id, t.account_seq, t.kind, t.created_at, e.customer, e.written_off, e.book, coalesce(u.model, ''), coalesce(u.key_id, 0)
from ledger_transactions t
cross join lateral (
	select coalesce(sum(amount_nano) filter (where book = 'customer'), 0)::bigint as customer,
		coalesce(-sum(amount_nano) filter (where book = 'write_off'), 0)::bigint as written_off,
		coalesce(min(book) filter (where book not in ('customer', 'write_off')), '') as book
	from ledger_entries where transaction_id = t.id and created_at = t.created_at
) e
left join usage u on u.transaction_id = t.id and u.created_at = t.created_at
where t.account_id = $1 and t.account_seq < $2`

	movementsEnd = ` order by t.account_seq desc limit $3`
)

// Movements is a page of what changed an account's balance. ErrClosed.
func (l *Ledger) Movements(ctx context.Context, q MovementQuery) ([]Movement, error) {
	if q.Before <= 0 {
		q.Before = newest
	}
	sql := movementsOf + movementsEnd
	if q.NoCalls {
		sql = movementsOf + ` and t.kind <> 'settle'` + movementsEnd
	}
	told := func(ctx context.Context, replica *pgxpool.Pool) error { return l.told(ctx, replica, q) }
	page, err := readRows(ctx, l.reads, told, func(row pgx.CollectableRow) (m Movement, err error) {
		var kind, book string
		err = row.Scan(&m.ID, &m.Seq, &kind, &m.At, &m.Nano, &m.WrittenOff, &book, &m.Model, &m.KeyID)
		m.Type, m.Method = movementType(kind, book)
		return m, err
	}, sql, q.AccountID, q.Before, q.Most)
	if err != nil {
		return nil, databaseError("read movements", err)
	}
	return page, nil
}

// movementType is what a transaction of a kind with another book than the customer's is.
func movementType(kind, book string) (is, method string) {
	if book == ProviderStars || book == ProviderCard {
		method = book
	}
	switch {
	case kind == kindSettle, kind == kindLate:
		return MovedByCall, ""
	case kind == kindRefund:
		return MovedByRefund, method
	case book == bookGifts:
		return MovedByGift, ""
	case book == bookPromotion:
		return MovedByBonus, ""
	case method != "":
		return MovedByTopUp, method
	}
	return MovedByAdjustment, ""
}
