package handlers

import (
	"context"
	"fmt"
	"strings"
)

// start opens the account, with its welcome credit the first time.
func (r *Router) start(ctx context.Context, q request) error {
	account, _, err := r.open(ctx, q)
	if err != nil {
		return fmt.Errorf("open account: %w", err)
	}
	if q.args == startTopUp {
		return r.offerAmounts(ctx, q, account)
	}
	balance, err := r.Accounts.Balance(ctx, account.ID)
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	name := q.from.FirstName
	if name == "" {
		name = "there"
	}
	return r.say(ctx, q, fmt.Sprintf(textWelcome, clip(name, 64), dollars(balance.Available), r.BaseURL))
}

func (r *Router) help(ctx context.Context, q request) error {
	text := fmt.Sprintf(textHelp, r.Model)
	if r.Tiers != nil {
		tiers, err := r.tierLines(ctx)
		if err != nil {
			r.Log.DebugContext(ctx, "tiers left out", "error", err)
		}
		if len(tiers) > 0 {
			text += textTiers + strings.Join(tiers, "\n• ")
		}
	}
	return r.say(ctx, q, text)
}

func (r *Router) forget(ctx context.Context, q request) error {
	if err := r.turns.Forget(ctx, q.chat.ID); err != nil {
		return err
	}
	return r.say(ctx, q, textForgotten)
}
