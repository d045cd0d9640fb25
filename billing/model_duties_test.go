package billing

import (
	"errors"
	"slices"

	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/stream"
)

func (m *machine) relay(t *rapid.T) {
	for _, a := range m.accounts {
		o := m.fresh(t, shardOf(a.account))
		if err := o.relay(t.Context()); err != nil {
			t.Fatalf("relay: %v", err)
		}
		m.projected(a)
		a.ofAccount.tell(m.now)
		a.ofKey.tell(m.now)
	}
}

func (m *machine) fresh(t *rapid.T, s stream.Shard) *owner {
	o := m.newOwner(s)
	if err := o.open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	return o
}

// applied is what the stream brought to Postgres: all that Redis took.
func (m *machine) applied(a *modelAccount) {
	for _, e := range a.queue {
		a.post(e)
	}
	a.queue = nil
}

// salvaged is what a rebuild applies of the rest of the stream: not what bears the name
// of a hold that the ledger has already, since Redis is about to follow the ledger.
func (m *machine) salvaged(a *modelAccount) {
	for _, e := range a.queue {
		if e.gift == nil && !a.posted[e.hold] || e.gift != nil && !e.gift.funded {
			a.post(e)
		}
	}
	a.queue = nil
}

func (a *modelAccount) post(e modelEvent) {
	a.ledger -= e.captured
	if e.gift != nil {
		e.gift.funded = true
		a.outstanding += e.captured
		return
	}
	a.writeOff += e.writeOff
	a.revenue += e.captured + e.writeOff
	if !a.posted[e.hold] { // a second event bears a name of its own in the ledger
		a.posted[e.hold], a.costs[e.hold] = true, e.captured+e.writeOff
	}
	a.use(e)
}

// drain lets an owner that may have slept through anything do its work.
func (m *machine) drain(t *rapid.T) {
	a := m.pick(t)
	o := m.owners[shardOf(a.account)]
	for tries := 0; ; tries++ {
		n, err := o.drain(t.Context())
		if err == nil && n == 0 {
			break
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, errLost) && !errors.Is(err, errMoved) || tries > 5 {
			t.Fatalf("drain: %v", err)
		}
		if err := o.open(t.Context()); err != nil {
			t.Fatalf("open: %v", err)
		}
	}
	m.applied(a)
	m.books(t, a)
}

func (m *machine) drainerDies(t *rapid.T) {
	a := m.pick(t)
	step := rapid.SampledFrom([]string{"fetched", "applied", "committed"}).Draw(t, "step")
	o := m.crashing(shardOf(a.account), step)
	if err := o.open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	if _, err := o.drain(t.Context()); err != nil && !errors.Is(err, errCrash) {
		t.Fatalf("drain: %v", err)
	}
	if step == "committed" {
		m.applied(a)
	}
}

// rebuild loses the epoch: events are salvaged, holds are not.
func (m *machine) rebuild(t *rapid.T) {
	a := m.pick(t)
	s := shardOf(a.account)
	m.redis.Del(t.Context(), epochKey(s))
	if step := rapid.SampledFrom([]string{"", "closed", "applied", "bumped", "wiped", "restored"}).Draw(t, "dies at"); step != "" {
		if err := m.crashing(s, step).open(t.Context()); err != nil && !errors.Is(err, errCrash) {
			t.Fatalf("rebuild: %v", err)
		}
	}
	m.fresh(t, s)
	m.salvaged(a)
	m.restored(a)
	m.books(t, a)
}

// loseHash loses one account's hash: its shard goes back to what the ledger knows.
func (m *machine) loseHash(t *rapid.T) {
	a := m.pick(t)
	s := shardOf(a.account)
	m.redis.Del(t.Context(), AcctKey(a.account))
	m.redis.SAdd(t.Context(), lostKey(s), a.account)
	o := m.fresh(t, s)
	if err := o.relay(t.Context()); !errors.Is(err, errLost) {
		t.Fatalf("a lost hash goes unseen: %v", err)
	}
	if err := o.open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	m.salvaged(a)
	m.restored(a)
}

func (m *machine) restored(a *modelAccount) {
	a.available, a.held, a.untold = a.ledger, 0, 0
	clear(a.holds)
	clear(a.marker)
	for _, gift := range a.gifts {
		gift.marked = false
	}
	a.ofAccount.restore(m.now)
	a.ofKey.restore(m.now)
}

// flush loses everything: debits that were not in Postgres are forgotten.
func (m *machine) flush(t *rapid.T) {
	if !rapid.Bool().Draw(t, "really") {
		return
	}
	m.redis.FlushAll(t.Context())
	for _, a := range m.accounts {
		m.fresh(t, shardOf(a.account))
		a.queue = nil
		m.restored(a)
	}
}

// debits has Redis take what was settled late, perhaps with an owner that dies.
func (m *machine) debits(t *rapid.T) {
	a := m.pick(t)
	s := shardOf(a.account)
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
// settles a hold of its name; of one that is in the ledger the rest is written off.
func (m *machine) taken(a *modelAccount, most int) {
	if len(a.pending) == 0 {
		return
	}
	m.applied(a)
	a.pending = slices.DeleteFunc(a.pending, func(id string) bool {
		if a.posted[id] {
			a.writeOffLate(id, a.late[id].captured+a.late[id].writeOff-a.costs[id])
		}
		return a.posted[id]
	})
	for _, id := range a.pending[:min(most, len(a.pending))] {
		if a.marker[id] {
			continue
		}
		a.marker[id] = true
		e, hold := a.late[id], a.holds[id]
		if hold != nil && hold.state == HoldHeld {
			a.capture(id, e.byKey, hold, e.captured+e.writeOff)
			hold.expired = true
			continue
		}
		cost := e.captured + e.writeOff
		e.captured, e.at = min(e.captured, a.available), m.now
		e.writeOff = cost - e.captured
		a.available -= e.captured
		a.queue = append(a.queue, e)
		a.spend(e.captured, e.byKey)
		if hold != nil {
			hold.state, hold.expired, hold.captured, hold.writeOff = HoldSettled, true, e.captured, e.writeOff
		}
	}
}

// allTaken holds the end of a run to it that nothing settled late is forgotten, once no
// hold of its name stands any more.
func (m *machine) allTaken(t *rapid.T) {
	for _, a := range m.accounts {
		for n := range modelCalls {
			hold := a.holds[m.callID(a, n)]
			if hold == nil || hold.state != HoldHeld {
				continue
			}
			if err := m.desk.Holds.Release(t.Context(), a.account, m.callID(a, n)); err != nil {
				t.Fatalf("release: %v", err)
			}
			a.giveBack(hold, hold.amount)
			hold.state = HoldReleased
		}
		o := m.fresh(t, shardOf(a.account))
		for range 2 {
			if err := o.relayDebits(t.Context()); err != nil {
				t.Fatalf("relay debits: %v", err)
			}
			m.taken(a, len(a.pending))
		}
		if left := m.count(`select count(*) from debits where account_id = $1 and posted_at is null`, a.account); left != 0 || len(a.pending) > 0 {
			t.Fatalf("%d debits are still pending, in the model %v", left, a.pending)
		}
		if known := m.count(`select count(*) from debits where account_id = $1`, a.account); known != int64(len(a.late)) {
			t.Fatalf("%d debits were recorded, the model has %v", known, a.late)
		}
	}
	m.check(t)
}
