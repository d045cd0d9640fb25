package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/postgres"
)

const (
	actionBanned   = "account.banned"
	actionUnbanned = "account.unbanned"
)

// Ban keeps a Telegram user's account from spending and from topping up, with its keys
// and in the chat, until Unban. It opens the account if need be: who has not come yet is
// kept out, too. Repeating it is harmless. Where Redis is away it is ErrClosed: the ban is
// recorded, and in force as soon as Redis is back. ErrAccountUnknown.
func (a *Accounts) Ban(ctx context.Context, telegramID int64, by Actor) (Account, error) {
	return a.stand(ctx, telegramID, StatusSuspended, Entry{Actor: by, Action: actionBanned})
}

// Unban takes a ban back.
func (a *Accounts) Unban(ctx context.Context, telegramID int64, by Actor) (Account, error) {
	return a.stand(ctx, telegramID, StatusActive, Entry{Actor: by, Action: actionUnbanned})
}

func (a *Accounts) stand(ctx context.Context, telegramID int64, status string, entry Entry) (Account, error) {
	account, _, err := a.Register(ctx, telegramID, entry.Actor)
	if err != nil {
		return Account{}, err
	}
	entry.AccountID = account.ID
	var m membership
	err = postgres.InTx(ctx, a.postgres, func(tx pgx.Tx) error {
		var was string
		err := tx.QueryRow(ctx, `select status from accounts where id = $1 for no key update`, account.ID).Scan(&was)
		if err != nil || was == status {
			m = membership{}
			return err
		}
		if m, err = changeMembership(ctx, tx, account.ID, "status = $2", status); err != nil {
			return err
		}
		return audit(ctx, tx, entry)
	})
	if err != nil {
		return Account{}, fmt.Errorf("change what an account may: %w", err)
	}
	account.Status = status
	if m.Account == 0 {
		return account, nil
	}
	if err = a.projector.member(ctx, m); errors.Is(err, errNoHash) {
		err = nil
	}
	announce(ctx, a.redis, newsOf(NewsStanding, account.ID))
	return account, err
}
