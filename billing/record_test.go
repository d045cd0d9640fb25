package billing

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// recorded is a call of an organisation's account, with budgets on its key, its account
// and its organisation, whose cost was recorded while its hold stands in Redis.
type recorded struct {
	budgeted
	owner   *owner
	org     *orgRig
	steward *steward
	s       Settlement
}

func (r *rig) recorded(id string, held, cost int64) *recorded {
	r.t.Helper()
	c := &recorded{budgeted: r.budgeted(10_000, KeySpec{BudgetMonth: 9000})}
	r.must(r.desk.Accounts.SetBudget(r.t.Context(), c.account, Budget{DayNano: 8000}, House))
	c.org = r.organisation(Budget{MonthNano: 9000}, c.account)
	c.owner, c.steward = r.owners[shardOf(c.account)], r.steward(c.org.org.ID)
	claim, err := c.org.claim(c.account, id, held, held)
	r.must(err)
	c.take(c.ask(id, held, held))
	c.s = settlement(c.account, id, cost)
	c.s.KeyID, c.s.Held, c.s.Organisation, c.s.OrganisationDay = c.key.ID, held, c.org.org.ID, claim.day
	for again := range 2 {
		got, err := r.desk.Holds.Record(r.t.Context(), c.s)
		want := Captured{Nano: min(cost, held), WriteOff: cost - min(cost, held), Late: true, Replayed: again > 0}
		if err != nil || got != want {
			r.t.Fatalf("record: %+v, %v; want %+v", got, err, want)
		}
	}
	return c
}

// settles is the settlement itself, by whoever has not heard that it was taken.
func (c *recorded) settles() {
	c.t.Helper()
	_, err := c.desk.Holds.Settle(c.t.Context(), c.s)
	if err != nil && !errors.Is(err, ErrHoldExpired) {
		c.t.Fatalf("settle: %v", err)
	}
}

// relays is the owner's round, and then the ledger's.
func (c *recorded) relays() {
	c.t.Helper()
	c.must(c.owner.relayDebits(c.t.Context()))
	c.drain(c.owner)
}

// reaped lets the hold's deadline pass.
func (c *recorded) reaped() {
	c.t.Helper()
	c.lapse(c.account, c.s.HoldID)
	c.expire(c.account, c.s.HoldID)
}

// marks notes what the stream had produced at a checkpoint.
func (c *recorded) marks(nano int64) {
	c.t.Helper()
	m := Mark{Settlement: c.s, Life: time.Minute}
	m.Cost = nano
	c.must(c.desk.Holds.Checkpoint(c.t.Context(), []Mark{m})[0])
}

// A call whose cost was recorded while its hold stood is in the books once, whatever comes
// first or not at all: the settlement, the debit, or the reaper. Balance, hold and the
// budgets of key, account and organisation are those of one call.
func TestRecord(t *testing.T) { onBoth(t, testRecord) }

func testRecord(t *testing.T, client *redis.Client) {
	now := time.Now()
	r := newRig(t, client, func(c *Config) { c.Now = func() time.Time { return now } })
	for name, order := range map[string]func(c *recorded){
		"whoever called is dead":           func(c *recorded) { c.relays() },
		"the settlement first":             func(c *recorded) { c.settles(); c.relays() },
		"the settlement, not in the books": func(c *recorded) { c.settles(); c.must(c.owner.relayDebits(t.Context())) },
		"the debit first":                  func(c *recorded) { c.relays(); c.settles() },
		"given back by the reaper":         func(c *recorded) { c.reaped(); c.relays(); c.settles() },
		"given back, settled, then taken":  func(c *recorded) { c.reaped(); c.settles(); c.relays() },
	} {
		t.Run(name, func(t *testing.T) {
			for _, cost := range []int64{700, 1000, 1200} {
				c := r.recorded(fmt.Sprintf("call-%d-%d", cost, len(name)), 1000, cost)
				order(c)
				c.wantOnce(&now, min(cost, 1000), cost, nil)
			}
		})
	}
	for name, order := range map[string]func(c *recorded){
		"dead":    func(c *recorded) {},
		"settles": func(c *recorded) { c.settles() },
	} {
		t.Run("settled by the reaper at its checkpoint, "+name, func(t *testing.T) {
			c := r.recorded("marked-"+name, 1000, 1200)
			c.marks(300)
			c.reaped()
			order(c)
			c.relays()
			order(c)
			c.wantOnce(&now, 300, 300, []string{"revenue 900", "write_off -900"})
		})
	}
}

// wantOnce holds all that counts the call to what was captured of it and what the ledger
// has of its cost; late is what was written off besides.
func (c *recorded) wantOnce(now *time.Time, captured, cost int64, late []string) {
	c.t.Helper()
	ctx := c.t.Context()
	c.relays()
	c.relays()
	if n := c.count(`select count(*) from debits where posted_at is null`); n != 0 {
		c.t.Fatalf("%d debits are left", n)
	}
	c.wantBalance(c.account, 10_000-captured, 0)
	c.wantCounted(c.key.ID, captured)
	c.wantCounted(0, captured)
	c.org.due()
	for range 2 {
		c.must(c.steward.look(ctx))
		*now = now.Add(defaultReapGrace)
	}
	c.org.wantSpent(captured)
	want := fmt.Sprintf("[customer -%d revenue %d]", captured, cost)
	if cost > captured {
		want = fmt.Sprintf("[customer -%d revenue %d write_off -%d]", captured, cost, cost-captured)
	}
	c.wantEntries(holdReference(c.s.HoldID), want)
	c.wantEntries(referenceLate+c.s.HoldID, fmt.Sprint(late))
	if n := c.count(`select count(*) from usage where account_id = $1 and captured_nano = $2 and key_id = $3 and organisation_id = $4 and prompt_tokens = 10`,
		c.account, captured, c.key.ID, c.org.org.ID); n != 1 {
		c.t.Errorf("%d calls in the books", n)
	}
	c.wantBooks(ctx)
}

// Of fifty at once that record and settle the same call, while its debit is taken, one has
// an effect.
func TestRecordRaced(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	now := time.Now()
	c := r.recorded("raced", 1000, 800)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			var err error
			if i%2 == 0 {
				_, err = r.desk.Holds.Record(t.Context(), c.s)
			} else if _, err = r.desk.Holds.Settle(t.Context(), c.s); errors.Is(err, ErrHoldExpired) {
				err = nil
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	c.relays()
	all.Wait()
	c.wantOnce(&now, 800, 800, nil)
}

// What nothing is owed for leaves nothing to be taken, and what cannot be a call is refused.
func TestRecordNothing(t *testing.T) {
	database := testenv.PostgresServer(t)
	r := newRig(t, testenv.Redis(t), func(c *Config) { c.Postgres = database.Pool() })
	r.pool = r.config.Postgres
	account := r.account(1000)
	gift := settlement(account, "gift", 500)
	gift.Gift = true
	for what, s := range map[string]Settlement{"free": settlement(account, "free", 0), "gift": gift} {
		if c, err := r.desk.Holds.Record(t.Context(), s); err != nil || !c.Late || c.Nano != 0 {
			t.Errorf("%s: %+v, %v", what, c, err)
		}
	}
	if n := r.count(`select count(*) from debits`); n != 0 {
		t.Errorf("%d debits", n)
	}
	if _, err := r.desk.Holds.Record(t.Context(), settlement(account, "no hold id", 1)); !errors.Is(err, ErrHoldID) {
		t.Errorf("no id: %v", err)
	}
	if _, err := r.desk.Holds.Record(t.Context(), settlement(account+1600, "nobody", 1)); !errors.Is(err, ErrHoldUnknown) {
		t.Errorf("an account that is none: %v", err)
	}
	database.Pause()
	if _, err := r.desk.Holds.Record(t.Context(), settlement(account, "away", 10)); !errors.Is(err, ErrClosed) {
		t.Errorf("without Postgres: %v", err)
	}
	database.Resume()
}
