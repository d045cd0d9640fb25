package main

import (
	"context"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/handlers/people"
	"github.com/kikuai/kikuai/handlers/till"
)

// account is what the API tells an account's owner with.
func (a *App) account() *gateway.AccountOptions {
	o := &gateway.AccountOptions{
		Usage: a.desk.Ledger, Movements: a.desk.Ledger, Seals: a.desk.Keys, Organisations: a.desk.Organisations,
		Settings: accountSettings{a.desk.Settings, a.router.People}, ReportGuard: a.files,
		Spent: gateway.NewSpentSpace(a.cache), Queries: gateway.NewQuerySpace(a.cache),
		StarNano: a.config.StarValue.Nano(), ChatModel: a.config.ChatModel,
	}
	if a.telegram != nil {
		o.Reports = usageFiles{a.router.Till}
	}
	return o
}

// accountSettings are settings as the API reads and changes them: the bot goes by them at
// once.
type accountSettings struct {
	*billing.SettingsStore

	people *people.Room
}

func (s accountSettings) Change(ctx context.Context, account int64, change func(*billing.Settings)) (billing.Settings, error) {
	return s.people.ChangeSettings(ctx, account, change)
}

// usageFiles sends files by the bot.
type usageFiles struct{ till *till.Room }

func (f usageFiles) SendUsage(ctx context.Context, r gateway.Report) (fresh bool, err error) {
	return f.till.SendUsage(ctx, till.UsageFile(r))
}
