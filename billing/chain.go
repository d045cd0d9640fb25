package billing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// maxBreaks bounds what Verify tells.
const maxBreaks = 10_000

// Break is the first link of an account's chain that does not hold.
type Break struct {
	AccountID     int64
	Seq           int64  // the transaction's number in the account's chain
	TransactionID int64  // 0: it is not there
	What          string // in words
}

// link is a transaction as the database has it, with its account's end of the chain.
type link struct {
	id, account, seq   int64
	kind, reference    string
	shard              *int16
	epoch, ms, ordinal *int64
	memo               *string // as Postgres writes it
	createdAt          time.Time
	hash               []byte
	books              []string
	amounts            []int64
	whole              bool // its entries are numbered from one, of its account and time
	headSeq            *int64
	headHash           []byte
}

// bytes are what the hash is of: ledger_bytes of the migrations, written a second time.
// Batches of events are linked by this one, single transactions by that one, and a test
// holds each to the other, so that neither can err unnoticed.
func (l *link) bytes(b []byte) []byte {
	number := func(n int64) { b = append(strconv.AppendInt(b, n, 10), '|') }
	optional := func(n *int64) {
		if n != nil {
			b = strconv.AppendInt(b, *n, 10)
		}
		b = append(b, '|')
	}
	text := func(s string) {
		number(int64(len(s)))
		b = append(append(b, s...), '|')
	}
	b = append(b, "kikuai 1|"...)
	number(l.id)
	number(l.account)
	number(l.seq)
	text(l.kind)
	text(l.reference)
	var shard *int64
	if l.shard != nil {
		n := int64(*l.shard)
		shard = &n
	}
	optional(shard)
	optional(l.epoch)
	optional(l.ms)
	optional(l.ordinal)
	if l.memo == nil {
		b = append(b, "||"...)
	} else {
		text(*l.memo)
	}
	number(l.createdAt.UnixMicro())
	number(int64(len(l.books)))
	for i, book := range l.books {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, book...)
	}
	b = append(b, '|')
	for i, amount := range l.amounts {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, amount, 10)
	}
	return b
}

// chain is an account's chain as far as it was followed.
type chain struct {
	account  int64
	seq      int64
	hash     [sha256.Size]byte
	broken   bool
	headSeq  *int64
	headHash []byte
	buffer   []byte
}

// begin starts another account's chain.
func (c *chain) begin(l *link) {
	*c = chain{account: l.account, headSeq: l.headSeq, headHash: l.headHash, buffer: c.buffer}
}

// follow goes one link on and says what is wrong with it, if anything is.
func (c *chain) follow(l *link) *Break {
	broken := func(seq, id int64, what string) *Break {
		c.broken = true
		return &Break{AccountID: l.account, Seq: seq, TransactionID: id, What: what}
	}
	switch {
	case c.broken:
		return nil
	case l.headSeq == nil:
		return broken(l.seq, l.id, "there is no such account")
	case l.seq != c.seq+1:
		return broken(c.seq+1, 0, "the transaction is gone")
	case !l.whole:
		return broken(l.seq, l.id, "its entries are not as they were written")
	}
	c.buffer = l.bytes(append(c.buffer[:0], c.hash[:]...))
	c.seq, c.hash = l.seq, sha256.Sum256(c.buffer)
	if string(l.hash) != string(c.hash[:]) {
		return broken(l.seq, l.id, "it is not as it was written")
	}
	return nil
}

// end says whether the chain ends where the account says.
func (c *chain) end() *Break {
	switch {
	case c.account == 0 || c.broken:
		return nil
	case c.seq < *c.headSeq:
		return &Break{AccountID: c.account, Seq: c.seq + 1, What: fmt.Sprintf("the end is gone: there were %d transactions", *c.headSeq)}
	case c.seq > *c.headSeq:
		return &Break{AccountID: c.account, Seq: *c.headSeq + 1, What: fmt.Sprintf("the account knows of %d transactions", *c.headSeq)}
	case string(c.headHash) != string(c.hash[:]):
		return &Break{AccountID: c.account, Seq: c.seq, What: "the account knows of another end"}
	}
	return nil
}

const (
	linksSQL = `
		select t.id, t.account_id, t.account_seq, t.kind, t.reference, t.shard, t.epoch, t.stream_ms, t.stream_seq,
			t.memo::text, t.created_at, t.hash, coalesce(e.books, '{}'), coalesce(e.amounts, '{}'), e.whole,
			a.ledger_seq, a.ledger_hash
		from ledger_transactions t
		left join accounts a on a.id = t.account_id
		cross join lateral (
			select array_agg(book order by position) as books, array_agg(amount_nano order by position) as amounts,
				coalesce(max(position), 0) = count(*)
					and coalesce(bool_and(account_id = t.account_id and created_at = t.created_at), true) as whole
			from ledger_entries where transaction_id = t.id`
	// The time leads to the one month where the entries must be.
	linksOfAll  = linksSQL + ` and created_at = t.created_at) e order by t.account_id, t.account_seq`
	linksOfSome = linksSQL + `) e where t.account_id = any($1) order by t.account_id, t.account_seq`
	chainsGone  = `
		select id, 1, 0, 'all transactions are gone: there were ' || ledger_seq from accounts a
		where (ledger_seq > 0 or ledger_hash <> decode(repeat('00', 32), 'hex'))
			and not exists (select from ledger_transactions t where t.account_id = a.id)`
	strayEntries = `
		select distinct on (coalesce(t.account_id, e.account_id)) coalesce(t.account_id, e.account_id), coalesce(t.account_seq, 0),
			e.transaction_id, case when t.id is null then 'entries of no transaction' else 'entries of another time than their transaction' end
		from ledger_entries e left join ledger_transactions t on t.id = e.transaction_id
		where t.id is null or t.created_at <> e.created_at
		order by 1, 2, 3 limit $1`
)

// Verify follows the chain of every account, or of those given, from its first
// transaction to the end that the account's row states, in one snapshot, and names the
// first link of each that does not hold, 10,000 at most. It reads all their transactions
// one by one and keeps none.
//
// Whoever can rewrite the whole chain of an account and the account's row leaves no trace
// in them: against that, only a copy elsewhere helps.
func (l *Ledger) Verify(ctx context.Context, accounts ...int64) (breaks []Break, err error) {
	err = pgx.BeginTxFunc(ctx, l.postgres, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		query, args := linksOfAll, []any{}
		if len(accounts) > 0 {
			query, args = linksOfSome, []any{accounts}
		}
		breaks, err = followAll(ctx, tx, query, args)
		if err != nil {
			return err
		}
		others := [][]any{{chainsGone + ` and id = any($1) order by id`, accounts}}
		if len(accounts) == 0 {
			others = [][]any{{chainsGone + ` order by id limit $1`, maxBreaks}, {strayEntries, maxBreaks}}
		}
		for _, o := range others {
			rows, err := tx.Query(ctx, o[0].(string), o[1:]...)
			if err != nil {
				return err
			}
			found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Break])
			if err != nil {
				return err
			}
			breaks = append(breaks, found...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("verify the ledger: %w", err)
	}
	return breaks[:min(len(breaks), maxBreaks)], nil
}

// followAll follows the chains that the query gives, one row at a time.
func followAll(ctx context.Context, tx pgx.Tx, query string, args []any) (breaks []Break, err error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var c chain
	note := func(b *Break) {
		if b != nil && len(breaks) < maxBreaks {
			breaks = append(breaks, *b)
		}
	}
	for rows.Next() {
		var l link
		err := rows.Scan(&l.id, &l.account, &l.seq, &l.kind, &l.reference, &l.shard, &l.epoch, &l.ms, &l.ordinal,
			&l.memo, &l.createdAt, &l.hash, &l.books, &l.amounts, &l.whole, &l.headSeq, &l.headHash)
		if err != nil {
			return nil, err
		}
		if l.account != c.account {
			note(c.end())
			c.begin(&l)
		}
		note(c.follow(&l))
	}
	note(c.end())
	return breaks, rows.Err()
}
