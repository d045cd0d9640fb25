package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// relayDebits has Redis take what Postgres decided to take. Exactly once, whoever
// crashes where:
//
//   - what the ledger has is done, and noted;
//   - what it has not is not in the stream either, as all of that is applied first;
//   - then Redis takes it, once in an epoch by the marker that it keeps, and not at
//     all in an epoch that began after the look at the ledger.
//
// The event that Redis appends brings it to the ledger.
func (o *owner) relayDebits(ctx context.Context) error {
	debits, err := o.pendingDebits(ctx)
	if err != nil {
		return err
	}
	if len(debits) > 0 {
		if err := o.catchUp(ctx); err != nil {
			return err
		}
		if debits, err = o.noteDebits(ctx, debits); err != nil {
			return err
		}
	}
	o.debits[o.shard].Store(int64(len(debits)))
	for _, d := range debits {
		if err := o.step("debit-due"); err != nil {
			return err
		}
		_, _, _, err := o.scripts.takeDebit(ctx, o.redis, o.at.epoch, d)
		if errors.Is(err, errNoHash) {
			continue // the script has noted it: the next look rebuilds the shard
		}
		if err != nil {
			return fmt.Errorf("relay a debit: %w", err)
		}
		if err := o.step("debit-taken"); err != nil {
			return err
		}
	}
	return nil
}

// pendingDebits reads debits that are not known to be in the ledger, the oldest first.
func (o *owner) pendingDebits(ctx context.Context) ([]debit, error) {
	rows, err := o.postgres.Query(ctx, `
		select reference, account_id, key_id, amount_nano, kind, book, details::text from debits
		where (account_id & 15) = $1 and posted_at is null order by created_at limit $2`, int64(o.shard), relayMost)
	if err != nil {
		return nil, fmt.Errorf("read debits: %w", err)
	}
	debits, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d debit, err error) {
		err = row.Scan(&d.reference, &d.account, &d.key, &d.nano, &d.kind, &d.book, &d.details)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read debits: %w", err)
	}
	return debits, nil
}

// noteDebits notes those that the ledger has, and returns the others.
func (o *owner) noteDebits(ctx context.Context, debits []debit) ([]debit, error) {
	references := make([]string, len(debits))
	for i, d := range debits {
		references[i] = d.reference
	}
	rows, err := o.postgres.Query(ctx, `
		update debits d set posted_at = now() where reference = any($1)
			and exists (select from ledger_transactions t where t.reference = d.reference)
		returning reference`, references)
	if err != nil {
		return nil, fmt.Errorf("note debits: %w", err)
	}
	noted, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("note debits: %w", err)
	}
	done := make(map[string]bool, len(noted))
	for _, reference := range noted {
		done[reference] = true
	}
	left := debits[:0]
	for _, d := range debits {
		if !done[d.reference] {
			left = append(left, d)
		}
	}
	return left, nil
}
