package till

import (
	"context"
	"fmt"

	"github.com/kikuai/kikuai/handlers/hall"
)

// Balance says what an account has, and what running calls hold of it.
func (r *Room) Balance(ctx context.Context, q hall.Request) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	balance, err := r.Accounts.Balance(ctx, account.ID)
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	if balance.Held > 0 {
		return r.Say(ctx, q, q.Voice.Say("balance.held", "amount", hall.Dollars(balance.Available), "held", hall.Dollars(balance.Held)))
	}
	return r.Say(ctx, q, q.Voice.Say("balance.now", "amount", hall.Dollars(balance.Available)))
}
