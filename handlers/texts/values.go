package texts

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const (
	nanoPerUSD     = 1_000_000_000
	decimalsOfNano = 9
	monthsOfYear   = 12
)

// Dollars is an amount in nano-USD to fill a placeholder with.
type Dollars int64

// forms are how people of a language write numbers and dates.
type forms struct {
	decimal, group string
	groupFrom      int      // digits a number has at least for its thousands to be told apart
	monthsInDay    []string // as they stand in a date
	monthsAlone    []string // as they stand before a year
}

var errForms = errors.New("its format.* texts are not as they should be")

func readForms(messages map[string]message) (f forms, err error) {
	text := func(key string) string { return messages["format."+key].literal() }
	f.decimal, f.group = text("decimal"), text("group")
	f.monthsInDay = strings.Split(text("months_in_day"), "|")
	f.monthsAlone = strings.Split(text("months_alone"), "|")
	f.groupFrom, err = strconv.Atoi(text("group_from"))
	if err != nil || f.decimal == "" || f.group == "" || len(f.monthsInDay) != monthsOfYear || len(f.monthsAlone) != monthsOfYear {
		return f, errForms
	}
	return f, nil
}

// Number writes a number with its thousands told apart.
func (v Voice) Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	if v.tongue == nil {
		return digits
	}
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	return sign + v.grouped(digits)
}

func (v Voice) grouped(digits string) string {
	if len(digits) < v.tongue.forms.groupFrom {
		return digits
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + v.tongue.forms.group + digits[i:]
	}
	return digits
}

// Dollars writes nano-USD as dollars with at least two decimals and as many more as are
// needed to be exact: 500000000 → "$0.50", 12345 → "$0.000012345".
func (v Voice) Dollars(nano int64) string {
	sign, whole, fraction := "", nano/nanoPerUSD, nano%nanoPerUSD
	if nano < 0 {
		sign, whole, fraction = "-", -whole, -fraction
	}
	decimals := strconv.FormatInt(nanoPerUSD+fraction, 10)[1:]
	for len(decimals) > 2 && decimals[len(decimals)-1] == '0' {
		decimals = decimals[:len(decimals)-1]
	}
	point := "."
	if v.tongue != nil {
		point = v.tongue.forms.decimal
	}
	return sign + "$" + strconv.FormatInt(whole, 10) + point + decimals
}

// Decimal writes a number of thousandths: 1500 → "1.5".
func (v Voice) Decimal(thousandths int64) string {
	text := strconv.FormatFloat(float64(thousandths)/1000, 'f', -1, 64)
	if v.tongue == nil {
		return text
	}
	return strings.Replace(text, ".", v.tongue.forms.decimal, 1)
}

// Day writes a date: "20 Nov 2026".
func (v Voice) Day(t time.Time) string { return v.date("format.day", t) }

// Month writes a month: "November 2026".
func (v Voice) Month(t time.Time) string { return v.date("format.month", t) }

// Moment writes a date with its time, without the zone: "20 Nov 2026 15:04".
func (v Voice) Moment(t time.Time) string { return v.date("format.moment", t) }

func (v Voice) date(key string, t time.Time) string {
	if v.tongue == nil {
		return t.Format(time.DateTime)
	}
	f, i := v.tongue.forms, int(t.Month())-1
	return plain(v.Say(key,
		"day", strconv.Itoa(t.Day()), "month", f.monthsInDay[i], "alone", f.monthsAlone[i],
		"number", strconv.Itoa(i+1), "year", strconv.Itoa(t.Year()), "time", t.Format("15:04")))
}
