package billing

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

func hasty(grace time.Duration) func(*Config) { return func(c *Config) { c.ReapGrace = grace } }

// reaper is a shard's, past its grace.
func (r *rig) reaper(account int64) *reaper {
	reaper := r.engine.newReaper(shardOf(account))
	reaper.grace, reaper.calm = time.Nanosecond, time.Now().Add(-time.Hour)
	return reaper
}

// short reserves money for a moment.
func (r *rig) short(account int64, id string, nano int64, life time.Duration) {
	r.t.Helper()
	reservation := reservation(account, id, nano)
	reservation.Life = life
	_, err := r.desk.Holds.Reserve(r.t.Context(), reservation)
	r.must(err)
}

func (r *rig) checkpoint(account int64, id string, cost int64, life time.Duration) {
	r.t.Helper()
	s := settlement(account, id, cost)
	s.Usage.Estimated = true
	for _, err := range r.desk.Holds.Checkpoint(r.t.Context(), []Mark{{Settlement: s, Life: life, RenewOnly: cost == 0}}) {
		r.must(err)
	}
}

// overdue waits until Redis' clock has passed the deadlines of so many of the
// account's shard.
func (r *rig) overdue(account int64, n int64) {
	r.t.Helper()
	for {
		now := r.redis.Time(r.t.Context()).Val().UnixMilli()
		if r.redis.ZCount(r.t.Context(), ExpKey(account), "-inf", fmt.Sprintf("(%d", now)).Val() >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// An orphan is settled by its last checkpoint, one without is given back, and what
// lives is left alone.
func TestReap(t *testing.T) { onBoth(t, testReap) }

func testReap(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(10_000)
	reaper := r.reaper(account)
	r.short(account, "marked", 1000, time.Minute)
	r.checkpoint(account, "marked", 200, time.Minute)
	r.checkpoint(account, "marked", 300, time.Millisecond)
	r.short(account, "dear", 500, time.Minute)
	r.checkpoint(account, "dear", 700, time.Millisecond) // an estimate beyond what was held
	r.short(account, "silent", 1000, time.Millisecond)
	r.short(account, "renewed", 1000, time.Millisecond)
	r.checkpoint(account, "renewed", 0, time.Minute)
	r.short(account, "lively", 1000, time.Minute)
	client.ZAdd(ctx, ExpKey(account), redis.Z{Score: 1, Member: "nobody's"})
	client.Set(ctx, HoldKey(account, "garbled"), "nonsense", 0)
	client.ZAdd(ctx, ExpKey(account), redis.Z{Score: 1, Member: "garbled"})
	r.overdue(account, 5)
	reaper.look(ctx)
	r.wantBalance(account, 10_000-300-500-2000, 2000)
	for _, o := range [][]any{{"marked", int64(300), int64(0)}, {"dear", int64(500), int64(200)}, {"silent", int64(0), int64(0)}} {
		var expired *HoldExpiredError
		_, err := r.desk.Holds.Settle(ctx, settlement(account, o[0].(string), o[1].(int64)+o[2].(int64)))
		if !errors.As(err, &expired) || expired.Captured != o[1] || expired.WriteOff != o[2] {
			t.Errorf("%s: %v", o[0], err)
		}
	}
	if left := client.ZRange(ctx, ExpKey(account), 0, -1).Val(); fmt.Sprint(left) != "[garbled renewed lively]" && fmt.Sprint(left) != "[garbled lively renewed]" {
		t.Errorf("the index keeps %v", left)
	}
	reaper.look(ctx)
	r.wantBalance(account, 10_000-300-500-2000, 2000)
	r.settle(account, "lively", 1000)
	r.settle(account, "renewed", 1000)
	if got := testutil.ToFloat64(r.engine.metrics.reapedSettled) + 10*testutil.ToFloat64(r.engine.metrics.reapedReleased); got != 12 {
		t.Errorf("the metric says %v", got)
	}
	r.drainAll()
	r.wantBooks(ctx)
	if n := r.count(`select count(*) from usage where hold_id = 'marked' and captured_nano = 300 and estimated and completion_tokens = 7`); n != 1 {
		t.Error("the orphan's usage is not what its checkpoint said")
	}
}

// Orphans by the thousand are resolved in one look, past those that cannot be.
func TestReapMany(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account, lost := r.account(1_000_000), r.account(1_000_000)
	for shardOf(lost) != shardOf(account) {
		lost = r.account(1_000_000)
	}
	for i := range 300 {
		r.short(lost, fmt.Sprintf("stuck-%d", i), 10, time.Millisecond)
	}
	r.redis.Del(ctx, AcctKey(lost))
	for i := range 1500 {
		r.short(account, fmt.Sprintf("many-%d", i), 100, time.Millisecond)
	}
	r.overdue(account, 1800)
	r.reaper(account).look(ctx)
	r.wantBalance(account, 1_000_000, 0)
	if n := r.redis.ZCard(ctx, ExpKey(account)).Val(); n != 300 {
		t.Errorf("%d in the index", n)
	}
	owner := r.owners[shardOf(account)]
	if err := owner.relay(ctx); !errors.Is(err, errLost) {
		t.Errorf("the lost hash that the reaper met: %v", err)
	}
}

// Redis is away for longer than holds live: the calls that are under way renew when
// it is back and are not touched, the others are settled. Postgres need not be there.
func TestReapAfterOutage(t *testing.T) {
	server, database := testenv.RedisServer(t), testenv.PostgresServer(t)
	const life, grace = 1500 * time.Millisecond, time.Second
	registry := prometheus.NewRegistry()
	client := server.ClientWith(redis.Options{ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 200 * time.Millisecond, ReadTimeout: 400 * time.Millisecond, PoolSize: 60})
	r := running(t, client, database, registry, hasty(grace))
	ctx := t.Context()
	account := r.funded(t, 10_000)
	r.inLedger(t, account, 10_000)
	r.short(account, "live", 1000, life)
	r.short(account, "orphan", 1000, life)
	r.checkpoint(account, "orphan", 250, life)
	database.Stop()

	keeping, stop := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		for keeping.Err() == nil {
			r.desk.Holds.Checkpoint(keeping, []Mark{{Settlement: settlement(account, "live", 0), Life: life, RenewOnly: true}})
			select {
			case <-keeping.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	server.Pause()
	<-time.After(life + 500*time.Millisecond) // the outage itself
	server.Resume()
	eventually(t, "the orphan settled", func() bool {
		b, err := r.desk.Accounts.Balance(ctx, account)
		return err == nil && b == (Balance{Available: 8750, Held: 1000})
	})
	stop()
	<-kept
	r.settle(account, "live", 1000)
	database.Start()
	r.inLedger(t, account, 8750)
	r.wantBooks(ctx)
}
