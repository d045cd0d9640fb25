package billing

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

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
	r.must(r.desk.Keys.Revoke(ctx, rich, gone.ID, House))
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
