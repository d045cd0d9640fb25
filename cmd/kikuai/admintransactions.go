package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kikuai/kikuai/billing"
)

type adminTransactions struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
	Limit        int   `default:"50" help:"How many, the newest first; at most 1000."`
	Cursor       int64 `placeholder:"N" help:"Where the page before ended."`
}

func (c adminTransactions) Validate() error {
	if c.Limit < 1 || c.Limit > 1000 {
		return errors.New("--limit is a number from 1 to 1000")
	}
	return nil
}

type transactionsAnswer struct {
	AccountID    int64             `json:"account_id"`
	Transactions []transactionLine `json:"transactions"`
	NextCursor   int64             `json:"next_cursor,omitempty"` // for --cursor; none: these are the last
}

type transactionLine struct {
	ID        int64             `json:"transaction_id"`
	Seq       int64             `json:"seq"`
	At        time.Time         `json:"at"`
	Kind      string            `json:"kind"`
	Reference string            `json:"reference"`
	NanoUSD   int64             `json:"nano_usd"` // what the balance changed by
	Entries   []entryLine       `json:"entries"`
	Memo      map[string]string `json:"memo,omitempty"`
}

type entryLine struct {
	Book    string `json:"book"`
	NanoUSD int64  `json:"nano_usd"`
}

func (c adminTransactions) Run(t *terminal) error {
	answer := transactionsAnswer{Transactions: []transactionLine{}}
	err := t.inOffice(func(o *office) (err error) {
		if answer.AccountID, err = o.Accounts.Find(t.ctx, c.TelegramID); err != nil {
			return err
		}
		page, next, err := o.Ledger.Transactions(t.ctx, answer.AccountID, c.Cursor, c.Limit)
		for _, p := range page {
			answer.Transactions = append(answer.Transactions, lineOf(p))
		}
		answer.NextCursor = next
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return c.print(t.out, answer)
	}
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SEQ\tID\tAT\tKIND\tUSD\tENTRIES\tREFERENCE")
	for _, l := range answer.Transactions {
		var entries []string
		for _, e := range l.Entries {
			entries = append(entries, e.Book+" "+billing.FormatUSD(e.NanoUSD))
		}
		fmt.Fprintf(table, "%d\t%d\t%s\t%s\t%s\t%s\t%s\n", l.Seq, l.ID, l.At.Format(time.RFC3339), l.Kind,
			billing.FormatUSD(l.NanoUSD), strings.Join(entries, ", "), l.Reference)
	}
	if answer.NextCursor != 0 {
		fmt.Fprintf(table, "older ones: --cursor %d\n", answer.NextCursor)
	}
	return table.Flush()
}

func lineOf(p billing.Posted) transactionLine {
	line := transactionLine{ID: p.ID, Seq: p.Seq, At: p.At.UTC(), Kind: p.Kind, Reference: p.Reference,
		NanoUSD: p.Nano(), Entries: []entryLine{}, Memo: p.Memo}
	for i, book := range p.Books {
		line.Entries = append(line.Entries, entryLine{book, p.Amounts[i]})
	}
	return line
}
