package billing

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// pendingDebits are the account's rows of the table debits that the ledger does not
// know yet.
func (r *rig) pendingDebits(account int64) []debit {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), `select reference, account_id, key_id, amount_nano, beyond_nano, kind, book, details::text
		from debits d where account_id = $1 and not exists (select from ledger_transactions t where t.reference = d.reference)
		order by reference`, account)
	r.must(err)
	defer rows.Close()
	var pending []debit
	for rows.Next() {
		var d debit
		var details string
		r.must(rows.Scan(&d.reference, &d.account, &d.key, &d.nano, &d.beyond, &d.kind, &d.book, &details))
		d.details = []byte(details)
		pending = append(pending, d)
	}
	r.must(rows.Err())
	return pending
}

func (r *rig) takeDebit(d debit, status string, captured, writeOff int64) {
	r.t.Helper()
	got, c, w, err := r.engine.scripts.takeDebit(r.t.Context(), r.redis, r.owners[shardOf(d.account)].at.epoch, d)
	r.must(err)
	if got != status || c != captured || w != writeOff {
		r.t.Fatalf("debit %s: %s %d %d, want %s %d %d", d.reference, got, c, w, status, captured, writeOff)
	}
}

// A call whose hold Redis lost is settled late by any number of repeats, once, with its
// usage, within what was held.
func TestSettleLate(t *testing.T) { onBoth(t, testSettleLate) }

func testSettleLate(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(10_000)
	o := r.owners[shardOf(account)]
	r.spend(account, "drained", 100)
	r.drain(o)
	r.spend(account, "salvaged", 100)
	for _, id := range []string{"flying", "dear", "free"} {
		r.reserve(account, id, 1000)
	}
	r.redis.Del(ctx, EpochKey(account))
	r.must(o.open(ctx))
	r.wantBalance(account, 9800, 0)

	settle := func(id string, cost, held int64) (Captured, error) {
		s := settlement(account, id, cost)
		s.Held = held
		return r.desk.Holds.Settle(ctx, s)
	}
	var fresh []bool
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			c, err := settle("flying", 700, 1000)
			if err != nil || !c.Late || c.Nano != 700 || c.WriteOff != 0 {
				t.Errorf("settle late: %+v, %v", c, err)
			}
			mu.Lock()
			defer mu.Unlock()
			fresh = append(fresh, !c.Replayed)
		})
	}
	wg.Wait()
	if n := len(fresh) - len(slices.DeleteFunc(fresh, func(is bool) bool { return is })); n != 1 {
		t.Errorf("recorded %d times", n)
	}
	for range 2 {
		if c, err := settle("dear", 1500, 1000); err != nil || c.Nano != 1000 || c.WriteOff != 500 || !c.Late {
			t.Errorf("beyond the lost hold: %+v, %v", c, err)
		}
		if c, err := settle("free", 0, 1000); err != nil || c != (Captured{Late: true}) {
			t.Errorf("a free call: %+v, %v", c, err)
		}
	}
	for _, id := range []string{"drained", "salvaged"} { // were in the ledger already
		if c, err := settle(id, 100, 100); err != nil || !c.Replayed || !c.Late {
			t.Errorf("%s: %+v, %v", id, c, err)
		}
	}
	r.wantBalance(account, 9800, 0) // nothing is taken yet
	pending := r.pendingDebits(account)
	if len(pending) != 2 {
		t.Fatalf("%d to be taken: %+v", len(pending), pending)
	}
	for _, status := range []string{debitTaken, debitReplayed, debitReplayed} {
		r.takeDebit(pending[0], status, 1000, 500)
		r.takeDebit(pending[1], status, 700, 0)
	}
	r.wantBalance(account, 9800-1700, 0)
	r.drainAll()
	r.wantBooks(ctx)
	if n := r.count(`select count(*) from usage where hold_id in ('flying', 'dear') and prompt_tokens = 10 and model = 'small'`); n != 2 {
		t.Errorf("%d calls with their usage", n)
	}
	if got := fmt.Sprint(r.entries("hold:dear"), r.entries("late:dear"), r.entries("hold:flying")); got != "[customer -1000 revenue 1500 write_off -500] [] [customer -700 revenue 700]" {
		t.Errorf("the books: %s", got)
	}
	if pending := r.pendingDebits(account); len(pending) > 0 {
		t.Errorf("still to be taken: %+v", pending)
	}
	if c, err := settle("flying", 700, 1000); err != nil || !c.Replayed {
		t.Errorf("in the ledger by now: %+v, %v", c, err)
	}
}

func TestSettleLateRefusals(t *testing.T) {
	database := testenv.PostgresServer(t)
	r := newRig(t, testenv.Redis(t), func(c *Config) { c.Postgres = database.Pool() })
	r.pool = r.config.Postgres
	ctx := t.Context()
	account, other := r.account(1000), r.account(1000)
	if _, err := r.desk.Holds.Settle(ctx, settlement(account+1600, "nobody", 1)); !errors.Is(err, ErrHoldUnknown) {
		t.Errorf("an account that is none: %v", err)
	}
	for what, s := range map[string]Settlement{
		"negative": {HoldID: "x", AccountID: account, Cost: -1}, "huge": {HoldID: "x", AccountID: account, Cost: MaxNano + 1},
		"held": {HoldID: "x", AccountID: account, Cost: 1, Held: -1}, "held more": {HoldID: "x", AccountID: account, Cost: 1, Held: MaxNano + 1},
	} {
		if _, err := r.desk.Holds.Settle(ctx, s); !errors.Is(err, ErrAmount) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := r.desk.Holds.Settle(ctx, settlement(account, "no hold id", 1)); !errors.Is(err, ErrHoldID) {
		t.Errorf("no id: %v", err)
	}
	database.Pause()
	if _, err := r.desk.Holds.Settle(ctx, settlement(account, "waits", 10)); !errors.Is(err, ErrClosed) {
		t.Errorf("without Postgres: %v", err)
	}
	database.Resume()
	r.settle(account, "waits", 10)
	for what, s := range map[string]Settlement{
		"another cost": settlement(account, "waits", 11), "another account": settlement(other, "waits", 10),
	} {
		if _, err := r.desk.Holds.Settle(ctx, s); !errors.Is(err, ErrHoldConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A call that outlives its hold is charged what its last checkpoint said; the rest is
// written off once, however many say so.
func TestSettleExpired(t *testing.T) { onBoth(t, testSettleExpired) }

func testSettleExpired(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(10_000)
	orphan := func(id string, held, marked int64) {
		r.reserve(account, id, held)
		if marked > 0 {
			r.must(r.desk.Holds.Checkpoint(ctx, []Mark{mark(account, id, marked)})[0])
		}
		r.lapse(account, id)
		r.expire(account, id)
	}
	orphan("marked", 1000, 300)
	orphan("over", 1000, 1400)
	orphan("silent", 1000, 0)
	for _, c := range []struct {
		id                       string
		cost, captured, writeOff int64
		entries                  string
	}{
		{"marked", 800, 300, 500, "[revenue 500 write_off -500]"},
		{"over", 1400, 1000, 400, "[]"},
		{"silent", 70, 0, 70, "[revenue 70 write_off -70]"},
	} {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := r.desk.Holds.Settle(ctx, settlement(account, c.id, c.cost))
				var e *HoldExpiredError
				if !errors.As(err, &e) || !errors.Is(err, ErrHoldExpired) || e.Captured != c.captured || e.WriteOff != c.writeOff || e.Available != 8700 {
					t.Errorf("%s: %v", c.id, err)
				}
			})
		}
		wg.Wait()
		if got := fmt.Sprint(r.entries("late:" + c.id)); got != c.entries {
			t.Errorf("%s: %s", c.id, got)
		}
	}
	// Cheaper than the checkpoint had it: what was taken stands.
	if _, err := r.desk.Holds.Settle(ctx, settlement(account, "marked", 100)); !errors.Is(err, ErrHoldExpired) {
		t.Errorf("%v", err)
	}
	if err := r.desk.Holds.Release(ctx, account, "marked"); !errors.Is(err, ErrHoldConflict) {
		t.Errorf("released after its settlement: %v", err)
	}
	r.must(r.desk.Holds.Release(ctx, account, "silent"))
	r.wantBalance(account, 8700, 0)
	r.drainAll()
	r.wantBooks(ctx)
}

// A debit is taken once, what there is of it, and never below zero; a late settlement
// gives way to its own hold that is settled.
func TestTakeDebit(t *testing.T) { onBoth(t, testTakeDebit) }

func testTakeDebit(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	b := r.budgeted(1000, KeySpec{BudgetMonth: 5000})
	account := b.account
	refund := func(reference string, nano int64) debit {
		return debit{reference: reference, account: account, nano: nano, kind: kindRefund, book: CreditStars, details: []byte("{}")}
	}
	call := func(id string, nano int64) debit {
		return debit{reference: holdReference(id), account: account, key: b.key.ID, nano: nano, kind: kindSettle, book: bookRevenue,
			details: []byte(`{"p":3,"m":"small","d":"home/small","s":"api"}`)}
	}
	for _, status := range []string{debitTaken, debitReplayed} {
		r.takeDebit(refund("refund:c1", 300), status, 300, 0)
	}
	r.wantBalance(account, 700, 0)

	b.take(b.ask("live", 100, 100))
	b.pay(b.ask("live", 100, 100), 60)
	r.takeDebit(call("live", 50), debitReplayed, 60, 0)
	b.take(b.ask("back", 100, 100))
	r.must(r.desk.Holds.Release(ctx, account, "back"))
	r.takeDebit(call("back", 40), debitTaken, 40, 0)
	r.wantBalance(account, 600, 0)
	b.wantCounted(b.key.ID, 100) // a late call is spending, a refund is not

	b.take(b.ask("held", 500, 500)) // what is held is not there to be taken
	r.takeDebit(refund("refund:c2", 250), debitTaken, 100, 150)
	r.takeDebit(call("poor", 80), debitTaken, 0, 80)
	r.wantBalance(account, 0, 500)
	b.wantCounted(b.key.ID, 600)
	r.takeDebit(refund("refund:c2", 250), debitReplayed, 100, 150)
	b.pay(b.ask("held", 500, 500), 500)
	r.takeDebit(refund("refund:huge", MaxNano), debitTaken, 0, MaxNano)
	r.drainAll()
	r.wantBooks(ctx)
	if got := fmt.Sprint(r.entries("refund:c2"), r.entries("hold:poor")); got != "[customer -100 stars 250 write_off -150] [revenue 80 write_off -80]" {
		t.Errorf("the books: %s", got)
	}

	client.Del(ctx, AcctKey(account))
	if _, _, _, err := r.engine.scripts.takeDebit(ctx, client, r.owners[shardOf(account)].at.epoch, refund("refund:c3", 1)); !errors.Is(err, errNoHash) {
		t.Errorf("without a hash: %v", err)
	}
	if !client.SIsMember(ctx, lostKey(shardOf(account)), account).Val() {
		t.Error("nobody is told of the lost hash")
	}
	client.Del(ctx, EpochKey(account))
	if _, _, _, err := r.engine.scripts.takeDebit(ctx, client, r.owners[shardOf(account)].at.epoch, refund("refund:c3", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("on a closed shard: %v", err)
	}
}

// Every script that misses an account's hash says so to the shard's owner.
func TestLostHashTold(t *testing.T) { onBoth(t, testLostHashTold) }

func testLostHashTold(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(10_000)
	for _, id := range []string{"settle", "release", "expire"} {
		r.reserve(account, id, 10)
	}
	r.lapse(account, "expire")
	client.Del(ctx, AcctKey(account))
	for name, call := range map[string]func() error{
		"reserve": func() error { return errOf(r.desk.Holds.Reserve(ctx, reservation(account, "new", 1))) },
		"settle":  func() error { return errOf(r.desk.Holds.Settle(ctx, settlement(account, "settle", 1))) },
		"release": func() error { return r.desk.Holds.Release(ctx, account, "release") },
		"expire":  func() error { return errOf(r.engine.scripts.expireHold(ctx, client, account, "expire")) },
		"balance": func() error { return errOf(r.desk.Accounts.Balance(ctx, account)) },
	} {
		client.Del(ctx, lostKey(shardOf(account)))
		if err := call(); !errors.Is(err, errNoHash) {
			t.Errorf("%s: %v", name, err)
		}
		if got := client.SMembers(ctx, lostKey(shardOf(account))).Val(); fmt.Sprint(got) != fmt.Sprintf("[%d]", account) {
			t.Errorf("%s tells of %v", name, got)
		}
	}
}
