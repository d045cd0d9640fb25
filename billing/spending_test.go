package billing

import (
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestSpendingIsTheLedgers: the receipt of a day sums to what the ledger took that day.
func TestSpendingIsTheLedgers(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account, other := r.account(1_000_000), r.account(1_000_000)
	for id, nano := range map[string]int64{"a": 100, "b": 2000, "c": 7} {
		r.spend(account, id, nano)
		r.spend(other, "o"+id, nano)
	}
	r.reserve(account, "over", 50)
	r.settle(account, "over", 80) // 30 are written off
	r.drainAll()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	by := func(edges ...time.Time) ConsumptionQuery {
		return ConsumptionQuery{UsageFilter: UsageFilter{AccountID: account}, Edges: edges, ByModel: true}
	}
	spent, err := r.desk.Ledger.Consumption(t.Context(), by(today.Add(-24*time.Hour), today, today.Add(48*time.Hour)))
	r.must(err)
	want := Consumed{Part: 1, Model: "small", UsageSum: UsageSum{Calls: 4, Amounts: Amounts{Prompt: 40, Cached: 16, Completion: 28, Reasoning: 8, Nano: 2157}}}
	if len(spent) != 1 || spent[0] != want {
		t.Errorf("spent %+v", spent)
	}
	if taken := -r.count(`select sum(amount_nano) from ledger_entries where account_id = $1 and book = 'customer' and amount_nano < 0`, account); taken != 2157 {
		t.Errorf("the ledger took %d", taken)
	}
	if early, err := r.desk.Ledger.Consumption(t.Context(), by(today.Add(-48*time.Hour), today.Add(-24*time.Hour))); err != nil || len(early) != 0 {
		t.Errorf("the day before: %+v, %v", early, err)
	}
}

// TestGroupSpending: what an account paid for groups is told by group, also of those that
// it no longer pays for.
func TestGroupSpending(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(NanoPerUSD)
	for chat, cost := range map[int64]int64{-7: 100, -8: 2000} {
		b := r.group(account, chat, NanoPerUSD)
		id := decimal(-chat)
		b.take(b.ask(id, cost, cost))
		b.pay(b.ask(id, cost, cost), cost)
	}
	own := r.group(account, -9, NanoPerUSD) // which asks nothing
	own.take(own.chat("own", 7))
	own.pay(own.chat("own", 7), 7)
	if _, err := r.desk.Keys.EndGroup(t.Context(), -8, House); err != nil {
		t.Fatal(err)
	}
	r.drainAll()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	spent, err := r.desk.Ledger.GroupSpending(t.Context(), account, today.Add(-24*time.Hour), today.Add(48*time.Hour))
	r.must(err)
	if len(spent) != 2 || spent[0] != (GroupSpending{"Friends", 2000}) || spent[1] != (GroupSpending{"Friends", 100}) {
		t.Errorf("spent %+v", spent)
	}
}
