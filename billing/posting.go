package billing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// What the lock answers is of the rows as they are once it is had; so is what the
	// statements after it see.
	lockAccountsSQL = `
		select id, ledger_seq, ledger_hash, balance_nano, coalesce(low_balance_nano, $2) from accounts
		where id = any($1) order by id for no key update`
	postedAlreadySQL = `select reference from ledger_transactions where reference = any($1)`
	newNumbersSQL    = `select nextval('ledger_transactions_id_seq') from generate_series(1, $1)`
)

// referenceConstraint makes the names of transactions single.
const referenceConstraint = "ledger_transactions_reference_key"

// latestMS is the latest moment, in Unix milliseconds, that a date can be: the last of the
// year 9999.
const latestMS = 253402300799000

// naming is what the transactions of events are named after, and whether the ledger may
// have the names.
type naming int

const (
	byCause      naming = iota // which the ledger does not have: a name that it has is errRepeated
	byCauseIfNew               // unless the ledger has it: such events are left out
	byEvent                    // the same, but the event's own name
)

// errRepeated means that the ledger has a transaction of a name that was taken for new.
var errRepeated = errors.New("billing: the ledger has an event's cause already")

// insertEvents writes the events' transactions, entries, usage, rollups, balances
// and notices, and returns those that are left out because their names are taken. An account
// that falls below low nano-USD, unless it has a threshold of its own, is noticed.
//
// It holds the locks of the accounts, taken in the order of their ids, so nothing that it
// writes waits for another but for the rollups, which only the events' shards write.
func insertEvents(ctx context.Context, tx pgx.Tx, events []event, named naming, low int64) ([]event, error) {
	if len(events) == 0 {
		return nil, nil
	}
	p := newPosting(events, named)
	if err := p.look(ctx, tx, low); err != nil {
		return nil, fmt.Errorf("post events: %w", err)
	}
	if err := p.chain(); err != nil {
		return nil, err
	}
	if len(p.links) > 0 {
		if err := p.write(ctx, tx); err != nil {
			return nil, fmt.Errorf("post events: %w", repeated(err))
		}
	}
	return p.repeated, nil
}

// repeated is errRepeated where that is what Postgres said.
func repeated(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == uniqueViolation && refused.ConstraintName == referenceConstraint {
		return fmt.Errorf("%w: %w", errRepeated, err)
	}
	return err
}

// posting is a batch of events on its way into the ledger.
type posting struct {
	events     []event
	named      naming
	references []string // the transactions' names, one for each event

	accounts map[int64]*postedAccount
	order    []*postedAccount // by id
	posted   map[string]bool  // references that the ledger has
	ids      []int64          // of transactions, one for each event

	links    []link   // the new transactions
	causes   []*event // of each link
	repeated []event
}

// postedAccount is an account under the batch's lock.
type postedAccount struct {
	id, seq      int64
	hash         []byte
	balance, low int64 // before the batch, and the threshold
	spent        int64 // by the batch
	moved        bool
}

func newPosting(events []event, named naming) *posting {
	p := &posting{
		events: events, named: named, references: make([]string, len(events)),
		accounts: map[int64]*postedAccount{}, posted: map[string]bool{}, ids: make([]int64, 0, len(events)),
	}
	for i := range events {
		e := &events[i]
		p.references[i] = e.reference
		if named == byEvent {
			p.references[i] = fmt.Sprintf("%s@%d/%s", cleanText(e.reference, maxReference-60), e.epoch, e.id)
		}
	}
	return p
}

// look locks the accounts and reads what the new transactions follow on.
func (p *posting) look(ctx context.Context, tx pgx.Tx, low int64) error {
	ids := make([]int64, len(p.events))
	for i := range p.events {
		ids[i] = p.events[i].account
	}
	batch := &pgx.Batch{}
	// A statement's plan is made once for a connection, perhaps while a table is
	// small, and kept while it grows.
	batch.Queue(`set local enable_seqscan = off`)
	batch.Queue(lockAccountsSQL, ids, low).Query(func(rows pgx.Rows) error {
		var a postedAccount
		_, err := pgx.ForEachRow(rows, []any{&a.id, &a.seq, &a.hash, &a.balance, &a.low}, func() error {
			account := a
			account.hash = append([]byte(nil), a.hash...)
			p.accounts[a.id] = &account
			p.order = append(p.order, &account)
			return nil
		})
		return err
	})
	if p.named != byCause {
		batch.Queue(postedAlreadySQL, p.references).Query(func(rows pgx.Rows) error {
			var reference string
			_, err := pgx.ForEachRow(rows, []any{&reference}, func() error { p.posted[reference] = true; return nil })
			return err
		})
	}
	batch.Queue(newNumbersSQL, len(p.events)).Query(func(rows pgx.Rows) error {
		var id int64
		_, err := pgx.ForEachRow(rows, []any{&id}, func() error { p.ids = append(p.ids, id); return nil })
		return err
	})
	return tx.SendBatch(ctx, batch).Close()
}

// chain makes a transaction of each event whose reference is new, to the ledger and in the
// batch, and links it to its account's chain.
func (p *posting) chain() error {
	p.links, p.causes = make([]link, 0, len(p.events)), make([]*event, 0, len(p.events))
	var buffer []byte
	shards := make([]int16, len(p.events))
	for i := range p.events {
		e := &p.events[i]
		if p.posted[p.references[i]] {
			p.repeated = append(p.repeated, *e)
			continue
		}
		p.posted[p.references[i]] = true
		account := p.accounts[e.account]
		if account == nil {
			return errors.New("billing: events of accounts that Postgres does not have")
		}
		account.seq++
		shards[i] = int16(e.shard)
		books, amounts := e.entries()
		l := link{
			id: p.ids[i], account: e.account, seq: account.seq, kind: e.kind, reference: p.references[i],
			shard: &shards[i], epoch: &e.epoch, ms: &e.id.ms, ordinal: &e.id.seq, createdAt: e.at(),
			books: books, amounts: amounts,
		}
		buffer = l.bytes(append(buffer[:0], account.hash...))
		hash := sha256.Sum256(buffer)
		l.hash = hash[:]
		account.hash, account.moved = l.hash, true
		account.spent += e.captured
		p.links, p.causes = append(p.links, l), append(p.causes, e)
	}
	return nil
}

// at is when the event happened, by Redis' clock: what a date cannot be is the latest one.
func (e *event) at() time.Time { return time.UnixMilli(min(e.id.ms, latestMS)).UTC() }

// entries are what the event moves between the books, in nano-USD: the customer gives what
// was captured, the write-off what was not, and the event's book takes both.
func (e *event) entries() (books []string, amounts []int64) {
	switch {
	case e.captured == 0 && e.writeOff == 0:
		return nil, nil
	case e.writeOff == 0:
		return []string{bookCustomer, e.book}, []int64{-e.captured, e.captured}
	case e.captured == 0:
		return []string{e.book, bookWriteOff}, []int64{e.writeOff, -e.writeOff}
	}
	return []string{bookCustomer, e.book, bookWriteOff}, []int64{-e.captured, e.captured + e.writeOff, -e.writeOff}
}
