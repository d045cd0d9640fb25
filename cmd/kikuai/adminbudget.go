package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/kikuai/kikuai/billing"
)

// adminBudget sets what is given and keeps the rest; with nothing given it shows.
type adminBudget struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
	KeyID        int64   `placeholder:"N" help:"Of this key alone, in place of the whole account."`
	DayUSD       *string `name:"day-usd" placeholder:"1.50" help:"What may be spent in a day (UTC), in dollars; 0 removes it."`
	MonthUSD     *string `name:"month-usd" placeholder:"20" help:"What may be spent in a month (UTC), in dollars; 0 removes it."`
}

// over is the budget with what the flags change.
func (c adminBudget) over(b billing.Budget) (billing.Budget, error) {
	day, err := usdFlag("--day-usd", c.DayUSD)
	if err != nil {
		return b, err
	}
	month, err := usdFlag("--month-usd", c.MonthUSD)
	if err != nil {
		return b, err
	}
	if day != nil {
		b.DayNano = *day
	}
	if month != nil {
		b.MonthNano = *month
	}
	return b, nil
}

// usdFlag reads a sum in dollars, in nano-USD; nil was not given.
func usdFlag(name string, usd *string) (*int64, error) {
	if usd == nil {
		return nil, nil
	}
	nano, err := billing.ParseUSD(*usd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &nano, nil
}

type budgetAnswer struct {
	AccountID    int64 `json:"account_id"`
	TelegramID   int64 `json:"telegram_id"`
	KeyID        int64 `json:"key_id,omitempty"`
	DayNanoUSD   int64 `json:"budget_day_nano_usd"`   // 0: no bound
	MonthNanoUSD int64 `json:"budget_month_nano_usd"` // 0: no bound
}

func (c adminBudget) Run(t *terminal) error {
	if _, err := c.over(billing.Budget{}); err != nil {
		return err
	}
	return t.inOffice(func(o *office) error {
		account, err := o.Accounts.Find(t.ctx, c.TelegramID) // a budget opens no account
		if err != nil {
			return fmt.Errorf("Telegram user %d: %w", c.TelegramID, err)
		}
		before, err := c.current(t.ctx, o, account)
		if err != nil {
			return err
		}
		b, err := c.over(before)
		if err != nil {
			return err
		}
		if c.DayUSD != nil || c.MonthUSD != nil {
			if err := c.set(t.ctx, o, account, b); errors.Is(err, billing.ErrClosed) {
				return fmt.Errorf("the budget is recorded, and in force as soon as Redis and a server are there: %w", err)
			} else if err != nil {
				return err
			}
		}
		rows := [][2]string{{"account", decimal(account)}}
		if c.KeyID != 0 {
			rows = append(rows, [2]string{"key", decimal(c.KeyID)})
		}
		rows = append(rows, [2]string{"a day", bound(b.DayNano)}, [2]string{"a month", bound(b.MonthNano)})
		return c.print(t.out, budgetAnswer{account, c.TelegramID, c.KeyID, b.DayNano, b.MonthNano}, rows...)
	})
}

func (c adminBudget) current(ctx context.Context, o *office, account int64) (billing.Budget, error) {
	if c.KeyID == 0 {
		return o.Accounts.Budget(ctx, account)
	}
	key, err := o.Keys.Find(ctx, c.KeyID)
	if err == nil && key.AccountID != account || errors.Is(err, billing.ErrKeyUnknown) {
		err = fmt.Errorf("key %d is not of Telegram user %d", c.KeyID, c.TelegramID)
	}
	return key.Budget, err
}

func (c adminBudget) set(ctx context.Context, o *office, account int64, b billing.Budget) error {
	if c.KeyID == 0 {
		return o.Accounts.SetBudget(ctx, account, b, operator())
	}
	return o.Keys.SetBudget(ctx, account, c.KeyID, b, operator())
}

// bound is a budget in words.
func bound(nano int64) string {
	if nano == 0 {
		return "no bound"
	}
	return "$" + billing.FormatUSD(nano)
}
