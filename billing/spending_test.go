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
	spent, err := r.desk.Ledger.Spending(t.Context(), account, today.Add(-24*time.Hour), today.Add(48*time.Hour))
	r.must(err)
	if len(spent) != 1 || spent[0] != (Spending{Model: "small", Calls: 4, Prompt: 40, Answered: 28, Nano: 2157}) {
		t.Errorf("spent %+v", spent)
	}
	if taken := -r.count(`select sum(amount_nano) from ledger_entries where account_id = $1 and book = 'customer' and amount_nano < 0`, account); taken != 2157 {
		t.Errorf("the ledger took %d", taken)
	}
	if early, err := r.desk.Ledger.Spending(t.Context(), account, today.Add(-48*time.Hour), today.Add(-24*time.Hour)); err != nil || len(early) != 0 {
		t.Errorf("the day before: %+v, %v", early, err)
	}
}
