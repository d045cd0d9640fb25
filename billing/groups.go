package billing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// Bounds of what an account pays for groups.
const (
	GroupCapLeast = NanoPerUSD / 100 // nano-USD a day
	GroupCapMost  = 1000 * NanoPerUSD
	GroupsMost    = 20 // of one account at a time

	groupHint = "group"
)

// An account pays for a group through a key of its own that nobody can present: the key's
// budget of a day is the cap, so the cap is held by the script that holds the money, and
// whatever ends a key ends the paying: its revocation, or the account's end.

// GroupOffer is an account's word to pay for what a group asks.
type GroupOffer struct {
	AccountID int64
	Chat      int64  // the group's id at Telegram
	Title     string // at most 64 characters are kept
	DayNano   int64  // nano-USD a day, UTC: GroupCapLeast … GroupCapMost
}

// GroupPayer is an account that pays for what a group asks.
type GroupPayer struct {
	Chat      int64 // the group's id at Telegram
	AccountID int64
	KeyID     int64  // counts what the group costs
	Title     string // of the group, when it was last offered
	Name      string // of the account's owner; may be empty
	DayNano   int64  // the cap, nano-USD a day, UTC
	Since     time.Time
}

const groupFields = `select k.chat_id, k.account_id, k.id, k.name, a.name, k.budget_day_nano, k.created_at
	from api_keys k join accounts a on a.id = k.account_id
	where k.chat_id is not null and k.revoked_at is null and `

// PayForGroup lets an account pay for a group from now on, or changes the cap of one that
// does. It is in force when it returns; where Redis is away it is ErrClosed: it is
// recorded, and in force within a second of Redis' return. Errors: ErrAmount,
// ErrAccountUnknown, ErrGroupLimit, ErrGroupPaid.
func (k *Keys) PayForGroup(ctx context.Context, o GroupOffer) error {
	if o.DayNano < GroupCapLeast || o.DayNano > GroupCapMost || o.Chat == 0 {
		return ErrAmount
	}
	var record keyRecord
	try := func() error {
		return postgres.InTx(ctx, k.postgres, func(tx pgx.Tx) (err error) {
			record, err = k.offer(ctx, tx, o)
			return err
		})
	}
	err := try()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		err = try() // another offered meanwhile: now that is seen
	}
	if err != nil {
		return databaseError("pay for a group", err)
	}
	failpoint.Here("groups.committed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	return k.projector.key(ctx, record)
}

// offer writes the group's key, or its new cap, inside tx.
func (k *Keys) offer(ctx context.Context, tx pgx.Tx, o GroupOffer) (keyRecord, error) {
	// A statement of its own, so that what is counted after it holds.
	err := tx.QueryRow(ctx, `select from accounts where id = $1 and status <> $2 for no key update`, o.AccountID, StatusClosed).Scan()
	if errors.Is(err, pgx.ErrNoRows) {
		return keyRecord{}, ErrAccountUnknown
	}
	if err != nil {
		return keyRecord{}, err
	}
	title := cleanText(o.Title, maxKeyName)
	by := OfAccount(o.AccountID)
	before, err := oneKey(findKeys(ctx, tx, `chat_id = $1 and revoked_at is null for no key update`, o.Chat))
	switch {
	case err == nil && before.AccountID != o.AccountID:
		return keyRecord{}, ErrGroupPaid
	case err == nil:
		before.Name, before.Budget.DayNano = title, o.DayNano
		record, err := updateKey(ctx, tx, before)
		if err != nil {
			return keyRecord{}, err
		}
		return record, audit(ctx, tx, Entry{Actor: by, Action: actionKeyBudget, AccountID: o.AccountID, KeyID: before.ID, Details: before.Budget.details()})
	case !errors.Is(err, ErrKeyUnknown):
		return keyRecord{}, err
	}
	var full bool
	err = tx.QueryRow(ctx, `select count(*) filter (where revoked_at is null and chat_id is not null) >= $2
		or count(*) filter (where created_at > now() - interval '1 day') >= $3 from api_keys where account_id = $1`,
		o.AccountID, GroupsMost, maxKeysMade).Scan(&full)
	if err == nil && full {
		err = ErrGroupLimit
	}
	if err != nil {
		return keyRecord{}, err
	}
	record, err := k.insertGroup(ctx, tx, o, title)
	if err != nil {
		return keyRecord{}, err
	}
	details := map[string]any{"group": true}
	maps.Copy(details, Budget{DayNano: o.DayNano}.details())
	return record, audit(ctx, tx, Entry{Actor: by, Action: actionKeyMade, AccountID: o.AccountID, KeyID: record.ID, Details: details})
}

func (k *Keys) insertGroup(ctx context.Context, tx pgx.Tx, o GroupOffer, title string) (keyRecord, error) {
	var id int64
	if err := tx.QueryRow(ctx, `select nextval('api_keys_id_seq')`).Scan(&id); err != nil {
		return keyRecord{}, err
	}
	own := k.OfGroup(o.AccountID, id)
	rows, err := tx.Query(ctx, `
		insert into api_keys as k (id, account_id, name, locator, mac, pepper_version, hint, budget_day_nano, chat_id)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning `+keyFields,
		id, o.AccountID, title, own.Locator[0], own.Mac[0], k.peppers[0].version, groupHint, o.DayNano, o.Chat)
	if err != nil {
		return keyRecord{}, err
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[keyRecord])
}

// OfGroup is what a group's key is known by. What it is made of has not the form of a key,
// so nobody can present it.
func (k *Keys) OfGroup(accountID, keyID int64) PresentedKey {
	p := PresentedKey{Account: accountID, Locator: make([]string, len(k.peppers)), Mac: make([]string, len(k.peppers))}
	for i, pepper := range k.peppers {
		p.Locator[i], p.Mac[i] = pepper.digest("group:" + strconv.FormatInt(keyID, 10))
	}
	return p
}

// GroupPayer is who pays for a group. ErrGroupUnpaid.
func (k *Keys) GroupPayer(ctx context.Context, chat int64) (GroupPayer, error) {
	payers, err := k.groups(ctx, groupFields+`k.chat_id = $1`, chat)
	if err == nil && len(payers) == 0 {
		err = ErrGroupUnpaid
	}
	if err != nil {
		return GroupPayer{}, err
	}
	return payers[0], nil
}

// GroupsOf are the groups that an account pays for, in the order they were offered.
func (k *Keys) GroupsOf(ctx context.Context, accountID int64) ([]GroupPayer, error) {
	return k.groups(ctx, groupFields+`k.account_id = $1 order by k.id`, accountID)
}

func (k *Keys) groups(ctx context.Context, query string, of int64) ([]GroupPayer, error) {
	rows, err := k.postgres.Query(ctx, query, of)
	if err != nil {
		return nil, databaseError("read who pays for groups", err)
	}
	payers, err := pgx.CollectRows(rows, pgx.RowToStructByPos[GroupPayer])
	return payers, databaseError("read who pays for groups", err)
}

// EndGroup ends that anybody pays for a group and returns who did. Errors as of Revoke;
// ErrGroupUnpaid.
func (k *Keys) EndGroup(ctx context.Context, chat int64, by Actor) (GroupPayer, error) {
	payer, err := k.GroupPayer(ctx, chat)
	if err != nil {
		return GroupPayer{}, err
	}
	return payer, k.Revoke(ctx, payer.AccountID, payer.KeyID, by)
}

// MoveGroup notes a group's new id. Where somebody pays for that already, who paid for the
// old one no longer does. Repeating it is harmless.
func (k *Keys) MoveGroup(ctx context.Context, from, to int64) error {
	_, err := k.postgres.Exec(ctx, `update api_keys set chat_id = $2 where chat_id = $1 and revoked_at is null`, from, to)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		if _, err = k.EndGroup(ctx, from, House); errors.Is(err, ErrGroupUnpaid) {
			err = nil
		}
		return err
	}
	return databaseError("move a group", err)
}

// SpentToday is what the account's key has cost today, UTC, with what is held for calls
// under way, in nano-USD: what its budget of a day counts.
func (k *Keys) SpentToday(ctx context.Context, accountID, keyID int64) (int64, error) {
	pipe := k.projector.redis.Pipeline()
	now := pipe.Time(ctx)
	spent := pipe.HGet(ctx, AcctKey(accountID), AccountFieldSpent+":"+strconv.FormatInt(keyID, 10))
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, redisError("read what a key has cost", err)
	}
	parts := strings.Split(spent.Val(), "|")
	if len(parts) != 4 {
		return 0, nil // nothing yet
	}
	day, err := strconv.ParseInt(parts[0], 10, 64)
	nano, fault := strconv.ParseInt(parts[1], 10, 64)
	if err = errors.Join(err, fault); err != nil {
		return 0, fmt.Errorf("billing: what a key has cost: %w", err)
	}
	if day < now.Val().Unix()/secondsOfDay {
		return 0, nil
	}
	return nano, nil
}
