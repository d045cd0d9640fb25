package billing

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// storied is an account with a transaction of every kind and shape, eight in all.
func (r *rig) storied() int64 {
	r.t.Helper()
	ctx := r.t.Context()
	account := r.account(1000) // 1
	_, err := r.desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 500, Kind: CreditPromotion,
		IdempotencyKey: fmt.Sprintf("story:%d", account), Memo: map[string]string{"note": "a|b,\"c\"\n\\ ключ", "x": ""}}) // 2
	r.must(err)
	name := func(s string) string { return fmt.Sprintf("%s-%d", s, account) }
	r.spend(account, name("paid"), 100) // 3
	r.reserve(account, name("dear"), 50)
	r.settle(account, name("dear"), 70) // 4: 50 and 20 written off
	r.reserve(account, name("nothing"), 50)
	r.settle(account, name("nothing"), 0) // 5: no entries
	owner := r.owners[shardOf(account)]
	r.must(r.redis.XAdd(ctx, &redis.XAddArgs{Stream: evKey(owner.shard), Values: []any{"t", "debit", "e", owner.at.epoch,
		"r", "refund:" + name("charge"), "b", "stars", "a", account, "k", 0, "c", 30, "w", 5}}).Err()) // 6
	r.must(r.redis.HIncrBy(ctx, AcctKey(account), AccountFieldAvailable, -30).Err())
	r.must(r.redis.XAdd(ctx, &redis.XAddArgs{Stream: evKey(owner.shard), Values: []any{"t", "settle", "e", owner.at.epoch,
		"h", name("poor"), "a", account, "k", 0, "c", 0, "w", 9, "d", "{}"}}).Err()) // 7: written off alone
	r.drain(owner)
	r.must(postgres.InTx(ctx, r.pool, func(tx pgx.Tx) error {
		_, err := post(ctx, tx, transaction{kind: "late", account: account, reference: "late:" + name("paid"),
			moves: []move{{from: bookWriteOff, to: bookRevenue, nano: 3}}}) // 8
		return err
	}))
	return account
}

func (r *rig) verify(accounts ...int64) []Break {
	r.t.Helper()
	breaks, err := r.desk.Ledger.Verify(r.t.Context(), accounts...)
	r.must(err)
	return breaks
}

// What is written one by one, by SQL, and in batches, by Go, is what both read as an
// unbroken chain, also when shards, credits and accounts are posted at the same time.
func TestChain(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	if breaks := r.verify(); len(breaks) > 0 {
		t.Fatalf("an empty ledger: %+v", breaks)
	}
	var accounts []int64
	for range 5 {
		accounts = append(accounts, r.storied())
	}
	r.account(0) // without a transaction
	var work sync.WaitGroup
	for i, account := range accounts {
		for n := range 40 {
			r.spend(account, fmt.Sprintf("batch-%d-%d", i, n), 1)
		}
		work.Go(func() {
			for n := range 20 {
				_, err := r.desk.Accounts.Credit(t.Context(), Credit{AccountID: account, AmountNano: 1, Kind: CreditStars,
					IdempotencyKey: fmt.Sprintf("among-%d-%d", i, n)})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, o := range r.owners {
		work.Go(func() {
			for {
				if n, err := o.drain(t.Context()); err != nil || n == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	work.Wait()
	r.wantBooks(t.Context())
	if n := r.count(`select min(ledger_seq) from accounts where ledger_seq > 0`); n != 8+40+20 {
		t.Errorf("%d transactions in a chain", n)
	}
	if breaks := append(r.verify(), r.verify(accounts...)...); len(breaks) > 0 {
		t.Fatalf("untouched, and broken: %+v", breaks)
	}
	if n := r.count(unlinkedSQL); n != 0 {
		t.Errorf("%d links that Postgres computes otherwise", n)
	}
}

// unlinkedSQL counts the links that are not what the functions of the migrations make of
// the transactions.
const unlinkedSQL = `
	with linked as (
		select t.hash, ledger_link(null, lag(t.hash, 1, decode(repeat('00', 32), 'hex')) over (partition by t.account_id order by t.account_seq),
			ledger_bytes(t.id, t.account_id, t.account_seq, t.kind, t.reference, t.shard, t.epoch, t.stream_ms, t.stream_seq, t.memo,
				t.created_at, coalesce(e.books, '{}'), coalesce(e.amounts, '{}'))) as wanted
		from ledger_transactions t cross join lateral (
			select array_agg(book order by position) as books, array_agg(amount_nano order by position) as amounts
			from ledger_entries where transaction_id = t.id) e
	)
	select count(*) from linked where hash <> wanted`

// Whatever a superuser does behind the triggers' back is found, at the first link that
// it touches, and nowhere else.
func TestChainFindsWhatWasChanged(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	const gone = "the transaction is gone"
	const changed = "it is not as it was written"
	const entries = "its entries are not as they were written"
	const ofSeq = `where account_id = $1 and account_seq = %d`
	seq := func(query string, n int) string { return query + fmt.Sprintf(" "+ofSeq, n) }
	entry := func(query, which string) string {
		return query + ` where account_id = $1 and transaction_id = (select id from ledger_transactions ` + fmt.Sprintf(ofSeq, 4) + `) and ` + which
	}
	cases := []struct {
		name    string
		queries []string
		seq     int64
		missing bool
		what    string
	}{
		{"untouched", nil, 0, false, ""},
		{"amounts", []string{entry(`update ledger_entries set amount_nano = amount_nano + sign(amount_nano)`, `book <> 'write_off'`)}, 4, false, changed},
		{"book", []string{entry(`update ledger_entries set book = 'card'`, `book = 'revenue'`)}, 4, false, changed},
		{"entry moved to another account", []string{entry(`update ledger_entries set account_id = 999999`, `book = 'write_off'`)}, 4, false, entries},
		{"entry deleted", []string{entry(`delete from ledger_entries`, `position = 1`)}, 4, false, entries},
		{"last entry deleted", []string{entry(`delete from ledger_entries`, `position = 3`)}, 4, false, changed},
		{"entries added", []string{`insert into ledger_entries select id, n, account_id, 'card', n * 2 - 9, created_at
			from ledger_transactions, generate_series(4, 5) n where account_id = $1 and account_seq = 4`}, 4, false, changed},
		{"memo", []string{seq(`update ledger_transactions set memo = memo || '{"x": " "}'`, 2)}, 2, false, changed},
		{"memo emptied", []string{seq(`update ledger_transactions set memo = null`, 2)}, 2, false, changed},
		{"kind", []string{seq(`update ledger_transactions set kind = 'late'`, 3)}, 3, false, changed},
		{"reference", []string{seq(`update ledger_transactions set reference = reference || '!'`, 3)}, 3, false, changed},
		{"event", []string{seq(`update ledger_transactions set stream_seq = stream_seq + 1`, 3)}, 3, false, changed},
		{"time", []string{seq(`update ledger_transactions set created_at = created_at + interval '1 microsecond'`, 5)}, 5, false, changed},
		{"hash", []string{seq(`update ledger_transactions set hash = sha256(hash)`, 3)}, 3, false, changed},
		{"first deleted", []string{seq(`delete from ledger_transactions`, 1)}, 1, true, gone},
		{"middle deleted", []string{seq(`delete from ledger_transactions`, 5)}, 5, true, gone},
		{"middle deleted, the rest moved up", []string{seq(`delete from ledger_transactions`, 5),
			`update ledger_transactions set account_seq = account_seq - 1 where account_id = $1 and account_seq = 6`,
			`update ledger_transactions set account_seq = account_seq - 1 where account_id = $1 and account_seq = 7`,
			`update ledger_transactions set account_seq = account_seq - 1 where account_id = $1 and account_seq = 8`,
			`update accounts set ledger_seq = 7 where id = $1`}, 5, false, changed},
		{"tail deleted", []string{seq(`delete from ledger_transactions`, 8)}, 8, true, "the end is gone: there were 8 transactions"},
		{"tail deleted, and the count with it", []string{seq(`delete from ledger_transactions`, 8),
			`update accounts set ledger_seq = 7 where id = $1`}, 7, true, "the account knows of another end"},
		{"all deleted", []string{`delete from ledger_transactions where account_id = $1`}, 1, true, "all transactions are gone: there were 8"},
		{"all deleted, and the count with them", []string{`delete from ledger_transactions where account_id = $1`,
			`update accounts set ledger_seq = 0 where id = $1`}, 1, true, "all transactions are gone: there were 0"},
		{"order swapped", []string{`update ledger_transactions set account_seq = 100 where account_id = $1 and account_seq = 3`,
			`update ledger_transactions set account_seq = 3 where account_id = $1 and account_seq = 4`,
			`update ledger_transactions set account_seq = 4 where account_id = $1 and account_seq = 100`}, 3, false, changed},
		{"transaction appended", []string{`insert into ledger_transactions (kind, account_id, account_seq, reference, hash, created_at)
			select 'credit', id, 9, 'forged:' || id, sha256(ledger_hash), now() from accounts where id = $1`}, 9, false, changed},
		{"account deleted", []string{`delete from accounts where id = $1`}, 1, false, "there is no such account"},
	}
	want := []Break{}
	untouched := map[int64]bool{}
	for _, c := range cases {
		account := r.storied()
		b := Break{AccountID: account, Seq: c.seq, What: c.what}
		if !c.missing && c.seq > 0 && c.seq < 9 {
			b.TransactionID = r.count(`select id from ledger_transactions where account_id = $1 and account_seq = $2`, account, c.seq)
		}
		if c.name == "middle deleted, the rest moved up" {
			b.TransactionID = r.count(`select id from ledger_transactions where account_id = $1 and account_seq = 6`, account)
		}
		if c.name == "order swapped" {
			b.TransactionID = r.count(`select id from ledger_transactions where account_id = $1 and account_seq = 4`, account)
		}
		for _, query := range c.queries {
			r.forge(query, account)
		}
		if c.name == "transaction appended" {
			b.TransactionID = r.count(`select id from ledger_transactions where account_id = $1 and account_seq = 9`, account)
		}
		if untouched[account] = c.seq == 0; c.seq == 0 {
			continue
		}
		want = append(want, b)
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff([]Break{b}, r.verify(account)); diff != "" {
				t.Errorf("breaks (-want +got):\n%s", diff)
			}
		})
	}
	got := map[int64][]Break{}
	for _, b := range r.verify() {
		got[b.AccountID] = append(got[b.AccountID], b)
	}
	for _, b := range want {
		if len(got[b.AccountID]) == 0 || got[b.AccountID][0] != b {
			t.Errorf("of all accounts: %+v instead of %+v", got[b.AccountID], b)
		}
		delete(got, b.AccountID)
	}
	delete(got, 999999) // whom an entry was moved to
	for account, breaks := range got {
		t.Errorf("account %d was not touched: %+v", account, breaks)
	}
	for account, yes := range untouched {
		if breaks := r.verify(account); yes && len(breaks) > 0 {
			t.Errorf("untouched: %+v", breaks)
		}
	}
}

// Entries that no chain leads to are found when the whole ledger is read.
func TestStrayEntries(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account, other := r.storied(), r.storied()
	id := r.count(`select id from ledger_transactions where account_id = $1 and account_seq = 4`, account)
	r.forge(`insert into ledger_entries values (987654321, 1, $1, 'customer', 7, now())`, other)
	r.forge(`insert into ledger_entries values ($1, 4, $2, 'customer', 7, '2001-01-01'), ($1, 5, $2, 'card', -7, '2001-01-01')`, id, account)
	want := []Break{
		{account, 4, id, "entries of another time than their transaction"},
		{other, 0, 987654321, "entries of no transaction"},
	}
	if diff := cmp.Diff(want, r.verify()); diff != "" {
		t.Errorf("breaks (-want +got):\n%s", diff)
	}
	if breaks := r.verify(account); len(breaks) != 1 || breaks[0].Seq != 4 {
		t.Errorf("of the account alone: %+v", breaks)
	}
}
