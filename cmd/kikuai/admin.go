package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/user"
	"strconv"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// adminCommand is what an operator does by hand.
type adminCommand struct {
	User         adminUser         `cmd:"" help:"Show a Telegram user's account, which is opened if need be."`
	Credit       adminCredit       `cmd:"" help:"Give money to a Telegram user's account, which is opened if need be."`
	Key          adminKey          `cmd:"" help:"Make an API key for a Telegram user's account and print it, this once; key list and key set show and change keys."`
	Revoke       adminRevoke       `cmd:"" help:"Revoke an API key."`
	Ban          adminBan          `cmd:"" help:"Keep a Telegram user's account, which is opened if need be, from spending and topping up."`
	Unban        adminUnban        `cmd:"" help:"Take a ban back."`
	Broadcast    adminBroadcast    `cmd:"" help:"Messages to many."`
	Budget       adminBudget       `cmd:"" help:"Show or set what an account, or one of its keys, may spend in a day and a month."`
	Limit        adminLimit        `cmd:"" help:"Show or set what may be done with an API key."`
	Tier         adminTier         `cmd:"" help:"Limits that accounts have in common."`
	Org          adminOrg          `cmd:"" help:"Organisations: several accounts under one limit and one budget."`
	Refund       adminRefund       `cmd:"" help:"Give a payment (Stars or card) back, and take what it added off the balance."`
	Reconcile    adminReconcile    `cmd:"" help:"Hold Redis against the ledger, and the ledger against itself; exit code 1 if anything differs."`
	Rebuild      adminRebuild      `cmd:"" help:"Have all that Redis holds of money made again from Postgres: after Postgres was restored from a backup."`
	Verify       adminVerify       `cmd:"" help:"Follow each account's chain of transactions; exit code 1 where a link does not hold."`
	Transactions adminTransactions `cmd:"" help:"A Telegram user's transactions with their entries, the newest first."`
	Audit        adminAudit        `cmd:"" help:"Who changed what."`
	DeadLetters  adminDeadLetters  `cmd:"" name:"dead-letters" help:"Updates that could not be handled."`
}

// asJSON is the flag that every admin command has.
type asJSON struct {
	JSON bool `help:"Print JSON."`
}

// print writes the value as JSON, or its rows as a table.
func (f asJSON) print(w io.Writer, value any, rows ...[2]string) error {
	if f.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(value)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintf(table, "%s\t%s\n", row[0], row[1])
	}
	return table.Flush()
}

func decimal[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// operator is who runs the command, for the audit log.
func operator() billing.Actor {
	who, err := user.Current()
	if err != nil {
		return billing.Operator("")
	}
	return billing.Operator(who.Username)
}

// office is what admin commands work with.
type office struct {
	*billing.Desk
	stores *stores
	pool   *pgxpool.Pool
	config *config.Config
}

// open reads the settings and connects. Postgres and Redis must both be there: an
// operator wants to be told, not to wait.
func (t *terminal) open() (*office, error) {
	c, err := t.load(config.NeedDatabase | config.NeedRedis | config.NeedPepper)
	if err != nil {
		return nil, err
	}
	log := telemetry.NewTextLogger(t.errs, slog.LevelWarn)
	pool, err := postgres.Open(t.ctx, c.DatabaseURL.Reveal(), postgres.Options{MaxConns: 2})
	if err != nil {
		return nil, err
	}
	s, err := openRedis(c.RedisURLs.Reveal(), false, nil, log)
	if err != nil {
		pool.Close()
		return nil, err
	}
	o := &office{stores: s, pool: pool, config: c}
	o.Desk, err = billing.New(billing.Config{
		Redis: s.quick, Postgres: pool, Log: log,
		Peppers: c.KeyPeppers.Reveal(), WelcomeCredit: c.WelcomeCredit.Nano(), StarNano: c.StarValue.Nano(),
		Stripe: stripeOptions(c),
	})
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

// inOffice runs do with an office that is closed afterwards.
func (t *terminal) inOffice(do func(o *office) error) error {
	o, err := t.open()
	if err != nil {
		return err
	}
	return errors.Join(do(o), o.close())
}

func (o *office) close() error {
	o.pool.Close()
	return o.stores.close()
}
