package billing

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestDrain(t *testing.T) { onBoth(t, testDrain) }

func testDrain(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(1_000_000)
	owner := r.owners[shardOf(account)]
	for i := range 50 {
		id := fmt.Sprintf("d-%d", i)
		r.reserve(account, id, 1000)
		r.settle(account, id, int64(i)*40) // some cost more than was held, one nothing
	}
	r.drain(owner)
	r.wantBooks(ctx)
	captured := r.count(`select sum(captured_nano) from usage`)
	r.wantBalance(account, 1_000_000-captured, 0)
	if n := r.count(`select count(*) from ledger_transactions where kind = 'settle'`); n != 50 {
		t.Errorf("%d transactions", n)
	}
	if n := r.count(`select sum(write_off_nano) from usage`); n != r.count(`select -sum(amount_nano) from ledger_entries where book = 'write_off'`) || n == 0 {
		t.Errorf("written off %d", n)
	}
	// The rollup is the sum of its calls.
	for _, column := range []string{"prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "cost_nano", "captured_nano", "write_off_nano"} {
		if u, h := r.count(`select sum(`+column+`) from usage`), r.count(`select sum(`+column+`) from usage_hourly`); u != h {
			t.Errorf("%s: %d in calls, %d in hours", column, u, h)
		}
	}
	if n := r.count(`select sum(calls) from usage_hourly where account_id = $1 and key_id = 3 and model = 'small'`, account); n != 50 {
		t.Errorf("%d calls in the rollup", n)
	}
	// One event stays as the proof of where Postgres is.
	if left := client.XRange(ctx, evKey(owner.shard), "-", "+").Val(); len(left) != 1 || left[0].ID != owner.at.last.String() {
		t.Errorf("left in the stream: %v", left)
	}
}

// A process that dies between any two durable steps of draining leaves each
// event with one effect.
func TestDrainCrash(t *testing.T) {
	for _, step := range []string{"fetched", "applied", "committed"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t, testenv.Redis(t))
			account := r.account(10_000)
			s := shardOf(account)
			for i := range 5 {
				r.spend(account, fmt.Sprintf("c-%d", i), 100)
			}
			dying := r.crashing(s, step)
			r.must(dying.open(t.Context()))
			if _, err := dying.drain(t.Context()); !errors.Is(err, errCrash) {
				t.Fatalf("it lived: %v", err)
			}
			r.spend(account, "meanwhile", 100)
			next := r.newOwner(s)
			r.must(next.open(t.Context()))
			r.drain(next)
			if n := r.count(`select count(*) from usage`); n != 6 {
				t.Fatalf("%d of 6 calls in the ledger", n)
			}
			r.wantBooks(t.Context())
			r.wantBalance(account, 9400, 0)
		})
	}
}

// Of two owners that read the same events, one applies them.
func TestTwoDrainers(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1_000_000)
	s := shardOf(account)
	for round := range 20 {
		for i := range 10 {
			r.spend(account, fmt.Sprintf("t-%d-%d", round, i), 100)
		}
		owners := []*owner{r.newOwner(s), r.newOwner(s)}
		var batches [2][]event
		for i, o := range owners {
			r.must(o.open(t.Context()))
			var err error
			batches[i], err = o.fetch(t.Context())
			r.must(err)
		}
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i, o := range owners {
			wg.Go(func() {
				to := position{epoch: o.at.epoch, last: batches[i][len(batches[i])-1].id}
				errs[i] = o.apply(t.Context(), batches[i], to, false)
			})
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), errMoved) {
			t.Fatalf("round %d: %v", round, errs)
		}
		fresh := r.newOwner(s)
		r.must(fresh.open(t.Context()))
		r.drain(fresh)
	}
	if n := r.count(`select count(*) from usage`); n != 200 {
		t.Fatalf("%d of 200 calls in the ledger", n)
	}
	r.wantBooks(t.Context())
}

// A hold id that comes back after its record is gone was charged in Redis, so
// the ledger has both.
func TestRepeatedHold(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1000)
	owner := r.owners[shardOf(account)]
	for range 2 {
		r.spend(account, "again", 100)
		r.redis.Del(t.Context(), HoldKey(account, "again"))
	}
	r.drain(owner)
	r.spend(account, "again", 100)
	r.drain(owner)
	if n := r.count(`select count(*) from usage where hold_id = 'again'`); n != 3 {
		t.Fatalf("%d calls", n)
	}
	r.wantBalance(account, 700, 0)
	r.wantBooks(t.Context())
}

// An event that cannot be read stops its shard; nothing after it is skipped.
func TestUnknownEvent(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1000)
	owner := r.owners[shardOf(account)]
	r.spend(account, "before", 100)
	r.must(r.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: evKey(owner.shard), Values: []string{"t", "gift", "e", "1"}}).Err())
	r.spend(account, "after", 100)
	if _, err := owner.drain(t.Context()); err == nil {
		t.Fatal("an unknown event passed")
	}
	if n := r.count(`select count(*) from usage`); n != 0 {
		t.Fatalf("%d calls applied around it", n)
	}
}

// Details that cannot be read cost the usage row its details, not the money.
func TestUnreadableDetails(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1000)
	owner := r.owners[shardOf(account)]
	r.must(r.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: evKey(owner.shard), Values: []any{"t", "settle", "e", owner.at.epoch,
		"h", "x", "a", account, "k", 0, "c", 100, "w", 0, "d", `{"p": "many", "m": "\u0000`}}).Err())
	r.drain(owner)
	if n := r.count(`select count(*) from usage where captured_nano = 100 and prompt_tokens = 0`); n != 1 {
		t.Fatalf("%d calls", n)
	}
}
