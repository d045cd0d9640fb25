package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

// claimsMost bounds the claims under way that a restored organisation is counted from.
const claimsMost = 100_000

// tellOrganisations tells the shard of organisations that were changed or missed, and
// every reviewEvery of all. What it has no hash of is noted as missing.
func (w *steward) tellOrganisations(ctx context.Context) error {
	rows, err := w.postgres.Query(ctx, `select id, seq from organisations where (id & 15) = $1 order by id`, int64(w.shard))
	if err != nil {
		return fmt.Errorf("read organisations: %w", err)
	}
	type version struct{ ID, Seq int64 }
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[version])
	if err != nil {
		return fmt.Errorf("read organisations: %w", err)
	}
	lost, err := w.redis.SMembers(ctx, lostOrganisationsKey(w.shard)).Result()
	if err != nil {
		return redisError("look for missed organisations", err)
	}
	now := w.now()
	review := now.Sub(w.reviewed) >= reviewEvery
	var ids []int64
	for _, o := range all {
		if review || w.told[o.ID] != o.Seq || slices.Contains(lost, decimal(o.ID)) {
			ids = append(ids, o.ID)
		}
	}
	for run := range slices.Chunk(ids, tellMost) {
		if err := w.tell(ctx, run); err != nil {
			return err
		}
	}
	if len(lost) > 0 {
		if err := w.redis.SRem(ctx, lostOrganisationsKey(w.shard), lost).Err(); err != nil {
			return redisError("forget missed organisations", err)
		}
	}
	if review {
		w.reviewed = now
	}
	return nil
}

func (w *steward) tell(ctx context.Context, ids []int64) error {
	records, err := w.readOrganisations(ctx, `o.id = any($1) order by o.id`, ids)
	if err != nil {
		return err
	}
	missing, err := w.projector.organisations(ctx, records, false, false)
	if err != nil {
		return err
	}
	for _, r := range records {
		w.told[r.ID] = r.Seq
	}
	for _, id := range missing {
		if !w.missing[id] {
			w.missing[id], w.ends = true, nil
		}
	}
	return nil
}

// restoreOrganisations makes the hashes that are missing. Without its hash no call of an
// organisation begins and no claim is resolved. So once the ledger has all events that the
// streams had when the hash was missed, what was spent is what the ledger says, and with it
// whatever claims there are still; where both know of a call it counts twice, which is
// harsh and over with the day and the month. What a call captures later counts when its
// claim is resolved, or when a review finds it in the ledger.
func (w *steward) restoreOrganisations(ctx context.Context) error {
	if len(w.missing) == 0 {
		return nil
	}
	var err error
	if w.ends == nil {
		if w.ends, err = readEnds(ctx, w.redis); err != nil {
			return err
		}
	}
	passed, err := w.ends.passed(ctx, w.Engine)
	if err != nil || !passed {
		return err
	}
	ids := make([]int64, 0, len(w.missing))
	for id := range w.missing {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	claimed, err := w.claimed(ctx, ids)
	if err != nil {
		return err
	}
	for run := range slices.Chunk(ids, tellMost) {
		records, err := w.readOrganisations(ctx, `o.id = any($1) order by o.id`, run)
		if err != nil {
			return err
		}
		for i := range records {
			records[i].Spent = claimed[records[i].ID].and(records[i].Spent)
		}
		if _, err := w.projector.organisations(ctx, records, false, true); err != nil {
			return err
		}
	}
	w.log.InfoContext(ctx, "organisations restored", "organisations", ids)
	clear(w.missing)
	w.ends = nil
	return nil
}

// claimSums are what claims of an organisation hold, by day and by month, in nano-USD.
type claimSums struct{ days, months map[int64]int64 }

// and adds those of the periods that spent is of.
func (s claimSums) and(spent string) string {
	n := spentOf(spent)
	return fmt.Sprintf("%d|%d|%d|%d", n[0], n[1]+s.days[n[0]], n[2], n[3]+s.months[n[2]])
}

// claimed sums the claims under way of organisations.
func (w *steward) claimed(ctx context.Context, ids []int64) (map[int64]claimSums, error) {
	sums := make(map[int64]claimSums, len(ids))
	for _, id := range ids {
		sums[id] = claimSums{days: map[int64]int64{}, months: map[int64]int64{}}
	}
	names, err := w.redis.ZRange(ctx, claimsKey(w.shard), 0, claimsMost-1).Result()
	if err != nil {
		return nil, redisError("read claims", err)
	}
	for run := range slices.Chunk(names, scanMost) {
		var keys []string
		var of []int64
		for _, name := range run {
			c, err := parseClaim(name)
			if _, ours := sums[c.Organisation]; err != nil || !ours {
				continue
			}
			keys, of = append(keys, w.shard.Key("claim", name)), append(of, c.Organisation)
		}
		if len(keys) == 0 {
			continue
		}
		records, err := w.redis.MGet(ctx, keys...).Result()
		if err != nil {
			return nil, redisError("read claims", err)
		}
		for i, record := range records {
			var state string
			var nano, day, month int64
			text, _ := record.(string)
			if n, _ := fmt.Sscanf(text, "%1s|%d|%d|%d", &state, &nano, &day, &month); n == 4 && state == "c" {
				sums[of[i]].days[day] += nano
				sums[of[i]].months[month] += nano
			}
		}
	}
	return sums, nil
}

// streamEnds are the newest events of all shards at about one moment, with the epochs
// that they are of.
type streamEnds [stream.Shards]position

// readEnds fails while a shard is closed.
func readEnds(ctx context.Context, client redis.UniversalClient) (*streamEnds, error) {
	var ends streamEnds
	for s := range ends {
		epoch, err := client.Get(ctx, epochKey(stream.Shard(s))).Result()
		if errors.Is(err, redis.Nil) {
			return nil, fmt.Errorf("%w: %s", ErrClosed, stream.Shard(s))
		}
		if err != nil {
			return nil, redisError("read an epoch", err)
		}
		if ends[s].epoch, err = strconv.ParseInt(epoch, 10, 64); err != nil {
			return nil, fmt.Errorf("billing: epoch %q: %w", epoch, err)
		}
		newest, err := client.XRevRangeN(ctx, evKey(stream.Shard(s)), "+", "-", 1).Result()
		if err != nil {
			return nil, redisError("find the end of a stream", err)
		}
		if len(newest) > 0 {
			if ends[s].last, err = parseEventID(newest[0].ID); err != nil {
				return nil, err
			}
		}
	}
	return &ends, nil
}

// passed says whether Postgres has applied all of those events, or, where a shard went on
// to another epoch, what was to be saved of them.
func (ends *streamEnds) passed(ctx context.Context, e *Engine) (bool, error) {
	positions, err := e.readPositions(ctx)
	if err != nil {
		return false, err
	}
	for s, end := range ends {
		if !positions[s].includes(end) {
			return false, nil
		}
	}
	return true, nil
}
