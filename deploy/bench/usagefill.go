package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	fillDays  = 90 // that the calls are of
	fillSlice = 20_000
	fillPipe  = 1000
	sliceIn   = 5 * time.Minute // until the ledger has a slice
)

var fillModels = []string{"gpt-4o", "gpt-4o-mini", "claude-sonnet", "claude-haiku", "llama-3-70b"}

// fill gives an account calls of the last ninety days, as their settlements would have
// been told to the ledger: events on its shard's stream, which the running kikuai posts.
type fill struct {
	redis   *redis.Client
	pool    *pgxpool.Pool
	account int64
	keys    []int64 // that the calls were made with; 0: chats
	calls   int
}

// run returns when the ledger has them all, and says how long that took.
func (f *fill) run(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if _, err := f.pool.Exec(ctx, `select ledger_partitions(4, now() - interval '2 months')`); err != nil {
		return 0, fmt.Errorf("make the months: %w", err)
	}
	shard := stream.ShardOf(f.account)
	epoch, err := f.redis.Get(ctx, shard.Key("epoch")).Result()
	if err != nil {
		return 0, fmt.Errorf("read the shard's epoch: %w", err)
	}
	dice := rand.New(rand.NewPCG(3, 5))
	end := time.Now().Add(-time.Minute)
	from := end.Add(-fillDays * 24 * time.Hour)
	step := end.Sub(from) / time.Duration(f.calls)
	var last int64
	for done := 0; done < f.calls; {
		pipe := f.redis.TxPipeline() // what Redis knows of the account goes with the events
		spent := int64(0)
		for range min(fillPipe, f.calls-done) {
			nano := 1 + dice.Int64N(100_000)
			spent += nano
			last = from.Add(time.Duration(done) * step).UnixMilli()
			pipe.XAdd(ctx, &redis.XAddArgs{Stream: shard.Key("ev"), ID: fmt.Sprintf("%d-%d", last, done+1), Values: []any{
				"t", "settle", "e", epoch, "h", fmt.Sprintf("fill-%d", done), "a", f.account, "k", f.keys[dice.IntN(len(f.keys))], "c", nano, "w", 0,
				"d", fmt.Sprintf(`{"p":%d,"c":%d,"o":%d,"m":%q,"d":"bench","s":"api","t":%d,"f":%d}`, 500+dice.IntN(4000), dice.IntN(500), 1+dice.IntN(900),
					fillModels[dice.IntN(len(fillModels))], 400+dice.IntN(9000), 100+dice.IntN(300))}})
			done++
		}
		pipe.HIncrBy(ctx, billing.AcctKey(f.account), billing.AccountFieldAvailable, -spent)
		if _, err := pipe.Exec(ctx); err != nil {
			return 0, fmt.Errorf("tell of calls: %w", err)
		}
		if done%fillSlice == 0 || done == f.calls {
			if err := f.applied(ctx, shard, last); err != nil {
				return 0, err
			}
		}
	}
	for _, table := range []string{"usage", "usage_hourly", "usage_quarters", "ledger_transactions", "ledger_entries"} {
		if _, err := f.pool.Exec(ctx, "vacuum analyze "+table); err != nil {
			return 0, fmt.Errorf("analyze %s: %w", table, err)
		}
	}
	return time.Since(began), nil
}

// applied waits until the ledger has all events up to a moment of the shard's stream.
func (f *fill) applied(ctx context.Context, shard stream.Shard, until int64) error {
	ctx, cancel := context.WithTimeout(ctx, sliceIn)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		var at int64
		if err := f.pool.QueryRow(ctx, `select last_ms from stream_positions where shard = $1`, int(shard)).Scan(&at); err != nil {
			return fmt.Errorf("wait for the ledger: %w", err)
		}
		if at >= until {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the ledger does not follow: %w", ctx.Err())
		case <-look.C:
		}
	}
}
