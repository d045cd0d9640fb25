package billing

import (
	"errors"
	"time"

	"pgregory.net/rapid"
)

func (m *machine) reserve(t *rapid.T) {
	a, nano := m.pick(t), rapid.Int64Range(0, 400).Draw(t, "nano")
	least := nano / rapid.Int64Range(1, 4).Draw(t, "part")
	n := rapid.IntRange(0, modelCalls-1).Draw(t, "hold")
	id, byKey := m.callID(a, n), n%2 == 0
	ask := a.ask(id, nano, least)
	if !byKey {
		ask.KeyID, ask.KeyLocator = 0, ""
	}
	hold, err := m.desk.Holds.Reserve(t.Context(), ask)
	if known := a.holds[id]; known != nil {
		m.reservedAgain(t, known, ask, hold, err)
		return
	}
	left, refused := a.affords(byKey, least)
	most := min(a.available, left)
	switch {
	case most >= nano || most >= least && most > 0:
		amount := min(nano, most)
		if err != nil || hold.Nano != amount || hold.Available != a.available-amount || hold.Replayed {
			t.Fatalf("reserve: %+v, %v, want %d of %+v", hold, err, amount, a)
		}
		a.available -= amount
		a.held += amount
		a.holds[id] = &modelHold{nano: nano, least: least, state: HoldHeld, amount: amount,
			countsAccount: a.ofAccount.counts, countsByKey: byKey && a.ofKey.counts, counted: m.now}
		a.spend(amount, byKey)
	case refused && a.available >= least && a.available > 0:
		if !errors.Is(err, ErrBudget) {
			t.Fatalf("reserve %d beyond a budget: %+v, %v; %+v", nano, hold, err, a)
		}
	case !errors.Is(err, ErrPoor):
		t.Fatalf("reserve %d of %d: %+v, %v", nano, a.available, hold, err)
	}
}

func (m *machine) reservedAgain(t *rapid.T, known *modelHold, ask Reservation, hold Hold, err error) {
	if known.nano != ask.Want || known.least != ask.Least {
		if !errors.Is(err, ErrHoldConflict) {
			t.Fatalf("reserve again with %+v: %v; was %+v", ask, err, known)
		}
		return
	}
	want := known.amount
	switch known.state {
	case HoldSettled:
		want = known.captured
	case HoldReleased:
		want = 0
	}
	if err != nil || !hold.Replayed || hold.State != known.state || hold.Nano != want {
		t.Fatalf("reserve again: %+v, %v, want %+v", hold, err, known)
	}
}

// settlement of a call as the model has it: every one of the same usage.
func (a *modelAccount) settlement(id string, byKey bool, cost int64) Settlement {
	s := settlement(a.account, id, cost)
	s.KeyID = a.keyOf(byKey)
	return s
}

func (m *machine) settle(t *rapid.T) {
	a, cost := m.pick(t), rapid.Int64Range(0, 500).Draw(t, "cost")
	id, byKey := m.call(t, a)
	s := a.settlement(id, byKey, cost)
	s.Held = rapid.SampledFrom([]int64{0, 0, 100}).Draw(t, "held") // counts where Redis lost the hold
	c, err := m.desk.Holds.Settle(t.Context(), s)
	hold := a.holds[id]
	switch {
	case hold == nil:
		m.settledLate(t, a, s, byKey, c, err)
	case hold.expired:
		m.settledExpired(t, a, hold, s, err)
	case hold.state == HoldReleased || hold.state == HoldSettled && hold.cost != cost:
		if !errors.Is(err, ErrHoldConflict) {
			t.Fatalf("settle of %+v for %d: %v", hold, cost, err)
		}
	default:
		captured := min(cost, hold.amount)
		if err != nil || c.Nano != captured || c.WriteOff != cost-captured || c.Replayed != (hold.state == HoldSettled) || c.Late {
			t.Fatalf("settle of %+v for %d: %+v, %v", hold, cost, c, err)
		}
		if hold.state == HoldHeld {
			a.capture(id, byKey, hold, cost)
		}
	}
}

// capture resolves a hold by a cost.
func (a *modelAccount) capture(id string, byKey bool, hold *modelHold, cost int64) {
	hold.state, hold.cost = HoldSettled, cost
	hold.captured = min(cost, hold.amount)
	hold.writeOff = cost - hold.captured
	a.giveBack(hold, hold.amount-hold.captured)
	a.queue = append(a.queue, modelEvent{id, hold.captured, hold.writeOff, byKey, *a.now, nil})
}

func (a *modelAccount) giveBack(hold *modelHold, nano int64) {
	a.held -= hold.amount
	a.available += nano
	a.unspend(hold, nano)
}

// settledLate is a settlement of a hold that Redis does not know: recorded once.
func (m *machine) settledLate(t *rapid.T, a *modelAccount, s Settlement, byKey bool, c Captured, err error) {
	take := s.Cost
	if s.Held > 0 {
		take = min(take, s.Held)
	}
	before, known := a.late[s.HoldID]
	posted := a.posted[s.HoldID] || a.lateOff[s.HoldID] && !known
	switch {
	case !posted && known && take > 0 && before.captured != take:
		if !errors.Is(err, ErrHoldConflict) {
			t.Fatalf("settle late for %d instead of %d: %v", take, before.captured, err)
		}
	case err != nil || c != (Captured{Nano: take, WriteOff: s.Cost - take, Late: true, Replayed: (posted || known) && take > 0}):
		t.Fatalf("settle of nothing for %d: %+v, %v", s.Cost, c, err)
	case !posted && !known && take > 0:
		a.late[s.HoldID] = modelEvent{hold: s.HoldID, captured: take, writeOff: s.Cost - take, byKey: byKey}
		a.pending = append(a.pending, s.HoldID)
	}
}

// writeOffLate is a cost that came too late to be charged, once for each hold.
func (a *modelAccount) writeOffLate(id string, nano int64) {
	if nano > 0 && !a.lateOff[id] {
		a.lateOff[id] = true
		a.writeOff += nano
		a.revenue += nano
	}
}

// settledExpired is the settlement of a call that was taken for dead.
func (m *machine) settledExpired(t *rapid.T, a *modelAccount, hold *modelHold, s Settlement, err error) {
	var expired *HoldExpiredError
	beyond := max(0, s.Cost-hold.captured-hold.writeOff)
	if !errors.As(err, &expired) || expired.Captured != hold.captured || expired.WriteOff != hold.writeOff+beyond || expired.Available != a.available {
		t.Fatalf("settle of %+v for %d after its deadline: %v", hold, s.Cost, err)
	}
	if _, recorded := a.late[s.HoldID]; !recorded {
		a.writeOffLate(s.HoldID, beyond)
	}
}

func (m *machine) release(t *rapid.T) {
	a := m.pick(t)
	id, _ := m.call(t, a)
	err := m.desk.Holds.Release(t.Context(), a.account, id)
	hold := a.holds[id]
	switch {
	case hold == nil:
		if !errors.Is(err, ErrHoldUnknown) {
			t.Fatalf("release of nothing: %v", err)
		}
	case hold.state == HoldSettled:
		if !errors.Is(err, ErrHoldConflict) {
			t.Fatalf("release of a settled hold: %v", err)
		}
	case err != nil:
		t.Fatalf("release: %v", err)
	case hold.state == HoldHeld:
		a.giveBack(hold, hold.amount)
		hold.state = HoldReleased
	}
}

// checkpoint notes what a call came to so far; of two marks the dearer one stands.
func (m *machine) checkpoint(t *rapid.T) {
	a, cost := m.pick(t), rapid.Int64Range(0, 500).Draw(t, "cost")
	id, byKey := m.call(t, a)
	m.mark(t, a, id, byKey, cost, time.Minute)
}

func (m *machine) mark(t *rapid.T, a *modelAccount, id string, byKey bool, cost int64, life time.Duration) {
	mark := Mark{Settlement: a.settlement(id, byKey, cost), Life: life, RenewOnly: cost == 0}
	err := m.desk.Holds.Checkpoint(t.Context(), []Mark{mark})[0]
	hold := a.holds[id]
	switch {
	case hold == nil:
		if !errors.Is(err, ErrHoldUnknown) {
			t.Fatalf("checkpoint of nothing: %v", err)
		}
	case hold.state != HoldHeld:
		if !errors.Is(err, ErrHoldConflict) {
			t.Fatalf("checkpoint of %+v: %v", hold, err)
		}
	case err != nil:
		t.Fatalf("checkpoint: %v", err)
	default:
		hold.mark = max(hold.mark, cost)
	}
}

// orphan lets a call die, perhaps after a last checkpoint, and the reaper find it.
func (m *machine) orphan(t *rapid.T) {
	a, cost := m.pick(t), rapid.SampledFrom([]int64{0, 0, 50, 500}).Draw(t, "cost")
	id, byKey := m.call(t, a)
	m.mark(t, a, id, byKey, cost, time.Millisecond)
	hold := a.holds[id]
	if hold == nil || hold.state != HoldHeld {
		return
	}
	m.overdue(a.account, 1)
	m.reaper(a.account).look(t.Context())
	hold.expired = true
	if hold.mark > 0 {
		a.capture(id, byKey, hold, hold.mark)
		return
	}
	a.giveBack(hold, hold.amount)
	hold.state = HoldReleased
}
