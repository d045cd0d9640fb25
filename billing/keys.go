package billing

import (
	"context"
	"crypto/sha256"
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

// MaxKeys bounds the usable keys of one account, those of groups apart. One that has
// expired counts until it is revoked, since it may be given a later end.
const MaxKeys = 100

const (
	maxKeysMade = 500 // of one account in a day, the revoked ones too
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
	Restrictions
	// IdempotencyKey names the wish, within the account: the same one again makes no second
	// key. 1 … 200 characters; "": it has no name.
	IdempotencyKey string
	By             Actor
}

// hash tells one wish from another.
func (s KeySpec) hash() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %s %d %d %s", s.Name, s.Limits.Packed(), s.BudgetDay, s.BudgetMonth, s.packed()))
}

// Key is a record of an API key. It holds nothing that could be used as one.
type Key struct {
	ID        int64
	AccountID int64
	Name      string
	Hint      string // such as "kk_7_…aB3x"
	Limits    Limits // requests per minute of 0: the default
	Budget    Budget
	Restrictions
	CreatedAt time.Time
	RevokedAt time.Time // zero: usable, unless it has expired
	// Chat is the group at Telegram whose questions the key pays for; nobody can present it
	// then. 0: it is whoever's who has it.
	Chat int64
	// LastUsedAt is when the last call with it ended that the ledger knows of, give or take
	// a minute; zero: never.
	LastUsedAt time.Time
}

// MayManage tells whether the key may be used to make and change keys: one that is bound
// in any way could free itself of that.
func (k Key) MayManage() bool {
	return k.RevokedAt.IsZero() && k.Restrictions.Empty() && k.Budget == Budget{} && k.Limits == Limits{}
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

// Create makes a key and returns it in the clear, this once: where the spec's idempotency
// key made one before, it returns that one, without the key itself (""). The key works at
// once, or, where Redis was away, within a second of its return. Errors:
// ErrAccountUnknown, ErrKeyLimit, ErrAmount, ErrLimits, [*RestrictionError],
// ErrIdempotencyKey, ErrIdempotencyConflict.
func (k *Keys) Create(ctx context.Context, spec KeySpec) (Key, string, error) {
	restrictions, fault := spec.Restrictions.normal()
	spec.Restrictions = restrictions
	if spec.Name = cleanText(spec.Name, maxKeyName); spec.Name == "" {
		spec.Name = defaultName
	}
	key := Key{
		AccountID: spec.AccountID, Name: spec.Name, Limits: spec.Limits,
		Budget: Budget{DayNano: spec.BudgetDay, MonthNano: spec.BudgetMonth}, Restrictions: restrictions,
	}
	if err := errors.Join(key.Budget.check(), key.Limits.check(), fault); err != nil {
		return Key{}, "", err
	}
	if cleanText(spec.IdempotencyKey, maxIdempotencyKey) != spec.IdempotencyKey {
		return Key{}, "", ErrIdempotencyKey
	}
	token := mintToken(spec.AccountID)
	key.Hint = hintOf(spec.AccountID, token)
	var record keyRecord
	made := true
	err := postgres.InTx(ctx, k.postgres, func(tx pgx.Tx) (err error) {
		if err := k.room(ctx, tx, spec); err != nil {
			return err
		}
		before, err := keyOfWish(ctx, tx, spec)
		if made = errors.Is(err, ErrKeyUnknown); !made {
			key = before
			return err
		}
		record, err = k.insert(ctx, tx, &key, spec, token)
		return err
	})
	if err != nil {
		return Key{}, "", databaseError("create an API key", err)
	}
	if !made {
		return key, "", nil
	}
	failpoint.Here("key.committed")
	if err := k.projector.key(ctx, record); err != nil {
		k.log.WarnContext(ctx, "api key left to the relay", "key_id", key.ID, "err", err)
	}
	announce(ctx, k.projector.redis, keyNews(key.AccountID, key.ID, KeyCreated))
	return key, token, nil
}

// room locks the account, which makes what is counted hold against concurrent creations,
// and says whether it may have one key more. ErrAccountUnknown, ErrKeyLimit.
func (k *Keys) room(ctx context.Context, tx pgx.Tx, spec KeySpec) error {
	err := tx.QueryRow(ctx, `select id from accounts where id = $1 and status <> $2 for no key update`,
		spec.AccountID, StatusClosed).Scan(new(int64))
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrAccountUnknown
	}
	if err != nil {
		return err
	}
	var full bool
	err = tx.QueryRow(ctx, `select (count(*) filter (where revoked_at is null and chat_id is null) >= $2
			or count(*) filter (where created_at > now() - interval '1 day') >= $3)
			and not exists (select from api_keys where account_id = $1 and idempotency_key = $4)
		from api_keys where account_id = $1`, spec.AccountID, MaxKeys, maxKeysMade, spec.IdempotencyKey).Scan(&full)
	if err == nil && full {
		err = ErrKeyLimit
	}
	return err
}

// keyOfWish is the key that the wish's name made. ErrKeyUnknown, ErrIdempotencyConflict.
func keyOfWish(ctx context.Context, tx pgx.Tx, spec KeySpec) (Key, error) {
	if spec.IdempotencyKey == "" {
		return Key{}, ErrKeyUnknown
	}
	var before []byte
	err := tx.QueryRow(ctx, `select request_hash from api_keys where account_id = $1 and idempotency_key = $2`,
		spec.AccountID, spec.IdempotencyKey).Scan(&before)
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, ErrKeyUnknown
	}
	if hash := spec.hash(); err == nil && string(before) != string(hash[:]) {
		err = ErrIdempotencyConflict
	}
	if err != nil {
		return Key{}, err
	}
	return oneKey(findKeys(ctx, tx, `account_id = $1 and idempotency_key = $2`, spec.AccountID, spec.IdempotencyKey))
}

// insert writes the key, and the line of the audit log.
func (k *Keys) insert(ctx context.Context, tx pgx.Tx, key *Key, spec KeySpec, token string) (keyRecord, error) {
	if err := endsLater(ctx, tx, key.ExpiresAt); err != nil {
		return keyRecord{}, err
	}
	locator, mac := k.peppers[0].digest(token)
	record := keyRecord{AccountID: key.AccountID, Locator: locator, MAC: mac, Limits: key.Limits.Packed(), Name: key.Name,
		Restrictions: key.Restrictions}
	var hash []byte
	if spec.IdempotencyKey != "" {
		sum := spec.hash()
		hash = sum[:]
	}
	l := key.Limits
	err := tx.QueryRow(ctx, `
		insert into api_keys as k (account_id, name, locator, mac, pepper_version, hint, budget_day_nano, budget_month_nano,
			requests_per_minute, tokens_per_minute, concurrency, refill_milli, burst, idempotency_key, request_hash,
			models, allowed_ips, expires_at)
		values ($1, $2, $3, $4, $5, $6, nullif($7::bigint, 0), nullif($8::bigint, 0),
			nullif($9::int, 0), nullif($10::int, 0), nullif($11::int, 0), nullif($12::int, 0), nullif($13::int, 0),
			nullif($14::text, ''), $15, $16, $17, $18)
		returning id, created_at, `+keyBudget,
		append([]any{key.AccountID, key.Name, locator, mac, k.peppers[0].version, key.Hint,
			key.Budget.DayNano, key.Budget.MonthNano, l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, l.RefillMilli, l.Burst,
			spec.IdempotencyKey, hash}, key.columns()...)...,
	).Scan(&key.ID, &key.CreatedAt, &record.Budget, &record.Spent)
	if err != nil {
		return keyRecord{}, err
	}
	record.ID = key.ID
	return record, audit(ctx, tx, Entry{Actor: spec.By, Action: actionKeyMade, AccountID: key.AccountID, KeyID: key.ID,
		Details: key.details()})
}

// endsLater refuses an end that is not to come, or further away than may be, by Postgres'
// clock. [*RestrictionError].
func endsLater(ctx context.Context, tx pgx.Tx, at time.Time) error {
	if at.IsZero() {
		return nil
	}
	var now time.Time
	if err := tx.QueryRow(ctx, `select now()`).Scan(&now); err != nil {
		return err
	}
	switch {
	case !at.After(now):
		return &RestrictionError{"expires_at", fmt.Sprintf("%s is over. Name a moment to come, or revoke the key.", at.UTC().Format(time.RFC3339))}
	case at.Sub(now) > MaxKeyLife:
		return &RestrictionError{"expires_at", fmt.Sprintf("%s is more than ten years away. Name a moment before, or none.", at.UTC().Format(time.RFC3339))}
	}
	return nil
}

// details are what the audit log says of a new key.
func (k Key) details() map[string]any {
	details := k.Budget.details()
	maps.Copy(details, k.Limits.details())
	if !k.Restrictions.Empty() {
		maps.Copy(details, k.Restrictions.details())
	}
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
	return findKeys(ctx, k.postgres, where, args...)
}

func findKeys(ctx context.Context, from querier, where string, args ...any) ([]Key, error) {
	rows, err := from.Query(ctx, `
		select id, account_id, name, hint, coalesce(budget_day_nano, 0), coalesce(budget_month_nano, 0), created_at, revoked_at, last_used_at, coalesce(chat_id, 0), `+
		limitFields+`, `+restrictionFields+`
		from api_keys where `+where, args...)
	if err != nil {
		return nil, databaseError("find API keys", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Key, error) {
		var key Key
		var revoked, used *time.Time
		into := append([]any{&key.ID, &key.AccountID, &key.Name, &key.Hint,
			&key.Budget.DayNano, &key.Budget.MonthNano, &key.CreatedAt, &revoked, &used, &key.Chat}, key.Limits.scan()...)
		err := row.Scan(append(into, key.Restrictions.scan()...)...)
		if revoked != nil {
			key.RevokedAt = *revoked
		}
		if used != nil {
			key.LastUsedAt = *used
		}
		return key, err
	})
	if err != nil {
		return nil, databaseError("find API keys", err)
	}
	return keys, nil
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
		return databaseError("revoke an API key", err)
	}
	failpoint.Here("revoke.committed")
	err = k.projector.key(ctx, record)
	announce(ctx, k.projector.redis, keyNews(accountID, keyID, KeyRevoked))
	return err
}
