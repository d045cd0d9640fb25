package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// relayMost bounds the rows of each kind that one look takes.
const relayMost = 500

// due selects what Redis has not been told, or not been told a second time.
const due = `not confirmed and (projected_at is null or projected_at <= now() - $2::interval)`

// relay tells Redis what Postgres decided: accounts, then their credits, then
// keys. A crash between the decision and Redis ends here.
func (o *owner) relay(ctx context.Context) error {
	accounts, credits, keys, err := o.pending(ctx)
	if err != nil {
		return err
	}
	if err := o.relayAccounts(ctx, accounts); err != nil {
		return err
	}
	for _, c := range credits {
		err := o.projector.credit(ctx, c.AccountID, c.Seq, c.AmountNano)
		if errors.Is(err, errNoHash) {
			if err = o.mend(ctx, []int64{c.AccountID}); err == nil {
				err = o.projector.credit(ctx, c.AccountID, c.Seq, c.AmountNano)
			}
		}
		if err != nil {
			return fmt.Errorf("relay a credit: %w", err)
		}
	}
	for _, k := range keys {
		if err := o.projector.key(ctx, k); err != nil {
			return fmt.Errorf("relay an API key: %w", err)
		}
	}
	return nil
}

type pendingCredit struct{ AccountID, Seq, AmountNano int64 }

func (o *owner) pending(ctx context.Context) (accounts []int64, credits []pendingCredit, keys []keyRecord, err error) {
	args := []any{int64(o.shard), confirmAfter, relayMost}
	batch := &pgx.Batch{}
	batch.Queue(`select id from accounts where (id & 15) = $1 and `+due+` order by id limit $3`, args...).
		Query(func(rows pgx.Rows) (err error) {
			accounts, err = pgx.CollectRows(rows, pgx.RowTo[int64])
			return err
		})
	batch.Queue(`select account_id, seq, amount_nano from credits
		where (account_id & 15) = $1 and `+due+` order by account_id, seq limit $3`, args...).
		Query(func(rows pgx.Rows) (err error) {
			credits, err = pgx.CollectRows(rows, pgx.RowToStructByPos[pendingCredit])
			return err
		})
	batch.Queue(`select id, account_id, locator, mac, coalesce(requests_per_minute, 0), name, revoked_at is not null
		from api_keys where (account_id & 15) = $1 and `+due+` order by id limit $3`, args...).
		Query(func(rows pgx.Rows) (err error) {
			keys, err = pgx.CollectRows(rows, pgx.RowToStructByPos[keyRecord])
			return err
		})
	if err := o.postgres.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, nil, fmt.Errorf("read what is to be relayed: %w", err)
	}
	return accounts, credits, keys, nil
}

// relayAccounts makes the hashes that are missing and notes those that are there.
func (o *owner) relayAccounts(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	pipe := o.redis.Pipeline()
	exists := make([]*redis.IntCmd, len(ids))
	for i, id := range ids {
		exists[i] = pipe.Exists(ctx, AcctKey(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return redisError("look for accounts", err)
	}
	var missing []int64
	for i, id := range ids {
		if exists[i].Val() == 0 {
			missing = append(missing, id)
		}
	}
	if err := o.mend(ctx, missing); err != nil {
		return err
	}
	return o.projector.note(ctx, "accounts", "id = any($2)", ids)
}

// mend makes the hashes of accounts that Redis does not have, new or lost. An
// account without a hash can spend nothing, so all its events are in the stream
// by now: once those are applied, the ledger's balance is the whole truth.
func (o *owner) mend(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	newest, err := o.redis.XRevRangeN(ctx, evKey(o.shard), "+", "-", 1).Result()
	if err != nil {
		return redisError("find the end of the stream", err)
	}
	if len(newest) > 0 {
		end, err := parseEventID(newest[0].ID)
		if err != nil {
			return err
		}
		for o.at.last.before(end) {
			if _, err := o.drain(ctx); err != nil {
				return err
			}
		}
	}
	rows, err := o.postgres.Query(ctx, `select id, balance_nano, credit_seq, status, name from accounts
		where id = any($1) order by id`, ids)
	if err != nil {
		return fmt.Errorf("read accounts to mend: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[accountRow])
	if err != nil {
		return fmt.Errorf("read accounts to mend: %w", err)
	}
	for _, a := range found {
		if err := o.projector.account(ctx, a); err != nil {
			return err
		}
	}
	return nil
}
