package billing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
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

// Redis loses everything while calls are in flight: what Postgres knows is back.
func TestFlushAll(t *testing.T) { onBoth(t, testFlushAll) }

func testFlushAll(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	rich, poor := r.account(1000), r.account(50)
	key, token, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: rich})
	r.must(err)
	gone, goneToken, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: rich})
	r.must(err)
	r.must(r.desk.Keys.Revoke(ctx, rich, gone.ID))
	r.spend(rich, "one", 300)
	r.drainAll()
	r.reserve(rich, "flying", 200)
	r.must(client.FlushAll(ctx).Err())

	if _, err := r.desk.Holds.Reserve(ctx, reservation(rich, "two", 1)); !errors.Is(err, ErrClosed) {
		t.Fatalf("a call on a lost shard: %v", err)
	}
	for _, o := range r.owners {
		if _, err := o.drain(ctx); !errors.Is(err, errLost) {
			t.Fatalf("the loss goes unseen: %v", err)
		}
		r.must(o.open(ctx))
	}
	r.wantBalance(rich, 700, 0)
	r.wantBalance(poor, 50, 0)
	if _, err := r.desk.Holds.Settle(ctx, settlement(rich, "flying", 100)); !errors.Is(err, ErrHoldUnknown) {
		t.Fatalf("a hold of before: %v", err)
	}
	for token, want := range map[string]int64{token: 1, goneToken: 0} {
		p, err := r.desk.Keys.Parse(token)
		r.must(err)
		if n := client.Exists(ctx, KeyKey(p.Account, p.Locator[0])).Val(); n != want {
			t.Errorf("key %d or %d: %d records, want %d", key.ID, gone.ID, n, want)
		}
	}
	if account, err := r.desk.Accounts.ByTelegram(ctx, 1); err != nil || account.ID != rich {
		t.Fatalf("by telegram: %+v, %v", account, err)
	}
	r.spend(rich, "three", 700)
	r.credit(rich, 9, "later")
	r.wantBalance(rich, 9, 0)
	r.drainAll()
	r.wantBooks(ctx)
}

// The end of the stream is lost, with or without events after it: the shard is
// rebuilt, and a settlement repeated after the loss has one effect.
func TestStreamTailLost(t *testing.T) {
	for _, after := range []string{"nothing", "events", "events of an earlier clock"} {
		t.Run(after+" after", func(t *testing.T) {
			r := newRig(t, testenv.Redis(t))
			ctx := t.Context()
			account := r.account(1000)
			owner := r.owners[shardOf(account)]
			dump := func(key string) string { return r.redis.Dump(ctx, key).Val() }
			r.reserve(account, "h", 400)
			keys := []string{AcctKey(account), HoldKey(account, "h"), ExpKey(account)}
			saved := map[string]string{}
			for _, key := range keys {
				saved[key] = dump(key)
			}
			r.settle(account, "h", 300)
			r.drain(owner)
			// Redis comes back as it was before the settlement.
			for _, key := range keys {
				r.must(r.redis.RestoreReplace(ctx, key, 0, saved[key]).Err())
			}
			r.redis.Del(ctx, evKey(owner.shard))
			want := int64(700)
			if after != "nothing" {
				r.settle(account, "h", 300) // the caller repeats
				r.spend(account, "new", 50)
				want -= 50
			}
			if after == "events of an earlier clock" {
				events := r.redis.XRange(ctx, evKey(owner.shard), "-", "+").Val()
				r.redis.Del(ctx, evKey(owner.shard))
				for i, e := range events {
					r.must(r.redis.XAdd(ctx, &redis.XAddArgs{Stream: evKey(owner.shard), ID: fmt.Sprintf("1-%d", i+1), Values: e.Values}).Err())
				}
			}
			if _, err := owner.drain(ctx); !errors.Is(err, errLost) {
				t.Fatalf("the loss goes unseen: %v", err)
			}
			r.must(owner.open(ctx))
			r.wantBalance(account, want, 0)
			r.drain(owner)
			r.wantBooks(ctx)
		})
	}
}

// A builder that dies at any step leaves a shard that the next one finishes, and
// no event is lost or doubled.
func TestRebuildCrash(t *testing.T) {
	for _, step := range []string{"closed", "applied", "bumped", "wiped", "restored"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t, testenv.Redis(t))
			ctx := t.Context()
			account := r.account(1000)
			s := shardOf(account)
			r.spend(account, "drained", 100)
			r.drain(r.owners[s])
			r.spend(account, "waiting", 100)
			r.redis.Del(ctx, EpochKey(account))
			dying := r.crashing(s, step)
			if err := dying.open(ctx); !errors.Is(err, errCrash) {
				t.Fatalf("it lived: %v", err)
			}
			if _, err := r.desk.Holds.Reserve(ctx, reservation(account, "x", 1)); !errors.Is(err, ErrClosed) {
				t.Fatalf("half built and open: %v", err)
			}
			next := r.newOwner(s)
			r.must(next.open(ctx))
			r.wantBalance(account, 800, 0)
			r.spend(account, "after", 100)
			r.drain(next)
			if n := r.count(`select count(*) from usage`); n != 3 {
				t.Fatalf("%d of 3 calls", n)
			}
			r.wantBooks(ctx)
		})
	}
}

// A builder that slept while another built the shard changes nothing any more.
func TestBuilderOvertaken(t *testing.T) {
	for _, step := range []string{"closed", "bumped", "wiped", "restored"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t, testenv.Redis(t))
			ctx := t.Context()
			account := r.account(1000)
			s := shardOf(account)
			r.redis.Del(ctx, EpochKey(account))
			awake := r.newOwner(s)
			sleepy := r.crashing(s, step)
			sleepy.pause = func(name string) error {
				if name == step {
					r.must(awake.open(ctx))
					r.spend(account, "between", 100)
				}
				return nil
			}
			if err := sleepy.open(ctx); !errors.Is(err, errMoved) {
				t.Fatalf("it went on: %v", err)
			}
			r.wantBalance(account, 900, 0)
			r.drain(awake)
			r.wantBalance(account, 900, 0)
			r.wantBooks(ctx)
		})
	}
}

// Two builders at once: the shard opens once, whole.
func TestTwoBuilders(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1000)
	s := shardOf(account)
	for range 20 {
		r.redis.Del(t.Context(), EpochKey(account))
		owners := []*owner{r.newOwner(s), r.newOwner(s)}
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i, o := range owners {
			wg.Go(func() { errs[i] = o.open(t.Context()) })
		}
		wg.Wait()
		for _, err := range errs {
			if err != nil && !errors.Is(err, errMoved) {
				t.Fatal(err)
			}
		}
		last := r.newOwner(s)
		r.must(last.open(t.Context()))
		r.spend(account, fmt.Sprintf("b-%d", last.at.epoch), 1)
		r.drain(last)
		r.wantBooks(t.Context())
	}
	r.wantBalance(account, 980, 0)
}

// An epoch that a restored or foreign Redis brings along is not taken for ours.
func TestForeignEpoch(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1000)
	r.redis.Set(t.Context(), EpochKey(account), "41", 0)
	r.redis.HSet(t.Context(), AcctKey(account), AccountFieldAvailable, 999_999)
	owner := r.newOwner(shardOf(account))
	r.must(owner.open(t.Context()))
	if owner.at.epoch != 42 {
		t.Fatalf("epoch %d", owner.at.epoch)
	}
	r.wantBalance(account, 1000, 0)
}

// Run: the whole engine under its leases, with Postgres and Redis going away.
func TestEngineRun(t *testing.T) {
	server, database := testenv.RedisServer(t), testenv.PostgresServer(t)
	client := server.Client()
	log := testenv.Logger(t)
	config := Config{Redis: client, Blocking: client, Postgres: database.Pool(), Log: log, Peppers: []string{testPepper}, Now: time.Now,
		Leases: stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: client, Log: log})}
	desk, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, redis: client, pool: config.Postgres, config: config, desk: desk}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- desk.Engine.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	}()

	var account int64
	eventually(t, "the first account", func() bool {
		made, _, err := desk.Accounts.Open(ctx, Profile{TelegramID: 5})
		account = made.ID
		return err == nil
	})
	eventually(t, "an open shard", func() bool {
		result, err := desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 1000, Kind: CreditStars, IdempotencyKey: "one"})
		return err == nil && result.Projected
	})
	r.spend(account, "first", 100)
	eventually(t, "the drained event", func() bool { n, err := desk.Ledger.Balance(ctx, account); return err == nil && n == 900 })

	database.Stop()
	r.spend(account, "without-postgres", 100)
	r.wantBalance(account, 800, 0)
	eventually(t, "a lag that shows", func() bool { return desk.Engine.lag(shardOf(account)) > 0 })
	database.Start()
	eventually(t, "the backlog drained", func() bool { n, err := desk.Ledger.Balance(ctx, account); return err == nil && n == 800 })

	server.Stop()
	if _, err := desk.Accounts.Balance(ctx, account); !errors.Is(err, ErrClosed) {
		t.Errorf("balance without Redis: %v", err)
	}
	result, err := desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 7, Kind: CreditStars, IdempotencyKey: "two"})
	if err != nil || result.Projected {
		t.Errorf("credit without Redis: %+v, %v", result, err)
	}
	server.Start() // and everything is gone
	eventually(t, "the shard rebuilt", func() bool {
		balance, err := desk.Accounts.Balance(ctx, account)
		return err == nil && balance == (Balance{Available: 807})
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}
