package requestlog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// forgetAtOnce bounds one statement's deletions.
const forgetAtOnce = 10_000

// Retention forgets requests that are older than they are to be.
type Retention struct {
	Postgres *pgxpool.Pool
	Keep     time.Duration
}

// Forget makes the months ahead, drops those that are over for good, and deletes what
// is older within the one in which the time to keep begins. It may be repeated, and
// interrupted at any time.
func (r Retention) Forget(ctx context.Context) error {
	var before time.Time
	err := r.Postgres.QueryRow(ctx, `select now() - $1::interval`, r.Keep).Scan(&before)
	if err == nil {
		_, err = r.Postgres.Exec(ctx, `select request_log_partitions($1)`, before)
	}
	for err == nil {
		var gone int64
		tag, failed := r.Postgres.Exec(ctx, `
			with old as (select tableoid, ctid from requests where created_at < $1 limit $2)
			delete from requests r using old where r.tableoid = old.tableoid and r.ctid = old.ctid`, before, forgetAtOnce)
		if gone, err = tag.RowsAffected(), failed; gone < forgetAtOnce {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("forget old requests: %w", err)
	}
	return nil
}
