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

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// StatusActive is the status of an account that may spend, and of a key without
// restrictions.
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
	peppers   []*pepper
	referral  int64 // nano-USD for both sides of an invitation; 0: none
}

// Profile is what Telegram tells of a person.
type Profile struct {
	TelegramID int64
	Name       string
	Language   string // such as "en"
}

// Clean is the profile as an account keeps it.
func (p Profile) Clean() Profile {
	p.Name, p.Language = cleanText(p.Name, maxName), cleanText(p.Language, maxLanguage)
	return p
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

// Open returns the account of a person who came to the bot, makes it if need be, and
// gives the welcome credit on their first coming. Any number of concurrent calls make
// one account and give one credit. It needs Postgres; where Redis is away a new account
// is made all the same, and the relay tells Redis later.
func (a *Accounts) Open(ctx context.Context, profile Profile) (account Account, created bool, err error) {
	return a.open(ctx, profile, nobody, time.Time{})
}

// Enter is Open for what Telegram said of a person at a moment, and may be told later: who
// has left since then does not come back by it. ErrInitDataOld.
func (a *Accounts) Enter(ctx context.Context, profile Profile, said time.Time) (account Account, created bool, err error) {
	return a.open(ctx, profile, nobody, said)
}

// open is Open with who has invited the person, and when it was said that they are here;
// the zero time: now.
func (a *Accounts) open(ctx context.Context, profile Profile, referrer int64, said time.Time) (account Account, created bool, err error) {
	if !validTelegramID(profile.TelegramID) {
		return Account{}, false, ErrAccountUnknown
	}
	profile = profile.Clean()
	var found accountFound
	var welcome granted
	err = postgres.InTx(ctx, a.postgres, func(tx pgx.Tx) error {
		welcome = granted{}
		if found, created, err = findOrInsert(ctx, tx, profile.TelegramID); err != nil {
			return err
		}
		if err := meet(ctx, tx, &found, profile); err != nil || found.met {
			return err
		}
		left, err := a.departed(ctx, tx, profile.TelegramID)
		switch {
		case err != nil:
			return err
		case !said.IsZero() && !said.After(left):
			return ErrInitDataOld
		case !left.IsZero():
			return nil // who comes back is not welcomed a second time, and no news to who invites them
		}
		if err := a.invite(ctx, tx, found.ID, referrer); err != nil || a.welcome == 0 {
			return err
		}
		welcome, err = grant(ctx, tx, Credit{AccountID: found.ID, AmountNano: a.welcome, Kind: CreditWelcome,
			IdempotencyKey: "welcome:" + strconv.FormatInt(found.ID, 10)})
		found.Balance += a.welcome
		found.CreditSeq = welcome.seq
		return err
	})
	if err != nil {
		return Account{}, false, fmt.Errorf("open an account: %w", err)
	}
	if !created && welcome.seq > 0 {
		a.projectCredit(ctx, found.ID, welcome.seq, a.welcome)
	}
	account, err = a.shown(ctx, found, profile.TelegramID, created)
	return account, created, err
}

// Register returns the account of a Telegram user for an operator, and makes it if need
// be: without a name and a welcome, which wait for the person. Its balance is the
// ledger's, which follows Redis' within a moment.
func (a *Accounts) Register(ctx context.Context, telegramID int64, by Actor) (account Account, created bool, err error) {
	if !validTelegramID(telegramID) {
		return Account{}, false, ErrAccountUnknown
	}
	var found accountFound
	err = postgres.InTx(ctx, a.postgres, func(tx pgx.Tx) error {
		if found, created, err = findOrInsert(ctx, tx, telegramID); err != nil || !created {
			return err
		}
		return audit(ctx, tx, Entry{Actor: by, Action: actionRegistered, AccountID: found.ID})
	})
	if err != nil {
		return Account{}, false, fmt.Errorf("register an account: %w", err)
	}
	if created {
		a.project(ctx, found.accountRow, telegramID)
	}
	return found.account(telegramID), created, nil
}

func validTelegramID(id int64) bool { return id > 0 && id <= maxTelegramID }

// accountFound is an account as Postgres has it.
type accountFound struct {
	accountRow
	language  string
	met       bool // the person has come before
	projected bool
}

func (f accountFound) account(telegramID int64) Account {
	return Account{ID: f.ID, TelegramID: telegramID, Status: f.Status, Name: f.Name, Available: f.Balance}
}

// findOrInsert finds the account of a Telegram user, or makes it.
func findOrInsert(ctx context.Context, tx pgx.Tx, telegramID int64) (f accountFound, created bool, err error) {
	tag, err := tx.Exec(ctx, `insert into accounts (telegram_id) select $1::bigint
		where not exists (select from accounts where telegram_id = $1) on conflict (telegram_id) do nothing`, telegramID)
	if err != nil {
		return f, false, err
	}
	err = tx.QueryRow(ctx, `
		select id, balance_nano, credit_seq, status, name, language, met_at is not null, projected_at is not null
		from accounts where telegram_id = $1`, telegramID,
	).Scan(&f.ID, &f.Balance, &f.CreditSeq, &f.Status, &f.Name, &f.language, &f.met, &f.projected)
	return f, tag.RowsAffected() == 1, err
}

// meet notes that the person came, and takes over a changed name or language.
func meet(ctx context.Context, tx pgx.Tx, f *accountFound, p Profile) error {
	if f.met && f.Name == p.Name && f.language == p.Language {
		return nil
	}
	f.Name, f.language = p.Name, p.Language
	_, err := tx.Exec(ctx, `update accounts set name = $2, language = $3, met_at = coalesce(met_at, now()) where id = $1`,
		f.ID, p.Name, p.Language)
	return err
}

// shown is the account with the balance that Redis has, which a new one is told of.
func (a *Accounts) shown(ctx context.Context, found accountFound, telegramID int64, created bool) (Account, error) {
	account := found.account(telegramID)
	if created {
		a.project(ctx, found.accountRow, telegramID)
		return account, nil
	}
	state, err := a.state(ctx, found.ID)
	if errors.Is(err, errNoHash) && !found.projected {
		return account, nil // made a moment ago: nothing can have been spent
	}
	if err != nil {
		return Account{}, err
	}
	account.Available, account.Held = state.Available, state.Held
	return account, nil
}

// project tells Redis of a new account, as well as it can: the relay repairs.
func (a *Accounts) project(ctx context.Context, row accountRow, telegramID int64) {
	failpoint.Here("account.committed")
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

// remember maps the Telegram id to its account. The pair ends only when the account is
// closed, which whoever follows the map then sees.
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
	if err == nil && state.Status == StatusClosed { // its owner left, and may have come back
		if id, err = a.lookUp(ctx, telegramID); errors.Is(err, ErrAccountUnknown) {
			return Account{}, errors.Join(err, a.forget(ctx, telegramID))
		}
		if err == nil {
			state, err = a.state(ctx, id)
		}
	}
	if err != nil {
		return Account{}, err
	}
	state.TelegramID = telegramID
	return state, nil
}

func (a *Accounts) lookUp(ctx context.Context, telegramID int64) (int64, error) {
	id, err := a.Find(ctx, telegramID)
	if err != nil {
		return 0, err
	}
	return id, a.remember(ctx, telegramID, id)
}

// Find returns the id of a Telegram user's account, from Postgres alone.
// ErrAccountUnknown, ErrClosed.
func (a *Accounts) Find(ctx context.Context, telegramID int64) (int64, error) {
	var id int64
	err := a.postgres.QueryRow(ctx, `select id from accounts where telegram_id = $1`, telegramID).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrAccountUnknown
	}
	if err != nil {
		return 0, fmt.Errorf("%w: find an account: %w", ErrClosed, err)
	}
	return id, nil
}

// Owner returns the Telegram id of an account's owner, from Postgres alone.
// ErrAccountUnknown, also where the account was closed; ErrClosed.
func (a *Accounts) Owner(ctx context.Context, accountID int64) (telegramID int64, err error) {
	err = a.postgres.QueryRow(ctx, `select telegram_id from accounts where id = $1 and telegram_id is not null`, accountID).Scan(&telegramID)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrAccountUnknown
	}
	if err != nil {
		return 0, fmt.Errorf("%w: find an account's owner: %w", ErrClosed, err)
	}
	return telegramID, nil
}

// Profile returns what is known of a Telegram user who has an account and has come to the
// bot, from Postgres alone. ErrAccountUnknown, ErrClosed.
func (a *Accounts) Profile(ctx context.Context, telegramID int64) (Profile, error) {
	p := Profile{TelegramID: telegramID}
	err := a.postgres.QueryRow(ctx, `select name, language from accounts where telegram_id = $1 and met_at is not null`, telegramID).Scan(&p.Name, &p.Language)
	if errors.Is(err, pgx.ErrNoRows) {
		return Profile{}, ErrAccountUnknown
	}
	if err != nil {
		return Profile{}, fmt.Errorf("%w: read a profile: %w", ErrClosed, err)
	}
	return p, nil
}

// Rename takes over what Telegram tells of a person by now. Unlike Open it makes no
// account: who is leaving stays away. ErrAccountUnknown, ErrClosed.
func (a *Accounts) Rename(ctx context.Context, p Profile) error {
	p = p.Clean()
	tag, err := a.postgres.Exec(ctx, `update accounts set name = $2, language = $3 where telegram_id = $1 and met_at is not null`,
		p.TelegramID, p.Name, p.Language)
	switch {
	case err != nil:
		return fmt.Errorf("%w: rename an account: %w", ErrClosed, err)
	case tag.RowsAffected() == 0:
		return ErrAccountUnknown
	}
	return nil
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
	answer, err := a.scripts.balance.Run(ctx, a.redis, []string{EpochKey(id), AcctKey(id), lostKey(shardOf(id))}, id).StringSlice()
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
