package billing

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

// strays looks in Redis for accounts that Postgres does not have, and for usable
// records of API keys that it does not have or has revoked.
//
// An account and a key are committed before Redis is told, so what is not in Postgres
// after it was seen in Redis belongs to nobody. A revoked key counts when Postgres
// says that Redis was told, and the record is there afterwards.
func (r *reconciliation) strays(ctx context.Context) error {
	tag := "s??"
	if r.scope.Shard != nil {
		tag = r.scope.Shard.String()
	}
	nodes := map[redis.Cmdable]bool{}
	for _, s := range r.scope.shards() {
		node, err := nodeOf(ctx, r.redis, s)
		if err != nil {
			return redisError("find the shard's node", err)
		}
		nodes[node] = true
	}
	seen := map[string]bool{} // a scan may come to a key twice; only what differs is kept
	for node := range nodes {
		if err := r.scan(ctx, node, "acct:{"+tag+"}:*", seen, r.strayAccounts); err != nil {
			return err
		}
		if err := r.scan(ctx, node, "key:{"+tag+"}:*", seen, r.strayKeys); err != nil {
			return err
		}
	}
	return nil
}

// scan calls examine for the keys of a node that match, run by run, and reports what
// it names.
func (r *reconciliation) scan(ctx context.Context, node redis.Cmdable, match string, seen map[string]bool,
	examine func(context.Context, []string) ([]Discrepancy, error)) error {
	var run []string
	for cursor := uint64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, match, scanMost).Result()
		if err != nil {
			return redisError("scan", err)
		}
		run, cursor = append(run, keys...), next
		if len(run) < r.chunk && cursor != 0 {
			continue
		}
		found, err := examine(ctx, run)
		if err != nil {
			return err
		}
		for _, d := range found {
			if !seen[d.Subject] {
				seen[d.Subject] = true
				r.found(d)
			}
		}
		if run = run[:0]; cursor == 0 {
			return nil
		}
	}
}

func (r *reconciliation) strayAccounts(ctx context.Context, keys []string) ([]Discrepancy, error) {
	ids := make([]int64, 0, len(keys))
	for _, key := range keys {
		id, _ := strconv.ParseInt(key[strings.LastIndexByte(key, ':')+1:], 10, 64) // 0 is nobody's
		ids = append(ids, id)
	}
	rows, err := r.postgres.Query(ctx, `select id from accounts where id = any($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	exists := make(map[string]bool, len(known))
	for _, id := range known {
		exists[AcctKey(id)] = true
	}
	var found []Discrepancy
	for i, key := range keys {
		if !exists[key] {
			found = append(found, Discrepancy{What: AboutAccount, Shard: shardIn(key), AccountID: ids[i], Subject: key,
				Expected: "nothing: Postgres has no such account", Found: "a hash"})
		}
	}
	return found, nil
}

func (r *reconciliation) strayKeys(ctx context.Context, keys []string) ([]Discrepancy, error) {
	locators := make([]string, len(keys))
	for i, key := range keys {
		locators[i] = key[strings.LastIndexByte(key, ':')+1:]
	}
	rows, err := r.postgres.Query(ctx, `select locator, id, account_id, revoked_at is not null, projected_at is not null
		from api_keys where locator = any($1)`, locators)
	if err != nil {
		return nil, fmt.Errorf("read API keys: %w", err)
	}
	type row struct {
		Locator       string
		ID, AccountID int64
		Revoked, Told bool
	}
	records, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, fmt.Errorf("read API keys: %w", err)
	}
	known := make(map[string]row, len(records))
	for _, k := range records {
		known[KeyKey(k.AccountID, k.Locator)] = k
	}
	var found []Discrepancy
	for _, key := range keys {
		k, ok := known[key]
		switch {
		case !ok:
			found = append(found, Discrepancy{What: AboutKey, Shard: shardIn(key), Subject: key,
				Expected: "nothing: Postgres has no such key", Found: "a usable record"})
		case k.Revoked && k.Told:
			there, err := r.redis.Exists(ctx, key).Result()
			if err != nil {
				return nil, redisError("look for a key", err)
			}
			if there > 0 {
				found = append(found, Discrepancy{What: AboutKey, Shard: shardIn(key), AccountID: k.AccountID, KeyID: k.ID,
					Subject: key, Expected: "nothing: the key is revoked", Found: "a usable record"})
			}
		}
	}
	return found, nil
}

// shardIn is the shard that a Redis key is tagged with.
func shardIn(key string) string {
	_, rest, _ := strings.Cut(key, "{")
	tag, _, _ := strings.Cut(rest, "}")
	if len(tag) != len(stream.Shard(0).String()) {
		return ""
	}
	return tag
}
