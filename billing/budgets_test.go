package billing

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// budgeted is an account with money and a key of it.
type budgeted struct {
	*rig
	account int64
	key     Key
	locator string
}

func (r *rig) budgeted(nano int64, spec KeySpec) budgeted {
	r.t.Helper()
	b := budgeted{rig: r, account: r.account(nano)}
	spec.AccountID = b.account
	key, token, err := r.desk.Keys.Create(r.t.Context(), spec)
	r.must(err)
	presented, err := r.desk.Keys.Parse(token)
	r.must(err)
	b.key, b.locator = key, presented.Locator[0]
	return b
}

// ask is a reservation with the key.
func (b budgeted) ask(id string, want, least int64) Reservation {
	r := reservation(b.account, id, want)
	r.KeyID, r.KeyLocator, r.Least = b.key.ID, b.locator, least
	return r
}

// chat is a reservation without a key.
func (b budgeted) chat(id string, nano int64) Reservation {
	r := reservation(b.account, id, nano)
	r.KeyID = 0
	return r
}

func (b budgeted) take(ask Reservation) {
	b.t.Helper()
	if hold, err := b.desk.Holds.Reserve(b.t.Context(), ask); err != nil || hold.Nano != ask.Want {
		b.t.Fatalf("reserve %s: %+v, %v", ask.HoldID, hold, err)
	}
}

func (b budgeted) pay(ask Reservation, cost int64) {
	b.t.Helper()
	s := settlement(b.account, ask.HoldID, cost)
	s.KeyID = ask.KeyID
	_, err := b.desk.Holds.Settle(b.t.Context(), s)
	b.must(err)
}

func (b budgeted) refused(ask Reservation, want BudgetError) {
	b.t.Helper()
	b.refusedAhead(ask, want, 0)
}

// refusedAhead is refused by what is counted in a day that is ahead.
func (b budgeted) refusedAhead(ask Reservation, want BudgetError, days int) {
	b.t.Helper()
	_, err := b.desk.Holds.Reserve(b.t.Context(), ask)
	var got *BudgetError
	if !errors.As(err, &got) || !errors.Is(err, ErrBudget) || errors.Is(err, ErrPoor) {
		b.t.Fatalf("reserve %s: %v, want a budget in its way", ask.HoldID, err)
	}
	now := b.redis.Time(b.t.Context()).Val().UTC()
	want.Resets = time.Date(now.Year(), now.Month(), now.Day()+1+days, 0, 0, 0, 0, time.UTC)
	if want.Period == BudgetMonth {
		want.Resets = time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	if *got != want {
		b.t.Fatalf("reserve %s: %+v, want %+v", ask.HoldID, *got, want)
	}
}

// counted is what Redis counts in the running day and month, of the account (key 0) or
// a key; -1: it counts nothing.
func (r *rig) counted(account, key int64) (day, month int64) {
	r.t.Helper()
	field := AccountFieldSpent
	if key > 0 {
		field = fmt.Sprintf("%s:%d", AccountFieldSpent, key)
	}
	text, err := r.redis.HGet(r.t.Context(), AcctKey(account), field).Result()
	if errors.Is(err, redis.Nil) {
		return -1, -1
	}
	r.must(err)
	var d, m int64
	if _, err := fmt.Sscanf(text, "%d|%d|%d|%d", &d, &day, &m, &month); err != nil {
		r.t.Fatalf("counter %q: %v", text, err)
	}
	return day, month
}

func (b budgeted) wantCounted(key, nano int64) {
	b.t.Helper()
	if day, month := b.counted(b.account, key); day != nano || month != nano {
		b.t.Fatalf("key %d: %d in the day and %d in the month are counted, want %d", key, day, month, nano)
	}
}

// A budget counts what is held and then what was charged, of a key, of the account, or
// of both, and nothing else.
func TestBudget(t *testing.T) { onBoth(t, testBudget) }

func testBudget(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	b := r.budgeted(100_000, KeySpec{BudgetDay: 1000, BudgetMonth: 1500, By: OfAccount(1)})
	if b.key.Budget != (Budget{1000, 1500}) {
		t.Fatalf("the key's budget: %+v", b.key.Budget)
	}
	b.take(b.ask("a", 600, 600))
	b.wantCounted(b.key.ID, 600)
	b.refused(b.ask("b", 401, 401), BudgetError{Scope: BudgetKey, Period: BudgetDay, Limit: 1000, Spent: 600, Need: 401})
	if hold, err := r.desk.Holds.Reserve(ctx, b.ask("c", 900, 100)); err != nil || hold.Nano != 400 {
		t.Fatalf("what the budget affords: %+v, %v", hold, err)
	}
	b.refused(b.ask("d", 1, 1), BudgetError{Scope: BudgetKey, Period: BudgetDay, Limit: 1000, Spent: 1000, Need: 1})
	b.pay(b.ask("a", 600, 600), 250) // 350 come back
	b.wantCounted(b.key.ID, 650)
	r.must(r.desk.Holds.Release(ctx, b.account, "c"))
	b.wantCounted(b.key.ID, 250)
	b.take(b.chat("chat", 50_000)) // no key, no budget
	b.take(b.ask("free", 0, 0))

	r.must(r.desk.Accounts.SetBudget(ctx, b.account, Budget{DayNano: 60_000, MonthNano: 300}, Operator("kim")))
	b.refused(b.ask("e", 500, 500), BudgetError{Scope: BudgetAccount, Period: BudgetMonth, Limit: 300, Spent: 0, Need: 500})
	b.take(b.ask("f", 200, 200))
	b.wantCounted(0, 200)
	b.wantCounted(b.key.ID, 450)
	// Both stand in the way: the one that resets last is named.
	b.refused(b.ask("g", 700, 700), BudgetError{Scope: BudgetAccount, Period: BudgetMonth, Limit: 300, Spent: 200, Need: 700})
	b.refused(b.chat("h", 101), BudgetError{Scope: BudgetAccount, Period: BudgetMonth, Limit: 300, Spent: 200, Need: 101})
	b.pay(b.ask("f", 200, 200), 900) // captured is what was held
	b.wantCounted(0, 200)
	b.wantCounted(b.key.ID, 450)
	b.pay(b.chat("chat", 50_000), 100) // held before there was a budget
	b.wantCounted(0, 200)

	// The balance comes first: more budget would not help the poor.
	var poor *PoorError
	if _, err := r.desk.Holds.Reserve(ctx, b.ask("rich", 200_000, 200_000)); !errors.As(err, &poor) {
		t.Fatalf("above balance and budget: %v", err)
	}

	// A budget taken away bounds nothing and goes on counting; a lower one than was
	// spent lets nothing pass.
	r.must(r.desk.Accounts.SetBudget(ctx, b.account, Budget{}, House))
	b.take(b.ask("i", 500, 500))
	b.wantCounted(0, 700)
	r.must(r.desk.Keys.SetBudget(ctx, b.account, b.key.ID, Budget{DayNano: 10}, House))
	b.refused(b.ask("j", 1, 1), BudgetError{Scope: BudgetKey, Period: BudgetDay, Limit: 10, Spent: 950, Need: 1})
	r.must(r.desk.Keys.SetBudget(ctx, b.account, b.key.ID, Budget{}, House))
	b.take(b.ask("j", 1, 1))
	b.pay(b.ask("i", 500, 500), 500)
	b.pay(b.ask("j", 1, 1), 1)
	b.pay(b.ask("free", 0, 0), 0)
	r.wantBalance(b.account, 100_000-250-200-100-501, 0)
	if key, err := r.desk.Keys.Find(ctx, b.key.ID); err != nil || key.Budget != (Budget{}) {
		t.Fatalf("%+v, %v", key, err)
	}
	r.drainAll()
	r.wantBooks(ctx)
	if n := r.count(`select count(*) from audit_log where action in ('account.budget', 'key.budget')`); n != 4 {
		t.Errorf("%d changes in the audit log", n)
	}
	r.must(r.desk.Keys.Revoke(ctx, b.account, b.key.ID, House))
	b.wantCounted(b.key.ID, -1)
}

// Budget for exactly K calls admits exactly K of many at once, with the balance far
// from being the bound, whatever is reserved and given back meanwhile.
func TestBudgetExactlyK(t *testing.T) {
	for _, of := range []string{BudgetKey, BudgetAccount} {
		for _, period := range []string{BudgetDay, BudgetMonth} {
			t.Run(of+" "+period, func(t *testing.T) { testBudgetExactlyK(t, of, period) })
		}
	}
}

func testBudgetExactlyK(t *testing.T, of, period string) {
	const price, affordable, workers = 700_000, 37, 200
	r := newRig(t, testenv.Redis(t))
	b := r.budgeted(1000*price, KeySpec{})
	budget := Budget{DayNano: affordable*price + price - 1}
	if period == BudgetMonth {
		budget = Budget{MonthNano: budget.DayNano}
	}
	if of == BudgetKey {
		r.must(r.desk.Keys.SetBudget(t.Context(), b.account, b.key.ID, budget, House))
	} else {
		r.must(r.desk.Accounts.SetBudget(t.Context(), b.account, budget, House))
	}
	var paid, refused atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for try := 0; ; try++ {
				ask := b.ask(fmt.Sprintf("k-%d-%d", w, try), price, price)
				_, err := r.desk.Holds.Reserve(t.Context(), ask)
				switch {
				case errors.Is(err, ErrBudget):
					refused.Add(1)
					return
				case err != nil:
					t.Errorf("reserve: %v", err)
					return
				case (w+try)%3 == 0 && try < 5: // a call that comes to nothing
					if err := r.desk.Holds.Release(t.Context(), b.account, ask.HoldID); err != nil {
						t.Errorf("release: %v", err)
					}
					continue
				}
				s := settlement(b.account, ask.HoldID, price)
				s.KeyID = b.key.ID
				if _, err := r.desk.Holds.Settle(t.Context(), s); err != nil {
					t.Errorf("settle: %v", err)
				}
				paid.Add(1)
			}
		})
	}
	wg.Wait()
	if paid.Load() != affordable || refused.Load() != workers {
		t.Fatalf("%d paid, %d refused", paid.Load(), refused.Load())
	}
	r.wantBalance(b.account, 1000*price-affordable*price, 0)
	r.drainAll()
	r.wantBooks(t.Context())
}

// The first budget of a running month begins with what the ledger knows, a rebuild
// brings all of them back, and so does the relay where Redis was away.
func TestBudgetRestored(t *testing.T) { onBoth(t, testBudgetRestored) }

func testBudgetRestored(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	b := r.budgeted(100_000, KeySpec{})
	b.take(b.ask("before", 300, 300))
	b.pay(b.ask("before", 300, 300), 300)
	b.take(b.chat("chat", 50))
	b.pay(b.chat("chat", 50), 50)
	r.drainAll()
	// What the ledger has of earlier hours of the month is not of this day.
	_, err := r.pool.Exec(ctx, `insert into usage_hourly (account_id, key_id, model, hour, calls, estimated_calls, prompt_tokens,
			cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, cost_nano, captured_nano, write_off_nano)
		select $1, $2, 'old', hour, 1, 0, 0, 0, 0, 0, 0, 7, 7, 0
		from unnest(array[date_trunc('month', now(), 'UTC'), date_trunc('month', now(), 'UTC') - interval '1 hour']) hour`, b.account, b.key.ID)
	r.must(err)
	r.must(r.desk.Keys.SetBudget(ctx, b.account, b.key.ID, Budget{MonthNano: 1000}, House))
	r.must(r.desk.Accounts.SetBudget(ctx, b.account, Budget{DayNano: 2000, MonthNano: 5000}, House))
	today := int64(0)
	if r.redis.Time(ctx).Val().UTC().Day() == 1 {
		today = 7
	}
	check := func(when string, more int64) {
		t.Helper()
		for key, nano := range map[int64]int64{b.key.ID: 300 + more, 0: 350 + more} {
			if day, month := r.counted(b.account, key); day != nano+today || month != nano+7 {
				t.Fatalf("%s, key %d: %d and %d counted, want %d and %d", when, key, day, month, nano+today, nano+7)
			}
		}
		b.refused(b.ask("x-"+when, 694-more, 694-more), BudgetError{Scope: BudgetKey, Period: BudgetMonth, Limit: 1000, Spent: 307 + more, Need: 694 - more})
	}
	check("set", 0)
	b.take(b.ask("held", 100, 100))
	b.take(b.ask("paid", 40, 40))
	b.pay(b.ask("paid", 40, 40), 30)
	r.redis.Del(ctx, EpochKey(b.account)) // the held one is forgotten, the paid one salvaged
	r.must(r.owners[shardOf(b.account)].open(ctx))
	check("rebuilt", 30)
	r.must(client.FlushAll(ctx).Err())
	for _, o := range r.owners {
		r.must(o.open(ctx))
	}
	check("flushed", 30)

	// Redis is not told of a change, and the relay tells it.
	r.unprojected(func(desk *Desk) {
		if err := desk.Accounts.SetBudget(ctx, b.account, Budget{DayNano: 1}, House); !errors.Is(err, ErrClosed) {
			t.Errorf("set with Redis away: %v", err)
		}
		if err := desk.Keys.SetBudget(ctx, b.account, b.key.ID, Budget{}, House); !errors.Is(err, ErrClosed) {
			t.Errorf("set with Redis away: %v", err)
		}
	})
	check("untold", 30)
	r.must(r.owners[shardOf(b.account)].relay(ctx))
	b.refused(b.ask("y", 1, 1), BudgetError{Scope: BudgetAccount, Period: BudgetDay, Limit: 1, Spent: 380 + today, Need: 1})
	r.unprojected(func(desk *Desk) { _ = desk.Accounts.SetBudget(ctx, b.account, Budget{}, House) })
	r.must(r.owners[shardOf(b.account)].relay(ctx))
	b.take(b.ask("y", 1, 1))
}

// A key with a budget whose account Redis does not know yet is told after it.
func TestBudgetOfNewAccount(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	var account int64
	var token string
	r.unprojected(func(desk *Desk) {
		found, _, err := desk.Accounts.Open(ctx, Profile{TelegramID: 77})
		r.must(err)
		account = found.ID
		_, token, err = desk.Keys.Create(ctx, KeySpec{AccountID: account, BudgetMonth: 500})
		r.must(err)
		r.must(errOf(desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 9000, Kind: CreditAdjustment, IdempotencyKey: "one"})))
		_ = desk.Accounts.SetBudget(ctx, account, Budget{DayNano: 400}, House)
	})
	p, err := r.desk.Keys.Parse(token)
	r.must(err)
	o := r.owners[shardOf(account)]
	r.must(o.relay(ctx))
	b := budgeted{rig: r, account: account, key: Key{ID: 1}, locator: p.Locator[0]}
	b.refused(b.ask("a", 501, 501), BudgetError{Scope: BudgetKey, Period: BudgetMonth, Limit: 500, Need: 501})
	b.refused(b.ask("a", 401, 401), BudgetError{Scope: BudgetAccount, Period: BudgetDay, Limit: 400, Need: 401})
	b.take(b.ask("a", 400, 400))
}

func TestBudgetRefusals(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	b := r.budgeted(1000, KeySpec{})
	for _, budget := range []Budget{{DayNano: -1}, {MonthNano: -1}, {DayNano: MaxNano + 1}, {MonthNano: MaxNano + 1}, {1, 1 << 62}} {
		if err := r.desk.Accounts.SetBudget(ctx, b.account, budget, House); !errors.Is(err, ErrAmount) {
			t.Errorf("%+v: %v", budget, err)
		}
		if err := r.desk.Keys.SetBudget(ctx, b.account, b.key.ID, budget, House); !errors.Is(err, ErrAmount) {
			t.Errorf("%+v: %v", budget, err)
		}
		spec := KeySpec{AccountID: b.account, BudgetDay: budget.DayNano, BudgetMonth: budget.MonthNano}
		if _, _, err := r.desk.Keys.Create(ctx, spec); !errors.Is(err, ErrAmount) {
			t.Errorf("%+v: %v", budget, err)
		}
	}
	for name, err := range map[string]error{
		"account":  r.desk.Accounts.SetBudget(ctx, 999, Budget{DayNano: 1}, House),
		"budget":   errOf(r.desk.Accounts.Budget(ctx, 999)),
		"key":      r.desk.Keys.SetBudget(ctx, b.account, 999, Budget{DayNano: 1}, House),
		"others's": r.desk.Keys.SetBudget(ctx, b.account+1, b.key.ID, Budget{DayNano: 1}, House),
	} {
		if !errors.Is(err, ErrAccountUnknown) && !errors.Is(err, ErrKeyUnknown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r.must(r.desk.Keys.Revoke(ctx, b.account, b.key.ID, House))
	if err := r.desk.Keys.SetBudget(ctx, b.account, b.key.ID, Budget{DayNano: 1}, House); !errors.Is(err, ErrKeyUnknown) {
		t.Errorf("a revoked key: %v", err)
	}
	r.must(r.desk.Accounts.SetBudget(ctx, b.account, Budget{MaxNano, MaxNano}, House))
	if got, err := r.desk.Accounts.Budget(ctx, b.account); err != nil || got != (Budget{MaxNano, MaxNano}) {
		t.Errorf("%+v, %v", got, err)
	}
	b.take(b.chat("all", 1000))
	if n := r.count(`select count(*) from audit_log where action like '%.budget'`); n != 1 {
		t.Errorf("%d changes in the audit log", n)
	}
}
