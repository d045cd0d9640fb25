package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
)

// tiersMost bounds the tiers there are: each shard is told all of them.
const tiersMost = 100

const maxTierName = 32

const (
	actionTierSet     = "tier.set"
	actionAccountTier = "account.tier"
)

// Tiers are limits by name, which accounts have in common. Postgres has them; Redis has
// a copy on each shard.
type Tiers struct {
	postgres  *pgxpool.Pool
	projector *projector
}

// Tier is limits by a name.
type Tier struct {
	Name     string
	Limits   Limits
	Accounts int64 // that have it
}

// TierKey names the record of a tier, its packed limits, on a shard of accounts.
func TierKey(s stream.Shard, name string) string { return s.Key("tier", name) }

// tiersKey names the hash of what a shard was told last of each tier.
func tiersKey(s stream.Shard) string { return s.Key("tiers") }

// ValidTierName reports whether a tier may have the name.
func ValidTierName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || i > 0 && (c == '_' || c == '-')) {
			return false
		}
	}
	return name != "" && len(name) <= maxTierName
}

// Set makes a tier, or changes those of its limits that are given. They are in force when
// it returns; where Redis is away it is ErrClosed: the tier is recorded, and will be in
// force within a second of Redis' return. ErrTierName, ErrTierLimit, ErrLimits.
func (t *Tiers) Set(ctx context.Context, name string, change LimitChange, by Actor) (tier Tier, err error) {
	if !ValidTierName(name) {
		return Tier{}, ErrTierName
	}
	var record tierRecord
	err = postgres.InTx(ctx, t.postgres, func(tx pgx.Tx) error {
		// Of two that make tiers one waits, so that the count holds.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtext('kikuai tiers'))`); err != nil {
			return err
		}
		var others, seq int64
		tier = Tier{Name: name}
		err := tx.QueryRow(ctx, `select `+limitFields+`, seq from tiers where name = $1`, name).
			Scan(append(tier.Limits.scan(), &seq)...)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := tx.QueryRow(ctx, `select count(*) from tiers where name <> $1`, name).Scan(&others); err != nil {
			return err
		}
		if others >= tiersMost {
			return ErrTierLimit
		}
		tier.Limits = change.Of(tier.Limits)
		if err := tier.Limits.check(); err != nil {
			return err
		}
		l := tier.Limits
		_, err = tx.Exec(ctx, `insert into tiers (name, requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst, seq)
			values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (name) do update set requests_per_minute = $2, tokens_per_minute = $3, concurrency = $4,
				refill_milli = $5, burst = $6, seq = $7`,
			name, l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, l.RefillMilli, l.Burst, seq+1)
		if err != nil {
			return err
		}
		record = tierRecord{Name: name, Seq: seq + 1, Limits: l.Packed()}
		details := l.details()
		details["tier"] = name
		return audit(ctx, tx, Entry{Actor: by, Action: actionTierSet, Details: details})
	})
	if err != nil {
		return Tier{}, fmt.Errorf("set a tier: %w", err)
	}
	failpoint.Here("tier.committed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	for s := stream.Shard(0); s < stream.Shards; s++ {
		err = errors.Join(err, t.projector.tiers(ctx, s, []tierRecord{record}, false))
	}
	failpoint.Here("tier.projected")
	return tier, err
}

// List returns all tiers by name.
func (t *Tiers) List(ctx context.Context) ([]Tier, error) {
	rows, err := t.postgres.Query(ctx, `select name, `+limitFields+`,
		coalesce(n, 0) from tiers left join (select tier, count(*) as n from accounts where tier is not null group by tier) a
		on a.tier = name order by name`)
	if err != nil {
		return nil, fmt.Errorf("list tiers: %w", err)
	}
	tiers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Tier, err error) {
		return t, row.Scan(append(append([]any{&t.Name}, t.Limits.scan()...), &t.Accounts)...)
	})
	if err != nil {
		return nil, fmt.Errorf("list tiers: %w", err)
	}
	return tiers, nil
}

// Assign gives an account a tier; "": none. It is in force when it returns; where Redis is
// away it is ErrClosed: the tier is recorded, and will be in force within a second of
// Redis' return. ErrTierUnknown, ErrAccountUnknown.
func (t *Tiers) Assign(ctx context.Context, accountID int64, tier string, by Actor) error {
	var m membership
	err := postgres.InTx(ctx, t.postgres, func(tx pgx.Tx) (err error) {
		if tier != "" {
			var known bool
			err := tx.QueryRow(ctx, `select exists (select from tiers where name = $1)`, cleanText(tier, maxTierName+1)).Scan(&known)
			if err != nil {
				return err
			}
			if !known {
				return ErrTierUnknown
			}
		}
		if m, err = changeMembership(ctx, tx, accountID, `tier = nullif($2, '')`, tier); err != nil {
			return err
		}
		return audit(ctx, tx, Entry{Actor: by, Action: actionAccountTier, AccountID: accountID, Details: map[string]any{"tier": tier}})
	})
	if err != nil {
		return fmt.Errorf("assign a tier: %w", err)
	}
	return t.projector.member(ctx, m)
}

// tierRecord is what a shard is told of a tier.
type tierRecord struct {
	Name   string
	Seq    int64
	Limits string // packed
}

// tierFields select a tierRecord of tiers.
const tierFields = `name, seq, ` + packedLimits

// tiers tells a shard of tiers: of those that it has not, or has an older word of, unless
// all of it is to be told.
func (p *projector) tiers(ctx context.Context, s stream.Shard, records []tierRecord, all bool) error {
	if len(records) == 0 {
		return nil
	}
	keys, args := []string{tiersKey(s)}, []any{all}
	for _, r := range records {
		keys, args = append(keys, TierKey(s, r.Name)), append(args, r.Name, r.Seq, r.Limits)
	}
	if err := p.scripts.tiers.Run(ctx, p.redis, keys, args...).Err(); err != nil {
		return redisError("project tiers", err)
	}
	return nil
}
