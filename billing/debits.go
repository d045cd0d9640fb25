package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/postgres"
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
		select reference, account_id, key_id, amount_nano, beyond_nano, kind, book, details::text from debits
		where (account_id & 15) = $1 and posted_at is null order by created_at limit $2`, int64(o.shard), relayMost)
	if err != nil {
		return nil, fmt.Errorf("read debits: %w", err)
	}
	debits, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d debit, err error) {
		err = row.Scan(&d.reference, &d.account, &d.key, &d.nano, &d.beyond, &d.kind, &d.book, &d.details)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("read debits: %w", err)
	}
	return debits, nil
}

// noteDebits notes those that the ledger has, and returns the others. Where the reaper was
// there first with the hold of a call, what it left of the call's cost is written off.
func (o *owner) noteDebits(ctx context.Context, debits []debit) ([]debit, error) {
	references := make([]string, len(debits))
	for i, d := range debits {
		references[i] = d.reference
	}
	var noted []string
	err := postgres.InTx(ctx, o.postgres, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			update debits d set posted_at = now() where reference = any($1)
				and exists (select from ledger_transactions t where t.reference = d.reference)
			returning reference`, references)
		if err != nil {
			return err
		}
		if noted, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(noted) == 0 {
			return err
		}
		return writeOffRests(ctx, tx, noted)
	})
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

// rest is what a call cost beyond what the ledger has of it.
type rest struct {
	account, nano int64
	reference     string
}

// writeOffRests writes off, once for each hold, what calls cost beyond what the ledger has.
func writeOffRests(ctx context.Context, tx pgx.Tx, references []string) error {
	rows, err := tx.Query(ctx, `
		select d.account_id, d.amount_nano + d.beyond_nano - u.cost_nano, d.reference
		from debits d
			join ledger_transactions t on t.reference = d.reference
			join usage u on u.transaction_id = t.id and u.created_at = t.created_at
		where d.reference = any($1) and d.kind = 'settle' and d.amount_nano + d.beyond_nano > u.cost_nano
		order by d.account_id`, references)
	if err != nil {
		return err
	}
	rests, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r rest, err error) {
		err = row.Scan(&r.account, &r.nano, &r.reference)
		return r, err
	})
	if err != nil {
		return err
	}
	for _, r := range rests {
		if err := writeOffLate(ctx, tx, r.account, strings.TrimPrefix(r.reference, holdReference("")), r.nano); err != nil {
			return err
		}
	}
	return nil
}
