package gateway

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// budgeted is a key with a budget on an account that is rich.
func (r *rig) budgeted(spec billing.KeySpec) (id int64, key string) {
	r.t.Helper()
	id, _ = r.account(100 * dollar)
	spec.AccountID = id
	_, key, err := r.desk.Keys.Create(r.t.Context(), spec)
	r.must(err)
	return id, key
}

// TestBudgetExceeded: what a key's budget does not afford is refused with the budget's
// name and its end; an answer whose length is left open shrinks to what it affords.
func TestBudgetExceeded(t *testing.T) {
	r := newRig(t)
	body := chatBody("paid", `"max_tokens":500`)
	prompt := 2_000 * r.promptBound(body)
	id, key := r.budgeted(billing.KeySpec{BudgetMonth: prompt + 8_000*100})
	a := r.do("POST", "/v1/chat/completions", key, body)
	a.wantError(t, 402, "budget_exceeded")
	now := time.Now().UTC()
	resets := time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, time.UTC).Format("2006-01-02 15:04 UTC")
	message := a.get("error.message").Str
	for _, part := range []string{"this key's budget", billing.FormatUSD(prompt + 8_000*100), "a month", resets} {
		if !strings.Contains(message, part) {
			t.Errorf("the message %q lacks %q", message, part)
		}
	}
	r.wantBalance(id, 100*dollar)
	if n := r.sim.Count(); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}
	if a := r.chat(key, "paid"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	open := 2_000 * r.promptBound(chatBody("paid"))
	if sent := gjson.GetBytes(r.sim.Requests()[0].Body, "max_tokens").Int(); sent != (prompt+8_000*100-open)/8_000 {
		t.Errorf("%d tokens asked for", sent)
	}
	r.settled(id)

	// A chat counts with its account alone.
	r.must(r.desk.Accounts.SetBudget(t.Context(), id, billing.Budget{DayNano: 1000}, billing.House))
	_, err := r.meter.Complete(t.Context(), r.call(id, "tg-1", "paid"), func(string) error { return nil })
	var budget *billing.BudgetError
	if !errors.As(err, &budget) || budget.Scope != billing.BudgetAccount || budget.Period != billing.BudgetDay || budget.Limit != 1000 {
		t.Errorf("a chat beyond the account's budget: %v", err)
	}
	r.chat(key, "paid").wantError(t, 402, "budget_exceeded")
	if a := r.chat(key, "free"); a.status != 200 {
		t.Errorf("a free model: %d %s", a.status, a.body)
	}
}

// TestBudgetForExactly: 60 workers on budget for exactly 25 calls.
func TestBudgetForExactly(t *testing.T) {
	r := newRig(t)
	const calls, workers, cost = 25, 60, 10 * 1_000
	id, key := r.budgeted(billing.KeySpec{BudgetDay: calls*cost + cost - 1})
	var ok, refused atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			switch a := r.chat(key, "word", `"max_tokens":10`); {
			case a.status == 200:
				ok.Add(1)
			case a.status == 402 && a.get("error.code").Str == "budget_exceeded":
				refused.Add(1)
			default:
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if ok.Load() != calls || refused.Load() != workers-calls {
		t.Errorf("%d succeeded, %d refused", ok.Load(), refused.Load())
	}
	r.wantBalance(id, 100*dollar-calls*cost)
}

// TestHoldLost: a call whose hold Redis lost meanwhile is recorded to be taken, once,
// and given up by nobody.
func TestHoldLost(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	w := r.begin(key, "sim-slow")
	w.await("data:")
	r.must(r.client.FlushAll(t.Context()).Err())
	w.leave(false)
	testenv.Until(r.t, "the call is recorded", func() bool {
		var n, nano int64
		r.must(r.pool.QueryRow(t.Context(), `select count(*), coalesce(sum(amount_nano), 0)::bigint from debits where account_id = $1 and reference like 'hold:%'`, id).Scan(&n, &nano))
		return n == 1 && nano > 0
	})
	r.meter.resolver.release(id, "lost-too", taken{})
	for _, kind := range []string{"settle", "release"} {
		if n := testutil.ToFloat64(r.meter.resolver.lost.WithLabelValues(kind)); n != 0 {
			t.Errorf("%v were given up at %s", n, kind)
		}
	}
}

// TestHoldOutlived: a call that outlived its hold, which was given back, is not taken
// again: the house bears what it cost.
func TestHoldOutlived(t *testing.T) {
	r := newRig(t, func(s *setup) { s.reapGrace = 10 * time.Millisecond })
	id, _ := r.account(dollar)
	ask := billing.Reservation{HoldID: "old", AccountID: id, Want: 5000, Least: 5000, Life: time.Millisecond}
	_, err := r.desk.Holds.Reserve(t.Context(), ask)
	r.must(err)
	r.wantBalance(id, dollar)
	captured, err := r.meter.resolver.settleOnce(t.Context(), billing.Settlement{HoldID: "old", AccountID: id, Cost: 4000})
	if err != nil || captured.Nano != 0 || captured.WriteOff != 4000 || captured.Available != dollar {
		t.Errorf("%+v, %v", captured, err)
	}
	if n := testutil.ToFloat64(r.meter.resolver.lost.WithLabelValues("settle")); n != 0 {
		t.Errorf("%v were given up", n)
	}
	r.wantBalance(id, dollar)
}
