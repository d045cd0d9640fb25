package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

const (
	callsHead  = "| load | asked for | lasted | requests | a second | p50 | p95 | p99 | errors | bounds |\n|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n"
	booksHead  = "| load | into the ledger | a second | behind, at most | besides |\n|---|--:|--:|--:|---|\n"
	booksTitle = "## The books"
)

// usedHead is that of the table of who used what.
func usedHead() string {
	return "| load | " + strings.Join(partyNames(), " | ") + " |\n|---|" + strings.Repeat("--:|", len(partyNames())) + "\n"
}

// tables are the outcomes in print.
func tables(outcomes []outcome, books string) string {
	var calls, ledger, used strings.Builder
	for _, o := range outcomes {
		calls.WriteString(o.callsRow())
		ledger.WriteString(o.booksRow())
		used.WriteString(o.usedRow())
	}
	return "## What was asked and answered\n\n" + callsHead + calls.String() +
		"\nBounds: p95 < 500 ms, p99 < 1 s, errors < 1 %, and of updates: answered within 2 s (p99), each once and in order. Rates are of calls that begin when they are due, whether or not those before have ended.\n" +
		"\n## What else there is to say\n\n" + booksHead + ledger.String() +
		"\n## Who used what\n\nCores (processor time a second), and the most memory.\n\n" + usedHead() + used.String() +
		"\n" + machine() + "\n" +
		"\n" + booksTitle + "\n\n" + books + "\n"
}

// machine says what the figures were measured on.
func machine() string {
	return fmt.Sprintf("%d cores shared by all of them; %s. The simulators are Telegram, which is the client of updates, and the model's provider.", runtime.NumCPU(), runtime.Version())
}

func (o outcome) callsRow() string {
	bounds := "kept"
	if len(o.missed) > 0 {
		bounds = "**missed**: " + strings.Join(o.missed, ", ")
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %.0f | %s | %s | %s | %.3f %% | %s |\n", o.name, scaledText(o.what, o.scale), short(o.length),
		o.requests, o.perSecond(), short(o.p50), short(o.p95), short(o.p99), 100*o.errors, bounds)
}

func (o outcome) booksRow() string {
	return fmt.Sprintf("| %s | %d | %.0f | %s | %s |\n", o.name, o.transactions, float64(o.transactions)/max(o.length.Seconds(), 0.001), short(o.behind), o.besides)
}

func (o outcome) usedRow() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |", o.name)
	for _, name := range partyNames() {
		if u := o.used[name]; u.memory > 0 {
			fmt.Fprintf(&b, " %.2f, %d MB |", u.cores, u.memory>>20)
		} else {
			b.WriteString(" – |")
		}
	}
	b.WriteString("\n")
	return b.String()
}

// write puts the outcomes into the file. Loads that were not measured this time keep the
// rows that they have there.
func write(file string, outcomes []outcome, books string) error {
	if file == "" {
		return nil
	}
	before, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := "# Load tests\n\n`make loadtest` writes this file; [README.md](README.md) says what the loads are.\n\n" + tables(outcomes, books)
	for _, head := range []string{callsHead, booksHead, usedHead()} {
		text = keepRows(text, string(before), head)
	}
	return os.WriteFile(file, []byte(text), 0o600)
}

// keepRows puts the rows that a table had before into its place in the text, where it has
// no newer ones, in the order of the loads.
func keepRows(text, before, head string) string {
	_, newer, _ := strings.Cut(text, head)
	_, older, _ := strings.Cut(before, head)
	newer, rest, _ := strings.Cut(newer, "\n\n")
	older, _, _ = strings.Cut(older, "\n\n")
	var rows strings.Builder
	for _, name := range names() {
		row := rowOf(newer, name)
		if row == "" {
			row = rowOf(older, name)
		}
		rows.WriteString(row)
	}
	start, _, _ := strings.Cut(text, head)
	return start + head + rows.String() + "\n" + rest
}

// rowOf is a load's row of a table's body, with its end of line; "" where it has none.
func rowOf(body, name string) string {
	for line := range strings.Lines(body + "\n") {
		if strings.HasPrefix(line, "| "+name+" |") {
			return line
		}
	}
	return ""
}
