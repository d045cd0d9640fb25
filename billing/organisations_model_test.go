package billing

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// orgCall is a call of an organisation's account.
type orgCall struct {
	claimed
	held     bool
	resolved bool // the claim was, by the call
	over     bool
	captured int64
}

// orgMachine drives an organisation's budget with calls that end, or do not end, in every
// way. What the budget admitted is what calls hold or were charged; nothing is done behind
// its back but to lose what Redis has of it.
type orgMachine struct {
	*orgRig
	now      *time.Time
	accounts []int64
	calls    []*orgCall
	budget   int64
	lost     bool // Redis forgot: what is counted may be harsher than what was spent
	serial   int
}

func (m *orgMachine) open() (open []*orgCall) {
	for _, c := range m.calls {
		if !c.over {
			open = append(open, c)
		}
	}
	return open
}

// begin claims and holds, or dies between the two.
func (m *orgMachine) begin(t *rapid.T) {
	m.serial++
	account := rapid.SampledFrom(m.accounts).Draw(t, "account")
	want := rapid.Int64Range(0, 900).Draw(t, "want")
	c, err := m.claim(account, fmt.Sprintf("o%d-%d", m.org.ID, m.serial), want, want/2)
	if errors.Is(err, ErrBudget) || errors.Is(err, ErrClosed) {
		return
	}
	if err != nil || c.nano > want || c.nano < want/2 {
		t.Fatalf("%+v, %v", c, err)
	}
	call := &orgCall{claimed: c}
	m.calls = append(m.calls, call)
	if call.over = rapid.IntRange(0, 9).Draw(t, "dies") == 0; !call.over {
		m.reserve(account, c.HoldID, c.nano)
		call.held = true
	}
}

// end settles a call or gives it back, and resolves its claim or leaves it behind.
func (m *orgMachine) end(t *rapid.T) {
	open := m.open()
	if len(open) == 0 {
		return
	}
	c := rapid.SampledFrom(open).Draw(t, "call")
	c.over = true
	if rapid.IntRange(0, 3).Draw(t, "released") == 0 {
		m.must(m.desk.Holds.Release(context.Background(), c.AccountID, c.HoldID))
	} else {
		s := settlement(c.AccountID, c.HoldID, rapid.Int64Range(0, 1000).Draw(t, "cost"))
		s.Organisation, s.OrganisationDay = c.Organisation, c.day
		captured, err := m.desk.Holds.Settle(context.Background(), s)
		m.must(err)
		c.captured = captured.Nano
	}
	if c.resolved = rapid.Bool().Draw(t, "resolves"); c.resolved {
		err := m.desk.Organisations.Resolve(context.Background(), c.Claim, c.captured)
		if errors.Is(err, ErrClosed) {
			c.resolved = false // the organisation's hash is gone
		} else {
			m.must(err)
		}
	}
}

func (m *orgMachine) drainSome(t *rapid.T) {
	m.drain(m.owners[shardOf(rapid.SampledFrom(m.accounts).Draw(t, "account"))])
}

// steward is a new owner of the organisation's shard, who looks twice.
func (m *orgMachine) looks(*rapid.T) {
	w := m.steward(m.org.ID)
	for range 2 {
		m.due()
		m.must(w.look(context.Background()))
		*m.now = m.now.Add(defaultReapGrace)
	}
}

// move takes an account out of the organisation, or in: its calls under way stay counted.
func (m *orgMachine) move(t *rapid.T) {
	account := rapid.SampledFrom(m.accounts).Draw(t, "account")
	if err := m.desk.Organisations.Remove(context.Background(), m.org.ID, account, House); err != nil {
		m.must(m.desk.Organisations.Add(context.Background(), m.org.ID, account, House))
	}
}

// forget loses the organisation's hash, which the steward makes anew.
func (m *orgMachine) forget(*rapid.T) {
	m.lost = true
	m.must(m.redis.Del(context.Background(), OrganisationKey(m.org.ID)).Err())
}

// check: what calls hold and were charged is counted, and never above the budget.
func (m *orgMachine) check(t *rapid.T) {
	if m.redis.Exists(context.Background(), OrganisationKey(m.org.ID)).Val() == 0 {
		return
	}
	var least int64
	for _, c := range m.calls {
		if c.over {
			least += c.captured
		} else {
			least += c.nano
		}
	}
	spent := m.spent().MonthNano
	if least > m.budget {
		t.Fatalf("calls have %d of a budget of %d", least, m.budget)
	}
	if spent < least && !m.lost || spent > m.budget && !m.lost {
		t.Fatalf("%d are counted, calls have %d of %d", spent, least, m.budget)
	}
}

// finish ends every call; then what is counted is what the ledger has, to the nano-dollar.
func (m *orgMachine) finish(t *rapid.T) {
	for len(m.open()) > 0 {
		m.end(t)
	}
	m.drainAll()
	for range 3 {
		m.looks(t)
	}
	var want int64
	for _, c := range m.calls {
		want += c.captured
	}
	spent := m.spent().MonthNano
	if ledger := m.count(`select coalesce(sum(captured_nano), 0)::bigint from organisation_days where organisation_id = $1`, m.org.ID); ledger != want {
		t.Fatalf("the ledger has %d, calls captured %d", ledger, want)
	}
	if spent < want || spent > want && !m.lost {
		t.Fatalf("%d are counted, calls captured %d", spent, want)
	}
	if n := m.redis.ZCard(context.Background(), ClaimsKey(m.org.ID)).Val(); n != 0 {
		t.Fatalf("%d claims are left", n)
	}
}

// Any sequence of calls, in whichever way they end or are left, stays within the
// organisation's budget; in the end what it counts is what the ledger has, or, where
// Redis lost it, not less.
func TestOrganisationModel(t *testing.T) {
	client := testenv.Redis(t)
	now := time.Now()
	r := newRig(t, client, func(c *Config) { c.Now = func() time.Time { return now } })
	accounts := []int64{r.account(1 << 40), r.account(1 << 40), r.account(1 << 40)}
	rapid.Check(t, func(t *rapid.T) {
		m := newOrgMachine(r, client, &now, accounts)
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "begin": m.begin, "begin ": m.begin, "end": m.end, "end ": m.end, "drain": m.drainSome,
			"steward": m.looks, "move": m.move, "forget": m.forget,
		})
		m.finish(t)
	})
	r.drainAll()
	r.ledgerAgrees(t)
	r.wantBooks(t.Context())
}

func newOrgMachine(r *rig, client *redis.Client, now *time.Time, accounts []int64) *orgMachine {
	const budget = 3000
	for s := stream.Shard(0); s < stream.Shards; s++ { // what a sequence of before left
		r.must(client.Del(context.Background(), claimsKey(s)).Err())
	}
	for _, account := range accounts {
		var of int64
		r.must(r.pool.QueryRow(context.Background(), `select coalesce(organisation_id, 0) from accounts where id = $1`, account).Scan(&of))
		if of != 0 {
			r.must(r.desk.Organisations.Remove(context.Background(), of, account, House))
		}
	}
	return &orgMachine{orgRig: r.organisation(Budget{MonthNano: budget}, accounts...), now: now, accounts: accounts, budget: budget}
}
