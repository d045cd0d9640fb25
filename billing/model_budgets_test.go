package billing

import (
	"errors"
	"math"
	"time"

	"pgregory.net/rapid"
)

// moment is a day and a month by their numbers, as budgets count them.
type moment struct{ day, month int64 }

func momentOf(t time.Time) moment {
	t = t.UTC()
	return moment{t.Unix() / secondsOfDay, int64(t.Year())*12 + int64(t.Month()) - 1}
}

// berth is longer than any operation takes: none is under way at midnight.
const berth = 20 * time.Second

// begin is the moment that an operation falls into, after midnight where that is near.
func (m *machine) begin() {
	now := m.redis.Time(m.t.Context()).Val()
	if near := now.Add(berth).Truncate(24 * time.Hour); near.After(now) {
		time.Sleep(near.Sub(now) + time.Millisecond)
		now = near
	}
	m.now = momentOf(now)
}

// end holds the operation to it.
func (m *machine) end(t *rapid.T) {
	if now := momentOf(m.redis.Time(t.Context()).Val()); now != m.now {
		t.Fatalf("an operation took from %+v to %+v", m.now, now)
	}
}

// modelCount is what was spent in a day and in a month, which may be over.
type modelCount struct {
	moment
	ofDay, ofMonth int64
}

// in is what of it counts in a moment.
func (c modelCount) in(now moment) modelCount {
	if c.day < now.day {
		c.ofDay = 0
	}
	if c.month < now.month {
		c.ofMonth = 0
	}
	c.moment = now
	return c
}

// modelBudget is a budget as it should be, of an account or a key.
type modelBudget struct {
	decided Budget // what Postgres has
	told    Budget // what Redis has
	counts  bool   // Redis counts, for it has had a budget to count for
	spent   modelCount
	used    []modelCount // what the ledger knows, call for call
}

// tell is Redis told what Postgres decided: with the first budget, of what was spent.
func (b *modelBudget) tell(now moment) {
	if b.decided != (Budget{}) && !b.counts {
		b.counts, b.spent = true, modelCount{moment: now}
		for _, u := range b.used {
			u = u.in(now)
			b.spent.ofDay += u.ofDay
			b.spent.ofMonth += u.ofMonth
		}
	}
	b.told = b.decided
}

// restore is Redis made from Postgres.
func (b *modelBudget) restore(now moment) {
	b.counts, b.spent = false, modelCount{}
	b.tell(now)
}

// add counts what is held, or was taken late.
func (b *modelBudget) add(now moment, nano int64) {
	b.spent = b.spent.in(now)
	b.spent.ofDay += nano
	b.spent.ofMonth += nano
}

// back takes from the periods that it was counted in what a call did not cost.
func (b *modelBudget) back(counted moment, nano int64) {
	if b.spent.day == counted.day {
		b.spent.ofDay -= nano
	}
	if b.spent.month == counted.month {
		b.spent.ofMonth -= nano
	}
}

// midnight is that Redis counted all it did a day ago, and perhaps in another month.
func (m *machine) midnight(t *rapid.T) {
	a, months := m.pick(t), rapid.SampledFrom([]int64{0, 0, 1}).Draw(t, "months")
	var counted []string
	for id, hold := range a.holds {
		if hold.state == HoldHeld && (hold.countsAccount || hold.countsByKey) {
			counted = append(counted, id)
			hold.counted.day--
			hold.counted.month -= months
		}
	}
	a.asIf(1, months, counted...)
	for _, b := range []*modelBudget{&a.ofAccount, &a.ofKey} {
		b.spent.day--
		b.spent.month -= months
	}
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
		of.tell(m.now)
	}
}

// affords is what the budgets leave for a call, and whether one of them refuses it.
func (a *modelAccount) affords(byKey bool, least int64) (left int64, refused bool) {
	left = math.MaxInt64
	look := func(b *modelBudget) {
		spent := b.spent.in(*a.now)
		for _, of := range [][2]int64{{spent.ofDay, b.told.DayNano}, {spent.ofMonth, b.told.MonthNano}} {
			if limit := of[1]; b.counts && limit > 0 {
				rest := max(0, limit-of[0])
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

// spend counts what is held, or was taken late.
func (a *modelAccount) spend(nano int64, byKey bool) {
	if a.ofAccount.counts {
		a.ofAccount.add(*a.now, nano)
	}
	if byKey && a.ofKey.counts {
		a.ofKey.add(*a.now, nano)
	}
}

// unspend gives back what a hold counted and its call did not cost.
func (a *modelAccount) unspend(hold *modelHold, nano int64) {
	if hold.countsAccount && a.ofAccount.counts {
		a.ofAccount.back(hold.counted, nano)
	}
	if hold.countsByKey && a.ofKey.counts {
		a.ofKey.back(hold.counted, nano)
	}
}

// use is what came to the ledger.
func (a *modelAccount) use(e modelEvent) {
	u := modelCount{e.at, e.captured, e.captured}
	a.ofAccount.used = append(a.ofAccount.used, u)
	if e.byKey {
		a.ofKey.used = append(a.ofKey.used, u)
	}
}

// checkBudgets compares what Redis counts.
func (m *machine) checkBudgets(t *rapid.T, a *modelAccount) {
	for key, b := range map[int64]*modelBudget{0: &a.ofAccount, a.key.ID: &a.ofKey} {
		wantDay, wantMonth := int64(-1), int64(-1)
		if b.counts {
			wantDay, wantMonth = b.spent.ofDay, b.spent.ofMonth
		}
		if day, month := m.counted(a.account, key); day != wantDay || month != wantMonth {
			t.Fatalf("account %d, key %d: %d and %d are counted, the model has %d and %d of %+v", a.account, key, day, month, wantDay, wantMonth, b)
		}
	}
}
