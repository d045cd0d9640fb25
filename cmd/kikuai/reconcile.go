package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
)

// differencesMost bounds what one reconciliation keeps; the rest is counted.
const differencesMost = 10_000

// adminReconcile ends like diff: 0 without a difference, 1 with one, 2 when not
// everything could be compared.
type adminReconcile struct {
	asJSON  `embed:""`
	Account int64  `placeholder:"N" help:"This account alone, by its id."`
	Shard   string `placeholder:"s07" help:"This shard alone."`
}

func (c adminReconcile) Validate() error {
	_, err := c.scope()
	return err
}

func (c adminReconcile) scope() (billing.Scope, error) {
	scope := billing.Scope{Account: c.Account}
	if c.Account < 0 || c.Account > 0 && c.Shard != "" {
		return scope, errors.New("name an account by its id, or a shard, or neither")
	}
	if c.Shard != "" {
		n, err := strconv.ParseUint(strings.TrimPrefix(c.Shard, "s"), 10, 8)
		if err != nil || n >= stream.Shards {
			return scope, fmt.Errorf("--shard is one of s00 to s%d", stream.Shards-1)
		}
		s := stream.Shard(n)
		scope.Shard = &s
	}
	return scope, nil
}

func (c adminReconcile) Run(t *terminal) error {
	scope, err := c.scope()
	if err != nil {
		return err
	}
	var answer reconcileAnswer
	answer.Differences = []differenceAnswer{}
	err = t.inOffice(func(o *office) (err error) {
		if err := o.stores.quick.Ping(t.ctx).Err(); err != nil {
			return fmt.Errorf("Redis does not answer: %w", err)
		}
		reconciler := billing.NewReconciler(billing.ReconcilerOptions{Redis: o.stores.quick, Postgres: o.pool})
		answer.Checked, err = reconciler.Run(t.ctx, scope, answer.add)
		return err
	})
	if err != nil {
		answer.Error = err.Error()
	}
	if printed := c.tell(t.out, &answer); printed != nil {
		return printed
	}
	switch n := len(answer.Differences) + answer.Omitted; {
	case err != nil:
		return exitError{2, fmt.Errorf("not everything could be compared: %w", err)}
	case n > 0:
		return exitError{1, errors.New(count(n, "difference", "differences"))}
	}
	return nil
}

// reconcileAnswer is a reconciliation as scripts read it.
type reconcileAnswer struct {
	Differences []differenceAnswer `json:"differences"`
	Omitted     int                `json:"differences_omitted,omitempty"` // beyond differencesMost
	Checked     billing.Checked    `json:"checked"`
	Error       string             `json:"error,omitempty"` // why not everything could be compared
}

type differenceAnswer struct {
	What              string `json:"what"`
	Shard             string `json:"shard,omitempty"`
	AccountID         int64  `json:"account_id,omitempty"`
	KeyID             int64  `json:"key_id,omitempty"`
	TransactionID     int64  `json:"transaction_id,omitempty"`
	Subject           string `json:"subject,omitempty"`
	Expected          string `json:"expected"`
	Found             string `json:"found"`
	ExpectedNanoUSD   int64  `json:"expected_nano_usd"`
	FoundNanoUSD      int64  `json:"found_nano_usd"`
	DifferenceNanoUSD int64  `json:"difference_nano_usd"`
	DifferenceUSD     string `json:"difference_usd"`
}

func (a *reconcileAnswer) add(d billing.Discrepancy) {
	if len(a.Differences) == differencesMost {
		a.Omitted++
		return
	}
	expected, found := d.Expected, d.Found
	if expected == "" {
		expected, found = "$"+billing.FormatUSD(d.ExpectedNano), "$"+billing.FormatUSD(d.FoundNano)
	}
	a.Differences = append(a.Differences, differenceAnswer{
		d.What, d.Shard, d.AccountID, d.KeyID, d.TransactionID, d.Subject, expected, found,
		d.ExpectedNano, d.FoundNano, d.Nano(), billing.FormatUSD(d.Nano()),
	})
}

// tell prints the answer as JSON or as a table; without a difference, as a sentence.
func (c adminReconcile) tell(w io.Writer, a *reconcileAnswer) error {
	if c.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(a)
	}
	if len(a.Differences) == 0 {
		if a.Error != "" {
			return nil
		}
		_, err := fmt.Fprintln(w, summary(a.Checked))
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHAT\tWHOSE\tEXPECTED\tFOUND\tDIFFERENCE\tNANO-USD")
	for _, d := range a.Differences {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t$%s\t%d\n", d.What, d.whose(), d.Expected, d.Found, d.DifferenceUSD, d.DifferenceNanoUSD)
	}
	if a.Omitted > 0 {
		fmt.Fprintf(table, "and %d more\n", a.Omitted)
	}
	return table.Flush()
}

func (d differenceAnswer) whose() string {
	var parts []string
	for _, part := range []struct {
		name string
		id   int64
	}{{"account", d.AccountID}, {"key", d.KeyID}, {"transaction", d.TransactionID}} {
		if part.id != 0 {
			parts = append(parts, fmt.Sprintf("%s %d", part.name, part.id))
		}
	}
	if d.Subject != "" {
		parts = append(parts, d.Subject)
	}
	if len(parts) == 0 {
		return "shard " + d.Shard
	}
	return strings.Join(parts, ", ")
}

func summary(c billing.Checked) string {
	sentences := []string{fmt.Sprintf("No differences: %s, %s and %s on %s; %s with %s, %s.",
		count(c.Accounts, "account", "accounts"), count(c.Holds, "live hold", "live holds"), count(c.Keys, "key", "keys"), count(c.Shards, "shard", "shards"),
		count(c.Transactions, "transaction", "transactions"), count(c.Entries, "entry", "entries"), count(c.Usage, "call", "calls"))}
	for _, also := range []struct {
		n               int64
		one, many, that string
	}{
		{c.Events, "event", "events", "that Postgres has not applied"}, {c.Credits, "credit", "credits", "that Redis has not been told of"},
		{c.Untold, "account", "accounts", "that Redis has not been told of"}, {c.Unopened, "shard", "shards", "that no server has opened yet"},
	} {
		if also.n > 0 {
			sentences = append(sentences, fmt.Sprintf("Also %s %s.", count(also.n, also.one, also.many), also.that))
		}
	}
	return strings.Join(sentences, " ")
}
