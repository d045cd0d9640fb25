package billing

import (
	"context"
	"fmt"
	"time"
)

// Census is how the house is doing. Amounts in nano-USD.
type Census struct {
	People     int64 // who came to the bot and have not left
	NewDay     int64 // in 24 hours
	NewWeek    int64
	Banned     int64
	ActiveDay  int64 // accounts that used a model in the last 24 hours, by hours of the clock
	ActiveWeek int64
	CallsDay   int64
	SpentDay   int64
	PaidDay    int64 // payments made in 24 hours
	PaidNano   int64 // what they added to balances
	Balances   int64 // what all accounts have together, as the ledger has it
}

// censusIn bounds the statement: it reads a week of usage.
const censusIn = 10 * time.Second

// Census counts.
func (a *Accounts) Census(ctx context.Context) (c Census, err error) {
	ctx, cancel := context.WithTimeout(ctx, censusIn)
	defer cancel()
	err = a.postgres.QueryRow(ctx, `
		with people as (
			select count(*) filter (where met_at is not null and status <> 'closed') as people,
				count(*) filter (where met_at > now() - interval '1 day') as day,
				count(*) filter (where met_at > now() - interval '7 days') as week,
				count(*) filter (where status = 'suspended') as banned,
				coalesce(sum(balance_nano), 0)::bigint as balances from accounts
		), used as (
			select count(distinct account_id) filter (where hour >= date_trunc('hour', now() - interval '1 day', 'UTC')) as day,
				count(distinct account_id) as week,
				coalesce(sum(calls) filter (where hour >= date_trunc('hour', now() - interval '1 day', 'UTC')), 0)::bigint as calls,
				coalesce(sum(captured_nano) filter (where hour >= date_trunc('hour', now() - interval '1 day', 'UTC')), 0)::bigint as spent
			from usage_hourly where hour >= date_trunc('hour', now() - interval '7 days', 'UTC')
		), paid as (
			select count(*) as day, coalesce(sum(credit_nano), 0)::bigint as nano from payments where paid_at > now() - interval '1 day'
		)
		select p.people, p.day, p.week, p.banned, u.day, u.week, u.calls, u.spent, d.day, d.nano, p.balances
		from people p, used u, paid d`,
	).Scan(&c.People, &c.NewDay, &c.NewWeek, &c.Banned, &c.ActiveDay, &c.ActiveWeek, &c.CallsDay, &c.SpentDay,
		&c.PaidDay, &c.PaidNano, &c.Balances)
	if err != nil {
		return Census{}, fmt.Errorf("count the house: %w", err)
	}
	return c, nil
}
