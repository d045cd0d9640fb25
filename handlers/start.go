package handlers

import (
	"context"
	"fmt"
	"strings"

	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/till"
)

// start opens the account, with its welcome credit the first time.
func (r *Router) start(ctx context.Context, q hall.Request) error {
	if r.IsAdmin(q.From.ID) {
		r.showAdminMenu(ctx, q)
	}
	if code, found := strings.CutPrefix(q.Args, till.StartGift); found {
		if _, _, err := r.Open(ctx, q); err != nil {
			return fmt.Errorf("open account: %w", err)
		}
		return r.Till.TakeGift(ctx, q, code)
	}
	account, note, err := r.Till.Arrive(ctx, q)
	if err != nil {
		return fmt.Errorf("open account: %w", err)
	}
	if q.Args == hall.StartTopUp {
		return r.Till.OfferAmounts(ctx, q, account)
	}
	balance, err := r.Accounts.Balance(ctx, account.ID)
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	name := q.From.FirstName
	if name == "" {
		name = q.Voice.Say("start.nobody")
	}
	return r.Say(ctx, q, q.Voice.Say("start.welcome", "name", hall.Clip(name, 64), "balance", hall.Dollars(balance.Available), "url", r.BaseURL)+note)
}
