package billing

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// modelHold is a hold as it should be.
type modelHold struct {
	state                  string
	amount, captured, cost int64
	mark                   int64 // at the last checkpoint
	expired                bool  // resolved at its deadline
}

// modelAccount is an account as it should be: all of it in plain numbers.
type modelAccount struct {
	id              int64
	available, held int64 // what Redis should say
	ledger          int64 // what Postgres should say
	unapplied       int64 // captured, and not in Postgres yet
	unprojected     int64 // credited, and not in Redis yet
	holds           map[string]*modelHold
	credits         map[string]int64
	late            map[string]int64 // recorded to be taken
	pending         []string         // of these, what is not known to be in the ledger
	marker          map[string]bool  // of these, what Redis took in this epoch
	queue           []modelEvent     // that Postgres has not applied
	posted          map[string]bool  // holds that the ledger knows
}

type modelEvent struct {
	hold     string
	captured int64
}

// machine drives the real thing and the model with the same operations.
type machine struct {
	*rig
	accounts []*modelAccount
	run      int
}

func (m *machine) pick(t *rapid.T) *modelAccount {
	return m.accounts[rapid.IntRange(0, len(m.accounts)-1).Draw(t, "account")]
}

func (m *machine) holdID(t *rapid.T) string {
	return fmt.Sprintf("m%d-%d", m.run, rapid.IntRange(0, 12).Draw(t, "hold"))
}

func (m *machine) reserve(t *rapid.T) {
	a, nano := m.pick(t), rapid.Int64Range(0, 400).Draw(t, "nano")
	id := m.holdID(t) + "-" + strconv.FormatInt(a.id, 10)
	hold, err := m.desk.Holds.Reserve(t.Context(), reservation(a.id, id, nano))
	known := a.holds[id]
	switch {
	case known != nil && known.amount != nano:
		if !errors.Is(err, ErrHoldConflict) {
			t.Fatalf("reserve again with %d instead of %d: %v", nano, known.amount, err)
		}
	case known != nil:
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
	case a.available < nano:
		if !errors.Is(err, ErrPoor) {
			t.Fatalf("reserve %d of %d: %v", nano, a.available, err)
		}
	default:
		if err != nil || hold.Nano != nano {
			t.Fatalf("reserve: %+v, %v", hold, err)
		}
		a.available -= nano
		a.held += nano
		a.holds[id] = &modelHold{state: HoldHeld, amount: nano}
	}
}

func (m *machine) settle(t *rapid.T) {
	a, cost := m.pick(t), rapid.Int64Range(0, 500).Draw(t, "cost")
	id := m.holdID(t) + "-" + strconv.FormatInt(a.id, 10)
	c, err := m.desk.Holds.Settle(t.Context(), settlement(a.id, id, cost))
	hold := a.holds[id]
	switch {
	case hold == nil:
		m.settledLate(t, a, id, cost, c, err)
	case hold.expired:
		m.settledExpired(t, hold, err)
	case hold.state == HoldReleased || hold.state == HoldSettled && hold.cost != cost:
		if !errors.Is(err, ErrHoldConflict) {
			t.Fatalf("settle of %+v for %d: %v", hold, cost, err)
		}
	default:
		captured := min(cost, hold.amount)
		if err != nil || c.Nano != captured || c.WriteOff != cost-captured || c.Replayed != (hold.state == HoldSettled) {
			t.Fatalf("settle of %+v for %d: %+v, %v", hold, cost, c, err)
		}
		if hold.state == HoldHeld {
			a.held -= hold.amount
			a.available += hold.amount - captured
			a.unapplied += captured
			a.queue = append(a.queue, modelEvent{id, captured})
			hold.state, hold.captured, hold.cost = HoldSettled, captured, cost
		}
	}
}

// settledLate is a settlement of a hold that Redis does not know: recorded once.
func (m *machine) settledLate(t *rapid.T, a *modelAccount, id string, cost int64, c Captured, err error) {
	before, known := a.late[id]
	if a.posted[id] {
		before, known = cost, true
	}
	switch {
	case known && before != cost && cost > 0:
		if !errors.Is(err, ErrHoldConflict) {
			t.Fatalf("settle late for %d instead of %d: %v", cost, before, err)
		}
	case err != nil || c != (Captured{Nano: cost, Late: true, Replayed: known && cost > 0}):
		t.Fatalf("settle of nothing for %d: %+v, %v", cost, c, err)
	case !known && cost > 0:
		a.late[id] = cost
		a.pending = append(a.pending, id)
	}
}

func (m *machine) release(t *rapid.T) {
	a := m.pick(t)
	id := m.holdID(t) + "-" + strconv.FormatInt(a.id, 10)
	err := m.desk.Holds.Release(t.Context(), a.id, id)
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
	default:
		if err != nil {
			t.Fatalf("release: %v", err)
		}
		if hold.state == HoldHeld {
			a.held -= hold.amount
			a.available += hold.amount
			hold.state = HoldReleased
		}
	}
}

// credit gives money, at times under a key of before, at times dying before
// Redis hears of it.
func (m *machine) credit(t *rapid.T) {
	a, nano := m.pick(t), rapid.Int64Range(1, 300).Draw(t, "nano")
	key := fmt.Sprintf("m%d-%d-%d", m.run, a.id, rapid.IntRange(0, 20).Draw(t, "key"))
	c := Credit{AccountID: a.id, AmountNano: nano, Kind: CreditStars, IdempotencyKey: key}
	dies := rapid.Bool().Draw(t, "dies")
	var result CreditResult
	var err error
	give := func(desk *Desk) { result, err = desk.Accounts.Credit(t.Context(), c) }
	if dies {
		m.unprojected(give)
	} else {
		give(m.desk)
	}
	before, known := a.credits[key]
	switch {
	case known && before != nano:
		if !errors.Is(err, ErrIdempotencyConflict) {
			t.Fatalf("credit %d under the key of %d: %v", nano, before, err)
		}
		return
	case err != nil || result.Replayed != known || result.Projected == dies:
		t.Fatalf("credit: %+v, %v; known %v, dies %v", result, err, known, dies)
	case !known:
		a.credits[key] = nano
		a.ledger += nano
		a.unprojected += nano
	}
	if !dies && !known {
		m.projected(a) // the earlier ones were made to follow
	}
}

func (m *machine) projected(a *modelAccount) {
	a.available += a.unprojected
	a.unprojected = 0
}

func (m *machine) relay(t *rapid.T) {
	for _, a := range m.accounts {
		o := m.fresh(t, shardOf(a.id))
		if err := o.relay(t.Context()); err != nil {
			t.Fatalf("relay: %v", err)
		}
		m.projected(a)
	}
}

func (m *machine) fresh(t *rapid.T, s stream.Shard) *owner {
	o := m.newOwner(s)
	if err := o.open(t.Context()); err != nil {
		t.Fatalf("open: %v", err)
	}
	return o
}

func (m *machine) applied(a *modelAccount) {
	for _, e := range a.queue {
		a.ledger -= e.captured
		a.posted[e.hold] = true
	}
	a.queue, a.unapplied = nil, 0
}

// salvaged is what a rebuild applies of the rest of the stream: not what bears the name
// of a hold that the ledger has already, since Redis is about to follow the ledger.
func (m *machine) salvaged(a *modelAccount) {
	for _, e := range a.queue {
		if !a.posted[e.hold] {
			a.ledger -= e.captured
			a.posted[e.hold] = true
		}
	}
	a.queue, a.unapplied = nil, 0
}

// drain lets an owner that may have slept through anything do its work.
func (m *machine) drain(t *rapid.T) {
	a := m.pick(t)
	o := m.owners[shardOf(a.id)]
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
}

func (m *machine) drainerDies(t *rapid.T) {
	a := m.pick(t)
	step := rapid.SampledFrom([]string{"fetched", "applied", "committed"}).Draw(t, "step")
	o := m.crashing(shardOf(a.id), step)
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
	s := shardOf(a.id)
	m.redis.Del(t.Context(), epochKey(s))
	if step := rapid.SampledFrom([]string{"", "closed", "applied", "bumped", "wiped", "restored"}).Draw(t, "dies at"); step != "" {
		if err := m.crashing(s, step).open(t.Context()); err != nil && !errors.Is(err, errCrash) {
			t.Fatalf("rebuild: %v", err)
		}
	}
	m.fresh(t, s)
	m.salvaged(a)
	m.restored(a)
}

// loseHash loses one account's hash: its shard goes back to what the ledger knows.
func (m *machine) loseHash(t *rapid.T) {
	a := m.pick(t)
	s := shardOf(a.id)
	m.redis.Del(t.Context(), AcctKey(a.id))
	m.redis.SAdd(t.Context(), lostKey(s), a.id)
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
	a.available, a.held, a.unprojected = a.ledger, 0, 0
	clear(a.holds)
	clear(a.marker)
}

// flush loses everything: debits that were not in Postgres are forgotten.
func (m *machine) flush(t *rapid.T) {
	if !rapid.Bool().Draw(t, "really") {
		return
	}
	m.redis.FlushAll(t.Context())
	for s := stream.Shard(0); s < stream.Shards; s++ {
		m.fresh(t, s)
	}
	for _, a := range m.accounts {
		a.unapplied, a.queue = 0, nil
		m.restored(a)
	}
}

// check compares after every operation. A replayed credit may have projected
// earlier ones, in order, so Redis may have more of the unprojected by now.
func (m *machine) check(t *rapid.T) {
	for _, a := range m.accounts {
		hot, err := m.desk.Accounts.Balance(t.Context(), a.id)
		if err != nil {
			t.Fatalf("balance: %v", err)
		}
		if early := hot.Available - a.available; early > 0 && early <= a.unprojected {
			a.available += early
			a.unprojected -= early
		}
		if hot.Available != a.available || hot.Held != a.held || hot.Available < 0 {
			t.Fatalf("account %d: Redis has %+v, the model %+v", a.id, hot, a)
		}
		cold, err := m.desk.Ledger.Balance(t.Context(), a.id)
		if err != nil || cold != a.ledger {
			t.Fatalf("account %d: Postgres has %d, %v, the model %+v", a.id, cold, err, a)
		}
		if sum, err := m.desk.Ledger.Sum(t.Context(), a.id); err != nil || sum != cold {
			t.Fatalf("account %d: entries sum to %d, %v, the balance is %d", a.id, sum, err, cold)
		}
		if drift := hot.Available + hot.Held - (cold - a.unprojected - a.unapplied); drift != 0 {
			t.Fatalf("account %d drifts by %d", a.id, drift)
		}
	}
}

// Any sequence of operations, with crashes in between, leaves Redis, Postgres and
// a model in plain numbers in agreement, to the nano-dollar.
func TestModel(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := &machine{rig: r, run: run}
		for range 2 {
			id := r.account(0)
			m.accounts = append(m.accounts, &modelAccount{id: id, holds: map[string]*modelHold{}, credits: map[string]int64{}, late: map[string]int64{}, marker: map[string]bool{}, posted: map[string]bool{}})
		}
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "reserve": m.reserve, "reserve ": m.reserve, "settle": m.settle, "settle ": m.settle,
			"release": m.release, "credit": m.credit, "relay": m.relay, "drain": m.drain, "drainer dies": m.drainerDies,
			"checkpoint": m.checkpoint, "orphan": m.orphan, "debits": m.debits,
			"rebuild": m.rebuild, "lose a hash": m.loseHash, "flush": m.flush,
		})
		m.relay(t)
		for s := range m.owners {
			o := m.fresh(t, stream.Shard(s))
			if _, err := o.drain(t.Context()); err != nil {
				t.Fatalf("drain: %v", err)
			}
		}
		for _, a := range m.accounts {
			m.applied(a)
		}
		m.check(t)
		m.allTaken(t)
	})
	differences, err := r.desk.Ledger.Check(t.Context())
	if err != nil || len(differences) > 0 {
		t.Fatalf("the ledger differs: %+v, %v", differences, err)
	}
}
