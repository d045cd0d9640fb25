package billing

import (
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

// After a hand-over and after an outage of Redis the calls under way get the time to
// renew; what did not is settled then.
func TestReapGrace(t *testing.T) {
	server := testenv.RedisServer(t)
	r := newRig(t, server.ClientWith(redis.Options{ContextTimeoutEnabled: true, MaxRetries: -1, ReadTimeout: 200 * time.Millisecond}))
	ctx := t.Context()
	account := r.account(10_000)
	r.short(account, "live", 1000, time.Millisecond)
	r.short(account, "orphan", 1000, time.Minute)
	r.checkpoint(account, "orphan", 250, time.Millisecond)
	r.overdue(account, 2)

	reaper := r.engine.newReaper(shardOf(account))
	reaper.grace = time.Hour
	patient := func() { reaper.calm = time.Now().Add(-2 * time.Hour) }
	untouched := func(when string) {
		t.Helper()
		reaper.look(ctx)
		if b, err := r.desk.Accounts.Balance(ctx, account); err != nil || b != (Balance{8000, 2000}) {
			t.Fatalf("%s: %+v, %v", when, b, err)
		}
	}
	untouched("a new owner")
	patient()
	server.Pause()
	reaper.look(ctx)
	server.Resume()
	untouched("back from an outage")
	epoch := r.redis.Get(ctx, EpochKey(account)).Val()
	patient()
	r.redis.Del(ctx, EpochKey(account))
	reaper.look(ctx)
	r.redis.Set(ctx, EpochKey(account), epoch, 0)
	untouched("opened again")

	r.checkpoint(account, "live", 0, time.Minute)
	patient()
	reaper.look(ctx)
	r.wantBalance(account, 8750, 1000)
}

// Money is not held for longer because Postgres is away.
func TestReapWithoutPostgres(t *testing.T) {
	database := testenv.PostgresServer(t)
	r := running(t, testenv.Redis(t), database, prometheus.NewRegistry(), hasty(100*time.Millisecond))
	account := r.funded(t, 10_000)
	r.inLedger(t, account, 10_000)
	database.Pause()
	r.short(account, "live", 1000, time.Minute)
	r.short(account, "orphan", 1000, time.Second)
	r.checkpoint(account, "orphan", 250, time.Second)
	testenv.Until(t, "the orphan settled", func() bool {
		b, err := r.desk.Accounts.Balance(t.Context(), account)
		return err == nil && b == (Balance{Available: 8750, Held: 1000})
	})
	database.Resume()
	r.settle(account, "live", 1000)
	r.inLedger(t, account, 8750)
	r.wantBooks(t.Context())
}
