package billing

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// KeyQuery asks for keys of an account, the newest first.
type KeyQuery struct {
	AccountID int64
	KeyID     int64 // this one alone; 0: all
	Before    int64 // those with smaller ids; 0: from the newest
	Revoked   bool  // the revoked ones too
	Most      int   // at most so many; 0, or more than 500: 500
}

// KeyUse is a key, and what was spent with it.
type KeyUse struct {
	Key
	MonthNano int64 // in the running month (UTC), by the ledger
}

// Used finds keys and what was spent with them. ErrClosed.
func (k *Keys) Used(ctx context.Context, q KeyQuery) ([]KeyUse, error) {
	if q.Most <= 0 || q.Most > maxListed {
		q.Most = maxListed
	}
	keys, err := k.find(ctx, `account_id = $1 and ($2::bigint = 0 or id = $2) and ($3::bigint = 0 or id < $3)
		and (revoked_at is null or $4) order by id desc limit $5`, q.AccountID, q.KeyID, q.Before, q.Revoked, q.Most)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	uses := make([]KeyUse, len(keys))
	at := make(map[int64]int, len(keys))
	ids := make([]int64, len(keys))
	for i, key := range keys {
		uses[i].Key, ids[i], at[key.ID] = key, key.ID, i
	}
	// The account's hours once, and not once for each key.
	rows, err := k.postgres.Query(ctx, `select key_id, sum(captured_nano)::bigint from usage_hourly
		where account_id = $1 and hour >= date_trunc('month', now(), 'UTC') and key_id = any($2) group by key_id`, q.AccountID, ids)
	if err != nil {
		return nil, databaseError("sum up what keys spent", err)
	}
	var id, nano int64
	_, err = pgx.ForEachRow(rows, []any{&id, &nano}, func() error {
		uses[at[id]].MonthNano = nano
		return nil
	})
	if err != nil {
		return nil, databaseError("sum up what keys spent", err)
	}
	return uses, nil
}

// namedMost bounds how many keys' names are read: as many as an account makes in years.
const namedMost = 10_000

// Names are the names of the newest 10,000 keys that an account has or had, by their ids.
// ErrClosed.
func (k *Keys) Names(ctx context.Context, accountID int64) (map[int64]string, error) {
	rows, err := k.postgres.Query(ctx, `select id, name from api_keys where account_id = $1 order by id desc limit $2`, accountID, namedMost)
	if err != nil {
		return nil, databaseError("name API keys", err)
	}
	names := map[int64]string{}
	var id int64
	var name string
	_, err = pgx.ForEachRow(rows, []any{&id, &name}, func() error {
		names[id] = name
		return nil
	})
	if err != nil {
		return nil, databaseError("name API keys", err)
	}
	return names, nil
}
