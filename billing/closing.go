package billing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// StatusClosed is the status of an account whose owner has left. It is final.
const StatusClosed = "closed"

const (
	actionClosed    = "account.closed"
	telegramUnknown = 0
)

// Close ends an account for good: its keys are revoked and all that is personal is
// removed; what it has left cannot be spent any more, and the ledger stays. It is in
// force when it returns, or, where Redis is away, as soon as that is back. Repeating it
// is harmless. ErrAccountUnknown.
func (a *Accounts) Close(ctx context.Context, accountID int64, by Actor) error {
	var telegramID int64
	var keys []keyRecord
	err := postgres.InTx(ctx, a.postgres, func(tx pgx.Tx) (err error) {
		telegramID, keys, err = a.leave(ctx, tx, accountID, by)
		return err
	})
	if err != nil {
		return fmt.Errorf("close account %d: %w", accountID, err)
	}
	failpoint.Here("accounts.closed")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	if err := a.shut(ctx, accountID, telegramID, keys); err != nil {
		a.log.WarnContext(ctx, "end of an account left to the relay", "account_id", accountID, "err", err)
	}
	announce(ctx, a.redis, newsOf(NewsStanding, accountID))
	return nil
}

// leave removes inside tx what is personal, and returns what Redis must forget.
func (a *Accounts) leave(ctx context.Context, tx pgx.Tx, accountID int64, by Actor) (telegramID int64, keys []keyRecord, err error) {
	var status string
	err = tx.QueryRow(ctx, `select coalesce(telegram_id, 0), status from accounts where id = $1 for no key update`,
		accountID).Scan(&telegramID, &status)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil, ErrAccountUnknown
	}
	if err != nil || status == StatusClosed {
		return telegramUnknown, nil, err
	}
	if keys, err = revokeAll(ctx, tx, accountID, by); err != nil {
		return 0, nil, err
	}
	batch := &pgx.Batch{}
	// Redis is told now and, by the relay, once more when that has reached its disk.
	batch.Queue(`update accounts set status = $2, telegram_id = null, name = '', language = '', settings = '{}',
		tier = null, organisation_id = null, limits_seq = limits_seq + 1,
		projected_at = case when projected_at is null then null else now() end, confirmed = false
		where id = $1`, accountID, StatusClosed)
	batch.Queue(`delete from subscriptions where account_id = $1`, accountID)
	batch.Queue(`delete from settings where account_id = $1`, accountID)
	batch.Queue(`delete from notices where account_id = $1 and sent_at is null`, accountID)
	if telegramID != telegramUnknown {
		batch.Queue(`insert into departed (person) values ($1) on conflict (person) do update set left_at = now()`, a.peppers[0].person(telegramID))
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return 0, nil, err
	}
	return telegramID, keys, audit(ctx, tx, Entry{Actor: by, Action: actionClosed, AccountID: accountID})
}

// revokeAll revokes inside tx the account's keys, removes what is personal of all it ever
// had, and returns those that were usable.
func revokeAll(ctx context.Context, tx pgx.Tx, accountID int64, by Actor) (usable []keyRecord, err error) {
	rows, err := tx.Query(ctx, `select id, locator from api_keys where account_id = $1 and revoked_at is null
		order by id for no key update`, accountID)
	if err != nil {
		return nil, err
	}
	usable, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (keyRecord, error) {
		key := keyRecord{AccountID: accountID, Revoked: true}
		err := row.Scan(&key.ID, &key.Locator)
		return key, err
	})
	if err != nil {
		return nil, err
	}
	for _, key := range usable {
		if err := audit(ctx, tx, Entry{Actor: by, Action: actionKeyRevoked, AccountID: accountID, KeyID: key.ID}); err != nil {
			return nil, err
		}
	}
	_, err = tx.Exec(ctx, `update api_keys set name = '', chat_id = null, allowed_ips = null, idempotency_key = null, request_hash = null, revoked_at = coalesce(revoked_at, now()),
		projected_at = null, confirmed = false where account_id = $1`, accountID)
	return usable, err
}

// shut tells Redis.
func (a *Accounts) shut(ctx context.Context, accountID, telegramID int64, keys []keyRecord) error {
	errs := []error{a.projector.shut(ctx, accountID)}
	for _, key := range keys {
		errs = append(errs, a.projector.key(ctx, key))
	}
	if telegramID != telegramUnknown {
		errs = append(errs, a.forget(ctx, telegramID))
	}
	return errors.Join(errs...)
}

// forget drops a Telegram id from the map to accounts.
func (a *Accounts) forget(ctx context.Context, telegramID int64) error {
	err := a.redis.HDel(ctx, telegramKey(telegramID), strconv.FormatInt(telegramID, 10)).Err()
	return redisError("forget a telegram id", err)
}

// shut ends an account in Redis. One that Redis does not have will be made from
// Postgres, where it is closed.
func (p *projector) shut(ctx context.Context, accountID int64) error {
	status, err := p.scripts.shut.Run(ctx, p.redis, []string{EpochKey(accountID), AcctKey(accountID)}, StatusClosed).Text()
	if err != nil {
		return redisError("close an account", err)
	}
	if status == "closed" {
		return ErrClosed
	}
	return nil
}

// relayClosed ends in Redis those of the accounts that Postgres has closed.
func (o *owner) relayClosed(ctx context.Context, ids []int64) error {
	rows, err := o.postgres.Query(ctx, `select id from accounts where id = any($1) and status = $2`, ids, StatusClosed)
	if err != nil {
		return fmt.Errorf("read closed accounts: %w", err)
	}
	closed, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("read closed accounts: %w", err)
	}
	for _, id := range closed {
		if err := o.projector.shut(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// person is what is kept of someone who left: it tells them when they come back, and
// nobody who has not the pepper.
func (p *pepper) person(telegramID int64) []byte {
	first, second := p.digest("person:" + strconv.FormatInt(telegramID, 10)) // no API key begins so
	sum, _ := hex.DecodeString(first + second)                               // we wrote it
	return sum[:sha256.Size]
}

// departed tells when the person who had an account before last left it; zero: never.
func (a *Accounts) departed(ctx context.Context, tx pgx.Tx, telegramID int64) (left time.Time, err error) {
	people := make([][]byte, len(a.peppers))
	for i, pepper := range a.peppers {
		people[i] = pepper.person(telegramID)
	}
	var last *time.Time
	err = tx.QueryRow(ctx, `select max(left_at) from departed where person = any($1)`, people).Scan(&last)
	if last != nil {
		left = *last
	}
	return left, err
}
