package people

import (
	"context"

	"github.com/kikuai/kikuai/billing"
)

// ChangeSettings lets change edit an account's settings, as Settings.Change does, and has
// all instances go by them.
func (r *Room) ChangeSettings(ctx context.Context, account int64, change func(*billing.Settings)) (billing.Settings, error) {
	owner, err := r.Accounts.Owner(ctx, account)
	if err != nil {
		return billing.Settings{}, err
	}
	settings, err := r.Settings.Change(ctx, account, change)
	if err != nil {
		return billing.Settings{}, err
	}
	return settings, r.KeepSettings(ctx, owner, settings)
}
