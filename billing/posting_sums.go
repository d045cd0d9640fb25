package billing

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const organisationDaysSQL = `
	insert into organisation_days as d (organisation_id, day, shard, captured_nano)
	select * from unnest($1::bigint[], $2::integer[], $3::smallint[], $4::bigint[]) as e (organisation, day, shard, captured)
	on conflict (organisation_id, day, shard) do update set captured_nano = d.captured_nano + excluded.captured_nano`

// keysUsedSQL notes when keys were used, each at most once a minute: so a key in use costs
// a write a minute, and its calls none.
const keysUsedSQL = `
	update api_keys k set last_used_at = u.at
	from unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) as u (key_id, account_id, at)
	where k.id = u.key_id and k.account_id = u.account_id and (k.last_used_at is null or k.last_used_at < u.at - interval '1 minute')`

const balancesSQL = `
	update accounts a set balance_nano = a.balance_nano - e.spent, ledger_seq = e.seq, ledger_hash = e.hash
	from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[]) as e (id, spent, seq, hash)
	where a.id = e.id`

// lowBalancesSQL notes that a balance fell through its threshold, each time once.
const lowBalancesSQL = `
	insert into notices (account_id, kind, unique_key, details)
	select id, 'low_balance', 'low_balance:' || id || ':' || seq, jsonb_build_object('balance_nano', balance, 'threshold_nano', low)
	from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) as e (id, seq, balance, low)`

// sum brings what is kept as sums up to the new transactions.
func (p *posting) sum(ctx context.Context, tx pgx.Tx) error {
	batch := &pgx.Batch{}
	p.sumUsage(batch)
	p.sumOrganisations(batch)
	p.sumKeys(batch)
	p.sumAccounts(batch)
	return tx.SendBatch(ctx, batch).Close()
}

func (p *posting) sumOrganisations(batch *pgx.Batch) {
	type organisationDay struct {
		organisation int64
		day          int32
		shard        int16
	}
	sums := map[organisationDay]int64{}
	var order []organisationDay
	for _, e := range p.causes {
		if e.kind != kindSettle || e.details.Organisation == 0 {
			continue
		}
		by := organisationDay{e.details.Organisation, e.details.OrganisationDay, int16(e.shard)}
		if _, seen := sums[by]; !seen {
			order = append(order, by)
		}
		sums[by] += e.captured
	}
	if len(order) == 0 {
		return
	}
	slices.SortFunc(order, func(a, b organisationDay) int {
		return cmp.Or(cmp.Compare(a.organisation, b.organisation), cmp.Compare(a.day, b.day), cmp.Compare(a.shard, b.shard))
	})
	organisations, captured := make([]int64, len(order)), make([]int64, len(order))
	days, shards := make([]int32, len(order)), make([]int16, len(order))
	for i, by := range order {
		organisations[i], days[i], shards[i], captured[i] = by.organisation, by.day, by.shard, sums[by]
	}
	batch.Queue(organisationDaysSQL, organisations, days, shards, captured)
}

func (p *posting) sumKeys(batch *pgx.Batch) {
	type accountKey struct{ account, key int64 }
	latest := map[accountKey]time.Time{}
	for _, e := range p.causes {
		by := accountKey{e.account, e.key}
		if e.kind == kindSettle && e.key > 0 && latest[by].Before(e.at()) {
			latest[by] = e.at()
		}
	}
	if len(latest) == 0 {
		return
	}
	var keys, accounts []int64
	var times []time.Time
	for by, at := range latest {
		keys, accounts, times = append(keys, by.key), append(accounts, by.account), append(times, at)
	}
	batch.Queue(keysUsedSQL, keys, accounts, times)
}

func (p *posting) sumAccounts(batch *pgx.Batch) {
	var ids, spent, seqs []int64
	var hashes [][]byte
	var lowIDs, lowSeqs, balances, thresholds []int64
	for _, a := range p.order {
		if !a.moved {
			continue
		}
		ids, spent, seqs, hashes = append(ids, a.id), append(spent, a.spent), append(seqs, a.seq), append(hashes, a.hash)
		if after := a.balance - a.spent; a.balance >= a.low && a.low > after && a.low > 0 {
			lowIDs, lowSeqs, balances, thresholds = append(lowIDs, a.id), append(lowSeqs, a.seq), append(balances, after), append(thresholds, a.low)
		}
	}
	batch.Queue(balancesSQL, ids, spent, seqs, hashes).Exec(func(tag pgconn.CommandTag) error {
		if tag.RowsAffected() != int64(len(ids)) {
			return errors.New("not all accounts of the batch have their balance")
		}
		return nil
	})
	if len(lowIDs) > 0 {
		batch.Queue(lowBalancesSQL, lowIDs, lowSeqs, balances, thresholds)
	}
}
