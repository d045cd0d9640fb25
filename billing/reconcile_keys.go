package billing

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/stream"
)

// keyTruth is a usable API key as Postgres has it, once Redis has been told.
type keyTruth struct {
	ID, AccountID int64
	Locator, MAC  string
	Limits        string // packed
	Budget        string
	Confirmed     bool // Redis was told all of this, twice
	ProjectedAt   time.Time
	Restrictions
}

// status is what Redis must say of the key, and what it is restricted to.
func (k keyTruth) status() (status, only string) {
	if only = k.packed(); only != "" {
		return StatusRestricted, only
	}
	return StatusActive, ""
}

// usableKeys selects keys that Redis was told of; what is changed since, or revoked, is
// not among them, because every change forgets when that was.
const usableKeys = `select id, account_id, locator, mac, ` + packedLimits + `, ` + budgetText + `, confirmed, projected_at, ` + restrictionFields + `
	from api_keys a where revoked_at is null and projected_at is not null and `

// keys holds the records of the shard's usable keys against Postgres.
func (r *reconciliation) keys(ctx context.Context, s stream.Shard) error {
	for after := int64(0); ; {
		rows, err := r.postgres.Query(ctx, usableKeys+`(account_id & 15) = $1 and id > $2 and ($3::bigint = 0 or account_id = $3)
			order by id limit $4`, int64(s), after, r.scope.Account, r.chunk)
		if err != nil {
			return fmt.Errorf("read API keys: %w", err)
		}
		keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[keyTruth])
		if err != nil {
			return fmt.Errorf("read API keys: %w", err)
		}
		if len(keys) == 0 {
			return nil
		}
		r.at("keys")
		if err := r.steadily(ctx, func() error { return r.compareKeys(ctx, s, keys) }); err != nil {
			return r.closed(s, err)
		}
		r.checked.Keys += int64(len(keys))
		after = keys[len(keys)-1].ID
	}
}

// compareKeys looks for the keys' records in Redis. One that is not as it must be
// counts when Postgres still says the same afterwards.
func (r *reconciliation) compareKeys(ctx context.Context, s stream.Shard, keys []keyTruth) error {
	at, err := readPosition(ctx, r.postgres, s)
	if err != nil {
		return err
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = KeyKey(k.AccountID, k.Locator)
	}
	fields := []any{KeyFieldAccount, KeyFieldID, KeyFieldMAC, KeyFieldLimits, KeyFieldStatus, KeyFieldOnly, KeyFieldBudget}
	epoch, _, values, err := r.readHashes(ctx, s, names, fields)
	if err != nil {
		return err
	}
	if epoch != strconv.FormatInt(at.epoch, 10) {
		return &unsteadyError{inRedis: epoch, inPostgres: at.epoch}
	}
	var suspects []int64
	differ := map[int64]Discrepancy{}
	for i, k := range keys {
		status, only := k.status()
		want := []string{decimal(k.AccountID), decimal(k.ID), k.MAC, k.Limits, status, only, k.Budget}
		for j, got := range values[i*len(fields) : (i+1)*len(fields)] {
			if fields[j] == KeyFieldBudget {
				if got = budgetOf(got); !k.Confirmed {
					continue // a relay that read it before the last change may have told it since
				}
			}
			if got == want[j] {
				continue
			}
			d := Discrepancy{What: AboutKey, Shard: s.String(), AccountID: k.AccountID, KeyID: k.ID, Subject: names[i]}
			d.Expected, d.Found = fmt.Sprintf("%s %s", fields[j], want[j]), fmt.Sprintf("%q", got)
			if fields[j] == KeyFieldMAC {
				d.Expected, d.Found = "the key's mac", "another"
			}
			suspects, differ[k.ID] = append(suspects, k.ID), d
			break
		}
	}
	if len(suspects) == 0 {
		return nil
	}
	rows, err := r.postgres.Query(ctx, usableKeys+`id = any($1)`, suspects)
	if err != nil {
		return fmt.Errorf("read API keys again: %w", err)
	}
	again, err := pgx.CollectRows(rows, pgx.RowToStructByPos[keyTruth])
	if err != nil {
		return fmt.Errorf("read API keys again: %w", err)
	}
	before := make(map[int64]keyTruth, len(keys))
	for _, k := range keys {
		before[k.ID] = k
	}
	for _, k := range again {
		if was := before[k.ID]; was.ProjectedAt.Equal(k.ProjectedAt) {
			r.found(differ[k.ID])
		}
	}
	return nil
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
