package gateway

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// TestGroupCap: of questions that a group asks at once, as many are answered as the cap
// pays for, and what they cost is counted on the payer's account and on no other.
func TestGroupCap(t *testing.T) {
	r := newRig(t)
	const most, asked = dollar / 100, 40 // an answer costs 500 tokens at 8,000 nano-USD, two fifths of that
	id, _ := r.account(dollar)
	offer := billing.GroupOffer{AccountID: id, Chat: -7, Title: "Friends", DayNano: most}
	r.must(r.desk.Keys.PayForGroup(t.Context(), offer))
	payer, err := r.desk.Keys.GroupPayer(t.Context(), -7)
	r.must(err)
	call := func(name string) llm.ChatCall {
		c := r.call(id, name, "sim-tokens-500")
		c.KeyID, c.MaxOutput = payer.KeyID, 500
		return c
	}
	silent := func(string) error { return nil }
	var all sync.WaitGroup
	var mu sync.Mutex
	var answered, refused, cost int64
	for i := range asked {
		all.Go(func() {
			a, err := r.meter.Complete(t.Context(), call(fmt.Sprintf("tg-%d", i)), silent)
			var budget *billing.BudgetError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				answered, cost = answered+1, cost+a.CostNano
			case errors.As(err, &budget) && budget.Scope == billing.BudgetKey && budget.Period == billing.BudgetDay:
				refused++
			default:
				t.Errorf("%+v, %v", a, err)
			}
		})
	}
	all.Wait()
	spent, err := r.desk.Keys.SpentToday(t.Context(), id, payer.KeyID)
	r.must(err)
	if answered < 3 || refused == 0 || answered+refused != asked || spent > most || spent != cost {
		t.Errorf("%d answered for %d, %d refused, %d spent of %d", answered, cost, refused, spent, most)
	}
	r.wantBalance(id, dollar-spent)
	if of := r.ledger(id, answered); of != spent {
		t.Errorf("the ledger has %d", of)
	}
	if _, err := r.desk.Keys.EndGroup(t.Context(), -7, billing.House); err != nil {
		t.Fatal(err)
	}
	if _, err := r.meter.Complete(t.Context(), call("tg-after"), silent); !errors.Is(err, billing.ErrKeyUnknown) {
		t.Errorf("after the end: %v", err)
	}
	r.wantBalance(id, dollar-spent)
}

// TestGroupWithoutItsKey: a meter that knows of no groups' keys lets no account pay without
// its cap.
func TestGroupWithoutItsKey(t *testing.T) {
	r := newRig(t)
	r.meter.groups = nil
	id, _ := r.account(dollar)
	c := r.call(id, "tg-1", "paid")
	c.KeyID = 1
	if _, err := r.meter.Complete(t.Context(), c, func(string) error { return nil }); !errors.Is(err, billing.ErrKeyUnknown) {
		t.Error(err)
	}
	if _, err := r.meter.Hear(t.Context(), llm.HearCall{AccountID: id, KeyID: 1, HoldID: "tg-2", Model: "paid", Sound: []byte("RIFF")}); err == nil {
		t.Error("heard")
	}
	r.wantBalance(id, dollar)
}
