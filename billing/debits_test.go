package billing

import (
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
