package billing

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// Whatever happens between two looks of a reconciliation, it finds no difference that
// is none, and still finds the one that is.
func TestReconcileBetweenTheLooks(t *testing.T) {
	for name, happens := range map[string]func(r *rig, account int64, n int){
		"a call":             func(r *rig, account int64, n int) { r.spend(account, fmt.Sprintf("call-%d", n), 3) },
		"a call and a drain": func(r *rig, account int64, n int) { r.spend(account, fmt.Sprintf("call-%d", n), 3); r.drainAll() },
		"a drain and a call": func(r *rig, account int64, n int) { r.drainAll(); r.spend(account, fmt.Sprintf("call-%d", n), 3) },
		"a drain":            func(r *rig, _ int64, _ int) { r.drainAll() },
		"a credit":           func(r *rig, account int64, n int) { r.credit(account, 5, fmt.Sprintf("credit-%d", n)) },
		"a hold":             func(r *rig, account int64, n int) { r.reserve(account, fmt.Sprintf("hold-%d", n), 2) },
		"an account":         func(r *rig, _ int64, _ int) { r.account(9) },
		"a rebuild":          func(r *rig, account int64, _ int) { r.must(r.owners[shardOf(account)].rebuild(r.t.Context())) },
		"a rebuild and a call": func(r *rig, account int64, n int) {
			r.must(r.owners[shardOf(account)].rebuild(r.t.Context()))
			r.spend(account, fmt.Sprintf("call-%d", n), 3)
		},
		"budgets": func(r *rig, account int64, n int) {
			r.must(r.desk.Accounts.SetBudget(r.t.Context(), account, Budget{DayNano: int64(1_000_000 + n)}, House))
			r.must(r.desk.Keys.SetBudget(r.t.Context(), account, 1, Budget{DayNano: int64(1_000_000 + n)}, House))
			r.forge(`update accounts set confirmed = true`)
			r.forge(`update api_keys set confirmed = true`)
		},
		"a key and another's end": func(r *rig, account int64, _ int) {
			key, _, err := r.desk.Keys.Create(r.t.Context(), KeySpec{AccountID: account, Name: "more"})
			r.must(err)
			r.must(r.desk.Keys.Revoke(r.t.Context(), account, key.ID-1, House))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, account, _ := busy(t, testenv.Redis(t))
			waiting := func(name string) { // events to apply
				for i := range 3 {
					r.spend(account, fmt.Sprintf("%s-%d", strings.ReplaceAll(name, " ", "-"), i), 1)
				}
			}
			n := 0
			for _, step := range []string{"listed", "looked", "snapshot", "streamed", "keys"} {
				c := r.reconciler()
				c.chunk, c.most = 1, 2
				times := 0
				c.pause = func(at string) {
					if at == step && times < 3 {
						times++
						n++
						happens(r, account, n)
					}
				}
				find := func(want ...string) {
					t.Helper()
					var got []string
					shard := shardOf(account) // all that happens is to happen while this one is looked at
					_, err := c.Run(t.Context(), Scope{Shard: &shard}, func(d Discrepancy) { got = append(got, d.What) })
					r.must(err)
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("%s at %q: found %q, want %q", name, step, got, want)
					}
				}
				waiting(step)
				find()
				if times == 0 && step != "streamed" {
					t.Errorf("nothing happened at %q", step)
				}
				if name == "a rebuild" || name == "a rebuild and a call" {
					continue // which mends what follows
				}
				times = 0
				waiting(step + " again")
				r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, 1).Err())
				find(AboutBalance)
				r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, -1).Err())
			}
		})
	}
}

// Under load a reconciliation never finds a difference that is none.
func TestReconcileUnderLoad(t *testing.T) {
	reconcileUnderLoad(t, 96)
}

// reconcileUnderLoad looks at one shard after the other, and now and then at all, that many
// times.
func reconcileUnderLoad(t *testing.T, rounds int) {
	const accounts, workers = 96, 3
	r := running(t, testenv.Redis(t), nil, nil)
	r.funded(t, 1)
	testenv.Until(t, "open shards", func() bool {
		for s := range stream.Shards {
			if r.redis.Exists(t.Context(), epochKey(stream.Shard(s))).Val() == 0 {
				return false
			}
		}
		return true
	})
	ids := make([]int64, accounts)
	for i := range ids {
		ids[i] = r.account(1_000_000)
	}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var operations atomic.Int64
	for worker := range workers {
		group.Go(func() {
			var open []Hold
			for n := 0; ctx.Err() == nil; n++ {
				if err := r.operate(&open, ids[rand.IntN(len(ids))], fmt.Sprintf("w%d-%d", worker, n)); err != nil {
					t.Errorf("worker %d: %v", worker, err)
					return
				}
				operations.Add(1)
			}
		})
	}
	c := r.reconciler()
	c.chunk, c.most = 2, 4
	var total Checked
	began, done := time.Now(), 0
	for ; done < rounds && !t.Failed(); done++ {
		shard := stream.Shard(done % stream.Shards)
		scope := Scope{Shard: &shard}
		if done%48 == 47 {
			scope = Scope{} // the ledger as a whole, too
		}
		checked, err := c.Run(t.Context(), scope, func(d Discrepancy) { t.Errorf("round %d: %s", done, line(d)) })
		r.must(err)
		total.Events += checked.Events
		total.Credits += checked.Credits
		total.Holds += checked.Holds
		total.Accounts += checked.Accounts
	}
	stop()
	group.Wait()
	if total.Events == 0 || total.Holds == 0 {
		t.Errorf("the load did not show: %+v", total)
	}
	t.Logf("%d rounds in %s beside %d operations: %d accounts compared, %d events not applied, %d credits not told, %d live holds met",
		done, time.Since(began).Round(time.Second), operations.Load(), total.Accounts, total.Events, total.Credits, total.Holds)
}

// operate does one thing that moves money; open are the holds that are left to resolve.
func (r *rig) operate(open *[]Hold, account int64, id string) error {
	ctx := context.Background()
	switch n := rand.IntN(40); {
	case n == 0:
		_, err := r.desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 500, Kind: CreditAdjustment, IdempotencyKey: id})
		return err
	case n == 1:
		key, _, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account, Name: id})
		if err != nil {
			return err
		}
		return r.desk.Keys.Revoke(ctx, account, key.ID, House)
	case n == 2:
		return r.desk.Accounts.SetBudget(ctx, account, Budget{DayNano: MaxCredit, MonthNano: rand.Int64N(2) * MaxCredit}, House)
	case n == 3: // left to the reaper, with a checkpoint
		short := reservation(account, id, 200)
		short.Life = 50 * time.Millisecond
		if _, err := r.desk.Holds.Reserve(ctx, short); err != nil {
			return err
		}
		err := r.desk.Holds.Checkpoint(ctx, []Mark{{Settlement: settlement(account, id, 70), Life: short.Life}})[0]
		if errors.Is(err, ErrHoldConflict) {
			return nil // the reaper was there before
		}
		return err
	case n == 4: // settled late, through Postgres
		_, err := r.desk.Holds.Settle(ctx, settlement(account, id, 30))
		return err
	case n < 20 && len(*open) < 20:
		hold, err := r.desk.Holds.Reserve(ctx, reservation(account, id, 1+rand.Int64N(300)))
		if err == nil {
			*open = append(*open, hold)
		}
		return err
	}
	if len(*open) == 0 {
		return nil
	}
	hold := (*open)[0]
	*open = (*open)[1:]
	if rand.IntN(4) == 0 {
		return r.desk.Holds.Release(ctx, hold.AccountID, hold.ID)
	}
	_, err := r.desk.Holds.Settle(ctx, settlement(hold.AccountID, hold.ID, rand.Int64N(400)))
	return err
}

// A backlog of many pages is added up, trimmed or not.
func TestReconcileBacklog(t *testing.T) {
	onBoth(t, func(t *testing.T, client *redis.Client) {
		r := newRig(t, client)
		account := r.account(1_000_000)
		for n := range 2*batchMost + 100 {
			r.spend(account, fmt.Sprintf("b%d", n), 2)
		}
		r.wantDifferences()
		c := r.reconciler()
		drained := false
		c.pause = func(step string) {
			if step == "streamed" && !drained {
				drained = true
				for range 2 { // beyond the page that was read
					_, err := r.owners[shardOf(account)].drain(t.Context())
					r.must(err)
				}
			}
		}
		checked, err := c.Run(t.Context(), Scope{}, func(d Discrepancy) { t.Error(line(d)) })
		r.must(err)
		if !drained || checked.Events != 100 {
			t.Errorf("%d events not applied", checked.Events)
		}
	})
}
