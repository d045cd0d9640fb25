package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// monthsAhead is how many months the ledger has partitions for beyond this one.
const monthsAhead = 3

// States of a month's partition that was not there.
const (
	MonthMade      = "made"
	MonthInDefault = "in default" // the default partition has rows of that month, by a clock that was wrong: they stay there
	MonthBusy      = "busy"       // somebody reads the default partition, and is not disturbed
)

// ErrMonthBusy says that a month's partition is still to be made: try again.
var ErrMonthBusy = errors.New("billing: a month's partition could not be made beside a reader")

// Month is a partition of the ledger that was not there.
type Month struct{ Partition, State string }

// MonthsAhead is for how many months after this one, without a gap, both entries and usage
// have partitions: -1 where not even this month has.
func (l *Ledger) MonthsAhead(ctx context.Context) (months int, err error) {
	const gap = `select coalesce(min(k) filter (where to_regclass('ledger_entries' || month) is null or to_regclass('usage' || month) is null), 13) - 1
		from (select k, to_char(date_trunc('month', now() at time zone 'UTC') + k * interval '1 month', '_YYYY_MM') as month
			from generate_series(0, 12) k) ahead`
	if err := l.postgres.QueryRow(ctx, gap).Scan(&months); err != nil {
		return 0, fmt.Errorf("look at the ledger's months: %w", err)
	}
	return months, nil
}

// MakeMonths makes the partitions of entries and usage for the months ahead, and tells
// of those that were not there. Any number of instances may call it. Without it
// nothing stops: what has no month goes to the default partition. ErrMonthBusy.
func (l *Ledger) MakeMonths(ctx context.Context) ([]Month, error) {
	rows, err := l.postgres.Query(ctx, `select partition, state from ledger_partitions($1)`, monthsAhead)
	if err != nil {
		return nil, fmt.Errorf("make the ledger's months: %w", err)
	}
	months, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Month])
	if err != nil {
		return nil, fmt.Errorf("make the ledger's months: %w", err)
	}
	for _, m := range months {
		if m.State == MonthBusy {
			err = fmt.Errorf("%w: %s", ErrMonthBusy, m.Partition)
		}
	}
	return months, err
}
