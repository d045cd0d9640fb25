package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kikuai/kikuai/billing"
)

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
		account, _, err := o.Accounts.Register(t.ctx, c.TelegramID, operator())
		if err != nil {
			return err
		}
		key, secret, err := o.Keys.Create(t.ctx, billing.KeySpec{AccountID: account.ID, Name: c.Name, RequestsPerMinute: c.RPM, By: operator()})
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
