package billing

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Spending is what an account paid for one model's calls.
type Spending struct {
	Model     string
	Calls     int64
	Estimated int64 // of the calls: their tokens were counted here, as the provider told none
	Prompt    int64 // tokens
	Answered  int64 // tokens
	Nano      int64 // what was taken from the balance
}

// Spending sums up what was paid from one full hour up to another, by model, the
// dearest first. Its sum is the ledger's: calls that Postgres has not applied are in
// neither.
func (l *Ledger) Spending(ctx context.Context, accountID int64, from, to time.Time) ([]Spending, error) {
	rows, err := l.postgres.Query(ctx, `select model, sum(calls)::bigint, sum(estimated_calls)::bigint,
			sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, sum(captured_nano)::bigint
		from usage_hourly where account_id = $1 and hour >= $2 and hour < $3
		group by model order by 6 desc, 1`, accountID, from, to)
	if err != nil {
		return nil, fmt.Errorf("sum up spending: %w", err)
	}
	spent, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Spending])
	if err != nil {
		return nil, fmt.Errorf("sum up spending: %w", err)
	}
	return spent, nil
}
