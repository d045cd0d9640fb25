package billing

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// maxPosted bounds one page of an account's transactions.
const maxPosted = 1000

// Posted is a transaction in the ledger.
type Posted struct {
	ID        int64
	Seq       int64 // its number among the account's
	Kind      string
	Reference string // names its cause
	Memo      map[string]string
	At        time.Time
	Books     []string // its entries, one after another
	Amounts   []int64  // nano-USD
}

// Nano is what the customer's balance changed by, in nano-USD.
func (p Posted) Nano() (sum int64) {
	for i, book := range p.Books {
		if book == bookCustomer {
			sum += p.Amounts[i]
		}
	}
	return sum
}

// entriesOf joins a transaction t to its entries e, in the one month where they are.
const entriesOf = `cross join lateral (
	select coalesce(array_agg(book order by position), '{}') as books, coalesce(array_agg(amount_nano order by position), '{}') as amounts
	from ledger_entries where transaction_id = t.id and created_at = t.created_at) e`

// Transactions are a page of an account's transactions, the newest first, from the one
// before the number before on; 0: from the newest. next is where the following page
// begins, 0 after the last.
func (l *Ledger) Transactions(ctx context.Context, accountID, before int64, limit int) (page []Posted, next int64, err error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	limit = int(clamp(int64(max(limit, 1)), maxPosted))
	rows, err := l.postgres.Query(ctx, `
		select t.id, t.account_seq, t.kind, t.reference, t.memo, t.created_at, e.books, e.amounts
		from ledger_transactions t `+entriesOf+`
		where t.account_id = $1 and t.account_seq < $2 order by t.account_seq desc limit $3`, accountID, before, limit+1)
	if err != nil {
		return nil, 0, fmt.Errorf("read transactions: %w", err)
	}
	page, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Posted])
	if err != nil {
		return nil, 0, fmt.Errorf("read transactions: %w", err)
	}
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Seq
	}
	return page, next, nil
}
