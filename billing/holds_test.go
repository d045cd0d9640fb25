package billing

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestHoldLife(t *testing.T) { onBoth(t, testHoldLife) }

func testHoldLife(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	holds, ctx := r.desk.Holds, t.Context()
	account := r.account(1000)

	if hold := r.reserve(account, "a", 400); hold.Nano != 400 || hold.Available != 600 || hold.Replayed || hold.State != HoldHeld {
		t.Fatalf("reserve: %+v", hold)
	}
	r.wantBalance(account, 600, 400)
	if hold := r.reserve(account, "a", 400); hold.Nano != 400 || !hold.Replayed || hold.State != HoldHeld {
		t.Fatalf("repeated reserve: %+v", hold)
	}
	if _, err := holds.Reserve(ctx, reservation(account, "a", 401)); !errors.Is(err, ErrHoldConflict) {
		t.Fatalf("same id, other amount: %v", err)
	}
	r.wantBalance(account, 600, 400)
	if score := client.ZScore(ctx, ExpKey(account), "a").Val(); score < float64(time.Now().UnixMilli()) {
		t.Fatalf("expiry index has %v", score)
	}

	if c := r.settle(account, "a", 150); c != (Captured{Nano: 150, Available: 850}) {
		t.Fatalf("settle: %+v", c)
	}
	r.wantBalance(account, 850, 0)
	if c := r.settle(account, "a", 150); c != (Captured{Nano: 150, Available: 850, Replayed: true}) {
		t.Fatalf("repeated settle: %+v", c)
	}
	if _, err := holds.Settle(ctx, settlement(account, "a", 151)); !errors.Is(err, ErrHoldConflict) {
		t.Fatalf("settle with another cost: %v", err)
	}
	if err := holds.Release(ctx, account, "a"); !errors.Is(err, ErrHoldConflict) {
		t.Fatalf("release after settle: %v", err)
	}
	if hold := r.reserve(account, "a", 400); hold.Nano != 150 || hold.State != HoldSettled {
		t.Fatalf("reserve after settle: %+v", hold)
	}
	r.wantBalance(account, 850, 0)
	if n := client.ZCard(ctx, ExpKey(account)).Val(); n != 0 {
		t.Fatalf("expiry index keeps %d", n)
	}
	if ttl := client.PTTL(ctx, HoldKey(account, "a")).Val(); ttl <= 0 || ttl > keepHold {
		t.Fatalf("a resolved hold lives %s", ttl)
	}

	r.reserve(account, "b", 850)
	r.wantBalance(account, 0, 850)
	for range 2 {
		r.must(holds.Release(ctx, account, "b"))
		r.wantBalance(account, 850, 0)
	}
	if _, err := holds.Settle(ctx, settlement(account, "b", 1)); !errors.Is(err, ErrHoldConflict) {
		t.Fatalf("settle after release: %v", err)
	}
	if n := client.XLen(ctx, evKey(shardOf(account))).Val(); n != 1 {
		t.Fatalf("%d events, want one", n)
	}
	r.drainAll()
	r.wantBooks(ctx)
}

func TestHoldRefusals(t *testing.T) { onBoth(t, testHoldRefusals) }

func testHoldRefusals(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	holds, ctx := r.desk.Holds, t.Context()
	account := r.account(1000)

	var poor *PoorError
	_, err := holds.Reserve(ctx, reservation(account, "p", 1001))
	if !errors.As(err, &poor) || *poor != (PoorError{Need: 1001, Available: 1000}) || !errors.Is(err, ErrPoor) {
		t.Fatalf("more than there is: %v", err)
	}
	if client.Exists(ctx, HoldKey(account, "p")).Val() != 0 {
		t.Fatal("a refused hold left a record")
	}
	partly := reservation(account, "q", 5000)
	partly.Least = 1000
	if hold, err := holds.Reserve(ctx, partly); err != nil || hold.Nano != 1000 || hold.Available != 0 {
		t.Fatalf("all there is: %+v, %v", hold, err)
	}
	r.must(holds.Release(ctx, account, "q"))

	if c := func() Captured { r.reserve(account, "w", 300); return r.settle(account, "w", 450) }(); c != (Captured{Nano: 300, WriteOff: 150, Available: 700}) {
		t.Fatalf("cost beyond the hold: %+v", c)
	}
	if c := func() Captured { r.reserve(account, "z", 0); return r.settle(account, "z", 0) }(); c != (Captured{Available: 700}) {
		t.Fatalf("a free call: %+v", c)
	}
	r.reserve(account, "zr", 0)
	r.must(holds.Release(ctx, account, "zr"))

	empty := r.account(0)
	nothing := reservation(empty, "n", 10)
	nothing.Least = 0
	if _, err := holds.Reserve(ctx, nothing); !errors.Is(err, ErrPoor) {
		t.Fatalf("a hold of nothing for a paid call: %v", err)
	}

	for name, want := range map[string]error{
		"negative": errOf(holds.Reserve(ctx, reservation(account, "x", -1))),
		"huge":     errOf(holds.Reserve(ctx, reservation(account, "x", MaxNano+1))),
		"cost":     errOf(holds.Settle(ctx, settlement(account, "x", -1))),
	} {
		if !errors.Is(want, ErrAmount) {
			t.Errorf("%s: %v", name, want)
		}
	}
	for _, id := range []string{"", "a b", "ключ", "a{s01}", strings.Repeat("x", 129)} {
		if _, err := holds.Reserve(ctx, reservation(account, id, 1)); !errors.Is(err, ErrHoldID) {
			t.Errorf("hold id %q: %v", id, err)
		}
	}
	if c := r.settle(account, "nobody", 1); c != (Captured{Nano: 1, Late: true}) {
		t.Errorf("settle of an unknown hold: %+v", c)
	}
	if _, err := holds.Settle(ctx, settlement(account+16, "noone", 1)); !errors.Is(err, ErrHoldUnknown) {
		t.Errorf("settle of an unknown account's hold: %v", err)
	}
	if _, err := holds.Settle(ctx, settlement(account, "nobody", 2)); !errors.Is(err, ErrHoldConflict) {
		t.Errorf("settle of an unknown hold at another cost: %v", err)
	}
	if err := holds.Release(ctx, account, "nobody"); !errors.Is(err, ErrHoldUnknown) {
		t.Errorf("release of an unknown hold: %v", err)
	}
	// Accounts 16 apart share a shard, and so the names of holds.
	r.reserve(account, "mine", 100)
	if _, err := holds.Settle(ctx, settlement(account+16, "mine", 1)); !errors.Is(err, ErrHoldConflict) {
		t.Errorf("settle of another's hold: %v", err)
	}
	if err := holds.Release(ctx, account+16, "mine"); !errors.Is(err, ErrHoldConflict) {
		t.Errorf("release of another's hold: %v", err)
	}
	client.HSet(ctx, AcctKey(account), AccountFieldStatus, "suspended")
	if _, err := holds.Reserve(ctx, reservation(account, "s", 1)); !errors.Is(err, ErrAccountInactive) {
		t.Errorf("a suspended account: %v", err)
	}
	r.settle(account, "mine", 100) // what was begun is finished
	r.wantBalance(account, 600, 0)
}

func errOf[T any](_ T, err error) error { return err }

// An account without a hash and a shard without an epoch are closed to every
// script: never a free call, never "no money".
func TestClosedShard(t *testing.T) { onBoth(t, testClosedShard) }

func testClosedShard(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(1000)
	key, _, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account})
	r.must(err)
	r.reserve(account, "h", 10)
	calls := map[string]func() error{
		"reserve": func() error { return errOf(r.desk.Holds.Reserve(ctx, reservation(account, "i", 1))) },
		"release": func() error { return r.desk.Holds.Release(ctx, account, "h") },
		"balance": func() error { return errOf(r.desk.Accounts.Balance(ctx, account)) },
	}
	refused := func(how string) {
		t.Helper()
		for name, call := range calls {
			if err := call(); !errors.Is(err, ErrClosed) {
				t.Errorf("%s with %s: %v", name, how, err)
			}
		}
	}
	epoch := client.Get(ctx, EpochKey(account)).Val()
	client.Del(ctx, EpochKey(account))
	refused("no epoch")
	if c := r.settle(account, "h", 1); !c.Late {
		t.Errorf("settled on a closed shard: %+v", c)
	}
	r.must(client.Set(ctx, EpochKey(account), epoch, 0).Err())
	r.wantBalance(account, 990, 10)
	client.Del(ctx, AcctKey(account))
	refused("no hash")
	if _, err := r.desk.Holds.Settle(ctx, settlement(account, "h", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("settled without a hash: %v", err)
	}
	client.Del(ctx, EpochKey(account))
	if n := client.XLen(ctx, evKey(shardOf(account))).Val(); n != 0 {
		t.Errorf("%d events from a closed shard", n)
	}
	r.must(r.desk.Keys.Revoke(ctx, account, key.ID, House)) // needs no open shard
	if result := r.credit(account, 5, "while closed"); result.Projected {
		t.Error("a closed shard took a credit")
	}
}

// Money for exactly K calls admits exactly K of 200 at once.
func TestExactlyK(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testExactlyK(t, newRig(t, testenv.Redis(t))) })
	t.Run("autopipeline", func(t *testing.T) {
		client := testenv.RedisServer(t).ClientWith(redis.Options{MaxRetries: -1})
		testExactlyK(t, newRig(t, client, func(c *Config) {
			pipe, err := client.AutoPipeline()
			if err != nil {
				t.Fatal(err)
			}
			c.Redis = pipe
		}))
	})
}

func testExactlyK(t *testing.T, r *rig) {
	const price, affordable, workers = 700_000, 91, 200
	account := r.account(affordable*price + price - 1)
	var admitted, poor atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			id := fmt.Sprintf("k-%d", w)
			_, err := r.desk.Holds.Reserve(t.Context(), reservation(account, id, price))
			switch {
			case err == nil:
				admitted.Add(1)
				if _, err := r.desk.Holds.Settle(t.Context(), settlement(account, id, price)); err != nil {
					t.Errorf("settle: %v", err)
				}
			case errors.Is(err, ErrPoor):
				poor.Add(1)
			default:
				t.Errorf("reserve: %v", err)
			}
		})
	}
	wg.Wait()
	if admitted.Load() != affordable || poor.Load() != workers-affordable {
		t.Fatalf("%d admitted, %d poor", admitted.Load(), poor.Load())
	}
	r.wantBalance(account, price-1, 0)
	r.drainAll()
	r.wantBooks(t.Context())
}

// Of settle and release racing for one hold, one wins, and money is whole.
func TestResolveOnce(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1_000_000)
	spent := int64(0)
	for i := range 100 {
		id := fmt.Sprintf("race-%d", i)
		r.reserve(account, id, 1000)
		var settled, released atomic.Int64
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				if w%2 == 0 {
					if c, err := r.desk.Holds.Settle(t.Context(), settlement(account, id, 400)); err == nil && !c.Replayed {
						settled.Add(1)
					}
				} else if r.desk.Holds.Release(t.Context(), account, id) == nil {
					released.Store(1)
				}
			})
		}
		wg.Wait()
		if settled.Load()+released.Load() != 1 {
			t.Fatalf("settled %d times, released %d", settled.Load(), released.Load())
		}
		spent += 400 * settled.Load()
	}
	r.wantBalance(account, 1_000_000-spent, 0)
	r.drainAll()
	r.wantBooks(t.Context())
}

// The event comes first: where it cannot be appended, no balance changes.
func TestEventFirst(t *testing.T) { onBoth(t, testEventFirst) }

func testEventFirst(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	account := r.account(1000)
	r.reserve(account, "h", 400)
	events := evKey(shardOf(account))
	r.must(client.Set(t.Context(), events, "not a stream", 0).Err())
	if _, err := r.desk.Holds.Settle(t.Context(), settlement(account, "h", 300)); err == nil {
		t.Fatal("settled without an event")
	}
	r.wantBalance(account, 600, 400)
	client.Del(t.Context(), events)
	if c := r.settle(account, "h", 300); c.Replayed || c.Nano != 300 {
		t.Fatalf("settle after the fault: %+v", c)
	}
	r.wantBalance(account, 700, 0)
}

// Redis away, frozen or refusing is ErrClosed, and soon.
func TestRedisAway(t *testing.T) {
	server := testenv.RedisServer(t)
	client := server.ClientWith(redis.Options{ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 250 * time.Millisecond, ReadTimeout: 100 * time.Millisecond, WriteTimeout: 100 * time.Millisecond, PoolTimeout: 100 * time.Millisecond})
	r := newRig(t, client)
	account := r.account(1000)
	r.reserve(account, "h", 10)
	check := func(how string) {
		t.Helper()
		began := time.Now()
		if _, err := r.desk.Holds.Reserve(t.Context(), reservation(account, "x-"+how, 10)); !errors.Is(err, ErrClosed) {
			t.Errorf("reserve, %s: %v", how, err)
		}
		if _, err := r.desk.Holds.Settle(t.Context(), settlement(account, "h", 10)); !errors.Is(err, ErrClosed) {
			t.Errorf("settle, %s: %v", how, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: two answers took %s", how, took)
		}
	}
	server.Pause()
	check("frozen")
	server.Resume()
	// What timed out may have happened, then or now: the caller gives it back.
	if err := r.desk.Holds.Release(t.Context(), account, "x-frozen"); err != nil && !errors.Is(err, ErrHoldUnknown) {
		t.Errorf("release after a timeout: %v", err)
	}
	r.must(client.Do(t.Context(), "config", "set", "maxmemory", "1").Err())
	check("full")
	r.must(client.Do(t.Context(), "config", "set", "maxmemory", "0").Err())
	r.wantBalance(account, 990, 10) // nothing half done
	r.must(client.Do(t.Context(), "replicaof", "127.0.0.1", "1").Err())
	check("read-only")
	server.Stop()
	check("refused")
}
