package billing

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"pgregory.net/rapid"
)

// checkpoint notes what a call came to so far; of two marks the dearer one stands.
func (m *machine) checkpoint(t *rapid.T) {
	a, cost := m.pick(t), rapid.Int64Range(0, 500).Draw(t, "cost")
	m.mark(t, a, m.holdID(t)+"-"+strconv.FormatInt(a.id, 10), cost, time.Minute)
}

func (m *machine) mark(t *rapid.T, a *modelAccount, id string, cost int64, life time.Duration) {
	err := m.desk.Holds.Checkpoint(t.Context(), []Mark{{Settlement: settlement(a.id, id, cost), Life: life, RenewOnly: cost == 0}})[0]
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
	default:
		if err != nil {
			t.Fatalf("checkpoint: %v", err)
		}
		hold.mark = max(hold.mark, cost)
	}
}

// orphan lets a call die, perhaps after a last checkpoint, and the reaper find it.
func (m *machine) orphan(t *rapid.T) {
	a, cost := m.pick(t), rapid.SampledFrom([]int64{0, 0, 50, 500}).Draw(t, "cost")
	id := m.holdID(t) + "-" + strconv.FormatInt(a.id, 10)
	m.mark(t, a, id, cost, time.Millisecond)
	hold := a.holds[id]
	if hold == nil || hold.state != HoldHeld {
		return
	}
	m.overdue(a.id, 1)
	m.reaper(a.id).look(t.Context())
	a.held -= hold.amount
	a.available += hold.amount
	hold.expired, hold.state = true, HoldReleased
	if hold.mark > 0 {
		hold.state, hold.captured, hold.cost = HoldSettled, min(hold.mark, hold.amount), hold.mark
		a.available -= hold.captured
		a.unapplied += hold.captured
		a.queue = append(a.queue, modelEvent{id, hold.captured})
	}
}

// settledExpired is the settlement of a call that was taken for dead.
func (m *machine) settledExpired(t *rapid.T, hold *modelHold, err error) {
	var expired *HoldExpiredError
	if !errors.As(err, &expired) || expired.Captured != hold.captured {
		t.Fatalf("settle of %+v after its deadline: %v", hold, err)
	}
}

// debits has Redis take what was settled late, perhaps with an owner that dies.
func (m *machine) debits(t *rapid.T) {
	a := m.pick(t)
	s := shardOf(a.id)
	step := rapid.SampledFrom([]string{"", "", "debit-due", "debit-taken", "fetched", "applied", "committed"}).Draw(t, "dies at")
	if step != "" {
		dying := m.crashing(s, step)
		if err := dying.open(t.Context()); err != nil {
			t.Fatalf("open: %v", err)
		}
		if err := dying.relayDebits(t.Context()); err != nil && !errors.Is(err, errCrash) {
			t.Fatalf("relay debits: %v", err)
		}
		m.takenUntil(a, step)
	}
	if err := m.fresh(t, s).relayDebits(t.Context()); err != nil {
		t.Fatalf("relay debits: %v", err)
	}
	m.taken(a, len(a.pending))
}

// takenUntil is what was done by one that dies where it comes to the step.
func (m *machine) takenUntil(a *modelAccount, step string) {
	switch {
	case step == "debit-due":
		m.taken(a, 0)
	case step == "debit-taken":
		m.taken(a, 1)
	case len(a.queue) == 0:
		m.taken(a, len(a.pending))
	case step == "committed" && len(a.pending) > 0:
		m.applied(a)
	}
}

// taken is what Redis has after so many of an account's debits were relayed. A debit
// gives way to a hold of its name.
func (m *machine) taken(a *modelAccount, most int) {
	if len(a.pending) == 0 {
		return
	}
	m.applied(a)
	a.pending = slices.DeleteFunc(a.pending, func(id string) bool { return a.posted[id] })
	for _, id := range a.pending[:min(most, len(a.pending))] {
		if hold := a.holds[id]; a.marker[id] || hold != nil && hold.state == HoldHeld {
			continue
		}
		captured := min(a.late[id], a.available)
		a.marker[id] = true
		a.available -= captured
		a.unapplied += captured
		a.queue = append(a.queue, modelEvent{id, captured})
	}
}

// allTaken holds the end of a run to it that nothing settled late is forgotten, but
// where a hold of its name still stands.
func (m *machine) allTaken(t *rapid.T) {
	for _, a := range m.accounts {
		o := m.fresh(t, shardOf(a.id))
		for range 2 {
			if err := o.relayDebits(t.Context()); err != nil {
				t.Fatalf("relay debits: %v", err)
			}
			m.taken(a, len(a.pending))
		}
		for _, id := range a.pending {
			if hold := a.holds[id]; hold == nil || hold.state != HoldHeld {
				t.Fatalf("the debit of hold %s is still pending", id)
			}
		}
		for id := range a.late {
			pending := m.count(`select count(*) from debits where reference = $1 and posted_at is null`, holdReference(id))
			if (pending > 0) != slices.Contains(a.pending, id) {
				t.Fatalf("hold %s: pending %d, in the model %v", id, pending, a.pending)
			}
		}
	}
	m.check(t)
}
