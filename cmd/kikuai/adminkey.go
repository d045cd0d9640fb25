package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kikuai/kikuai/billing"
)

// adminKey is about API keys: admin key makes one.
type adminKey struct {
	Make adminKeyMake `cmd:"" default:"withargs" help:"Make an API key for a Telegram user's account and print it, this once. The word make may be left out."`
	List adminKeyList `cmd:"" help:"The keys of a Telegram user's account, with what they are for and what was spent with them."`
	Set  adminKeySet  `cmd:"" help:"Change what is given of a key."`
}

type adminKeyMake struct {
	telegramUser     `embed:""`
	asJSON           `embed:""`
	limitFlags       `embed:""`
	restrictionFlags `embed:""`
	Name             string `required:"" help:"What the owner will recognise it by."`
	BudgetUSD        string `name:"budget-usd" placeholder:"20" help:"What may be spent with it in a month (UTC), in dollars."`
	BudgetDayUSD     string `name:"budget-day-usd" placeholder:"1.50" help:"What may be spent with it in a day (UTC), in dollars."`
}

// spec is the key that the flags describe.
func (c adminKeyMake) spec() (spec billing.KeySpec, err error) {
	change, err := c.restrict(time.Now())
	if err != nil {
		return spec, err
	}
	if change.Limits, err = c.change(); err != nil {
		return spec, err
	}
	spec = change.Spec(billing.KeySpec{Name: c.Name, By: operator()})
	if spec.BudgetMonth, err = budgetFlag("--budget-usd", c.BudgetUSD); err != nil {
		return spec, err
	}
	spec.BudgetDay, err = budgetFlag("--budget-day-usd", c.BudgetDayUSD)
	return spec, err
}

// budgetFlag reads a flag that, where it is given, bounds something: a bound of nothing
// is no bound, and surely a mistake.
func budgetFlag(name, usd string) (int64, error) {
	if usd == "" {
		return 0, nil
	}
	nano, err := billing.ParseUSD(usd)
	if err == nil && nano == 0 {
		err = errors.New("a budget is above zero")
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return nano, nil
}

func (c adminKeyMake) Run(t *terminal) error {
	if strings.TrimSpace(c.Name) == "" {
		return errors.New("--name is empty: say what the key is for")
	}
	spec, err := c.spec()
	if err != nil {
		return err
	}
	return t.inOffice(func(o *office) error {
		if err := o.pepperFits(t.ctx); err != nil {
			return err
		}
		account, _, err := o.Accounts.Register(t.ctx, c.TelegramID, operator())
		if err != nil {
			return err
		}
		spec.AccountID = account.ID
		key, secret, err := o.Keys.Create(t.ctx, spec)
		if err != nil {
			return flagFault(err)
		}
		answer := struct {
			TelegramID int64  `json:"telegram_id"`
			Key        string `json:"key"`
			keyAnswer
		}{account.TelegramID, secret, keyJSON(key)}
		return c.print(t.out, answer, append([][2]string{
			{"account", decimal(account.ID)},
			{"key id", decimal(key.ID)},
			{"key", secret},
			{"", "It is not shown again."},
		}, restrictionRows(key.Restrictions)...)...)
	})
}

// pepperFits refuses a pepper that no usable key was made under, where there are any: the
// servers surely have another, and would refuse a key made under this one.
func (o *office) pepperFits(ctx context.Context) error {
	p, err := o.Keys.Peppered(ctx)
	if err != nil || p.Found > 0 || p.Lost == 0 {
		return err
	}
	return errors.New("KEY_PEPPER is another than the servers have, or KIKUAI_ENV is: no usable API key was made under it, and the servers would refuse one that is. " +
		"Set both as the servers have them (kikuai dev prints a line with its own); where the old pepper is lost, admin revoke its keys first")
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
		if err := o.Keys.Revoke(t.ctx, key.AccountID, key.ID, operator()); errors.Is(err, billing.ErrClosed) {
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
