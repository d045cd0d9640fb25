package billing

import (
	"errors"
	"time"
)

// accountQueries are what the account API and the live socket ask.
func accountQueries(r *rig, desk *Desk, account int64) []hotQuery {
	ctx := r.t.Context()
	none := func(_ any, err error) error { return err }
	now := time.Now().Truncate(time.Hour)
	filter := UsageFilter{AccountID: account, From: now.AddDate(0, 0, -9), To: now}
	var odd []time.Time // days that begin in the midst of a quarter of an hour
	for day := filter.From.Add(40 * time.Minute); day.Before(filter.To); day = day.AddDate(0, 0, 1) {
		odd = append(odd, day)
	}
	ofCalls := "usage_YYYY_MM_account_id_created_at_transaction_id_idx"
	feed := NewFeed(r.redis, desk.Ledger.postgres)
	used := func(change func(*UsedCallsQuery)) func() error {
		return func() error {
			q := UsedCallsQuery{UsageFilter: filter, Most: 50}
			change(&q)
			return none(desk.Ledger.UsedCalls(ctx, q))
		}
	}
	return []hotQuery{
		{"What an account's calls came to, by parts and models", "`GET /api/v1/usage`, `/graphql`; with parts that begin in the midst of a quarter of an hour.", func() error {
			return none(desk.Ledger.Consumption(ctx, ConsumptionQuery{UsageFilter: filter, Edges: odd, ByModel: true, Most: 10_001}))
		}, []string{"width_bucket"}, []string{"usage_hourly_pkey", "usage_quarters_pkey", ofCalls}},
		{"An account's calls", "`GET /api/v1/usage/calls`, page by page, the newest first.", used(func(*UsedCallsQuery) {}),
			[]string{"from usage", "order by created_at desc"}, []string{ofCalls}},
		{"An account's calls behind one", "`GET /api/v1/usage/export` and files, page by page, the oldest first.",
			used(func(q *UsedCallsQuery) { q.Oldest, q.AfterAt, q.AfterID = true, now.AddDate(0, 0, -3), 77 }),
			[]string{"(created_at, transaction_id) >"}, []string{ofCalls}},
		{"What moved an account's balance", "`GET /api/v1/transactions`, page by page, the newest first.", func() error {
			return none(desk.Ledger.Movements(ctx, MovementQuery{AccountID: account, Before: 40, Most: 50}))
		}, []string{"left join usage u", "order by t.account_seq desc"}, []string{"ledger_transactions_account_id_account_seq_key", "ledger_entries_YYYY_MM_pkey"}},
		{"What moved an account's balance but for calls", "`GET /api/v1/transactions?calls=false`.", func() error {
			return none(desk.Ledger.Movements(ctx, MovementQuery{AccountID: account, Most: 50, NoCalls: true}))
		}, []string{"t.kind <> 'settle'"}, []string{"ledger_transactions_not_calls", "ledger_entries_YYYY_MM_pkey"}},
		{"The names of an account's keys", "`GET /api/v1/usage` by key, and files.", func() error { return none(desk.Keys.Names(ctx, account)) },
			[]string{"select id, name from api_keys"}, []string{"api_keys_of_account"}},
		{"Where accounts stand", "For sockets that open, and every 30 s for all that are open.", func() error {
			_, _, err := feed.Look(ctx, []int64{account, 7}, []int64{5, 6})
			return err
		}, []string{"a.ledger_seq, left(md5("}, []string{"accounts_pkey", "api_keys_of_account"}},
		{"What is new in accounts' ledgers", "For all accounts that sockets speak for and something was posted of.", func() error {
			return none(feed.After(ctx, []int64{account, 7}, []int64{10, 3}, 100))
		}, []string{"coalesce(p.amount, 0)"}, []string{"ledger_transactions_account_id_account_seq_key", "ledger_entries_YYYY_MM_pkey"}},
		{"When somebody left", "For who opens an account.", func() error {
			_, _, err := desk.Accounts.Enter(ctx, Profile{TelegramID: 700_001}, time.Unix(1, 0))
			if errors.Is(err, ErrInitDataOld) {
				return nil
			}
			return err
		}, []string{"from departed"}, []string{"departed_pkey"}},
	}
}
