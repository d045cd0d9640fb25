package billing

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
)

// readRows asks for rows that may be a little out of date. At a replica it asks first
// whether all that the answer must rest on is there; nil: nothing is.
func readRows[T any](ctx context.Context, reads *postgres.Reads, there func(context.Context, *pgxpool.Pool) error,
	scan pgx.RowToFunc[T], sql string, args ...any) (found []T, err error) {
	err = reads.Read(ctx, func(ctx context.Context, pool *pgxpool.Pool, atPrimary bool) error {
		if !atPrimary && there != nil {
			if err := there(ctx, pool); err != nil {
				return err
			}
		}
		rows, err := pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, scan)
		return err
	})
	return found, err
}

// told reports whether a replica has all the credits that Redis was told of, so that who
// has seen the balance grow finds in the list what it grew by, and whether it has the page
// before. postgres.ErrBehind.
func (l *Ledger) told(ctx context.Context, replica *pgxpool.Pool, q MovementQuery) error {
	credits, err := l.redis.HGet(ctx, AcctKey(q.AccountID), AccountFieldCreditSeq).Int64()
	if err != nil {
		return postgres.ErrBehind // nobody knows
	}
	last := int64(0) // that a page before this one has shown
	if q.Before != newest {
		last = q.Before
	}
	var there bool
	err = replica.QueryRow(ctx, `select exists (select from accounts where id = $1 and credit_seq >= $2 and ledger_seq >= $3)`,
		q.AccountID, credits, last).Scan(&there)
	if err == nil && !there {
		err = postgres.ErrBehind
	}
	return err
}

// follows reports whether a replica has the call that the page follows on: the calls of an
// account come in order, so none of the page is missing then. postgres.ErrBehind.
func (q UsedCallsQuery) follows(ctx context.Context, replica *pgxpool.Pool) error {
	if q.AfterAt.IsZero() {
		return nil
	}
	var there bool
	err := replica.QueryRow(ctx, `select exists (select from usage where account_id = $1 and created_at = $2 and transaction_id = $3)`,
		q.AccountID, q.AfterAt, q.AfterID).Scan(&there)
	if err == nil && !there {
		err = postgres.ErrBehind
	}
	return err
}
