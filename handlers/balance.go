package handlers

import (
	"context"
	"fmt"
)

func (r *Router) balance(ctx context.Context, q request) error {
	account, err := r.account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	balance, err := r.Accounts.Balance(ctx, account.ID)
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	if balance.Held > 0 {
		return r.say(ctx, q, fmt.Sprintf(textBalanceHeld, dollars(balance.Available), dollars(balance.Held)))
	}
	return r.say(ctx, q, fmt.Sprintf(textBalance, dollars(balance.Available)))
}
