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
