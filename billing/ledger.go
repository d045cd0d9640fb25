package billing

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
)

// Books of the ledger. The customer's book holds what the house owes the
// customer; the others say where it came from or went.
const (
	bookCustomer  = "customer"
	bookRevenue   = "revenue"
	bookWriteOff  = "write_off"
	bookPromotion = "promotion"
	bookGifts     = "gifts" // given, and credited to nobody yet
)

// Kinds of transactions that no event is behind.
const (
	kindCredit = "credit" // gives money to an account
	kindLate   = "late"   // what a call cost and nobody was charged for
)

// move takes an amount from one book to another: two entries that sum to zero.
type move struct {
	from, to string
	nano     int64 // above zero
}

// transaction is something to be posted. As it is made of moves, its entries
// sum to zero whatever it says.
type transaction struct {
	kind      string
	account   int64
	reference string // names the cause; a second transaction of it is refused
	memo      map[string]string
	moves     []move
}

// errPosted says that the ledger has a transaction of that reference.
var errPosted = errors.New("billing: the ledger has a transaction of that reference")

// postSQL writes one transaction with its entries, and moves the account's balance and
// the end of its chain, under the account's lock.
//
//go:embed post.sql
var postSQL string

// post writes a transaction with its entries inside tx, and moves the account's
// balance by what its customer entries sum to. It takes the account's lock, which
// the caller may hold already. errPosted where the reference was used, and nothing
// happened; ErrAccountUnknown.
func post(ctx context.Context, tx pgx.Tx, t transaction) (id int64, err error) {
	var books []string
	var amounts []int64
	for _, m := range t.moves {
		books = append(books, m.to, m.from)
		amounts = append(amounts, m.nano, -m.nano)
	}
	var used bool
	batch := &pgx.Batch{}
	// A statement of its own, so that what follows it sees all that the lock waited for.
	batch.Queue(`select from accounts where id = $1 for no key update`, t.account).
		QueryRow(func(row pgx.Row) error { return row.Scan() })
	batch.Queue(`select exists (select from ledger_transactions where reference = $1)`, t.reference).
		QueryRow(func(row pgx.Row) error { return row.Scan(&used) })
	err = tx.SendBatch(ctx, batch).Close()
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, ErrAccountUnknown
	case err != nil:
		return 0, fmt.Errorf("post a transaction: %w", err)
	case used:
		return 0, errPosted
	}
	err = tx.QueryRow(ctx, postSQL, t.kind, t.account, t.reference, t.memo, books, amounts).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("post a transaction: %w", err)
	}
	return id, nil
}

// Ledger reads the books in Postgres. It sees applied events only: what Redis
// decided in the last moments is in the stream.
type Ledger struct {
	postgres *pgxpool.Pool
	reads    *postgres.Reads // for what may be a little out of date
	redis    redis.Cmdable
}

// Rules of the books, which Check holds them against.
const (
	RuleBalance          = "balance"           // an account's balance is the sum of its customer entries
	RuleZeroSum          = "zero-sum"          // a transaction's entries sum to zero
	RuleEntries          = "entries"           // entries are of their transaction's account and time
	RuleUsage            = "usage"             // each settled call has one row of usage, which says what it cost
	RuleUsageHourly      = "usage_hourly"      // the hours sum up their calls
	RuleUsageQuarters    = "usage_quarters"    // so do the quarters of hours
	RuleOrganisationDays = "organisation_days" // the organisations' days sum up their calls
	RuleCredits          = "credits"           // each credit is what its transaction gave, and they are numbered without a gap
	RuleGifts            = "gifts"             // what a gift took from its giver is in its book until one credit of its name gives it on
)

// maxDifferences bounds what Check tells.
const maxDifferences = 10_000

// Difference is a fault of the books: something breaks a rule.
type Difference struct {
	Rule          string
	AccountID     int64
	TransactionID int64  // 0: not of one transaction
	Subject       string // which of several, or how; may be empty
	Stated        int64  // nano-USD
	Summed        int64  // nano-USD: what the entries, or the calls, sum to
}

// Balance is the account's balance as projected from the ledger, in nano-USD.
func (l *Ledger) Balance(ctx context.Context, accountID int64) (int64, error) {
	var nano int64
	err := l.postgres.QueryRow(ctx, `select balance_nano from accounts where id = $1`, accountID).Scan(&nano)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrAccountUnknown
	}
	return nano, err
}

// Sum is the sum of the account's customer entries, in nano-USD.
func (l *Ledger) Sum(ctx context.Context, accountID int64) (int64, error) {
	var nano int64
	err := l.postgres.QueryRow(ctx, `select coalesce(sum(e.amount_nano), 0)::bigint
		from ledger_transactions t join ledger_entries e on e.transaction_id = t.id and e.created_at = t.created_at
		where t.account_id = $1 and e.book = $2`, accountID, bookCustomer).Scan(&nano)
	return nano, err
}

//go:embed check.sql
var checkSQL string

// Check holds the books against themselves, in one snapshot, and returns what breaks
// a rule, at most 10,000 faults. It reads the whole ledger.
func (l *Ledger) Check(ctx context.Context) ([]Difference, error) {
	rows, err := l.postgres.Query(ctx, checkSQL, maxDifferences)
	if err != nil {
		return nil, fmt.Errorf("check the ledger: %w", err)
	}
	differences, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Difference])
	if err != nil {
		return nil, fmt.Errorf("check the ledger: %w", err)
	}
	return differences, nil
}
