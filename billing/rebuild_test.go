package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
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
	if c := r.settle(rich, "flying", 100); c != (Captured{Nano: 100, Late: true}) {
		t.Fatalf("a hold of before: %+v", c)
	}
	if n := r.count(`select amount_nano from debits where reference = 'hold:flying'`); n != 100 {
		t.Fatalf("%d recorded to be taken", n)
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

// An account's hash is gone while money is held, and other hashes are there: the
// shard goes back to what Postgres knows, and what was held is not given back on
// top of it.
func TestLostHash(t *testing.T) { onBoth(t, testLostHash) }

func testLostHash(t *testing.T, client *redis.Client) {
	for _, found := range []string{"by a request", "by the relay", "by a credit"} {
		t.Run(found, func(t *testing.T) {
			client.FlushAll(t.Context())
			r := newRig(t, client)
			ctx := t.Context()
			account := r.account(1000)
			var neighbour int64
			for neighbour = r.account(1000); shardOf(neighbour) != shardOf(account); {
				neighbour = r.account(1000)
			}
			owner := r.owners[shardOf(account)]
			r.must(owner.relay(ctx))
			r.spend(account, "drained", 100)
			r.drain(owner)
			r.spend(account, "waiting", 100)
			r.reserve(account, "flying", 300)
			r.reserve(neighbour, "beside", 300)
			client.Del(ctx, AcctKey(account))
			switch found {
			case "by a request":
				if _, err := r.desk.Holds.Reserve(ctx, reservation(account, "x", 1)); !errors.Is(err, ErrClosed) {
					t.Fatalf("a call without a hash: %v", err)
				}
				client.SAdd(ctx, lostKey(owner.shard), account, "nonsense", 16*1_000_000+int64(owner.shard))
			case "by the relay":
				r.later(confirmAfter)
			case "by a credit":
				r.unprojected(func(desk *Desk) {
					_, err := desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 7, Kind: CreditStars, IdempotencyKey: "7"})
					r.must(err)
				})
			}
			if err := owner.relay(ctx); !errors.Is(err, errLost) {
				t.Fatalf("the loss goes unseen: %v", err)
			}
			epoch := owner.at.epoch
			r.must(owner.open(ctx))
			if owner.at.epoch != epoch+1 {
				t.Fatalf("epoch %d after %d", owner.at.epoch, epoch)
			}
			want := int64(800)
			if found == "by a credit" {
				want += 7
			}
			r.wantBalance(account, want, 0)
			r.wantBalance(neighbour, 1000, 0)
			for _, id := range []int64{account, neighbour} {
				if err := r.desk.Holds.Release(ctx, id, map[int64]string{account: "flying", neighbour: "beside"}[id]); !errors.Is(err, ErrHoldUnknown) {
					t.Fatalf("a hold of before: %v", err)
				}
			}
			r.must(owner.relay(ctx))
			r.must(owner.open(ctx))
			if owner.at.epoch != epoch+1 {
				t.Fatal("built once more")
			}
			r.drain(owner)
			r.wantBooks(ctx)
		})
	}
}

// What a script missed because Redis was not told of it yet is made, and nothing else.
func TestMissedAccount(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	var account int64
	r.unprojected(func(desk *Desk) {
		made, _, err := desk.Accounts.Open(ctx, Profile{TelegramID: 9})
		r.must(err)
		account = made.ID
	})
	owner := r.owners[shardOf(account)]
	r.redis.SAdd(ctx, lostKey(owner.shard), account, account+16)
	r.must(owner.relay(ctx))
	r.wantBalance(account, 0, 0)
	if n := r.redis.Exists(ctx, lostKey(owner.shard)).Val(); n != 0 || owner.at.epoch != 1 {
		t.Fatalf("the set is still there, or epoch %d", owner.at.epoch)
	}
}

// rebuilt is what a rebuild of all shards took.
type rebuilt struct {
	away    time.Duration // until the last shard was open again
	refused int           // calls that were told so meanwhile
	slowest time.Duration // of their answers, but for one in a hundred
}

// rebuildMany loses so many accounts with a key and two messages of the last days each,
// in all shards, while calls come in: with all that Redis has, or only with the epochs.
func rebuildMany(t *testing.T, accounts int, flush bool) rebuilt {
	server := testenv.RedisServer(t)
	r := newRig(t, server.ClientWith(redis.Options{PoolSize: 40}))
	ctx := t.Context()
	_, err := r.pool.Exec(ctx, `
		with made as (
			insert into accounts (telegram_id, name, balance_nano, projected_at, confirmed, known)
			select n, 'Kiku', n, now(), true, true from generate_series(1, $1::bigint) n returning id, telegram_id
		), said as (
			insert into usage (transaction_id, hold_id, account_id, key_id, model, deployment, source, prompt_tokens, cached_tokens, cache_write_tokens,
				completion_tokens, reasoning_tokens, cost_nano, captured_nano, write_off_nano, estimated, duration_ms, first_token_ms, created_at)
			select id * 2 + n, 'tg-' || id * 2 + n, id, 0, 'small', 'home', 'telegram', 1, 0, 0, 1, 0, 5, 5, 0, false, 1, 1, now() - interval '1 hour' * (id % 40)
			from made, generate_series(1, 2) n
		) insert into api_keys (account_id, name, locator, mac, pepper_version, hint, projected_at, confirmed)
		select id, 'one', md5(id::text), md5(id::text), '1', 'kk_', now(), true from made`, accounts)
	r.must(err)
	r.lose(true)
	r.rebuildAll()
	r.lose(flush)

	quit, answers := make(chan struct{}), make(chan rebuilt, 1)
	go func() { answers <- r.refusals(quit) }()
	started := time.Now()
	r.rebuildAll()
	away := time.Since(started)
	close(quit)
	result := <-answers
	result.away = away

	rows, err := r.pool.Query(ctx, `select id from accounts order by id`)
	r.must(err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	r.must(err)
	for _, id := range []int64{ids[0], ids[len(ids)/2], ids[len(ids)-1]} {
		nano, err := r.desk.Ledger.Balance(ctx, id)
		r.must(err)
		r.wantBalance(id, nano, 0)
	}
	for s := range stream.Shard(stream.Shards) { // calls of shards open again missed their accounts
		r.must(r.redis.Del(ctx, lostKey(s)).Err())
	}
	names, err := r.redis.DBSize(ctx).Result()
	r.must(err)
	if want := int64(4*accounts + stream.Shards); names != want {
		t.Errorf("%d keys in Redis, want %d", names, want)
	}
	return result
}

func (r *rig) lose(everything bool) {
	r.t.Helper()
	if everything {
		r.must(r.redis.FlushAll(r.t.Context()).Err())
		return
	}
	for s := range stream.Shard(stream.Shards) {
		r.must(r.redis.Del(r.t.Context(), epochKey(s)).Err())
	}
}

func (r *rig) rebuildAll() {
	r.t.Helper()
	var wg sync.WaitGroup
	for _, o := range r.owners {
		wg.Go(func() {
			if _, err := o.drain(r.t.Context()); !errors.Is(err, errLost) {
				r.t.Errorf("the loss goes unseen: %v", err)
			}
			if err := o.open(r.t.Context()); err != nil {
				r.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// refusals calls on one shard after another until told to quit.
func (r *rig) refusals(quit <-chan struct{}) (result rebuilt) {
	var took []time.Duration
	for i := int64(0); ; i++ {
		select {
		case <-quit:
			slices.Sort(took)
			if result.refused = len(took); result.refused > 0 {
				result.slowest = took[len(took)*99/100]
			}
			return result
		default:
		}
		asked := time.Now()
		_, err := r.desk.Holds.Reserve(context.Background(), reservation(1_000_000+i%stream.Shards, "x", 1))
		if !errors.Is(err, ErrClosed) {
			r.t.Errorf("a call meanwhile: %v", err)
		}
		took = append(took, time.Since(asked))
	}
}

func TestRebuildMany(t *testing.T) {
	const accounts = 5000
	for _, flush := range []bool{true, false} {
		b := rebuildMany(t, accounts, flush)
		if b.away > 30*time.Second || b.slowest > 2*time.Second || b.refused == 0 { // the figures are make prove-rebuild's
			t.Errorf("all gone: %v: %d accounts took %s, %d calls meanwhile up to %s", flush, accounts, b.away, b.refused, b.slowest)
		}
	}
}
