package billing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	// untoldFor is longer than the shard's owner takes to tell of a tier or an organisation.
	untoldFor   = 3 * time.Second
	untoldPause = 100 * time.Millisecond
)

// limits holds what the shard knows of tiers, and of its organisations, against Postgres.
func (r *reconciliation) limits(ctx context.Context, s stream.Shard) error {
	for deadline := time.Now().Add(min(untoldFor, r.patience)); ; {
		tiers, told, err := r.differentTiers(ctx, s)
		if err != nil {
			return err
		}
		organisations, known, err := r.differentOrganisations(ctx, s)
		if err != nil {
			return err
		}
		if len(tiers)+len(organisations) > 0 && time.Now().Before(deadline) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(untoldPause):
			}
			continue
		}
		r.checked.Tiers += told
		r.checked.Organisations += known
		for _, d := range append(tiers, organisations...) {
			r.found(d)
		}
		return nil
	}
}

func (r *reconciliation) differentTiers(ctx context.Context, s stream.Shard) (differ []Discrepancy, looked int64, err error) {
	rows, err := r.postgres.Query(ctx, `select `+tierFields+` from tiers order by name`)
	if err != nil {
		return nil, 0, fmt.Errorf("read tiers: %w", err)
	}
	tiers, err := pgx.CollectRows(rows, pgx.RowToStructByPos[tierRecord])
	if err != nil {
		return nil, 0, fmt.Errorf("read tiers: %w", err)
	}
	for _, tier := range tiers {
		key := TierKey(s, tier.Name)
		limits, err := r.redis.Get(ctx, key).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, 0, redisError("read a tier", err)
		}
		if limits != tier.Limits {
			differ = append(differ, Discrepancy{What: AboutTier, Shard: s.String(), Subject: key,
				Expected: tier.Limits, Found: fmt.Sprintf("%q", limits)})
		}
	}
	return differ, int64(len(tiers)), nil
}

func (r *reconciliation) differentOrganisations(ctx context.Context, s stream.Shard) (differ []Discrepancy, looked int64, err error) {
	for after := int64(0); ; {
		rows, err := r.postgres.Query(ctx, `select `+organisationFields+` from organisations o
			where (o.id & 15) = $1 and o.id > $2 order by o.id limit $3`, int64(s), after, r.chunk)
		if err != nil {
			return nil, 0, fmt.Errorf("read organisations: %w", err)
		}
		records, err := pgx.CollectRows(rows, pgx.RowToStructByPos[organisationRecord])
		if err != nil {
			return nil, 0, fmt.Errorf("read organisations: %w", err)
		}
		if len(records) == 0 {
			return differ, looked, nil
		}
		r.at("organisations")
		for _, o := range records {
			found, err := r.redis.HMGet(ctx, OrganisationKey(o.ID), "limits", "status", "budget", "spent").Result()
			if err != nil {
				return nil, 0, redisError("read an organisation", err)
			}
			if d, same := compareOrganisation(o, found); !same {
				d.Shard = s.String()
				differ = append(differ, d)
			}
		}
		looked += int64(len(records))
		after = records[len(records)-1].ID
	}
}

// compareOrganisation holds an organisation's hash against its record. What it has spent
// is at least what the ledger says of the same day and month: it has what calls under way
// claimed, too, and what the ledger is yet to hear of.
func compareOrganisation(o organisationRecord, found []any) (d Discrepancy, same bool) {
	var fields [4]string
	for i := range fields {
		fields[i], _ = found[i].(string)
	}
	d = Discrepancy{What: AboutOrganisation, Subject: OrganisationKey(o.ID)}
	for i, want := range []string{o.Limits, o.Status, budgetOf(o.Budget)} {
		got := fields[i]
		if i == 2 {
			got = budgetOf(got)
		}
		if got != want {
			d.Expected, d.Found = []string{"limits ", "status ", "budget "}[i]+want, fmt.Sprintf("%q", fields[i])
			return d, false
		}
	}
	if o.Budget == "" {
		return d, true
	}
	counted, ledger := spentOf(fields[3]), spentOf(o.Spent)
	for _, of := range [][2]int{{0, 1}, {2, 3}} { // the day, then the month: which one, and how much
		if which, nano := of[0], of[1]; counted[which] == ledger[which] && counted[nano] < ledger[nano] {
			d.ExpectedNano, d.FoundNano = ledger[nano], counted[nano]
			return d, false
		}
	}
	return d, true
}

// spentOf reads day|nano|month|nano; all 0 for what is not of that form.
func spentOf(text string) (n [4]int64) {
	if _, err := fmt.Sscanf(text, "%d|%d|%d|%d", &n[0], &n[1], &n[2], &n[3]); err != nil {
		return [4]int64{}
	}
	return n
}
