package billing

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// takeLua is a script as OrganisationLua is made to be composed with.
const takeLua = `
local epoch, claim = shard_read(KEYS[1], KEYS[3])
if not epoch then return { 'closed', '0', '0' } end
local org = organisation_read(KEYS[2])
if not org then return { 'missing', '0', '0' } end
local now = now_ms()
local status, n = organisation_plan(org, claim, ARGV[1], ARGV[2], now)
if status == 'ok' then organisation_commit(org, KEYS[2], KEYS[3], KEYS[4], n, now + ARGV[3]) end
return { status, money(n), org.counted and money(org.day) or '0' }`

// claimed is what a call has of its organisation.
type claimed struct {
	Claim
	nano    int64
	counted bool
	done    bool
	day     int64
}

// orgRig is an organisation with accounts.
type orgRig struct {
	*rig
	org  Organisation
	take *redis.Script
}

func (r *rig) organisation(b Budget, accounts ...int64) *orgRig {
	r.t.Helper()
	org, err := r.desk.Organisations.Create(r.t.Context(), fmt.Sprintf("Lovelace & Söhne %d", time.Now().UnixNano()),
		OrganisationChange{BudgetDay: &b.DayNano, BudgetMonth: &b.MonthNano}, House)
	r.must(err)
	for _, account := range accounts {
		r.must(r.desk.Organisations.Add(r.t.Context(), org.ID, account, House))
	}
	return &orgRig{rig: r, org: org, take: redis.NewScript(clockLua + OrganisationLua + takeLua)}
}

func (r *orgRig) claim(account int64, hold string, want, least int64) (claimed, error) {
	r.t.Helper()
	id := r.org.ID
	answer, err := r.take.Run(r.t.Context(), r.redis, []string{EpochKey(id), OrganisationKey(id), ClaimKey(id, account, hold), ClaimsKey(id)},
		want, least, time.Minute.Milliseconds()).StringSlice()
	r.must(err)
	c := claimed{Claim: Claim{id, account, hold}}
	c.nano, c.day, err = twoInts(answer[1], answer[2])
	r.must(err)
	c.counted = c.day > 0
	c.done, err = ClaimOutcome(answer[0], least)
	return c, err
}

// spent is what Redis counts of the organisation's budget in the running day and month.
func (r *orgRig) spent() Budget {
	r.t.Helper()
	var b Budget
	text := r.redis.HGet(r.t.Context(), OrganisationKey(r.org.ID), "spent").Val()
	var day, month int64
	if _, err := fmt.Sscanf(text, "%d|%d|%d|%d", &day, &b.DayNano, &month, &b.MonthNano); err != nil {
		r.t.Fatalf("spent reads %q", text)
	}
	return b
}

func (r *orgRig) wantSpent(nano int64) {
	r.t.Helper()
	if got := r.spent(); got != (Budget{nano, nano}) {
		r.t.Fatalf("the organisation has spent %+v, want %d", got, nano)
	}
}

func (r *orgRig) resolve(c claimed, captured int64) {
	r.t.Helper()
	r.must(r.desk.Organisations.Resolve(r.t.Context(), c.Claim, captured))
}

// A claim is taken once, trued up once and given back whole; the budget refuses what is
// beyond it.
func TestClaims(t *testing.T) { onBoth(t, testClaims) }

func testClaims(t *testing.T, client *redis.Client) {
	r := newRig(t, client).organisation(Budget{DayNano: 1000, MonthNano: 1500})
	const account = 17
	take := func(hold string, want, least, nano int64) claimed {
		t.Helper()
		c, err := r.claim(account, hold, want, least)
		if err != nil || c.nano != nano || !c.counted {
			t.Fatalf("%s: %+v, %v; want %d", hold, c, err, nano)
		}
		return c
	}
	a := take("a", 600, 600, 600)
	take("a", 600, 600, 600) // the same
	r.wantSpent(600)
	b := take("b", 600, 100, 400) // what is left
	_, err := r.claim(account, "c", 1, 1)
	var budget *BudgetError
	if !errors.As(err, &budget) || budget.Scope != BudgetOrganisation || budget.Period != BudgetDay || budget.Limit != 1000 || budget.Spent != 1000 {
		t.Fatalf("%v", err)
	}
	take("gift", 0, 0, 0)
	r.wantSpent(1000)
	r.resolve(a, 250)
	r.resolve(a, 250)
	r.resolve(a, 0) // the lower word is not heard
	r.wantSpent(650)
	r.resolve(b, 0)
	r.resolve(b, 0)
	r.wantSpent(250)
	if again, err := r.claim(account, "a", 600, 600); err != nil || !again.done {
		t.Fatalf("%+v, %v", again, err)
	}
	r.resolve(b, 30) // it had been taken for dead, and was settled late
	r.wantSpent(280)
	r.resolve(claimed{Claim: Claim{r.org.ID, account, "unknown"}}, 70)
	r.resolve(claimed{Claim: Claim{r.org.ID, account, "unknown"}}, 70)
	r.wantSpent(350)
	if n := client.ZCard(t.Context(), ClaimsKey(r.org.ID)).Val(); n != 1 {
		t.Fatalf("%d claims are under way, want that of the gift alone", n)
	}
	r.resolve(claimed{Claim: Claim{r.org.ID, account, "never"}}, 0)
	if never, err := r.claim(account, "never", 5, 5); err != nil || !never.done {
		t.Fatalf("a claim after its end: %+v, %v", never, err)
	}
	r.wantSpent(350)
}

// Who names no hold or no amount is refused before Redis is asked.
func TestClaimRefusals(t *testing.T) {
	r := newRig(t, testenv.Redis(t)).organisation(Budget{DayNano: 1})
	for want, give := range map[error]func() error{
		ErrHoldID: func() error { return r.desk.Organisations.Resolve(t.Context(), Claim{r.org.ID, 1, "a|b"}, 0) },
		ErrAmount: func() error { return r.desk.Organisations.Resolve(t.Context(), Claim{r.org.ID, 1, "a"}, math.MinInt64) },
		ErrClosed: func() error { return r.desk.Organisations.Resolve(t.Context(), Claim{1 << 40, 1, "a"}, 1) },
	} {
		if err := give(); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	for _, name := range []string{"", "1", "1:2", "1:2:", "1:2:a b", "x:2:a", "1:9223372036854775808:a"} {
		if c, err := parseClaim(name); err == nil {
			t.Errorf("%q is %+v", name, c)
		}
	}
	if c, err := parseClaim(Claim{3, 4, "tg:1:2"}.name()); err != nil || c != (Claim{3, 4, "tg:1:2"}) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := r.claim(1, "of nobody", 1, 1); err != nil {
		t.Error(err)
	}
	r.must(r.redis.Del(t.Context(), OrganisationKey(r.org.ID)).Err())
	if _, err := r.claim(1, "a", 1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("without a hash: %v", err)
	}
	if lost := r.redis.SMembers(t.Context(), lostOrganisationsKey(shardOf(r.org.ID))).Val(); len(lost) != 1 || lost[0] != decimal(r.org.ID) {
		t.Errorf("noted as lost: %v", lost)
	}
	r.must(r.redis.Del(t.Context(), EpochKey(r.org.ID)).Err())
	if _, err := r.claim(1, "a", 1, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("on a closed shard: %v", err)
	}
}

// Money for K calls in an organisation's budget admits K, whoever of its accounts asks,
// by whichever of three desks it is resolved, and what is given back is there again.
func TestOrganisationBudgetHolds(t *testing.T) {
	const price, calls, workers = 1000, 91, 200
	r := newRig(t, testenv.Redis(t)).organisation(Budget{DayNano: price*calls + price - 1})
	desks := [3]*Desk{r.desk}
	for i := 1; i < len(desks); i++ {
		desk, err := New(r.config)
		r.must(err)
		desks[i] = desk
	}
	var live, most, settled atomic.Int64
	var work sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			for i := range 4 {
				c, err := r.claim(int64(w%7+1), fmt.Sprintf("w%d-%d", w, i), price, price)
				if errors.Is(err, ErrBudget) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				n := live.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				captured := int64(0)
				if i%2 == 0 {
					captured = price
					settled.Add(1)
				} else {
					live.Add(-1)
				}
				for range 2 {
					if err := desks[w%len(desks)].Organisations.Resolve(context.Background(), c.Claim, captured); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	work.Wait()
	if most.Load() > calls || settled.Load() > calls {
		t.Fatalf("%d calls at once and %d settled on a budget for %d", most.Load(), settled.Load(), calls)
	}
	if got := r.spent().DayNano; got != settled.Load()*price {
		t.Fatalf("%d are counted for %d calls of %d", got, settled.Load(), price)
	}
	for i := settled.Load(); i < calls; i++ { // nothing is lost either: the rest is still there
		if _, err := r.claim(1, fmt.Sprintf("rest%d", i), price, price); err != nil {
			t.Fatalf("call %d of %d: %v", i+1, calls, err)
		}
	}
	if _, err := r.claim(1, "beyond", price, price); !errors.Is(err, ErrBudget) {
		t.Fatalf("call %d: %v", calls+1, err)
	}
}
