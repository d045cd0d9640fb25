package billing

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

func bounded(lag time.Duration, events int) func(*Config) {
	return func(c *Config) { c.MaxLag, c.MaxBacklog = lag, events }
}

// wantAdmits checks, after a look, whether the account's calls may begin.
func (r *rig) wantAdmits(account int64, want bool) {
	r.t.Helper()
	r.desk.Backlog.look(r.t.Context())
	err := r.desk.Backlog.Admits(account)
	if (err == nil) != want || err != nil && (!errors.Is(err, ErrBacklog) || !errors.Is(err, ErrClosed)) {
		r.t.Fatalf("admits: %v, want %v; %d events wait", err, want, r.desk.Backlog.waiting[shardOf(account)].Load())
	}
}

func TestBacklog(t *testing.T) { onBoth(t, testBacklog) }

func testBacklog(t *testing.T, client *redis.Client) {
	r := newRig(t, client, bounded(time.Hour, 16))
	ctx := t.Context()
	account, neighbour := r.account(100_000), r.account(0)
	owner := r.owners[shardOf(account)]
	r.spend(account, "applied", 1)
	r.drain(owner)
	r.wantAdmits(account, true)
	for i := range 16 {
		r.wantAdmits(account, true)
		r.spend(account, fmt.Sprintf("b-%d", i), 1)
	}
	r.wantAdmits(account, false)
	r.wantAdmits(neighbour, true)

	// It goes on when there is a little room, not at the first event less.
	events, err := owner.fetch(ctx)
	r.must(err)
	for n, admits := range []bool{false, false, true} {
		r.must(client.XTrimMinID(ctx, evKey(owner.shard), events[n].id.String()).Err())
		r.wantAdmits(account, admits)
	}
	r.wantAdmits(account, true)
}

// The age of the oldest event counts by Redis' clock, that of the last applied
// one does not.
func TestBacklogLag(t *testing.T) {
	r := newRig(t, testenv.Redis(t), bounded(time.Minute, 1000))
	ctx := t.Context()
	account := r.account(0)
	add := func(age time.Duration) {
		now := r.redis.Time(ctx).Val()
		r.must(r.redis.XAdd(ctx, &redis.XAddArgs{Stream: evKey(shardOf(account)), ID: fmt.Sprint(now.Add(-age).UnixMilli()),
			Values: []string{"t", "settle"}}).Err())
	}
	add(time.Hour)
	r.wantAdmits(account, true)
	add(61 * time.Second)
	r.wantAdmits(account, false)
	add(0)
	first := r.redis.XRangeN(ctx, evKey(shardOf(account)), "-", "+", 1).Val()[0].ID
	r.redis.XDel(ctx, evKey(shardOf(account)), first)
	r.wantAdmits(account, true)

	// What is not known stays as it was.
	add(-time.Second)
	r.desk.Backlog.full[shardOf(account)].Store(true)
	r.must(r.redis.Close())
	r.wantAdmits(account, false)
	r.wantAdmits(account+1, true)
}

// Postgres goes away: calls go on up to the bound, then stop, and go on again
// once the ledger has caught up, exact to the last event.
func TestBacklogOutage(t *testing.T) {
	database := testenv.PostgresServer(t)
	r := running(t, testenv.Redis(t), database, nil, bounded(time.Hour, 30))
	watch(t, r.desk.Backlog)
	account := r.funded(t, 10_000)
	r.spend(account, "before", 10)
	r.inLedger(t, account, 9_990)
	database.Stop()
	calls := int64(1)
	testenv.Until(t, "the bound", func() bool {
		if r.desk.Backlog.Admits(account) != nil {
			return true
		}
		r.spend(account, fmt.Sprintf("o-%d", calls), 10)
		calls++
		return false
	})
	if calls < 31 {
		t.Errorf("stopped after %d calls", calls)
	}
	database.Start()
	testenv.Until(t, "calls go on", func() bool { return r.desk.Backlog.Admits(account) == nil })
	r.spend(account, "after", 10)
	r.inLedger(t, account, 10_000-10*(calls+1))
	r.wantBooks(t.Context())
}

func watch(t *testing.T, b *Backlog) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- b.Run(t.Context()) }() // ends with the test's context, before its cleanups
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
