package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/kikuai/kikuai/billing"
)

// adminTier is about limits that accounts have in common, by a name.
type adminTier struct {
	Set    adminTierSet    `cmd:"" help:"Make a tier, or change those of its limits that are given."`
	List   adminTierList   `cmd:"" help:"All tiers with their limits."`
	Assign adminTierAssign `cmd:"" help:"Give a Telegram user's account a tier; none takes it away."`
}

// noTier is what stands for no tier on the command line, so no tier may be called so.
const noTier = "none"

type tierAnswer struct {
	Tier string `json:"tier"`
	limitsAnswer
	Accounts int64 `json:"accounts"` // that have it
}

type adminTierSet struct {
	asJSON     `embed:""`
	limitFlags `embed:""`
	Name       string `arg:"" help:"Its name: 1 to 32 characters of a-z 0-9 _ -."`
}

func (c adminTierSet) Run(t *terminal) error {
	change, err := c.change()
	if err != nil {
		return err
	}
	if c.Name == noTier {
		return errors.New("no tier may be called none: that stands for no tier")
	}
	if !billing.ValidTierName(c.Name) {
		return fmt.Errorf("%q is no name for a tier: give 1 to 32 characters of a-z 0-9 _ -, the first a letter or a digit", c.Name)
	}
	return t.inOffice(func(o *office) error {
		tier, err := o.Tiers.Set(t.ctx, c.Name, change, operator())
		if err != nil {
			return recorded("the tier", err)
		}
		return c.print(t.out, tierAnswer{Tier: tier.Name, limitsAnswer: limitsJSON(tier.Limits), Accounts: tier.Accounts},
			append([][2]string{{"tier", tier.Name}}, limitRows(tier.Limits)...)...)
	})
}

type adminTierList struct {
	asJSON `embed:""`
}

func (c adminTierList) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		tiers, err := o.Tiers.List(t.ctx)
		if err != nil {
			return err
		}
		answer := struct {
			Tiers []tierAnswer `json:"tiers"`
		}{[]tierAnswer{}}
		for _, tier := range tiers {
			answer.Tiers = append(answer.Tiers, tierAnswer{tier.Name, limitsJSON(tier.Limits), tier.Accounts})
		}
		if c.JSON {
			return c.print(t.out, answer)
		}
		table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "TIER\tRPM\tTPM\tCONCURRENCY\tPER SECOND\tBURST\tACCOUNTS")
		for _, a := range answer.Tiers {
			fmt.Fprintf(table, "%s\t%s\t%d\n", a.Tier, a.columns(), a.Accounts)
		}
		return table.Flush()
	})
}

// columns are limits in a table, a dash for none.
func (a limitsAnswer) columns() string {
	rate := a.PerSecond
	if a.Burst == 0 {
		rate = "–"
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", orNone(a.RPM), orNone(a.TPM), orNone(a.Concurrency), rate, orNone(a.Burst))
}

type adminTierAssign struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
	Tier         string `required:"" help:"The tier's name; none: no tier."`
}

func (c adminTierAssign) Run(t *terminal) error {
	tier := c.Tier
	if tier == noTier {
		tier = ""
	} else if !billing.ValidTierName(tier) {
		return fmt.Errorf("there is no tier %q: admin tier list shows those there are, and none takes a tier away", c.Tier)
	}
	return t.inOffice(func(o *office) error {
		account, _, err := o.Accounts.Register(t.ctx, c.TelegramID, operator())
		if err != nil {
			return err
		}
		err = o.Tiers.Assign(t.ctx, account.ID, tier, operator())
		if errors.Is(err, billing.ErrTierUnknown) {
			return fmt.Errorf("there is no tier %q: make it with admin tier set %s", c.Tier, c.Tier)
		}
		if err != nil {
			return recorded("the tier", err)
		}
		answer := struct {
			AccountID  int64  `json:"account_id"`
			TelegramID int64  `json:"telegram_id"`
			Tier       string `json:"tier"` // empty: none
		}{account.ID, c.TelegramID, tier}
		return c.print(t.out, answer, [2]string{"account", decimal(account.ID)}, [2]string{"tier", c.Tier})
	})
}
