package billing

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// entries are a transaction's, as "book amount".
func (r *rig) entries(reference string) []string {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), `select e.book || ' ' || e.amount_nano from ledger_entries e
		join ledger_transactions t on t.id = e.transaction_id where t.reference = $1 order by e.position`, reference)
	r.must(err)
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	r.must(err)
	return found
}

// A debit's event takes from the customer and from the write-off and gives to its
// book; it is no call.
func TestDebitPosted(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(1000)
	owner := r.owners[shardOf(account)]
	r.spend(account, "call", 400)
	for _, c := range [][2]int64{{600, 400}, {0, 1000}} { // the second one is no repeat: it was taken, too
		r.must(r.redis.XAdd(ctx, &redis.XAddArgs{Stream: evKey(owner.shard), Values: []any{"t", "debit", "e", owner.at.epoch,
			"r", "refund:c-1", "b", CreditStars, "a", account, "k", 0, "c", c[0], "w", c[1], "d", "{}"}}).Err())
	}
	r.redis.HSet(ctx, AcctKey(account), AccountFieldAvailable, 0)
	r.drain(owner)
	if got := fmt.Sprint(r.entries("refund:c-1")); got != "[customer -600 stars 1000 write_off -400]" {
		t.Errorf("entries %s", got)
	}
	if n := r.count(`select count(*) from ledger_transactions where kind = 'refund'`); n != 2 {
		t.Errorf("%d refunds", n)
	}
	if calls, hours := r.count(`select count(*) from usage`), r.count(`select sum(calls) from usage_hourly`); calls != 1 || hours != 1 {
		t.Errorf("%d calls, %d in the rollup", calls, hours)
	}
	r.wantBalance(account, 0, 0)
	r.wantBooks(ctx)
}

// A debit into a book that is none stops the shard instead of being lost.
func TestDebitIntoNowhere(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1000)
	owner := r.owners[shardOf(account)]
	r.must(r.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: evKey(owner.shard), Values: []any{"t", "debit", "e", owner.at.epoch,
		"r", "refund:c-2", "b", "customer", "a", account, "k", 0, "c", 1, "w", 0, "d", "{}"}}).Err())
	if _, err := owner.drain(t.Context()); err == nil {
		t.Fatal("it passed")
	}
}

// refund decides a refund in Postgres, as payments do.
func (r *rig) refund(account int64, charge string, nano int64) {
	r.t.Helper()
	_, err := r.pool.Exec(r.t.Context(), `insert into debits (reference, account_id, kind, amount_nano, book)
		values ('refund:' || $1, $2, 'refund', $3, 'stars')`, charge, account, nano)
	r.must(err)
}

// relayed lets the owner do its rounds until it has nothing left to relay.
func (r *rig) relayed(o *owner) {
	r.t.Helper()
	for range 2 {
		r.must(o.relayDebits(r.t.Context()))
		r.drain(o)
	}
	r.must(o.relayDebits(r.t.Context()))
	if n := r.count(`select count(*) from debits where posted_at is null`); n != 0 {
		r.t.Fatalf("%d debits are left", n)
	}
}

func (r *rig) wantEntries(reference, want string) {
	r.t.Helper()
	if got := fmt.Sprint(r.entries(reference)); got != want {
		r.t.Errorf("%s has %s, want %s", reference, got, want)
	}
}

// What Postgres decided to take is taken once, as far as the account has it.
func TestDebits(t *testing.T) { onBoth(t, testDebits) }

func testDebits(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	account := r.account(1000)
	owner := r.owners[shardOf(account)]
	r.refund(account, "c-1", 300)
	late := settlement(account, "lost", 250)
	late.Held = 200
	if c, err := r.desk.Holds.Settle(ctx, late); err != nil || !c.Late || c.Nano != 200 {
		t.Fatalf("a late settlement: %+v, %v", c, err)
	}
	r.must(owner.relayDebits(ctx))
	r.wantBalance(account, 500, 0)
	if n := owner.debits[owner.shard].Load(); n != 2 {
		t.Errorf("the gauge says %d", n)
	}
	r.relayed(owner)
	r.wantBalance(account, 500, 0)
	r.wantEntries("refund:c-1", "[customer -300 stars 300]")
	r.wantEntries("hold:lost", "[customer -200 revenue 250 write_off -50]")
	if n := r.count(`select count(*) from usage where hold_id = 'lost' and cost_nano = 250 and model = 'small' and prompt_tokens = 10`); n != 1 {
		t.Error("the late call has no usage")
	}

	r.reserve(account, "flying", 100)
	r.refund(account, "c-2", 900) // more than there is
	r.relayed(owner)
	r.wantBalance(account, 0, 100)
	r.wantEntries("refund:c-2", "[customer -400 stars 900 write_off -500]")
	r.settle(account, "flying", 100)
	r.drain(owner)
	if n := owner.debits[owner.shard].Load(); n != 0 {
		t.Errorf("the gauge says %d", n)
	}
	r.wantBooks(ctx)
}

// A debit that bears the name of a hold that stands settles it: nothing is taken beside it,
// and what settles it yet takes nothing any more.
func TestDebitOfAHoldThatStands(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(1000)
	owner := r.owners[shardOf(account)]
	_, err := r.desk.Holds.Settle(ctx, settlement(account, "again", 100)) // its hold was lost
	r.must(err)
	r.reserve(account, "again", 300) // a redelivered update's call, under the same name
	r.wantBalance(account, 700, 300)
	for range 3 {
		r.must(owner.relayDebits(ctx))
	}
	r.wantBalance(account, 900, 0)
	var expired *HoldExpiredError
	if _, err := r.desk.Holds.Settle(ctx, settlement(account, "again", 120)); !errors.As(err, &expired) || expired.Captured != 100 {
		t.Errorf("settled again: %v", err)
	}
	r.relayed(owner)
	r.wantBalance(account, 900, 0)
	r.wantEntries("hold:again", "[customer -100 revenue 100]")
	r.wantBooks(ctx)
}

// A settlement that is repeated when Redis has long forgotten the hold, while the first
// one's event still waits in the stream, takes nothing more.
func TestDebitBehindItsEvent(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(1000)
	r.spend(account, "slow", 100)
	r.redis.Del(ctx, HoldKey(account, "slow")) // its time was up
	if c, err := r.desk.Holds.Settle(ctx, settlement(account, "slow", 100)); err != nil || !c.Late {
		t.Fatalf("the repeat: %+v, %v", c, err)
	}
	r.relayed(r.owners[shardOf(account)])
	r.wantBalance(account, 900, 0)
	r.wantEntries("hold:slow", "[customer -100 revenue 100]")
	r.wantBooks(ctx)
}

// An owner that dies between any two durable steps leaves each debit with one effect.
func TestDebitCrash(t *testing.T) {
	for _, step := range []string{"debit-due", "debit-taken", "fetched", "applied", "committed"} {
		t.Run(step, func(t *testing.T) {
			r := newRig(t, testenv.Redis(t))
			ctx := t.Context()
			account := r.account(1000)
			s := shardOf(account)
			r.spend(account, "call", 50)
			for _, charge := range []string{"a", "b", "c"} {
				r.refund(account, charge, 100)
			}
			for range 3 {
				dying := r.crashing(s, step)
				r.must(dying.open(ctx))
				if err := dying.relayDebits(ctx); err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				if _, err := dying.drain(ctx); err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			}
			next := r.newOwner(s)
			r.must(next.open(ctx))
			r.relayed(next)
			r.wantBalance(account, 650, 0)
			if n := r.count(`select count(*) from ledger_transactions where kind = 'refund'`); n != 3 {
				t.Errorf("%d refunds", n)
			}
			r.wantBooks(ctx)
		})
	}
}

// An owner that sleeps between its look at the ledger and Redis, while another takes
// the debit and rebuilds the shard, takes nothing when it wakes.
func TestDebitOvertaken(t *testing.T) {
	for _, rebuilt := range []bool{false, true} {
		t.Run(fmt.Sprint("rebuilt ", rebuilt), func(t *testing.T) {
			r := newRig(t, testenv.Redis(t))
			ctx := t.Context()
			account := r.account(1000)
			s := shardOf(account)
			r.refund(account, "c", 100)
			awake, sleepy := r.newOwner(s), r.crashing(s, "")
			r.must(awake.open(ctx))
			r.must(sleepy.open(ctx))
			sleepy.pause = func(step string) error {
				if step == "debit-due" {
					r.must(awake.relayDebits(ctx))
					if rebuilt {
						r.redis.Del(ctx, epochKey(s))
						r.must(awake.open(ctx))
					}
				}
				return nil
			}
			if err := sleepy.relayDebits(ctx); (err != nil) != rebuilt {
				t.Fatalf("the sleeper: %v", err)
			}
			r.relayed(awake)
			r.wantBalance(account, 900, 0)
			if n := r.count(`select count(*) from ledger_transactions where kind = 'refund'`); n != 1 {
				t.Errorf("%d refunds", n)
			}
			r.wantBooks(ctx)
		})
	}
}

// Redis forgets a debit that it took a moment ago: it is taken again, and once.
func TestDebitForgotten(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(1000)
	owner := r.owners[shardOf(account)]
	r.refund(account, "c", 100)
	r.must(owner.relayDebits(ctx))
	r.redis.FlushAll(ctx)
	r.must(owner.open(ctx))
	r.wantBalance(account, 1000, 0)
	r.relayed(owner)
	r.wantBalance(account, 900, 0)
	r.redis.FlushAll(ctx)
	r.must(owner.open(ctx))
	r.relayed(owner)
	r.wantBalance(account, 900, 0)
	r.wantBooks(ctx)
}

// A debit that no event could carry is refused where it is written.
func TestDebitRefused(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1000)
	for _, row := range [][]any{
		{"refund:x", "refund", "revenue", 1}, {"refund:x", "refund", "customer", 1}, {"hold:x", "refund", "stars", 1},
		{"hold:x", "settle", "stars", 1}, {"x", "settle", "revenue", 1}, {"refund:x", "gift", "stars", 1}, {"refund:x", "refund", "stars", 0},
	} {
		_, err := r.pool.Exec(t.Context(), `insert into debits (reference, account_id, kind, book, amount_nano) values ($1, $2, $3, $4, $5)`,
			row[0], account, row[1], row[2], row[3])
		if err == nil {
			t.Errorf("%v passed", row)
		}
	}
}
