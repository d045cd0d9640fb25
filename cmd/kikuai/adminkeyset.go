package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kikuai/kikuai/billing"
)

// What stands for no restriction on the command line.
const (
	anyValue   = "any"
	neverValue = "never"
)

// restrictionFlags are what a key may be used for; what is not given stays.
type restrictionFlags struct {
	Models  *string `placeholder:"ID,ID*" help:"Models that it is for, with commas; gpt-4o* is every one that begins so; any is any."`
	IPs     *string `name:"ips" placeholder:"NETWORK,…" help:"Addresses and networks that it is used from, with commas, such as 203.0.113.0/24; any is any."`
	Expires *string `placeholder:"30d" help:"When it ends: so many days, hours or minutes from now (30d, 12h, 90m), a moment (2027-01-31T12:00:00Z), or a day, at whose beginning it ends (2027-01-31, UTC); never is never."`
}

// restrict reads the flags.
func (f restrictionFlags) restrict(now time.Time) (change billing.KeyChange, err error) {
	if f.Models != nil {
		models, err := listFlag("--models", *f.Models)
		if err != nil {
			return change, err
		}
		change.Models = &models
	}
	if f.IPs != nil {
		texts, err := listFlag("--ips", *f.IPs)
		if err != nil {
			return change, err
		}
		networks := make([]netip.Prefix, len(texts))
		for i, text := range texts {
			if networks[i], err = billing.ParseNetwork(text); err != nil {
				return change, flagFault(err)
			}
		}
		change.Networks = &networks
	}
	if f.Expires != nil {
		at, err := expiryFlag(*f.Expires, now)
		if err != nil {
			return change, err
		}
		change.ExpiresAt = &at
	}
	return change, nil
}

// listFlag reads entries with commas; any is none.
func listFlag(name, text string) ([]string, error) {
	if text == anyValue {
		return []string{}, nil
	}
	entries := strings.Split(text, ",")
	for i := range entries {
		if entries[i] = strings.TrimSpace(entries[i]); entries[i] == "" {
			return nil, fmt.Errorf("%s is %q: give entries with commas between them, or any", name, text)
		}
	}
	return entries, nil
}

// expiryFlag reads when a key ends; the zero time is never.
func expiryFlag(text string, now time.Time) (time.Time, error) {
	if text == neverValue {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	units := map[byte]time.Duration{'d': 24 * time.Hour, 'h': time.Hour, 'm': time.Minute}
	if last := len(text) - 1; last > 0 && units[text[last]] > 0 {
		n, err := strconv.ParseUint(text[:last], 10, 31)
		if unit := units[text[last]]; err == nil && n > 0 && n <= uint64(billing.MaxKeyLife/unit) {
			return now.Add(time.Duration(n) * unit), nil
		}
	}
	return time.Time{}, fmt.Errorf("--expires is %q: give a time from now such as 30d, 12h or 90m, at most ten years, a moment such as 2027-01-31T12:00:00Z, a day such as 2027-01-31, or never", text)
}

// flagFault names the flag that a restriction came by.
func flagFault(err error) error {
	var fault *billing.RestrictionError
	if !errors.As(err, &fault) {
		return err
	}
	flag := map[string]string{"models": "--models", "allowed_ips": "--ips", "expires_at": "--expires"}[fault.Field]
	return fmt.Errorf("%s: %s", flag, fault.Fault)
}

// keyAnswer is a key as scripts read it.
type keyAnswer struct {
	AccountID int64  `json:"account_id"`
	KeyID     int64  `json:"key_id"`
	Name      string `json:"name"`
	limitsAnswer
	BudgetDay   int64      `json:"budget_day_nano_usd"`   // 0: no bound
	BudgetMonth int64      `json:"budget_month_nano_usd"` // 0: no bound
	Models      []string   `json:"models"`                // empty: any
	AllowedIPs  []string   `json:"allowed_ips"`           // empty: from anywhere
	ExpiresAt   *time.Time `json:"expires_at"`            // null: never
}

func keyJSON(k billing.Key) keyAnswer {
	a := keyAnswer{AccountID: k.AccountID, KeyID: k.ID, Name: k.Name, limitsAnswer: limitsJSON(k.Limits),
		BudgetDay: k.Budget.DayNano, BudgetMonth: k.Budget.MonthNano,
		Models: append([]string{}, k.Models...), AllowedIPs: []string{}, ExpiresAt: orNull(k.ExpiresAt)}
	for _, n := range k.Networks {
		a.AllowedIPs = append(a.AllowedIPs, n.String())
	}
	return a
}

func orNull(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}

// restrictionRows are restrictions in words.
func restrictionRows(r billing.Restrictions) [][2]string {
	a := keyJSON(billing.Key{Restrictions: r})
	return [][2]string{{"models", orAny(a.Models)}, {"from", orAny(a.AllowedIPs)}, {"ends", endOf(a.ExpiresAt)}}
}

func orAny(list []string) string {
	if len(list) == 0 {
		return anyValue
	}
	return strings.Join(list, ",")
}

func endOf(at *time.Time) string {
	if at == nil {
		return neverValue
	}
	return at.Format(time.RFC3339)
}

// adminKeySet sets what is given and keeps the rest; with nothing given it shows.
type adminKeySet struct {
	asJSON           `embed:""`
	limitFlags       `embed:""`
	restrictionFlags `embed:""`
	KeyID            int64   `required:"" placeholder:"N" help:"The key's id, as admin key printed it."`
	Name             *string `help:"What the owner will recognise it by."`
	MonthUSD         *string `name:"budget-usd" placeholder:"20" help:"What may be spent with it in a month (UTC), in dollars; 0: no bound."`
	DayUSD           *string `name:"budget-day-usd" placeholder:"1.50" help:"What may be spent with it in a day (UTC), in dollars; 0: no bound."`
}

// wish is the change that the flags describe.
func (c adminKeySet) wish() (change billing.KeyChange, err error) {
	if change, err = c.restrict(time.Now()); err != nil {
		return change, err
	}
	if change.Limits, err = c.change(); err != nil {
		return change, err
	}
	change.Name = c.Name
	if change.BudgetDay, err = usdFlag("--budget-day-usd", c.DayUSD); err != nil {
		return change, err
	}
	change.BudgetMonth, err = usdFlag("--budget-usd", c.MonthUSD)
	return change, err
}

func (c adminKeySet) Run(t *terminal) error {
	change, err := c.wish()
	if err != nil {
		return err
	}
	return t.inOffice(func(o *office) error {
		key, err := o.Keys.Find(t.ctx, c.KeyID)
		if err == nil {
			key, err = o.Keys.Change(t.ctx, key.AccountID, key.ID, change, operator())
		}
		if errors.Is(err, billing.ErrKeyUnknown) {
			return fmt.Errorf("there is no usable key %d: admin key list shows a user's keys", c.KeyID)
		}
		if err != nil {
			return recorded("the change", flagFault(err))
		}
		rows := append([][2]string{{"account", decimal(key.AccountID)}, {"key", decimal(key.ID)}, {"name", key.Name}}, keyLimitRows(key.Limits)...)
		rows = append(rows, [2]string{"a day", bound(key.Budget.DayNano)}, [2]string{"a month", bound(key.Budget.MonthNano)})
		return c.print(t.out, keyJSON(key), append(rows, restrictionRows(key.Restrictions)...)...)
	})
}

type adminKeyList struct {
	telegramUser `embed:""`
	asJSON       `embed:""`
	Revoked      bool `help:"The revoked ones, too."`
}

// listedKey is a key with what became of it.
type listedKey struct {
	keyAnswer
	Hint       string     `json:"hint"`
	SpentMonth int64      `json:"spent_month_nano_usd"` // by the ledger, UTC
	LastUsedAt *time.Time `json:"last_used_at"`         // give or take a minute; null: never
	CreatedAt  time.Time  `json:"created_at"`
	RevokedAt  *time.Time `json:"revoked_at"` // null: it is usable, unless it has ended
}

func (c adminKeyList) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		account, err := o.Accounts.Find(t.ctx, c.TelegramID) // looking opens no account
		if err != nil {
			return fmt.Errorf("Telegram user %d: %w", c.TelegramID, err)
		}
		uses, err := o.Keys.Used(t.ctx, billing.KeyQuery{AccountID: account, Revoked: c.Revoked})
		if err != nil {
			return err
		}
		answer := struct {
			AccountID int64       `json:"account_id"`
			Keys      []listedKey `json:"keys"` // the newest first, at most 500
		}{account, []listedKey{}}
		for _, use := range uses {
			answer.Keys = append(answer.Keys, listedKey{keyJSON(use.Key), use.Hint, use.MonthNano, orNull(use.LastUsedAt), use.CreatedAt.UTC(), orNull(use.RevokedAt)})
		}
		if c.JSON {
			return c.print(t.out, answer)
		}
		table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tNAME\tKEY\tMODELS\tFROM\tENDS\tRPM\tTPM\tCONCURRENCY\tPER SECOND\tBURST\tA DAY\tA MONTH\tSPENT\tLAST USED\tREVOKED")
		for _, k := range answer.Keys {
			fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t$%s\t%s\t%s\n", k.KeyID, k.Name, k.Hint, orAny(k.Models), orAny(k.AllowedIPs), endOf(k.ExpiresAt),
				k.columns(), bound(k.BudgetDay), bound(k.BudgetMonth), billing.FormatUSD(k.SpentMonth), endOf(k.LastUsedAt), orDash(k.RevokedAt))
		}
		return table.Flush()
	})
}

func orDash(at *time.Time) string {
	if at == nil {
		return "–"
	}
	return at.Format(time.RFC3339)
}
