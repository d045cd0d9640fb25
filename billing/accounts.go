package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
)

// StatusActive is the status of an account that may spend, and of a usable key.
const StatusActive = "active"

const (
	maxTelegramID = 1<<52 - 1
	maxName       = 256 // characters
	maxLanguage   = 35
)

// Accounts opens, finds and credits accounts.
type Accounts struct {
	redis     redis.Cmdable
	postgres  *pgxpool.Pool
	scripts   *scripts
	projector *projector
	log       *slog.Logger
	welcome   int64
}

// Profile is what Telegram tells of a person.
type Profile struct {
	TelegramID int64
	Name       string
	Language   string // such as "en"
}

// Account is a customer's account. Amounts in nano-USD.
type Account struct {
	ID         int64
	TelegramID int64
	Status     string // StatusActive, or it may not spend
	Name       string
	Available  int64
	Held       int64
}

// Balance is what an account has, in nano-USD.
type Balance struct{ Available, Held int64 }

// Open returns the account of a person and makes it the first time, with the
// welcome credit. Any number of concurrent calls make one account and give one
// credit. It needs Postgres; where Redis is away a new account is made all the
// same, and the relay tells Redis later.
func (a *Accounts) Open(ctx context.Context, profile Profile) (account Account, created bool, err error) {
	if profile.TelegramID <= 0 || profile.TelegramID > maxTelegramID {
		return Account{}, false, ErrAccountUnknown
	}
	profile.Name, profile.Language = cleanText(profile.Name, maxName), cleanText(profile.Language, maxLanguage)
	var row accountRow
	var projected bool
	err = postgres.InTx(ctx, a.postgres, func(tx pgx.Tx) error {
		var err error
		if row, projected, err = a.findOrRename(ctx, tx, profile); !errors.Is(err, pgx.ErrNoRows) {
			created = false
			return err
		}
		row = accountRow{Status: StatusActive, Name: profile.Name}
		err = tx.QueryRow(ctx, `insert into accounts (telegram_id, name, language) values ($1, $2, $3)
			on conflict (telegram_id) do nothing returning id`, profile.TelegramID, profile.Name, profile.Language).Scan(&row.ID)
		if errors.Is(err, pgx.ErrNoRows) { // another call was faster
			created = false
			row, projected, err = a.findOrRename(ctx, tx, profile)
			return err
		}
		if err != nil {
			return err
		}
		created, projected = true, false
		if a.welcome == 0 {
			return nil
		}
		row.Balance, row.CreditSeq = a.welcome, 1
		welcome := Credit{AccountID: row.ID, AmountNano: a.welcome, Kind: CreditWelcome,
			IdempotencyKey: "welcome:" + strconv.FormatInt(row.ID, 10)}
		_, err = grant(ctx, tx, welcome)
		return err
	})
	if err != nil {
		return Account{}, false, fmt.Errorf("open an account: %w", err)
	}
	account = Account{ID: row.ID, TelegramID: profile.TelegramID, Status: row.Status, Name: row.Name, Available: row.Balance}
	if created {
		a.project(ctx, row, profile.TelegramID)
		return account, true, nil
	}
	state, err := a.state(ctx, row.ID)
	if errors.Is(err, errNoHash) && !projected {
		return account, false, nil // made a moment ago: nothing can have been spent
	}
	if err != nil {
		return Account{}, false, err
	}
	account.Available, account.Held = state.Available, state.Held
	return account, false, nil
}

// findOrRename finds the account and takes over a changed name or language.
func (a *Accounts) findOrRename(ctx context.Context, tx pgx.Tx, p Profile) (row accountRow, projected bool, err error) {
	var name, language string
	err = tx.QueryRow(ctx, `
		select id, balance_nano, credit_seq, status, name, language, projected_at is not null
		from accounts where telegram_id = $1`, p.TelegramID,
	).Scan(&row.ID, &row.Balance, &row.CreditSeq, &row.Status, &name, &language, &projected)
	row.Name = p.Name
	if err != nil || name == p.Name && language == p.Language {
		return row, projected, err
	}
	_, err = tx.Exec(ctx, `update accounts set name = $2, language = $3 where id = $1`, row.ID, p.Name, p.Language)
	return row, projected, err
}

// project tells Redis of a new account, as well as it can: the relay repairs.
func (a *Accounts) project(ctx context.Context, row accountRow, telegramID int64) {
	if err := a.projector.account(ctx, row); err != nil {
		a.log.WarnContext(ctx, "account left to the relay", "account_id", row.ID, "err", err)
		return
	}
	if row.CreditSeq > 0 {
		if err := a.projector.note(ctx, "credits", "account_id = $2 and seq <= $3", row.ID, row.CreditSeq); err != nil {
			a.log.WarnContext(ctx, "credit left to the relay", "account_id", row.ID, "err", err)
		}
	}
	if err := a.remember(ctx, telegramID, row.ID); err != nil {
		a.log.WarnContext(ctx, "telegram id left to the next look-up", "account_id", row.ID, "err", err)
	}
}

// remember maps the Telegram id to its account. The pair never changes, so the
// map is no cache that could be stale.
func (a *Accounts) remember(ctx context.Context, telegramID, account int64) error {
	err := a.redis.HSet(ctx, telegramKey(telegramID), strconv.FormatInt(telegramID, 10), account).Err()
	return redisError("remember a telegram id", err)
}

// ByTelegram finds the account of a Telegram user and its balance, without
// Postgres where the id was seen before. ErrAccountUnknown, ErrClosed.
func (a *Accounts) ByTelegram(ctx context.Context, telegramID int64) (Account, error) {
	id, err := a.redis.HGet(ctx, telegramKey(telegramID), strconv.FormatInt(telegramID, 10)).Int64()
	if errors.Is(err, redis.Nil) {
		id, err = a.lookUp(ctx, telegramID)
		if err != nil {
			return Account{}, err
		}
	}
	if err != nil {
		return Account{}, redisError("find an account", err)
	}
	state, err := a.state(ctx, id)
	if err != nil {
		return Account{}, err
	}
	state.TelegramID = telegramID
	return state, nil
}

func (a *Accounts) lookUp(ctx context.Context, telegramID int64) (int64, error) {
	var id int64
	err := a.postgres.QueryRow(ctx, `select id from accounts where telegram_id = $1`, telegramID).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrAccountUnknown
	}
	if err != nil {
		return 0, fmt.Errorf("%w: find an account: %w", ErrClosed, err)
	}
	return id, a.remember(ctx, telegramID, id)
}

// Balance reads an account's hot balance. ErrAccountUnknown, ErrClosed.
func (a *Accounts) Balance(ctx context.Context, accountID int64) (Balance, error) {
	state, err := a.state(ctx, accountID)
	if errors.Is(err, errNoHash) {
		var exists bool
		row := a.postgres.QueryRow(ctx, `select exists (select from accounts where id = $1)`, accountID)
		if row.Scan(&exists) == nil && !exists {
			return Balance{}, ErrAccountUnknown
		}
	}
	return Balance{Available: state.Available, Held: state.Held}, err
}

// state reads what Redis knows of the account.
func (a *Accounts) state(ctx context.Context, id int64) (Account, error) {
	answer, err := a.scripts.balance.Run(ctx, a.redis, []string{EpochKey(id), AcctKey(id)}).StringSlice()
	if err != nil {
		return Account{}, redisError("read a balance", err)
	}
	switch answer[0] {
	case "closed":
		return Account{}, ErrClosed
	case "missing":
		return Account{}, errNoHash
	}
	account := Account{ID: id, Status: answer[3], Name: answer[4]}
	var faults [2]error
	account.Available, faults[0] = strconv.ParseInt(answer[1], 10, 64)
	account.Held, faults[1] = strconv.ParseInt(answer[2], 10, 64)
	if err := errors.Join(faults[:]...); err != nil {
		return Account{}, fmt.Errorf("billing: balance of account %d: %w", id, err)
	}
	return account, nil
}

// projectIn bounds a best-effort projection after the decision is durable.
const projectIn = 2 * time.Second
