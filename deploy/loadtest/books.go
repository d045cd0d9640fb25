package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	booksIn    = 5 * time.Minute // for everything to come to rest and be compared
	booksEvery = time.Second
)

// errBooks says that money was lost or made, or is still held.
var errBooks = errors.New("the books do not balance")

// transactions is how many there are in the ledger.
func (here *site) transactions(ctx context.Context) (n int64, err error) {
	conn, err := pgx.Connect(ctx, here.postgres.URL("postgres"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	return n, conn.QueryRow(ctx, "select count(*) from ledger_transactions").Scan(&n)
}

// reconciled is what admin reconcile says, as far as we read it.
type reconciled struct {
	Differences []json.RawMessage `json:"differences"`
	Omitted     int               `json:"differences_omitted"`
	Checked     struct {
		Transactions int64 `json:"transactions"`
		Entries      int64 `json:"entries"`
		Usage        int64 `json:"usage"`
		Accounts     int64 `json:"accounts"`
		Events       int64 `json:"events_not_applied"`
		Credits      int64 `json:"credits_not_told"`
		Untold       int64 `json:"accounts_not_told"`
		Holds        int64 `json:"live_holds"`
	} `json:"checked"`
}

// fault is errBooks where anything differs.
func (r reconciled) fault() error {
	if n := len(r.Differences) + r.Omitted; n > 0 {
		return fmt.Errorf("%w: %d differences", errBooks, n)
	}
	return nil
}

// rest is what has yet to come to rest.
func (r reconciled) rest() int64 {
	return r.Checked.Events + r.Checked.Credits + r.Checked.Untold + r.Checked.Holds
}

// balance compares Redis with the ledger, entry by entry, once nothing is under way any
// more, and says in a sentence what it found.
func (here *site) balance(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, booksIn)
	defer cancel()
	tick := time.NewTicker(booksEvery)
	defer tick.Stop()
	for {
		out, err := here.program.Run(ctx, "admin", "reconcile", "--json")
		var r reconciled
		if parseErr := json.Unmarshal(out, &r); parseErr != nil {
			return "", errors.Join(err, parseErr)
		}
		if err = errors.Join(r.fault(), err); err != nil {
			return "", err
		}
		if r.rest() == 0 {
			return r.String(), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("%w: after %s %d holds are live and %d events not in the ledger", errBooks, booksIn, r.Checked.Holds, r.Checked.Events)
		case <-tick.C:
		}
	}
}

// String is a reconciliation without a difference, in a sentence.
func (r reconciled) String() string {
	c := r.Checked
	return fmt.Sprintf("Afterwards `kikuai admin reconcile` compared %d accounts, %d transactions with %d entries and %d calls: 0 differences, 0 holds left, 0 events not in the ledger.",
		c.Accounts, c.Transactions, c.Entries, c.Usage)
}
