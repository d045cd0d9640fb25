package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

const (
	maxKeys     = 100 // usable ones of one account
	maxListed   = 500
	maxKeyName  = 64 // characters
	defaultName = "key"
)

// Keys makes, lists and revokes API keys. Postgres holds the records, Redis
// what each call reads; nothing is cached in a process.
type Keys struct {
	postgres  *pgxpool.Pool
	projector *projector
	log       *slog.Logger
	peppers   []*pepper
}

// KeySpec describes a key to make.
type KeySpec struct {
	AccountID   int64
	Name        string // at most 64 characters are kept
	Limits      Limits // requests per minute of 0: the default
	BudgetDay   int64  // nano-USD a day, UTC; 0: no bound
	BudgetMonth int64  // nano-USD a month, UTC; 0: no bound
	By          Actor
}

// Key is a record of an API key. It holds nothing that could be used as one.
type Key struct {
	ID        int64
	AccountID int64
	Name      string
	Hint      string // such as "kk_7_…aB3x"
	Limits    Limits // requests per minute of 0: the default
	Budget    Budget
	CreatedAt time.Time
	RevokedAt time.Time // zero: usable
}

// Parse checks the form and the checksum of a key, without any look-up, and
// derives where its record would be. ErrKeyMalformed.
func (k *Keys) Parse(token string) (PresentedKey, error) {
	account, err := accountOf(token)
	if err != nil {
		return PresentedKey{}, err
	}
	halves := make([]string, 2*len(k.peppers))
	p := PresentedKey{Account: account, Locator: halves[:len(k.peppers)], Mac: halves[len(k.peppers):]}
	for i, pepper := range k.peppers {
		p.Locator[i], p.Mac[i] = pepper.digest(token)
	}
	return p, nil
}

// Create makes a key and returns it in the clear, this once. The key works at
// once, or, where Redis was away, within a second of its return. Errors:
// ErrAccountUnknown, ErrKeyLimit, ErrAmount, ErrLimits.
func (k *Keys) Create(ctx context.Context, spec KeySpec) (Key, string, error) {
	token := mintToken(spec.AccountID)
	locator, mac := k.peppers[0].digest(token)
	key := Key{
		AccountID: spec.AccountID,
		Name:      cleanText(spec.Name, maxKeyName),
		Hint:      hintOf(spec.AccountID, token),
		Limits:    spec.Limits,
		Budget:    Budget{DayNano: spec.BudgetDay, MonthNano: spec.BudgetMonth},
	}
	if err := errors.Join(key.Budget.check(), key.Limits.check()); err != nil {
		return Key{}, "", err
	}
	if key.Name == "" {
		key.Name = defaultName
	}
	record := keyRecord{AccountID: key.AccountID, Locator: locator, MAC: mac, Limits: key.Limits.Packed(), Name: key.Name}
	l := key.Limits
	err := postgres.InTx(ctx, k.postgres, func(tx pgx.Tx) error {
		// The account's lock makes the count hold against concurrent creations.
		var usable int
		err := tx.QueryRow(ctx, `select id from accounts where id = $1 and status <> $2 for no key update`,
			spec.AccountID, StatusClosed).Scan(new(int64))
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrAccountUnknown
		}
		if err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `select count(*) from api_keys where account_id = $1 and revoked_at is null`, spec.AccountID).Scan(&usable)
		if err != nil {
			return err
		}
		if usable >= maxKeys {
			return ErrKeyLimit
		}
		err = tx.QueryRow(ctx, `
			insert into api_keys as k (account_id, name, locator, mac, pepper_version, hint, budget_day_nano, budget_month_nano,
				requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst)
			values ($1, $2, $3, $4, $5, $6, nullif($7::bigint, 0), nullif($8::bigint, 0),
				nullif($9::int, 0), nullif($10::int, 0), nullif($11::int, 0), nullif($12::int, 0), nullif($13::int, 0))
			returning id, created_at, `+keyBudget,
			key.AccountID, key.Name, locator, mac, k.peppers[0].version, key.Hint,
			key.Budget.DayNano, key.Budget.MonthNano, l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, l.RefillMilli, l.Burst,
		).Scan(&key.ID, &key.CreatedAt, &record.Budget, &record.Spent)
		if err != nil {
			return err
		}
		return audit(ctx, tx, Entry{Actor: spec.By, Action: actionKeyMade, AccountID: key.AccountID, KeyID: key.ID,
			Details: key.details()})
	})
	if err != nil {
		return Key{}, "", fmt.Errorf("create an API key: %w", err)
	}
	failpoint.Here("key.committed")
	record.ID = key.ID
	if err := k.projector.key(ctx, record); err != nil {
		k.log.WarnContext(ctx, "api key left to the relay", "key_id", key.ID, "err", err)
	}
	return key, token, nil
}

// details are what the audit log says of a new key.
func (k Key) details() map[string]any {
	details := k.Budget.details()
	maps.Copy(details, k.Limits.details())
	return details
}

// List returns the newest 500 of the account's keys, newest first, the revoked ones too.
func (k *Keys) List(ctx context.Context, accountID int64) ([]Key, error) {
	return k.find(ctx, `account_id = $1 order by id desc limit $2`, accountID, maxListed)
}

// Find returns the key with an id, revoked or not, whoever's it is. ErrKeyUnknown.
func (k *Keys) Find(ctx context.Context, keyID int64) (Key, error) {
	return oneKey(k.find(ctx, `id = $1`, keyID))
}

// FindToken returns the record of a key in the clear. ErrKeyMalformed, ErrKeyUnknown.
func (k *Keys) FindToken(ctx context.Context, token string) (Key, error) {
	presented, err := k.Parse(token)
	if err != nil {
		return Key{}, err
	}
	return oneKey(k.find(ctx, `locator = any($1)`, presented.Locator))
}

func oneKey(keys []Key, err error) (Key, error) {
	if err != nil {
		return Key{}, err
	}
	if len(keys) == 0 {
		return Key{}, ErrKeyUnknown
	}
	return keys[0], nil
}

func (k *Keys) find(ctx context.Context, where string, args ...any) ([]Key, error) {
	rows, err := k.postgres.Query(ctx, `
		select id, account_id, name, hint, coalesce(budget_day_nano, 0), coalesce(budget_month_nano, 0), created_at, revoked_at, `+limitFields+`
		from api_keys where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("find API keys: %w", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) {
		var key Key
		var revoked *time.Time
		err := row.Scan(append([]any{&key.ID, &key.AccountID, &key.Name, &key.Hint,
			&key.Budget.DayNano, &key.Budget.MonthNano, &key.CreatedAt, &revoked}, key.Limits.scan()...)...)
		if revoked != nil {
			key.RevokedAt = *revoked
		}
		return key, err
	})
	if err != nil {
		return nil, fmt.Errorf("find API keys: %w", err)
	}
	return keys, nil
}

// SetLimits changes those limits of a key that are given. They are in force when it
// returns; where Redis is away it is ErrClosed: the change is recorded, and will be in
// force within a second of Redis' return. ErrKeyUnknown: there is no such usable key.
// ErrLimits.
func (k *Keys) SetLimits(ctx context.Context, keyID int64, change LimitChange, by Actor) (key Key, err error) {
	var record keyRecord
	err = postgres.InTx(ctx, k.postgres, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `select `+limitFields+` from api_keys where id = $1 and revoked_at is null for no key update`,
			keyID).Scan(key.Limits.scan()...)
		if err != nil {
			return err
		}
		l := change.Of(key.Limits)
		if err := l.check(); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			update api_keys k set requests_per_minute = nullif($2::int, 0), tokens_per_minute = nullif($3::int, 0),
				concurrency = nullif($4::int, 0), refill_milli = nullif($5::int, 0), burst = nullif($6::int, 0),
				projected_at = null, confirmed = false
			where id = $1 returning `+keyFields,
			keyID, l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, l.RefillMilli, l.Burst)
		if err != nil {
			return err
		}
		if record, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[keyRecord]); err != nil {
			return err
		}
		key = Key{ID: keyID, AccountID: record.AccountID, Name: record.Name, Limits: l}
		return audit(ctx, tx, Entry{Actor: by, Action: actionKeyLimits, AccountID: record.AccountID, KeyID: keyID, Details: l.details()})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, ErrKeyUnknown
	}
	if err != nil {
		return Key{}, fmt.Errorf("set a key's limits: %w", err)
	}
	failpoint.Here("limits.committed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	return key, k.projector.key(ctx, record)
}

// Revoke ends a key, for good and at once. Repeating it is harmless. Where
// Redis is away it returns ErrClosed: the revocation is recorded and will be
// carried out, but may not be in force yet. ErrKeyUnknown when the account has
// no such key.
func (k *Keys) Revoke(ctx context.Context, accountID, keyID int64, by Actor) error {
	record := keyRecord{ID: keyID, AccountID: accountID, Revoked: true}
	err := postgres.InTx(ctx, k.postgres, func(tx pgx.Tx) error {
		var usable bool
		err := tx.QueryRow(ctx, `
			with before as (
				select id, revoked_at is null as usable from api_keys where id = $1 and account_id = $2 for no key update
			)
			update api_keys k set revoked_at = coalesce(k.revoked_at, now()), projected_at = null, confirmed = false
			from before where k.id = before.id returning k.locator, before.usable`,
			keyID, accountID).Scan(&record.Locator, &usable)
		if err != nil || !usable {
			return err
		}
		return audit(ctx, tx, Entry{Actor: by, Action: actionKeyRevoked, AccountID: accountID, KeyID: keyID})
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrKeyUnknown
	}
	if err != nil {
		return fmt.Errorf("revoke an API key: %w", err)
	}
	failpoint.Here("revoke.committed")
	return k.projector.key(ctx, record)
}
