package billing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// lapse moves a hold's deadline into the past, as if its life had gone by.
func (r *rig) lapse(account int64, id string) {
	r.t.Helper()
	fields := strings.SplitN(r.redis.Get(r.t.Context(), HoldKey(account, id)).Val(), "|", 8)
	if len(fields) < 8 || fields[0] != "h" {
		return
	}
	fields[4] = "1"
	r.must(r.redis.Set(r.t.Context(), HoldKey(account, id), strings.Join(fields, "|"), 0).Err())
	r.must(r.redis.ZAdd(r.t.Context(), ExpKey(account), redis.Z{Score: 1, Member: id}).Err())
}

func (r *rig) expire(account int64, id string) string {
	r.t.Helper()
	how, err := r.engine.scripts.expireHold(r.t.Context(), r.redis, account, id)
	r.must(err)
	return how
}

func mark(account int64, id string, cost int64) Mark {
	return Mark{Settlement: settlement(account, id, cost), Life: time.Minute}
}

// A batch of checkpoints goes to every shard at once, to a Redis that does not know the
// script, and each mark has its own answer.
func TestCheckpointBatch(t *testing.T) { onBoth(t, testCheckpointBatch) }

func testCheckpointBatch(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	var accounts []int64
	for range 2 * stream.Shards {
		accounts = append(accounts, r.account(10_000))
	}
	var marks []Mark
	var want []error
	add := func(m Mark, err error) { marks, want = append(marks, m), append(want, err) }
	for i := range 3 * checkpointsMost {
		account, id := accounts[i%len(accounts)], fmt.Sprintf("b-%d", i)
		switch i % 64 {
		case 1:
			add(mark(account, id, 1), ErrHoldUnknown)
			continue
		case 2:
			add(mark(account, "no hold id", 1), ErrHoldID)
			continue
		}
		r.reserve(account, id, 5)
		switch i % 64 {
		case 3:
			r.settle(account, id, 1)
			add(mark(account, id, 1), ErrHoldConflict)
		case 4:
			r.must(r.desk.Holds.Release(ctx, account, id))
			add(mark(account, id, 1), ErrHoldConflict)
		case 5:
			m := mark(account, id, 1)
			m.KeyID = 99
			add(m, ErrHoldConflict)
		case 6:
			add(mark(account, id, -1), ErrAmount)
		case 7:
			add(mark(account, id, MaxNano+1), ErrAmount)
		case 8:
			m := mark(account, id, 1)
			m.Life = 0
			add(m, ErrHoldLife)
		case 9:
			m := mark(account, id, 1)
			m.Life = maxHoldLife + 1
			add(m, ErrHoldLife)
		default:
			add(mark(account, id, 3), nil)
		}
	}
	for _, forgotten := range []bool{true, false} {
		if forgotten {
			r.must(client.ScriptFlush(ctx).Err())
		}
		for i, err := range r.desk.Holds.Checkpoint(ctx, marks) {
			if !errors.Is(err, want[i]) || err != nil && want[i] == nil {
				t.Fatalf("mark %d, scripts forgotten %v: %v, want %v", i, forgotten, err, want[i])
			}
		}
	}
	if n := r.desk.Holds.Checkpoint(ctx, nil); len(n) != 0 {
		t.Error("something came of nothing")
	}
	closed := accounts[0]
	client.Del(ctx, EpochKey(closed))
	for i, err := range r.desk.Holds.Checkpoint(ctx, []Mark{mark(closed, "b-0", 4), mark(accounts[10], "b-10", 4)}) {
		if (i == 0) != errors.Is(err, ErrClosed) || i == 1 && err != nil {
			t.Errorf("mark %d with one shard closed: %v", i, err)
		}
	}
	r.must(client.Close())
	for _, err := range r.desk.Holds.Checkpoint(ctx, marks[10:12]) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("without Redis: %v", err)
		}
	}
}

// What a checkpoint says is what an orphan costs: the dearest one, never more than what
// is held, and nothing without one. The mark goes with the hold.
func TestCheckpointMark(t *testing.T) { onBoth(t, testCheckpointMark) }

func testCheckpointMark(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(10_000)
	score := func(id string) int64 { return int64(client.ZScore(ctx, ExpKey(account), id).Val()) }
	marked := func(id string) bool { return client.Exists(ctx, markKey(account, id)).Val() == 1 }
	try := func(m Mark) {
		t.Helper()
		for _, err := range r.desk.Holds.Checkpoint(ctx, []Mark{m}) {
			r.must(err)
		}
	}
	r.reserve(account, "a", 1000)
	if how := r.expire(account, "a"); how != orphanEarly {
		t.Fatalf("a young hold: %s", how)
	}
	first := score("a")
	try(Mark{Settlement: settlement(account, "a", 300), Life: time.Hour})
	if moved := score("a") - first; moved < 59*60_000-1000 || !marked("a") {
		t.Fatalf("the deadline moved by %d ms", moved)
	}
	try(Mark{Settlement: settlement(account, "a", 200), Life: time.Minute}) // held up on its way
	try(Mark{Settlement: settlement(account, "a", 0), Life: time.Minute, RenewOnly: true})
	if how := r.expire(account, "a"); how != orphanEarly {
		t.Fatalf("a renewed hold: %s", how)
	}
	r.lapse(account, "a")
	for _, want := range []string{orphanExpired, orphanGone} {
		if how := r.expire(account, "a"); how != want {
			t.Fatalf("an orphan: %s, want %s", how, want)
		}
	}
	r.wantBalance(account, 9700, 0)
	if marked("a") || score("a") != 0 {
		t.Error("an orphan's mark or its place in the index is left")
	}
	if hold, err := r.desk.Holds.Reserve(ctx, reservation(account, "a", 1000)); err != nil || hold.State != HoldSettled || hold.Nano != 300 {
		t.Errorf("reserved again: %+v, %v", hold, err)
	}

	r.reserve(account, "over", 100)
	try(mark(account, "over", 5000))
	r.reserve(account, "nothing", 100)
	try(Mark{Settlement: settlement(account, "nothing", 0), Life: time.Minute, RenewOnly: true})
	r.reserve(account, "free", 100)
	try(mark(account, "free", 0))
	r.reserve(account, "settled", 100)
	try(mark(account, "settled", 50))
	r.settle(account, "settled", 70)
	r.reserve(account, "released", 100)
	try(mark(account, "released", 50))
	r.must(r.desk.Holds.Release(ctx, account, "released"))
	want := map[string]string{"over": orphanExpired, "nothing": orphanReleased, "free": orphanExpired,
		"settled": orphanGone, "released": orphanGone, "never": orphanGone}
	for id, how := range want {
		r.lapse(account, id)
		if got := r.expire(account, id); got != how {
			t.Errorf("%s: %s, want %s", id, got, how)
		}
		if marked(id) {
			t.Errorf("%s keeps its mark", id)
		}
	}
	r.wantBalance(account, 9700-100-70, 0)
	if n := client.ZCard(ctx, ExpKey(account)).Val(); n != 0 {
		t.Errorf("%d in the index", n)
	}
	r.drainAll()
	r.wantBooks(ctx)
	if n := r.count(`select write_off_nano from usage where hold_id = 'over' and captured_nano = 100`); n != 4900 {
		t.Errorf("%d written off", n)
	}

	r.reserve(account, "closed", 100)
	r.lapse(account, "closed")
	client.Del(ctx, EpochKey(account))
	if _, err := r.engine.scripts.expireHold(ctx, client, account, "closed"); !errors.Is(err, ErrClosed) {
		t.Errorf("expired on a closed shard: %v", err)
	}
}

// Of settlements, releases, expiries and renewals that race for one hold, one resolves
// it: it is captured or given back, once, and never more than was held.
func TestRace(t *testing.T) {
	const rounds, held, cost, marked = 150, 1000, 400, 250
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	b := r.budgeted(1_000_000, KeySpec{BudgetMonth: 900_000})
	spent, lost := int64(0), int64(0)
	ways := map[string]int{}
	for i := range rounds {
		id := fmt.Sprintf("race-%d", i)
		b.take(b.ask(id, held, held))
		s := settlement(b.account, id, cost)
		s.KeyID = b.key.ID
		m := Mark{Settlement: s, Life: time.Minute}
		m.Cost = marked
		if i%2 == 0 {
			r.must(r.desk.Holds.Checkpoint(ctx, []Mark{m})[0])
		}
		r.lapse(b.account, id)
		var settled, released, expired, given, told atomic.Int64
		var racers []func()
		race := func(do func()) { racers = append(racers, do) }
		for range 2 {
			race(func() {
				c, err := r.desk.Holds.Settle(ctx, s)
				var late *HoldExpiredError
				switch {
				case err == nil && !c.Replayed && !c.Late:
					settled.Add(1)
				case errors.As(err, &late):
					told.Store(late.Captured + 1)
				case err != nil && !errors.Is(err, ErrHoldConflict):
					t.Errorf("settle: %v", err)
				}
			})
			race(func() {
				switch how, err := r.engine.scripts.expireHold(ctx, r.redis, b.account, id); {
				case err != nil:
					t.Errorf("expire: %v", err)
				case how == orphanExpired:
					expired.Add(1)
				case how == orphanReleased:
					given.Add(1)
				}
			})
		}
		race(func() {
			err := r.desk.Holds.Release(ctx, b.account, id)
			if err == nil {
				released.Store(1)
			} else if !errors.Is(err, ErrHoldConflict) {
				t.Errorf("release: %v", err)
			}
		})
		if i%3 == 0 {
			race(func() {
				if err := r.desk.Holds.Checkpoint(ctx, []Mark{m})[0]; err != nil && !errors.Is(err, ErrHoldConflict) {
					t.Errorf("checkpoint: %v", err)
				}
			})
		}
		var wg sync.WaitGroup
		for _, at := range rand.Perm(len(racers)) {
			wg.Go(racers[at])
		}
		wg.Wait()
		if given.Load() == 1 { // a release repeats what the expiry did
			released.Store(0)
		}
		if n := settled.Load() + released.Load() + expired.Load() + given.Load(); n != 1 {
			t.Fatalf("round %d: settled %d, released %d, expired %d, given back %d", i,
				settled.Load(), released.Load(), expired.Load(), given.Load())
		}
		switch {
		case settled.Load() == 1:
			spent += cost
			ways["settled"]++
		case expired.Load() == 1:
			spent += marked
			ways["expired"]++
			if told.Load() > 0 {
				lost += cost - marked
			}
		case given.Load() == 1:
			ways["given back"]++
			if told.Load() > 0 {
				lost += cost
			}
		default:
			ways["released"]++
		}
		r.wantBalance(b.account, 1_000_000-spent, 0)
		b.wantCounted(b.key.ID, spent)
	}
	if len(ways) < 4 {
		t.Errorf("no race: %v", ways)
	}
	r.drainAll()
	r.wantBooks(ctx)
	if n := r.count(`select coalesce(-sum(amount_nano), 0) from ledger_entries where book = 'write_off'`); n != lost {
		t.Errorf("%d written off, want %d", n, lost)
	}
	if names := r.redis.Keys(ctx, "mark:*").Val(); len(names) > 0 {
		t.Errorf("marks are left: %v", names)
	}
}

// The fast path: without a budget and a checkpoint a call's money is so many commands,
// and no more.
func TestCommandsOfACall(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	b := r.budgeted(10_000, KeySpec{})
	commands := func(do func()) string {
		r.must(r.redis.ConfigResetStat(ctx).Err())
		do()
		var seen []string
		for _, line := range strings.Split(r.redis.Info(ctx, "commandstats").Val(), "\r\n") {
			name, stats, found := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
			calls, _, _ := strings.Cut(stats, ",")
			if found && name != "info" && !strings.HasPrefix(name, "config") {
				seen = append(seen, name+" "+calls)
			}
		}
		slices.Sort(seen)
		return strings.Join(seen, ", ")
	}
	r.spend(b.account, "warm", 10) // Redis knows the scripts
	r.reserve(b.account, "b", 10)
	r.must(r.desk.Holds.Release(ctx, b.account, "b"))
	if got := commands(func() { r.reserve(b.account, "a", 10) }); got != "evalsha 1, hmget 1, hset 1, mget 1, set 1, time 1, zadd 1" {
		t.Errorf("reserve: %s", got)
	}
	if got := commands(func() { r.settle(b.account, "a", 7) }); got != "evalsha 1, hmget 1, hset 1, mget 1, set 1, xadd 1, zrem 1" {
		t.Errorf("settle: %s", got)
	}
	r.reserve(b.account, "c", 10)
	if got := commands(func() { r.must(r.desk.Holds.Release(ctx, b.account, "c")) }); got != "evalsha 1, hmget 1, hset 1, mget 1, set 1, zrem 1" {
		t.Errorf("release: %s", got)
	}
}
