package billing

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Reach selects people whom the bot may write to of its own accord: those who came to it,
// are not banned, have not left and did not turn news off.
type Reach struct {
	Language string    // that they are spoken to, such as "pt", which includes "pt-br"; empty: any
	Since    time.Time // they used a model since; zero: whenever
}

// Reached is one of them.
type Reached struct{ AccountID, TelegramID int64 }

// reached selects them of accounts a; $1 is the language and $2 the time.
const reached = ` from accounts a left join settings s on s.account_id = a.id
	where a.telegram_id is not null and a.met_at is not null and a.status = '` + StatusActive + `' and s.mute_news is not true
	and ($1::text = '' or lower(coalesce(nullif(s.language, ''), a.language)) = lower($1)
		or lower(coalesce(nullif(s.language, ''), a.language)) like lower($1) || '-%')
	and ($2::timestamptz is null or exists (select from usage_hourly u where u.account_id = a.id and u.hour >= date_trunc('hour', $2::timestamptz, 'UTC')))`

func (r Reach) args() []any {
	if r.Since.IsZero() {
		return []any{r.Language, nil}
	}
	return []any{r.Language, r.Since}
}

// Reach lists at most limit of them in the order of their accounts, after the account
// with the id after.
func (a *Accounts) Reach(ctx context.Context, r Reach, after int64, limit int) ([]Reached, error) {
	rows, err := a.postgres.Query(ctx, `select a.id, a.telegram_id`+reached+` and a.id > $3 order by a.id limit $4`,
		append(r.args(), after, limit)...)
	if err != nil {
		return nil, fmt.Errorf("find whom to reach: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Reached])
	if err != nil {
		return nil, fmt.Errorf("find whom to reach: %w", err)
	}
	return found, nil
}

// CountReach counts them.
func (a *Accounts) CountReach(ctx context.Context, r Reach) (n int64, err error) {
	if err = a.postgres.QueryRow(ctx, `select count(*)`+reached, r.args()...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count whom to reach: %w", err)
	}
	return n, nil
}
