package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/kikuai/kikuai/billing"
)

// adminBan keeps somebody from spending.
type adminBan struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
}

// adminUnban takes that back.
type adminUnban struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
}

func (c adminBan) Run(t *terminal) error {
	return t.inOffice(func(o *office) error { return stand(t, c.telegramUser, c.asJSON, o.Accounts.Ban) })
}

func (c adminUnban) Run(t *terminal) error {
	return t.inOffice(func(o *office) error { return stand(t, c.telegramUser, c.asJSON, o.Accounts.Unban) })
}

type standingAnswer struct {
	AccountID  int64  `json:"account_id"`
	TelegramID int64  `json:"telegram_id"`
	Status     string `json:"status"`
}

func stand(t *terminal, u telegramUser, as asJSON, change func(context.Context, int64, billing.Actor) (billing.Account, error)) error {
	account, err := change(t.ctx, u.TelegramID, operator())
	if errors.Is(err, billing.ErrClosed) {
		return fmt.Errorf("it is recorded, and in force as soon as Redis and a server are there: %w", err)
	}
	if err != nil {
		return err
	}
	return as.print(t.out, standingAnswer{account.ID, u.TelegramID, account.Status},
		[2]string{"account", decimal(account.ID)}, [2]string{"telegram id", decimal(u.TelegramID)}, [2]string{"status", account.Status})
}
