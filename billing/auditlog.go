package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxAuditLines bounds one page of the audit log.
const maxAuditLines = 1000

// AuditLog reads what was written by whoever changed something.
type AuditLog struct{ postgres *pgxpool.Pool }

// NewAuditLog connects to nothing.
func NewAuditLog(pool *pgxpool.Pool) *AuditLog { return &AuditLog{postgres: pool} }

// AuditQuery selects lines. Its zero value selects all.
type AuditQuery struct {
	AccountID int64
	Actor     Actor
	Action    string
	Since     time.Time
	Details   map[string]string // each must be among the line's; a number is also found as one
	Before    int64             // lines older than the one of this id: the last of the page before
	Limit     int               // 1 … 1000
}

// AuditLine is a line of the log.
type AuditLine struct {
	ID int64
	Entry
	At time.Time
}

// Read returns the newest lines first, and the cursor of the next page: 0 where this is
// the last.
func (a *AuditLog) Read(ctx context.Context, q AuditQuery) (lines []AuditLine, next int64, err error) {
	query, args, err := q.sql()
	if err != nil {
		return nil, 0, err
	}
	rows, err := a.postgres.Query(ctx, query, args...)
	if err != nil {
		return nil, 0, fmt.Errorf("read the audit log: %w", err)
	}
	lines, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l AuditLine, err error) {
		err = row.Scan(&l.ID, &l.Actor, &l.Action, &l.AccountID, &l.KeyID, &l.Details, &l.At)
		return l, err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the audit log: %w", err)
	}
	if limit := q.limit(); len(lines) > limit {
		lines = lines[:limit]
		next = lines[limit-1].ID
	}
	return lines, next, nil
}

func (q AuditQuery) limit() int { return int(clamp(int64(max(q.Limit, 1)), maxAuditLines)) }

// sql asks only for what is given, so that the index of what is given serves.
func (q AuditQuery) sql() (query string, args []any, err error) {
	var conditions []string
	where := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		conditions = append(conditions, condition)
	}
	if q.AccountID != 0 {
		where("account_id = ?", q.AccountID)
	}
	if q.Actor != "" {
		where("actor = ?", string(q.Actor))
	}
	if q.Action != "" {
		where("action = ?", q.Action)
	}
	if !q.Since.IsZero() {
		where("created_at >= ?", q.Since)
	}
	if q.Before != 0 {
		where("id < ?", q.Before)
	}
	for _, name := range slices.Sorted(maps.Keys(q.Details)) {
		text, err := json.Marshal(map[string]string{name: q.Details[name]})
		if err != nil {
			return "", nil, err
		}
		value := json.RawMessage(q.Details[name])
		if number, err := json.Marshal(map[string]json.RawMessage{name: value}); err == nil {
			where("(details @> ?::jsonb or details @> ?::jsonb)", string(text), string(number))
		} else {
			where("details @> ?::jsonb", string(text))
		}
	}
	query = `select id, actor, action, coalesce(account_id, 0), coalesce(key_id, 0), details, created_at from audit_log`
	if len(conditions) > 0 {
		query += " where " + strings.Join(conditions, " and ")
	}
	args = append(args, q.limit()+1)
	return query + fmt.Sprintf(" order by id desc limit $%d", len(args)), args, nil
}
