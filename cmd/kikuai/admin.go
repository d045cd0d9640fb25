package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// adminCommand is what an operator does by hand.
type adminCommand struct {
	User        adminUser        `cmd:"" help:"Show a Telegram user's account, which is opened if need be."`
	Credit      adminCredit      `cmd:"" help:"Give money to a Telegram user's account, which is opened if need be."`
	Key         adminKey         `cmd:"" help:"Make an API key for a Telegram user's account and print it, this once."`
	Revoke      adminRevoke      `cmd:"" help:"Revoke an API key."`
	DeadLetters adminDeadLetters `cmd:"" name:"dead-letters" help:"Updates that could not be handled."`
}

// asJSON is the flag that every admin command has.
type asJSON struct {
	JSON bool `help:"Print JSON."`
}

// print writes the value as JSON, or its rows as a table.
func (f asJSON) print(w io.Writer, value any, rows ...[2]string) error {
	if f.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(table, "%s\t%s\n", row[0], row[1])
	}
	return table.Flush()
}

func decimal[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// office is what admin commands work with.
type office struct {
	*billing.Desk
	stores *stores
	pool   *pgxpool.Pool
	config *config.Config
}

// open reads the settings and connects. Postgres and Redis must both be there: an
// operator wants to be told, not to wait.
func (t *terminal) open() (*office, error) {
	c, err := config.Load(t.lookup, config.NeedDatabase|config.NeedRedis|config.NeedPepper)
	if err != nil {
		return nil, err
	}
	log := telemetry.NewTextLogger(t.errs, slog.LevelWarn)
	pool, err := postgres.Open(t.ctx, c.DatabaseURL.Reveal(), postgres.Options{MaxConns: 2})
	if err != nil {
		return nil, err
	}
	s, err := openRedis(c.RedisURLs.Reveal(), false, log)
	if err != nil {
		pool.Close()
		return nil, err
	}
	o := &office{stores: s, pool: pool, config: c}
	o.Desk, err = billing.New(billing.Config{
		Redis: s.quick, Postgres: pool, Log: log,
		Peppers: c.KeyPeppers.Reveal(), WelcomeCredit: c.WelcomeCredit.Nano(),
	})
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

// inOffice runs do with an office that is closed afterwards.
func (t *terminal) inOffice(do func(o *office) error) error {
	o, err := t.open()
	if err != nil {
		return err
	}
	return errors.Join(do(o), o.close())
}

func (o *office) close() error {
	o.pool.Close()
	return o.stores.close()
}

// account is the account of a Telegram user, opened if need be, with the balance that
// Redis has where it can be asked, and the ledger's where not.
func (o *office) account(ctx context.Context, telegramID int64) (account billing.Account, current bool, err error) {
	account, _, err = o.Accounts.Register(ctx, telegramID)
	if err != nil {
		return account, false, err
	}
	balance, err := o.Accounts.Balance(ctx, account.ID)
	if err != nil {
		return account, false, nil //nolint:nilerr // the ledger's balance is the next best
	}
	account.Available, account.Held = balance.Available, balance.Held
	return account, true, nil
}

type telegramUser struct {
	TelegramID int64 `required:"" placeholder:"N" help:"The user's Telegram id."`
}

func (u telegramUser) Validate() error {
	if u.TelegramID <= 0 || u.TelegramID >= 1<<52 {
		return errors.New("--telegram-id is a positive number of at most 52 bits")
	}
	return nil
}

type adminUser struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
}

func (c adminUser) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		account, current, err := o.account(t.ctx, c.TelegramID)
		if err != nil {
			return err
		}
		return c.print(t.out, accountJSON(account, current),
			[2]string{"account", decimal(account.ID)},
			[2]string{"telegram id", decimal(account.TelegramID)},
			[2]string{"name", account.Name},
			[2]string{"status", account.Status},
			[2]string{"available", "$" + billing.FormatUSD(account.Available)},
			[2]string{"held", "$" + billing.FormatUSD(account.Held)},
			[2]string{"as of", asOf(current)})
	})
}

func asOf(current bool) string {
	if current {
		return "now"
	}
	return "the ledger: Redis is away, or no server has opened the account's shard yet"
}

// accountAnswer is an account as scripts read it.
type accountAnswer struct {
	AccountID        int64  `json:"account_id"`
	TelegramID       int64  `json:"telegram_id"`
	Name             string `json:"name"`
	Status           string `json:"status"`
	AvailableNanoUSD int64  `json:"available_nano_usd"`
	HeldNanoUSD      int64  `json:"held_nano_usd"`
	BalanceCurrent   bool   `json:"balance_current"` // false: the ledger's, Redis could not be asked
}

func accountJSON(a billing.Account, current bool) accountAnswer {
	return accountAnswer{a.ID, a.TelegramID, a.Name, a.Status, a.Available, a.Held, current}
}

type adminCredit struct {
	telegramUser   `embed:""`
	asJSON         `embed:""`
	USD            string `required:"" name:"usd" placeholder:"1.50" help:"Amount in dollars, with at most nine decimals."`
	IdempotencyKey string `required:"" placeholder:"K" help:"The same key credits once, however often the command runs."`
	Note           string `help:"Kept with the transaction."`
}

func (c adminCredit) Run(t *terminal) error {
	amount, err := billing.ParseUSD(c.USD)
	if err != nil {
		return fmt.Errorf("--usd: %w", err)
	}
	return t.inOffice(func(o *office) error {
		account, _, err := o.Accounts.Register(t.ctx, c.TelegramID)
		if err != nil {
			return err
		}
		credit := billing.Credit{
			AccountID: account.ID, AmountNano: amount, Kind: billing.CreditAdjustment,
			IdempotencyKey: "admin:" + c.IdempotencyKey,
		}
		if c.Note != "" {
			credit.Memo = map[string]string{"note": c.Note}
		}
		result, err := o.Accounts.Credit(t.ctx, credit)
		if err != nil {
			return err
		}
		account, current, err := o.account(t.ctx, c.TelegramID)
		if err != nil {
			return err
		}
		answer := struct {
			accountAnswer
			TransactionID int64 `json:"transaction_id"`
			CreditNanoUSD int64 `json:"credit_nano_usd"`
			Replayed      bool  `json:"replayed"`
		}{accountJSON(account, current), result.TransactionID, amount, result.Replayed}
		what := "credited"
		if result.Replayed {
			what = "credited before, unchanged"
		}
		return c.print(t.out, answer,
			[2]string{"account", decimal(answer.AccountID)},
			[2]string{what, "$" + billing.FormatUSD(amount)},
			[2]string{"transaction", decimal(result.TransactionID)},
			[2]string{"available", "$" + billing.FormatUSD(answer.AvailableNanoUSD)})
	})
}

type adminKey struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
	Name         string `required:"" help:"What the owner will recognise it by."`
	RPM          int    `name:"rpm" help:"Requests a minute; 0 is the default."`
}

func (c adminKey) Run(t *terminal) error {
	if c.RPM < 0 || c.RPM > 1<<31-1 {
		return errors.New("--rpm is a number of requests a minute, 0 for the default, at most 2147483647")
	}
	if strings.TrimSpace(c.Name) == "" {
		return errors.New("--name is empty: say what the key is for")
	}
	return t.inOffice(func(o *office) error {
		account, _, err := o.Accounts.Register(t.ctx, c.TelegramID)
		if err != nil {
			return err
		}
		key, secret, err := o.Keys.Create(t.ctx, billing.KeySpec{AccountID: account.ID, Name: c.Name, RequestsPerMinute: c.RPM})
		if err != nil {
			return err
		}
		answer := struct {
			AccountID  int64  `json:"account_id"`
			TelegramID int64  `json:"telegram_id"`
			KeyID      int64  `json:"key_id"`
			Key        string `json:"key"`
			Name       string `json:"name"`
			RPM        int    `json:"rpm"`
		}{account.ID, account.TelegramID, key.ID, secret, key.Name, key.RequestsPerMinute}
		return c.print(t.out, answer,
			[2]string{"account", decimal(account.ID)},
			[2]string{"key id", decimal(key.ID)},
			[2]string{"key", secret},
			[2]string{"", "It is not shown again."})
	})
}

type adminRevoke struct {
	asJSON     `embed:""`
	KeyID      int64  `placeholder:"N" help:"The key's id, as admin key printed it."`
	Key        string `placeholder:"kk_…" help:"The key itself, in place of its id."`
	TelegramID int64  `placeholder:"N" help:"Whose key it must be; revokes nobody else's."`
}

func (c adminRevoke) Validate() error {
	if (c.KeyID == 0) == (c.Key == "") {
		return errors.New("name the key by --key-id or by --key")
	}
	return nil
}

func (c adminRevoke) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		key, err := c.find(t.ctx, o)
		if err != nil {
			return err
		}
		if err := o.Keys.Revoke(t.ctx, key.AccountID, key.ID); errors.Is(err, billing.ErrClosed) {
			return fmt.Errorf("key %d is revoked in the ledger, and in force as soon as Redis and a server are there: %w", key.ID, err)
		} else if err != nil {
			return err
		}
		answer := struct {
			AccountID int64 `json:"account_id"`
			KeyID     int64 `json:"key_id"`
			Revoked   bool  `json:"revoked"`
		}{key.AccountID, key.ID, true}
		return c.print(t.out, answer, [2]string{"account", decimal(key.AccountID)}, [2]string{"revoked", decimal(key.ID)})
	})
}

// find is the key that is meant, if it is whose it must be.
func (c adminRevoke) find(ctx context.Context, o *office) (key billing.Key, err error) {
	if c.Key != "" {
		key, err = o.Keys.FindToken(ctx, c.Key)
	} else {
		key, err = o.Keys.Find(ctx, c.KeyID)
	}
	if err != nil || c.TelegramID == 0 {
		return key, err
	}
	account, err := o.Accounts.Find(ctx, c.TelegramID) // a revocation opens no account
	if errors.Is(err, billing.ErrAccountUnknown) || err == nil && account != key.AccountID {
		err = fmt.Errorf("key %d is not of Telegram user %d", key.ID, c.TelegramID)
	}
	return key, err
}

type adminDeadLetters struct {
	List   adminDeadList   `cmd:"" default:"withargs" help:"Show them."`
	Replay adminDeadReplay `cmd:"" help:"Put them back into the inbox."`
}
