package billing

import (
	"errors"
	"math"

	"pgregory.net/rapid"
)

// modelBudget is a budget as it should be, of an account or a key. All happens within
// one day, so that the day and the month count alike.
type modelBudget struct {
	decided Budget // what Postgres has
	told    Budget // what Redis has
	counts  bool   // Redis counts, for it has had a budget to count for
	spent   int64  // what it counts
	used    int64  // what the ledger knows
}

// tell is Redis told what Postgres decided: with the first budget, of what was spent.
func (b *modelBudget) tell() {
	if b.decided != (Budget{}) && !b.counts {
		b.counts, b.spent = true, b.used
	}
	b.told = b.decided
}

// restore is Redis made from Postgres.
func (b *modelBudget) restore() {
	b.counts, b.spent = false, 0
	b.tell()
}

// budget sets one, at times dying before Redis hears of it.
func (m *machine) budget(t *rapid.T) {
	a := m.pick(t)
	limit := func(name string) int64 {
		return rapid.SampledFrom([]int64{0, 0, 1, 200, 500, 1000, 3000}).Draw(t, name)
	}
	b := Budget{DayNano: limit("day"), MonthNano: limit("month")}
	ofKey, dies := rapid.Bool().Draw(t, "of the key"), rapid.Bool().Draw(t, "dies")
	var err error
	set := func(desk *Desk) {
		if ofKey {
			err = desk.Keys.SetBudget(t.Context(), a.account, a.key.ID, b, House)
		} else {
			err = desk.Accounts.SetBudget(t.Context(), a.account, b, House)
		}
	}
	if dies {
		m.unprojected(set)
	} else {
		set(m.desk)
	}
	if dies != errors.Is(err, ErrClosed) || !dies && err != nil {
		t.Fatalf("set a budget, dies %v: %v", dies, err)
	}
	of := &a.ofAccount
	if ofKey {
		of = &a.ofKey
	}
	of.decided = b
	if !dies {
		of.tell()
	}
}

// affords is what the budgets leave for a call, and whether one of them refuses it.
func (a *modelAccount) affords(byKey bool, least int64) (left int64, refused bool) {
	left = math.MaxInt64
	look := func(b *modelBudget) {
		for _, limit := range []int64{b.told.DayNano, b.told.MonthNano} {
			if b.counts && limit > 0 {
				rest := max(0, limit-b.spent)
				left = min(left, rest)
				refused = refused || rest < least || rest == 0
			}
		}
	}
	look(&a.ofAccount)
	if byKey {
		look(&a.ofKey)
	}
	return left, refused
}

// spend counts what is held, or was taken late; less than nothing is given back.
func (a *modelAccount) spend(nano int64, account, byKey bool) {
	if account && a.ofAccount.counts {
		a.ofAccount.spent += nano
	}
	if byKey && a.ofKey.counts {
		a.ofKey.spent += nano
	}
}

// use is what came to the ledger.
func (a *modelAccount) use(e modelEvent) {
	a.ofAccount.used += e.captured
	if e.byKey {
		a.ofKey.used += e.captured
	}
}

// checkBudgets compares what Redis counts.
func (m *machine) checkBudgets(t *rapid.T, a *modelAccount) {
	for key, b := range map[int64]*modelBudget{0: &a.ofAccount, a.key.ID: &a.ofKey} {
		want := int64(-1)
		if b.counts {
			want = b.spent
		}
		if day, month := m.counted(a.account, key); day != want || month != want {
			t.Fatalf("account %d, key %d: %d and %d are counted, the model has %d of %+v", a.account, key, day, month, want, b)
		}
	}
}
