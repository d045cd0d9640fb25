package billing

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// modelHold is a hold as it should be.
type modelHold struct {
	nano, least                int64 // as asked for
	state                      string
	amount                     int64
	captured, writeOff, cost   int64 // once settled
	mark                       int64 // at the last checkpoint
	expired                    bool  // resolved at its deadline
	countsAccount, countsByKey bool
	counted                    moment // when that was
}

// modelEvent is a movement that Redis made and Postgres has not applied.
type modelEvent struct {
	hold               string
	captured, writeOff int64
	byKey              bool
	at                 moment
	gift               *modelGift // instead of a hold
}

// modelAccount is an account as it should be: all of it in plain numbers.
type modelAccount struct {
	budgeted
	now               *moment
	available, held   int64 // what Redis should say
	ledger            int64 // what Postgres should say
	writeOff, revenue int64 // the same, of its other books
	untold            int64 // credited, and not in Redis yet
	holds             map[string]*modelHold
	credits           map[string]int64
	late              map[string]modelEvent // recorded to be taken
	pending           []string              // of these, what is not known to be in the ledger
	marker            map[string]bool       // of these, what Redis took in this epoch
	lateOff           map[string]bool       // holds of which a late cost is written off
	queue             []modelEvent
	posted            map[string]bool  // holds that the ledger knows
	costs             map[string]int64 // of these, what it has of their calls under their own names
	ofAccount, ofKey  modelBudget
	own               int64                 // bought, or credited otherwise than by gifts
	gifts             map[string]*modelGift // given, by the name of the wish
	outstanding       int64                 // what its transactions left in the book of gifts
}

// unapplied is what was captured and is not in Postgres yet.
func (a *modelAccount) unapplied() (nano int64) {
	for _, e := range a.queue {
		nano += e.captured
	}
	return nano
}

// machine drives the real thing and the model with the same operations.
type machine struct {
	*rig
	accounts []*modelAccount
	run      int
	now      moment // of the operation under way
}

func newMachine(t *rapid.T, r *rig, run int) *machine {
	m := &machine{rig: r, run: run}
	r.desk.Gifts.least = 1
	r.must(r.desk.Gifts.Return(t.Context())) // of a sequence of before
	for s := stream.Shard(0); s < stream.Shards; s++ {
		if r.redis.Exists(t.Context(), epochKey(s)).Val() == 0 { // a sequence of before lost it
			m.fresh(t, s)
		}
	}
	// Nor is what a sequence that failed left to be taken any business of this one.
	_, err := r.pool.Exec(t.Context(), `update debits set posted_at = now() where posted_at is null`)
	r.must(err)
	m.begin()
	for range 2 {
		nano := rapid.Int64Range(0, 2000).Draw(t, "money")
		m.accounts = append(m.accounts, &modelAccount{
			budgeted: r.budgeted(nano, KeySpec{}), now: &m.now, available: nano, ledger: nano, own: nano, gifts: map[string]*modelGift{}, holds: map[string]*modelHold{}, credits: map[string]int64{},
			late: map[string]modelEvent{}, marker: map[string]bool{}, lateOff: map[string]bool{}, posted: map[string]bool{}, costs: map[string]int64{}})
	}
	return m
}

func (m *machine) pick(t *rapid.T) *modelAccount {
	return m.accounts[rapid.IntRange(0, len(m.accounts)-1).Draw(t, "account")]
}

const modelCalls = 7 // of an account that are told apart by their holds

// call names a call of the account, mostly one whose hold stands. Every other one is
// made with the account's key.
func (m *machine) call(t *rapid.T, a *modelAccount) (id string, byKey bool) {
	n := rapid.IntRange(0, modelCalls-1).Draw(t, "hold")
	if rapid.IntRange(0, 2).Draw(t, "under way") > 0 {
		for i := range modelCalls {
			if hold := a.holds[m.callID(a, (n+i)%modelCalls)]; hold != nil && hold.state == HoldHeld {
				n = (n + i) % modelCalls
				break
			}
		}
	}
	return m.callID(a, n), n%2 == 0
}

func (m *machine) callID(a *modelAccount, n int) string {
	return fmt.Sprintf("m%d-%d-%d", m.run, n, a.account)
}

func (a *modelAccount) keyOf(byKey bool) int64 {
	if byKey {
		return a.key.ID
	}
	return 0
}

// check compares after every operation. A replayed credit may have projected
// earlier ones, in order, so Redis may have more of the unprojected by now.
func (m *machine) check(t *rapid.T) {
	for _, a := range m.accounts {
		hot, err := m.desk.Accounts.Balance(t.Context(), a.account)
		if err != nil {
			t.Fatalf("balance: %v", err)
		}
		if early := hot.Available - a.available; early > 0 && early <= a.untold {
			a.available += early
			a.untold -= early
		}
		if hot.Available != a.available || hot.Held != a.held || hot.Available < 0 {
			t.Fatalf("account %d: Redis has %+v, the model %+v", a.account, hot, a)
		}
		cold, err := m.desk.Ledger.Balance(t.Context(), a.account)
		if err != nil || cold != a.ledger {
			t.Fatalf("account %d: Postgres has %d, %v, the model %+v", a.account, cold, err, a)
		}
		if drift := hot.Available + hot.Held - (cold - a.untold - a.unapplied()); drift != 0 {
			t.Fatalf("account %d drifts by %d", a.account, drift)
		}
		m.checkBudgets(t, a)
	}
}

// books holds the account's entries against the model, book by book.
func (m *machine) books(t *rapid.T, a *modelAccount) {
	var customer, revenue, writeOff, gifts int64
	err := m.pool.QueryRow(t.Context(), `
		select coalesce(sum(amount_nano) filter (where book = 'customer'), 0)::bigint,
			coalesce(sum(amount_nano) filter (where book = 'revenue'), 0)::bigint,
			coalesce(-sum(amount_nano) filter (where book = 'write_off'), 0)::bigint,
			coalesce(sum(amount_nano) filter (where book = 'gifts'), 0)::bigint
		from ledger_transactions t join ledger_entries e on e.transaction_id = t.id and e.created_at = t.created_at
		where t.account_id = $1`, a.account).Scan(&customer, &revenue, &writeOff, &gifts)
	if err != nil || customer != a.ledger || revenue != a.revenue || writeOff != a.writeOff || gifts != a.outstanding {
		t.Fatalf("account %d: customer %d, revenue %d, written off %d, gifts %d, %v; the model has %d, %d, %d and %d",
			a.account, customer, revenue, writeOff, gifts, err, a.ledger, a.revenue, a.writeOff, a.outstanding)
	}
}

// Any sequence of operations, with crashes in between, leaves Redis, Postgres and
// a model in plain numbers in agreement, to the nano-dollar.
//
// One round is so many sequences on stores of its own, as -rapid.checks says, of about
// so many operations, as -rapid.steps says; KIKUAI_MODEL_ROUNDS asks for more of them.
func TestModel(t *testing.T) {
	rounds := 1
	if text := os.Getenv("KIKUAI_MODEL_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("KIKUAI_MODEL_ROUNDS: %v", err)
		}
	}
	client := testenv.Redis(t)
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) { modelRound(t, client) })
	}
}

func modelRound(t *testing.T, client *redis.Client) {
	if err := client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, client)
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := newMachine(t, r, run)
		actions := m.actions()
		actions[""] = m.check
		t.Repeat(actions)
		m.finish(t)
	})
	r.ledgerAgrees(t)
}

// actions are the operations that a sequence is made of.
func (m *machine) actions() map[string]func(*rapid.T) {
	actions := map[string]func(*rapid.T){
		"reserve": m.reserve, "reserve ": m.reserve, "settle": m.settle, "settle ": m.settle,
		"release": m.release, "checkpoint": m.checkpoint, "orphan": m.orphan,
		"credit": m.credit, "relay": m.relay, "drain": m.drain, "drainer dies": m.drainerDies, "debits": m.debits,
		"budget": m.budget, "rebuild": m.rebuild, "lose a hash": m.loseHash, "flush": m.flush,
		"midnight": m.midnight, "give": m.give, "take": m.takeGift, "return": m.returnGifts,
	}
	for name, act := range actions {
		actions[name] = func(t *rapid.T) {
			m.begin()
			act(t)
			m.end(t)
		}
	}
	return actions
}

// finish lets everything that is on its way arrive.
func (m *machine) finish(t *rapid.T) {
	m.begin()
	defer m.end(t)
	m.relay(t)
	m.drainAllOf(t)
	m.check(t)
	m.allTaken(t)
	m.drainAllOf(t)
	for _, a := range m.accounts {
		m.books(t, a)
	}
	m.checkGifts(t)
}

func (r *rig) ledgerAgrees(t *testing.T) {
	t.Helper()
	differences, err := r.desk.Ledger.Check(t.Context())
	if err != nil || len(differences) > 0 {
		t.Fatalf("the ledger differs: %+v, %v", differences, err)
	}
}

func (m *machine) drainAllOf(t *rapid.T) {
	for _, a := range m.accounts {
		o := m.fresh(t, shardOf(a.account))
		for {
			n, err := o.drain(t.Context())
			if err != nil {
				t.Fatalf("drain: %v", err)
			}
			if n == 0 {
				break
			}
		}
		m.applied(a)
	}
	m.check(t)
}

// credit gives money, at times under a key of before, at times dying before
// Redis hears of it.
func (m *machine) credit(t *rapid.T) {
	a, nano := m.pick(t), rapid.Int64Range(1, 300).Draw(t, "nano")
	key := fmt.Sprintf("m%d-%d-%d", m.run, a.account, rapid.IntRange(0, 20).Draw(t, "key"))
	c := Credit{AccountID: a.account, AmountNano: nano, Kind: CreditStars, IdempotencyKey: key}
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
		a.untold += nano
		a.own += nano
	}
	if !dies && !known {
		m.projected(a) // the earlier ones were made to follow
	}
}

func (m *machine) projected(a *modelAccount) {
	a.available, a.untold = a.available+a.untold, 0
}
