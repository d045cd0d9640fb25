package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// relayMost bounds the rows of each kind that one look takes.
const relayMost = 500

// noteRead notes those accounts that are still as they were read.
const noteRead = `id = any($2) and (id, limits_seq) in (select * from unnest($2::bigint[], $3::bigint[]))`

// due selects what Redis has not been told, or not been told a second time.
const due = `not confirmed and (projected_at is null or projected_at <= now() - $2::interval)`

// relay tells Redis what Postgres decided: accounts, then their credits, then
// keys. A crash between the decision and Redis ends here. errLost, where Redis has
// no longer what it had been told.
func (o *owner) relay(ctx context.Context) error {
	if err := o.relayMissed(ctx); err != nil {
		return err
	}
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
			if err = o.revisit(ctx, []int64{c.AccountID}); err == nil {
				err = o.projector.credit(ctx, c.AccountID, c.Seq, c.AmountNano)
			}
		}
		if err != nil {
			return fmt.Errorf("relay a credit: %w", err)
		}
	}
	for _, k := range keys {
		err := o.projector.key(ctx, k)
		if errors.Is(err, errNoHash) {
			if err = o.revisit(ctx, []int64{k.AccountID}); err == nil {
				err = o.projector.key(ctx, k)
			}
		}
		if err != nil {
			return fmt.Errorf("relay an API key: %w", err)
		}
	}
	return nil
}

type pendingAccount struct {
	ID    int64
	Known bool  // Redis has had a hash of it
	Seq   int64 // of its changes
}

type pendingCredit struct{ AccountID, Seq, AmountNano int64 }

func (o *owner) pending(ctx context.Context) (accounts []pendingAccount, credits []pendingCredit, keys []keyRecord, err error) {
	args := []any{int64(o.shard), confirmAfter, relayMost}
	batch := &pgx.Batch{}
	batch.Queue(`select id, known, limits_seq from accounts where (id & 15) = $1 and `+due+` order by id limit $3`, args...).
		Query(func(rows pgx.Rows) (err error) {
			accounts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[pendingAccount])
			return err
		})
	batch.Queue(`select account_id, seq, amount_nano from credits
		where (account_id & 15) = $1 and `+due+` order by account_id, seq limit $3`, args...).
		Query(func(rows pgx.Rows) (err error) {
			credits, err = pgx.CollectRows(rows, pgx.RowToStructByPos[pendingCredit])
			return err
		})
	batch.Queue(`select `+keyFields+` from api_keys k where (account_id & 15) = $1 and `+due+` order by id limit $3`, args...).
		Query(func(rows pgx.Rows) (err error) {
			keys, err = pgx.CollectRows(rows, pgx.RowToStructByPos[keyRecord])
			return err
		})
	if err := o.postgres.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, nil, fmt.Errorf("read what is to be relayed: %w", err)
	}
	return accounts, credits, keys, nil
}

// relayMissed looks after the accounts whose hash a script did not find.
func (o *owner) relayMissed(ctx context.Context) error {
	missed, err := o.redis.SRandMemberN(ctx, lostKey(o.shard), relayMost).Result()
	if err != nil {
		return redisError("look for missed accounts", err)
	}
	if len(missed) == 0 {
		return nil
	}
	var ids []int64
	for _, text := range missed {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil && shardOf(id) == o.shard {
			ids = append(ids, id)
		}
	}
	if err := o.revisit(ctx, ids); err != nil {
		return err
	}
	return redisError("forget missed accounts", o.redis.SRem(ctx, lostKey(o.shard), missed).Err())
}

// revisit relays accounts again, whether or not they are due. What Postgres does
// not know is no account.
func (o *owner) revisit(ctx context.Context, ids []int64) error {
	rows, err := o.postgres.Query(ctx, `select id, known, limits_seq from accounts where id = any($1) order by id`, ids)
	if err != nil {
		return fmt.Errorf("read accounts to relay: %w", err)
	}
	accounts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pendingAccount])
	if err != nil {
		return fmt.Errorf("read accounts to relay: %w", err)
	}
	return o.relayAccounts(ctx, accounts)
}

// relayAccounts makes the hashes that are missing and notes those that are there.
// A hash that was there and is gone cannot be made alone: what its account holds
// and spent since is not known, so the whole shard goes back to what Postgres knows.
func (o *owner) relayAccounts(ctx context.Context, accounts []pendingAccount) error {
	if len(accounts) == 0 {
		return nil
	}
	pipe := o.redis.Pipeline()
	exists := make([]*redis.IntCmd, len(accounts))
	ids, seqs := make([]int64, len(accounts)), make([]int64, len(accounts))
	for i, a := range accounts {
		ids[i], seqs[i] = a.ID, a.Seq
		exists[i] = pipe.Exists(ctx, AcctKey(a.ID))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return redisError("look for accounts", err)
	}
	var missing []int64
	for i, a := range accounts {
		switch {
		case exists[i].Val() > 0:
		case a.Known:
			o.doubted = o.at.epoch
			return fmt.Errorf("%w: the hash of account %d is gone", errLost, a.ID)
		default:
			missing = append(missing, a.ID)
		}
	}
	if err := o.relayClosed(ctx, ids); err != nil {
		return err
	}
	if err := o.relayBudgets(ctx, ids); err != nil {
		return err
	}
	if err := o.relayMemberships(ctx, ids); err != nil {
		return err
	}
	if err := o.introduce(ctx, missing); err != nil {
		return err
	}
	// What was changed since it was read is not noted, so the next look comes back to it.
	return o.projector.note(ctx, "accounts", noteRead, ids, seqs)
}

// introduce makes the hashes of accounts that Redis did not know. Should it have
// known one, and the note of it be missing, all events of the account are in the
// stream: once those are applied, the ledger's balance is the whole truth.
func (o *owner) introduce(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	if err := o.catchUp(ctx); err != nil {
		return err
	}
	rows, err := o.postgres.Query(ctx, `select `+accountFields+` from accounts a
		where id = any($1) order by id`, ids)
	if err != nil {
		return fmt.Errorf("read new accounts: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[accountRow])
	if err != nil {
		return fmt.Errorf("read new accounts: %w", err)
	}
	for _, a := range found {
		if err := o.projector.account(ctx, a); err != nil {
			return err
		}
	}
	return nil
}
