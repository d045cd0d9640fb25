package main

import (
	"context"
	"errors"

	"github.com/kikuai/kikuai/billing"
)

// account is the account of a Telegram user, opened if need be, with the balance that
// Redis has where it can be asked, and the ledger's where not.
func (o *office) account(ctx context.Context, telegramID int64) (account billing.Account, current bool, err error) {
	account, _, err = o.Accounts.Register(ctx, telegramID, operator())
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

// AfterApply comes after what is missing was told.
func (u telegramUser) AfterApply() error {
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
