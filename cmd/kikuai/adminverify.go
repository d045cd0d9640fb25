package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
)

// adminVerify ends like adminReconcile: 0 without a break, 1 with one, 2 when the
// chains could not be followed.
type adminVerify struct {
	asJSON  `embed:""`
	Account int64 `placeholder:"N" help:"This account's chain alone, by its id."`
}

func (c adminVerify) Validate() error {
	if c.Account < 0 {
		return errors.New("name an account by its id")
	}
	return nil
}

type verifyAnswer struct {
	Breaks  []breakAnswer `json:"breaks"`
	Checked struct {
		Accounts     int64 `json:"accounts"`
		Transactions int64 `json:"transactions"`
	} `json:"checked"`
}

type breakAnswer struct {
	AccountID     int64  `json:"account_id"`
	Seq           int64  `json:"seq"`
	TransactionID int64  `json:"transaction_id,omitempty"`
	What          string `json:"what"`
}

func (c adminVerify) Run(t *terminal) error {
	answer := verifyAnswer{Breaks: []breakAnswer{}}
	err := t.inOffice(func(o *office) error {
		var accounts []int64
		if c.Account != 0 {
			if _, err := o.Ledger.Balance(t.ctx, c.Account); err != nil {
				return err
			}
			accounts = append(accounts, c.Account)
		}
		breaks, err := o.Ledger.Verify(t.ctx, accounts...)
		if err != nil {
			return err
		}
		for _, b := range breaks {
			answer.Breaks = append(answer.Breaks, breakAnswer{b.AccountID, b.Seq, b.TransactionID, b.What})
		}
		return o.pool.QueryRow(t.ctx, `select count(*), count(distinct account_id) from ledger_transactions
			where $1 = 0::bigint or account_id = $1`, c.Account).Scan(&answer.Checked.Transactions, &answer.Checked.Accounts)
	})
	if err != nil {
		return exitError{2, fmt.Errorf("the chains could not be followed: %w", err)}
	}
	if err := c.tell(t, &answer); err != nil {
		return err
	}
	if n := len(answer.Breaks); n > 0 {
		return exitError{1, errors.New(count(n, "broken chain", "broken chains"))}
	}
	return nil
}

func (c adminVerify) tell(t *terminal, a *verifyAnswer) error {
	if c.JSON {
		return c.print(t.out, a)
	}
	if len(a.Breaks) == 0 {
		_, err := fmt.Fprintf(t.out, "All chains hold: %s of %s.\n",
			count(a.Checked.Transactions, "transaction", "transactions"), count(a.Checked.Accounts, "account", "accounts"))
		return err
	}
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ACCOUNT\tLINK\tTRANSACTION\tWHAT")
	for _, b := range a.Breaks {
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\n", b.AccountID, b.Seq, orNone(b.TransactionID), b.What)
	}
	return table.Flush()
}

// count is a number of things.
func count[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return decimal(n) + " " + many
}
