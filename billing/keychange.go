package billing

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// KeyChange changes of a key what is given.
type KeyChange struct {
	Name                   *string // at most 64 characters are kept
	Limits                 LimitChange
	BudgetDay, BudgetMonth *int64          // nano-USD; 0: no bound
	Models                 *[]string       // none: any model
	Networks               *[]netip.Prefix // none: from anywhere
	ExpiresAt              *time.Time      // zero: never
}

// Empty says that nothing is given.
func (c KeyChange) Empty() bool { return c == KeyChange{} }

// of is the key with what is given. ErrAmount, ErrLimits, [*RestrictionError].
func (c KeyChange) of(key Key) (Key, error) {
	if c.Name != nil {
		if key.Name = cleanText(*c.Name, maxKeyName); key.Name == "" {
			key.Name = defaultName
		}
	}
	if c.BudgetDay != nil {
		key.Budget.DayNano = *c.BudgetDay
	}
	if c.BudgetMonth != nil {
		key.Budget.MonthNano = *c.BudgetMonth
	}
	key.Limits = c.Limits.Of(key.Limits)
	restrictions, fault := c.restrict(key.Restrictions).normal()
	key.Restrictions = restrictions
	return key, errors.Join(key.Budget.check(), key.Limits.check(), fault)
}

// Spec is a key to be made with what is given.
func (c KeyChange) Spec(s KeySpec) KeySpec {
	if c.Name != nil {
		s.Name = *c.Name
	}
	s.Limits = c.Limits.Of(s.Limits)
	for _, change := range []struct{ from, into *int64 }{{c.BudgetDay, &s.BudgetDay}, {c.BudgetMonth, &s.BudgetMonth}} {
		if change.from != nil {
			*change.into = *change.from
		}
	}
	s.Restrictions = c.restrict(s.Restrictions)
	return s
}

// restrict is r with what is given.
func (c KeyChange) restrict(r Restrictions) Restrictions {
	if c.Models != nil {
		r.Models = *c.Models
	}
	if c.Networks != nil {
		r.Networks = *c.Networks
	}
	if c.ExpiresAt != nil {
		r.ExpiresAt = *c.ExpiresAt
	}
	return r
}

// entries are the lines of the audit log for the change, by what it makes of the key.
func (c KeyChange) entries(key Key, by Actor) (lines []Entry) {
	line := func(given bool, action string, details map[string]any) {
		if given {
			lines = append(lines, Entry{Actor: by, Action: action, AccountID: key.AccountID, KeyID: key.ID, Details: details})
		}
	}
	line(c.Name != nil, actionKeyNamed, nil) // names are personal: the log has none
	line(!c.Limits.Empty(), actionKeyLimits, key.Limits.details())
	line(c.BudgetDay != nil || c.BudgetMonth != nil, actionKeyBudget, key.Budget.details())
	line(c.Models != nil || c.Networks != nil || c.ExpiresAt != nil, actionKeyBound, key.Restrictions.details())
	return lines
}

// Change changes a usable key. It is in force when it returns; where Redis is away it is
// ErrClosed: the change is recorded, and will be in force within a second of Redis'
// return. ErrKeyUnknown: the account has no such usable key, or it is a group's. ErrAmount, ErrLimits,
// [*RestrictionError].
func (k *Keys) Change(ctx context.Context, accountID, keyID int64, c KeyChange, by Actor) (key Key, err error) {
	if c.Empty() {
		return oneKey(k.find(ctx, `id = $1 and account_id = $2 and revoked_at is null and chat_id is null`, keyID, accountID))
	}
	var record keyRecord
	err = postgres.InTx(ctx, k.postgres, func(tx pgx.Tx) error {
		key, err = oneKey(findKeys(ctx, tx, `id = $1 and account_id = $2 and revoked_at is null and chat_id is null for no key update`, keyID, accountID))
		if err != nil {
			return err
		}
		if key, err = c.of(key); err != nil {
			return err
		}
		if c.ExpiresAt != nil {
			if err := endsLater(ctx, tx, key.ExpiresAt); err != nil {
				return err
			}
		}
		if record, err = updateKey(ctx, tx, key); err != nil {
			return err
		}
		for _, line := range c.entries(key, by) {
			if err := audit(ctx, tx, line); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Key{}, databaseError("change an API key", err)
	}
	failpoint.Here("keychange.committed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	err = k.projector.key(ctx, record)
	announce(ctx, k.projector.redis, keyNews(accountID, keyID, KeyChanged))
	return key, err
}

func updateKey(ctx context.Context, tx pgx.Tx, key Key) (keyRecord, error) {
	l := key.Limits
	rows, err := tx.Query(ctx, `
		update api_keys k set name = $2, requests_per_minute = nullif($3::int, 0), tokens_per_minute = nullif($4::int, 0),
			concurrency = nullif($5::int, 0), refill_milli = nullif($6::int, 0), burst = nullif($7::int, 0),
			budget_day_nano = nullif($8::bigint, 0), budget_month_nano = nullif($9::bigint, 0),
			models = $10, allowed_ips = $11, expires_at = $12, projected_at = null, confirmed = false
		where id = $1 returning `+keyFields,
		append([]any{key.ID, key.Name, l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, l.RefillMilli, l.Burst,
			key.Budget.DayNano, key.Budget.MonthNano}, key.columns()...)...)
	if err != nil {
		return keyRecord{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[keyRecord])
}

// SetBudget bounds what is spent with a key, as Change does.
func (k *Keys) SetBudget(ctx context.Context, accountID, keyID int64, b Budget, by Actor) error {
	_, err := k.Change(ctx, accountID, keyID, KeyChange{BudgetDay: &b.DayNano, BudgetMonth: &b.MonthNano}, by)
	return err
}
