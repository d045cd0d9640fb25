package billing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	restoreMost = 100 // accounts or keys of one script call, which others wait for
	scanMost    = 1000
)

// open makes sure that Redis holds the shard that Postgres has followed, and
// rebuilds it where it does not.
func (o *owner) open(ctx context.Context) error {
	at, err := o.readPosition(ctx, o.shard)
	if err != nil {
		return err
	}
	o.at = at
	_, err = o.fetch(ctx)
	if err == nil && at.epoch > 0 && at.epoch != o.doubted {
		return nil
	}
	if err != nil && !errors.Is(err, errLost) {
		return err
	}
	return o.rebuild(ctx)
}

// rebuild makes the shard in Redis again from Postgres:
//
//	close    no epoch, so nothing changes money any more; a ticket for the builder
//	drain    what the stream still has of Postgres' epoch is applied
//	bump     Postgres goes to the next epoch: older events are void from here on
//	wipe     accounts, holds with their marks, keys, events and the proofs of
//	         debits taken are deleted
//	restore  accounts with the ledger's balances, nothing held; usable keys; the
//	         chats' holds of the last days, as they were resolved; tiers and
//	         organisations
//	open     the new epoch
//
// A crash anywhere leaves the shard closed, or open and whole; the next owner
// starts again at the top. A builder that lost its place is stopped by the
// ticket in Redis and by the position in Postgres.
func (o *owner) rebuild(ctx context.Context) error {
	seen, err := o.redis.Get(ctx, epochKey(o.shard)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return redisError("read the epoch", err)
	}
	ticket := rand.Text()
	won, err := o.scripts.close.Run(ctx, o.redis, []string{epochKey(o.shard), buildKey(o.shard)}, ticket, seen).Bool()
	if err != nil {
		return redisError("close the shard", err)
	}
	if !won {
		return errMoved
	}
	if err := o.step("closed"); err != nil {
		return err
	}
	if err := o.salvage(ctx); err != nil {
		return err
	}
	if err := o.step("salvaged"); err != nil {
		return err
	}
	inRedis, _ := strconv.ParseInt(seen, 10, 64) // whatever else it says is no epoch of ours
	next := position{epoch: max(o.at.epoch, inRedis) + 1}
	err = postgres.InTx(ctx, o.postgres, func(tx pgx.Tx) error {
		return movePositions(ctx, tx, []portion{{shard: o.shard, from: o.at, to: next}})
	})
	if err != nil {
		return err
	}
	o.at = next
	if err := o.step("bumped"); err != nil {
		return err
	}
	if err := o.wipe(ctx, ticket); err != nil {
		return err
	}
	if err := o.step("wiped"); err != nil {
		return err
	}
	accounts, err := o.restoreAccounts(ctx, ticket)
	if err != nil {
		return err
	}
	keys, err := o.restoreKeys(ctx, ticket)
	if err != nil {
		return err
	}
	chats, err := o.restoreChats(ctx, ticket)
	if err != nil {
		return err
	}
	if err := o.restoreLimits(ctx); err != nil {
		return err
	}
	if err := o.step("restored"); err != nil {
		return err
	}
	won, err = o.scripts.open.Run(ctx, o.redis, []string{epochKey(o.shard), buildKey(o.shard)}, ticket, next.epoch).Bool()
	if err != nil {
		return redisError("open the shard", err)
	}
	if !won {
		return errMoved
	}
	if err := o.step("opened"); err != nil {
		return err
	}
	o.metrics.rebuilds.Inc()
	o.log.InfoContext(ctx, "shard rebuilt", "epoch", next.epoch, "before", seen, "accounts", accounts, "keys", keys, "chat_holds", chats)
	return nil
}

// salvage applies what the closed shard's stream still has of Postgres' epoch,
// from its beginning: after a loss new events may carry older ids than the
// position. What was applied before is recognised by its reference.
func (o *owner) salvage(ctx context.Context) error {
	from := "-"
	for {
		messages, err := o.redis.XRangeN(ctx, evKey(o.shard), from, "+", batchMost).Result()
		if err != nil {
			return redisError("read the rest of the stream", err)
		}
		if len(messages) == 0 {
			return nil
		}
		events, err := decodeEvents(o.shard, messages)
		if err != nil {
			return err
		}
		last := events[len(events)-1].id
		from = eventID{ms: last.ms, seq: last.seq + 1}.String()
		ours := events[:0]
		for _, e := range events {
			if e.epoch == o.at.epoch {
				ours = append(ours, e)
			}
		}
		if len(ours) == 0 {
			continue
		}
		to := o.at
		if to.last.before(ours[len(ours)-1].id) {
			to.last = ours[len(ours)-1].id
		}
		if ours, err = o.withAccounts(ctx, ours); err != nil {
			return err
		}
		if err := o.apply(ctx, ours, to, true); err != nil {
			return err
		}
		o.at = to
	}
}

// withAccounts leaves out the events of accounts that Postgres does not have: made after
// the moment that a backup was taken at, which Postgres has been restored from. Nobody is
// left to charge, and one of them would keep its whole shard closed.
func (o *owner) withAccounts(ctx context.Context, events []event) ([]event, error) {
	ids := make([]int64, len(events))
	for i, e := range events {
		ids[i] = e.account
	}
	rows, err := o.postgres.Query(ctx, `select id from accounts where id = any($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read the events' accounts: %w", err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read the events' accounts: %w", err)
	}
	kept := slices.DeleteFunc(events, func(e event) bool { return !slices.Contains(known, e.account) })
	if gone := len(ids) - len(kept); gone > 0 {
		o.log.ErrorContext(ctx, "events of accounts that the ledger does not have are left out", "events", gone)
	}
	return kept, nil
}

// wipe deletes what the rebuild will replace, and the map of Telegram ids, which
// fills itself.
func (o *owner) wipe(ctx context.Context, ticket string) error {
	node, err := nodeOf(ctx, o.redis, o.shard)
	if err != nil {
		return redisError("find the shard's node", err)
	}
	var own []string
	for _, name := range []string{"acct", "hold", "mark", "taken", "key"} {
		own = append(own, o.shard.Key(name)+":")
	}
	run := o.restoring(ticket, o.scripts.wipe)
	for _, key := range []string{evKey(o.shard), expKey(o.shard), lostKey(o.shard), o.shard.Key("tguser")} {
		if err := run.add(ctx, []string{key}); err != nil {
			return err
		}
	}
	var cursor uint64
	for {
		found, next, err := node.Scan(ctx, cursor, "*:{"+o.shard.String()+"}:*", scanMost).Result()
		if err != nil {
			return redisError("scan the shard", err)
		}
		for _, key := range found {
			for _, prefix := range own {
				if !strings.HasPrefix(key, prefix) {
					continue
				}
				if err := run.add(ctx, []string{key}); err != nil {
					return err
				}
			}
		}
		if cursor = next; cursor == 0 {
			return run.flush(ctx)
		}
	}
}

// nodeOf is the server that has the shard's keys: SCAN does not travel.
func nodeOf(ctx context.Context, client redis.UniversalClient, s stream.Shard) (redis.Cmdable, error) {
	if cluster, ok := client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, epochKey(s))
	}
	return client, nil
}

// restoreAccounts writes the shard's accounts: the ledger's balance, nothing
// held. Credits decided after the snapshot follow by their numbers.
func (o *owner) restoreAccounts(ctx context.Context, ticket string) (int, error) {
	rows, err := o.postgres.Query(ctx, `select `+accountFields+` from accounts a
		where (id & 15) = $1 order by id`, int64(o.shard))
	if err != nil {
		return 0, fmt.Errorf("read the shard's accounts: %w", err)
	}
	defer rows.Close()
	run := o.restoring(ticket, o.scripts.restore)
	for rows.Next() {
		var a accountRow
		if err := rows.Scan(&a.ID, &a.Balance, &a.CreditSeq, &a.Status, &a.Name, &a.Budget, &a.Spent,
			&a.Tier, &a.Organisation, &a.LimitsSeq); err != nil {
			return 0, fmt.Errorf("read the shard's accounts: %w", err)
		}
		if err := run.add(ctx, []string{AcctKey(a.ID)}, a.told()...); err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("read the shard's accounts: %w", err)
	}
	return run.total, run.flush(ctx)
}

// restoreKeys writes the shard's usable keys, but for those revoked meanwhile.
func (o *owner) restoreKeys(ctx context.Context, ticket string) (int, error) {
	rows, err := o.postgres.Query(ctx, `select `+keyFields+` from api_keys k
		where (account_id & 15) = $1 and revoked_at is null order by id`, int64(o.shard))
	if err != nil {
		return 0, fmt.Errorf("read the shard's API keys: %w", err)
	}
	defer rows.Close()
	run := o.restoring(ticket, o.scripts.restoreKeys)
	for rows.Next() {
		k, err := pgx.RowToStructByPos[keyRecord](rows)
		if err != nil {
			return 0, fmt.Errorf("read the shard's API keys: %w", err)
		}
		keys := []string{KeyKey(k.AccountID, k.Locator), goneKey(k.AccountID, k.Locator), AcctKey(k.AccountID)}
		if err := run.add(ctx, keys, k.told()...); err != nil {
			return 0, err
		}
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("read the shard's API keys: %w", err)
	}
	return run.total, run.flush(ctx)
}

// restoring gathers what a script of the builder takes and calls it run by run;
// each call holds the ticket against the shard's.
type restoring struct {
	owner  *owner
	ticket string
	script *redis.Script
	keys   []string
	args   []any
	size   int
	total  int
}

func (o *owner) restoring(ticket string, script *redis.Script) *restoring {
	return &restoring{owner: o, ticket: ticket, script: script}
}

func (r *restoring) add(ctx context.Context, keys []string, args ...any) error {
	r.keys, r.args = append(r.keys, keys...), append(r.args, args...)
	r.size++
	r.total++
	if r.size < restoreMost {
		return nil
	}
	return r.flush(ctx)
}

func (r *restoring) flush(ctx context.Context) error {
	if r.size == 0 {
		return nil
	}
	keys := append([]string{buildKey(r.owner.shard)}, r.keys...)
	won, err := r.script.Run(ctx, r.owner.redis, keys, append([]any{r.ticket}, r.args...)...).Bool()
	if err != nil {
		return redisError("restore the shard", err)
	}
	if !won {
		return errMoved
	}
	r.keys, r.args, r.size = r.keys[:0], r.args[:0], 0
	return nil
}
