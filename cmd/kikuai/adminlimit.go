package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kikuai/kikuai/billing"
)

// limitFlags are limits on the command line: what is given is set, the rest stays.
type limitFlags struct {
	RPM         *string `name:"rpm" placeholder:"N" help:"Requests a minute; 0 is no limit, and for a key the default."`
	TPM         *string `name:"tpm" placeholder:"N" help:"Tokens a minute; 0 is no limit."`
	Concurrency *string `placeholder:"N" help:"Calls under way at once; 0 is no limit."`
	PerSecond   *string `placeholder:"2.5" help:"Requests a second that a bucket of --burst regains, with at most three decimals; 0 with --burst 0 is no bucket."`
	Burst       *string `placeholder:"N" help:"Requests that may come at once."`
}

// change reads the flags.
func (f limitFlags) change() (change billing.LimitChange, err error) {
	for _, flag := range []struct {
		name     string
		text     *string
		into     **int64
		decimals int
	}{
		{"--rpm", f.RPM, &change.RequestsPerMinute, 0}, {"--tpm", f.TPM, &change.TokensPerMinute, 0},
		{"--concurrency", f.Concurrency, &change.Concurrency, 0}, {"--per-second", f.PerSecond, &change.RefillMilli, perSecondDecimals},
		{"--burst", f.Burst, &change.Burst, 0},
	} {
		if flag.text == nil {
			continue
		}
		n, err := limitFlag(flag.name, *flag.text, flag.decimals)
		if err != nil {
			return change, err
		}
		*flag.into = &n
	}
	return change, nil
}

const perSecondDecimals = 3

// limitFlag reads a number with at most so many decimals, as that many more digits.
func limitFlag(name, text string, decimals int) (int64, error) {
	whole, fraction, dotted := strings.Cut(text, ".")
	digits := whole + fraction + strings.Repeat("0", max(0, decimals-len(fraction)))
	ok := whole != "" && len(fraction) <= decimals && dotted == (fraction != "")
	for _, c := range digits {
		ok = ok && '0' <= c && c <= '9'
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if ok && err == nil && n <= billing.MaxLimit {
		return n, nil
	}
	if decimals == 0 {
		return 0, fmt.Errorf("%s is %q: give a whole number from 0 (no limit) to %d", name, text, billing.MaxLimit)
	}
	return 0, fmt.Errorf("%s is %q: give a number such as 2.5, from 0 (none) to 2147483.647", name, text)
}

// limitsAnswer is limits as scripts read them; 0: no limit, and for a key's requests the
// servers' default.
type limitsAnswer struct {
	RPM         int64  `json:"rpm"`
	TPM         int64  `json:"tpm"`
	Concurrency int64  `json:"concurrency"`
	PerSecond   string `json:"per_second"` // a decimal number
	Burst       int64  `json:"burst"`
}

func limitsJSON(l billing.Limits) limitsAnswer {
	return limitsAnswer{l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, perSecond(l.RefillMilli), l.Burst}
}

func perSecond(milli int64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%03d", milli/1000, milli%1000), "0"), ".")
}

// limitRows are limits in words.
func limitRows(l billing.Limits) [][2]string {
	bucket := "no limit"
	if l.Burst > 0 {
		bucket = fmt.Sprintf("%s, at most %d at once", perSecond(l.RefillMilli), l.Burst)
	}
	return [][2]string{
		{"requests a minute", orUnlimited(l.RequestsPerMinute)}, {"tokens a minute", orUnlimited(l.TokensPerMinute)},
		{"calls at once", orUnlimited(l.Concurrency)}, {"requests a second", bucket},
	}
}

// keyLimitRows are those of a key: one without requests a minute of its own has the
// servers' default, and their bucket unless it has its own.
func keyLimitRows(l billing.Limits) [][2]string {
	rows := limitRows(l)
	if l.RequestsPerMinute > 0 {
		return rows
	}
	rows[0][1] = serversDefault
	if l.Burst == 0 {
		rows[3][1] = serversDefault
	}
	return rows
}

const serversDefault = "the servers' default"

func orUnlimited(n int64) string {
	if n == 0 {
		return "no limit"
	}
	return decimal(n)
}

// recorded makes a sentence of ErrClosed, where something is decided and Redis is away.
func recorded(what string, err error) error {
	if errors.Is(err, billing.ErrClosed) {
		return fmt.Errorf("%s is recorded, and in force as soon as Redis and a server are there: %w", what, err)
	}
	return err
}

// adminLimit sets what is given and keeps the rest; with nothing given it shows.
type adminLimit struct {
	asJSON     `embed:""`
	limitFlags `embed:""`
	KeyID      int64 `required:"" placeholder:"N" help:"The key's id, as admin key printed it."`
}

func (c adminLimit) Run(t *terminal) error {
	change, err := c.change()
	if err != nil {
		return err
	}
	return t.inOffice(func(o *office) error {
		key, err := o.Keys.Find(t.ctx, c.KeyID)
		if err == nil && !key.RevokedAt.IsZero() {
			err = billing.ErrKeyUnknown
		}
		if err == nil && !change.Empty() {
			key, err = o.Keys.Change(t.ctx, key.AccountID, key.ID, billing.KeyChange{Limits: change}, operator())
		}
		if errors.Is(err, billing.ErrKeyUnknown) {
			return fmt.Errorf("there is no usable key %d: admin key printed a key's id when it was made", c.KeyID)
		}
		if err != nil {
			return recorded("the limit", err)
		}
		answer := struct {
			AccountID int64 `json:"account_id"`
			KeyID     int64 `json:"key_id"`
			limitsAnswer
		}{key.AccountID, key.ID, limitsJSON(key.Limits)}
		rows := [][2]string{{"account", decimal(key.AccountID)}, {"key", decimal(key.ID)}}
		return c.print(t.out, answer, append(rows, keyLimitRows(key.Limits)...)...)
	})
}
