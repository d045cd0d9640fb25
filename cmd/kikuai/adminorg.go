package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/kikuai/kikuai/billing"
)

// adminOrg is about several accounts under one limit and one budget.
type adminOrg struct {
	Create adminOrgCreate `cmd:"" help:"Make an organisation, without accounts."`
	Set    adminOrgSet    `cmd:"" help:"Change what is given of an organisation."`
	List   adminOrgList   `cmd:"" help:"All organisations, with what they spent in the running day and month (UTC) by the ledger."`
	Add    adminOrgAdd    `cmd:"" help:"Make a Telegram user's account one of an organisation's."`
	Remove adminOrgRemove `cmd:"" help:"Make a Telegram user's account none of an organisation's any more."`
}

// orgFlags are what an organisation has; what is not given stays.
type orgFlags struct {
	limitFlags `embed:""`
	DayUSD     *string `name:"budget-day-usd" placeholder:"1.50" help:"What its accounts may spend together in a day (UTC), in dollars; 0: no bound."`
	MonthUSD   *string `name:"budget-usd" placeholder:"20" help:"What its accounts may spend together in a month (UTC), in dollars; 0: no bound."`
}

func (f orgFlags) read() (change billing.OrganisationChange, err error) {
	if change.Limits, err = f.change(); err != nil {
		return change, err
	}
	if change.BudgetDay, err = usdFlag("--budget-day-usd", f.DayUSD); err != nil {
		return change, err
	}
	change.BudgetMonth, err = usdFlag("--budget-usd", f.MonthUSD)
	return change, err
}

type orgAnswer struct {
	ID     int64  `json:"organisation_id"`
	Name   string `json:"name"`
	Status string `json:"status"`
	limitsAnswer
	BudgetDay   int64 `json:"budget_day_nano_usd"`   // 0: no bound
	BudgetMonth int64 `json:"budget_month_nano_usd"` // 0: no bound
	SpentDay    int64 `json:"spent_day_nano_usd"`
	SpentMonth  int64 `json:"spent_month_nano_usd"`
	Accounts    int64 `json:"accounts"`
}

func orgJSON(o billing.Organisation) orgAnswer {
	return orgAnswer{o.ID, o.Name, o.Status, limitsJSON(o.Limits), o.Budget.DayNano, o.Budget.MonthNano,
		o.Spent.DayNano, o.Spent.MonthNano, o.Accounts}
}

// show prints an organisation.
func (f asJSON) show(t *terminal, o billing.Organisation) error {
	rows := append([][2]string{{"organisation", decimal(o.ID)}, {"name", o.Name}, {"status", o.Status}}, limitRows(o.Limits)...)
	rows = append(rows, [2]string{"a day", bound(o.Budget.DayNano)}, [2]string{"a month", bound(o.Budget.MonthNano)})
	return f.print(t.out, orgJSON(o), rows...)
}

type adminOrgCreate struct {
	asJSON   `embed:""`
	orgFlags `embed:""`
	Name     string `arg:"" help:"Its name, which no other has."`
}

func (c adminOrgCreate) Run(t *terminal) error {
	change, err := c.read()
	if err != nil {
		return err
	}
	return t.inOffice(func(o *office) error {
		org, err := o.Organisations.Create(t.ctx, c.Name, change, operator())
		switch {
		case errors.Is(err, billing.ErrOrganisationExists):
			return fmt.Errorf("there is an organisation %q: change it with admin org set", c.Name)
		case errors.Is(err, billing.ErrOrganisationName):
			return fmt.Errorf("%q is no name for an organisation: give 1 to 64 characters without spaces around them", c.Name)
		case err != nil:
			return recorded("the organisation", err)
		}
		return c.show(t, org)
	})
}

type adminOrgSet struct {
	asJSON   `embed:""`
	orgFlags `embed:""`
	Status   string `enum:"active,suspended," default:"" help:"active, or suspended: its accounts may not spend."`
	ID       int64  `arg:"" help:"Its id, as admin org create printed it."`
}

func (c adminOrgSet) Run(t *terminal) error {
	change, err := c.read()
	if err != nil {
		return err
	}
	change.Status = c.Status
	return t.inOffice(func(o *office) error {
		org, err := o.Organisations.Set(t.ctx, c.ID, change, operator())
		if err != nil {
			return recorded("the change", noOrganisation(c.ID, err))
		}
		return c.show(t, org)
	})
}

// noOrganisation makes a sentence of ErrOrganisationUnknown.
func noOrganisation(id int64, err error) error {
	if errors.Is(err, billing.ErrOrganisationUnknown) {
		return fmt.Errorf("there is no organisation %d: admin org list shows those there are", id)
	}
	return err
}

type adminOrgList struct {
	asJSON `embed:""`
}

func (c adminOrgList) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		all, err := o.Organisations.List(t.ctx)
		if err != nil {
			return err
		}
		answer := struct {
			Organisations []orgAnswer `json:"organisations"`
		}{[]orgAnswer{}}
		for _, org := range all {
			answer.Organisations = append(answer.Organisations, orgJSON(org))
		}
		if c.JSON {
			return c.print(t.out, answer)
		}
		table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tNAME\tSTATUS\tACCOUNTS\tRPM\tTPM\tCONCURRENCY\tPER SECOND\tBURST\tA DAY\tSPENT\tA MONTH\tSPENT")
		for _, a := range answer.Organisations {
			fmt.Fprintf(table, "%d\t%s\t%s\t%d\t%s\t%s\t$%s\t%s\t$%s\n", a.ID, a.Name, a.Status, a.Accounts, a.columns(),
				bound(a.BudgetDay), billing.FormatUSD(a.SpentDay), bound(a.BudgetMonth), billing.FormatUSD(a.SpentMonth))
		}
		return table.Flush()
	})
}

// orgMember names an organisation and an account.
type orgMember struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
	ID           int64 `required:"" placeholder:"N" help:"The organisation's id."`
}

// told prints who is, or is no longer, whose.
func (c orgMember) told(t *terminal, account int64, belongs bool) error {
	answer := struct {
		OrganisationID int64 `json:"organisation_id"`
		AccountID      int64 `json:"account_id"`
		TelegramID     int64 `json:"telegram_id"`
		Belongs        bool  `json:"belongs"`
	}{c.ID, account, c.TelegramID, belongs}
	what := "added"
	if !belongs {
		what = "removed"
	}
	return c.print(t.out, answer, [2]string{"organisation", decimal(c.ID)}, [2]string{what, decimal(account)})
}

type adminOrgAdd struct {
	orgMember `embed:""`
}

func (c adminOrgAdd) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		account, _, err := o.Accounts.Register(t.ctx, c.TelegramID, operator())
		if err != nil {
			return err
		}
		err = o.Organisations.Add(t.ctx, c.ID, account.ID, operator())
		if errors.Is(err, billing.ErrMember) {
			return fmt.Errorf("%w: take it out of that with admin org remove first", err)
		}
		if err != nil {
			return recorded("the change", noOrganisation(c.ID, err))
		}
		return c.told(t, account.ID, true)
	})
}

type adminOrgRemove struct {
	orgMember `embed:""`
}

func (c adminOrgRemove) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		account, err := o.Accounts.Find(t.ctx, c.TelegramID) // nobody is removed who never came
		if errors.Is(err, billing.ErrAccountUnknown) {
			return fmt.Errorf("Telegram user %d: %w", c.TelegramID, err)
		}
		if err != nil {
			return err
		}
		err = o.Organisations.Remove(t.ctx, c.ID, account, operator())
		if errors.Is(err, billing.ErrNoMember) {
			return fmt.Errorf("the account of Telegram user %d does not belong to organisation %d", c.TelegramID, c.ID)
		}
		if err != nil {
			return recorded("the change", noOrganisation(c.ID, err))
		}
		return c.told(t, account, false)
	})
}
