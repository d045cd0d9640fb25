package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/kikuai/kikuai/billing"
)

type adminAudit struct {
	asJSON  `embed:""`
	Account int64             `placeholder:"N" help:"What changed this account, by its id."`
	Actor   string            `placeholder:"A" help:"What they changed: operator:<login>, account:<id> or house."`
	Action  string            `placeholder:"A" help:"Changes of this kind, such as key.created."`
	Since   string            `placeholder:"24h" help:"Not before: a duration back from now, a day (2026-01-31) or a time (RFC 3339)."`
	Detail  map[string]string `mapsep:"none" placeholder:"K=V" help:"Lines with this detail; may be repeated."`
	Limit   int               `default:"100" help:"How many, the newest first; at most 1000."`
	Cursor  int64             `placeholder:"ID" help:"Where the page before ended."`
}

func (c adminAudit) Validate() error {
	if c.Limit < 1 || c.Limit > 1000 {
		return errors.New("--limit is a number from 1 to 1000")
	}
	_, err := c.since(time.Now())
	return err
}

// since reads the flag of that name.
func (c adminAudit) since(now time.Time) (time.Time, error) {
	if c.Since == "" {
		return time.Time{}, nil
	}
	if back, err := time.ParseDuration(c.Since); err == nil && back >= 0 {
		return now.Add(-back), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, c.Since); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("--since is a duration such as 24h, a day such as 2026-01-31 (UTC), or a time such as 2026-01-31T12:00:00Z")
}

type auditAnswer struct {
	Entries    []auditLine `json:"entries"`
	NextCursor int64       `json:"next_cursor,omitempty"` // for --cursor; none: these are the last
}

type auditLine struct {
	ID        int64          `json:"id"`
	At        time.Time      `json:"at"`
	Actor     string         `json:"actor"`
	Action    string         `json:"action"`
	AccountID int64          `json:"account_id,omitempty"`
	KeyID     int64          `json:"key_id,omitempty"`
	Details   map[string]any `json:"details"`
}

func (c adminAudit) Run(t *terminal) error {
	since, err := c.since(time.Now())
	if err != nil {
		return err
	}
	answer := auditAnswer{Entries: []auditLine{}}
	err = t.inOffice(func(o *office) error {
		lines, next, err := billing.NewAuditLog(o.pool).Read(t.ctx, billing.AuditQuery{
			AccountID: c.Account, Actor: billing.Actor(c.Actor), Action: c.Action, Since: since,
			Details: c.Detail, Before: c.Cursor, Limit: c.Limit,
		})
		for _, l := range lines {
			answer.Entries = append(answer.Entries, auditLine{l.ID, l.At.UTC(), string(l.Actor), l.Action, l.AccountID, l.KeyID, l.Details})
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
	fmt.Fprintln(table, "ID\tAT\tACTOR\tACTION\tACCOUNT\tKEY\tDETAILS")
	for _, l := range answer.Entries {
		details, err := json.Marshal(l.Details)
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.At.Format(time.RFC3339), l.Actor, l.Action,
			orNone(l.AccountID), orNone(l.KeyID), details)
	}
	if answer.NextCursor != 0 {
		fmt.Fprintf(table, "older ones: --cursor %d\n", answer.NextCursor)
	}
	return table.Flush()
}

// orNone is an id, or a dash for none.
func orNone(id int64) string {
	if id == 0 {
		return "–"
	}
	return decimal(id)
}
