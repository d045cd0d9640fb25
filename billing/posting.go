package billing

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/stream"
)

// postingSQL writes a batch of events with all their effects, in one statement.
//
//go:embed posting.sql
var postingSQL string

// columns are events turned by a quarter, as unnest wants them.
type columns struct {
	ms, seq, epoch, account, key, captured, writeOff  []int64
	prompt, cached, cacheWrite, completion, reasoning []int64
	kind, reference, book, hold                       []string
	model, deployment, source                         []string
	estimated                                         []bool
	organisation                                      []int64
	duration, firstToken, organisationDay             []int32
	first                                             []bool // with its reference
}

func columnsOf(events []event, renamed bool) *columns {
	n := len(events)
	ints := make([]int64, 13*n)
	texts := make([]string, 7*n)
	c := &columns{estimated: make([]bool, n), duration: make([]int32, n), firstToken: make([]int32, n),
		organisationDay: make([]int32, n), first: make([]bool, n)}
	seen := make(map[string]bool, n)
	for i, column := range []*[]int64{&c.ms, &c.seq, &c.epoch, &c.account, &c.key, &c.captured, &c.writeOff,
		&c.prompt, &c.cached, &c.cacheWrite, &c.completion, &c.reasoning, &c.organisation} {
		*column = ints[i*n : (i+1)*n]
	}
	for i, column := range []*[]string{&c.kind, &c.reference, &c.book, &c.hold, &c.model, &c.deployment, &c.source} {
		*column = texts[i*n : (i+1)*n]
	}
	for i := range events {
		e := &events[i]
		u := e.details.usage()
		c.ms[i], c.seq[i], c.epoch[i] = e.id.ms, e.id.seq, e.epoch
		c.account[i], c.key[i], c.captured[i], c.writeOff[i] = e.account, e.key, e.captured, e.writeOff
		c.prompt[i], c.cached[i], c.cacheWrite[i] = u.Prompt, u.Cached, u.CacheWrite
		c.completion[i], c.reasoning[i] = u.Completion, u.Reasoning
		c.kind[i], c.reference[i], c.book[i], c.hold[i] = e.kind, e.reference, e.book, e.hold
		if renamed {
			c.reference[i] = fmt.Sprintf("%s@%d/%s", cleanText(e.reference, maxReference-60), e.epoch, e.id)
		}
		c.first[i] = !seen[c.reference[i]]
		seen[c.reference[i]] = true
		c.model[i], c.deployment[i], c.source[i] = e.details.Model, e.details.Deployment, e.details.Source
		c.estimated[i], c.duration[i], c.firstToken[i] = u.Estimated, e.details.Duration, e.details.FirstToken
		c.organisation[i], c.organisationDay[i] = e.details.Organisation, e.details.OrganisationDay
	}
	return c
}

// insertEvents writes the events' transactions, entries, usage, rollups, balances
// and notices, and returns those events whose reference the ledger has already.
// With renamed the reference is the event's own instead of the cause's. An account
// that falls below low nano-USD, unless it has a threshold of its own, is noticed.
func insertEvents(ctx context.Context, tx pgx.Tx, s stream.Shard, events []event, renamed bool, low int64) ([]event, error) {
	if len(events) == 0 {
		return nil, nil
	}
	c := columnsOf(events, renamed)
	var accounts, balances int64
	var repeated []int32
	batch := &pgx.Batch{}
	// A statement's plan is made once for a connection, perhaps while a table is
	// small, and kept while it grows.
	batch.Queue(`set local enable_seqscan = off`)
	// A statement of its own: what comes after it sees all that was committed before
	// the locks were had.
	batch.Queue(`select id from accounts where id = any($1) order by id for no key update`, c.account)
	batch.Queue(postingSQL, int16(s), low, c.ms, c.seq, c.epoch, c.kind, c.reference, c.book, c.hold, c.account, c.key,
		c.captured, c.writeOff, c.model, c.deployment, c.source, c.prompt, c.cached, c.cacheWrite, c.completion,
		c.reasoning, c.estimated, c.duration, c.firstToken, c.first,
		c.organisation, c.organisationDay).
		QueryRow(func(row pgx.Row) error { return row.Scan(&accounts, &balances, &repeated) })
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("post events: %w", err)
	}
	if accounts != balances {
		return nil, errors.New("billing: events of accounts that Postgres does not have")
	}
	again := make([]event, len(repeated))
	for i, ordinal := range repeated {
		again[i] = events[ordinal-1]
	}
	return again, nil
}
