package handlers

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/chart"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// spends makes a paid call and waits until the ledger has it.
func (c *counter) spends(account, cost int64, model string) {
	c.t.Helper()
	before, err := c.desk.Ledger.Balance(c.ctx, account)
	if err != nil {
		c.t.Fatal(err)
	}
	c.calling++
	id := fmt.Sprintf("call-%d", c.calling)
	if _, err := c.desk.Holds.Reserve(c.ctx, billing.Reservation{HoldID: id, AccountID: account, Want: cost, Least: cost, Life: time.Minute}); err != nil {
		c.t.Fatal(err)
	}
	_, err = c.desk.Holds.Settle(c.ctx, billing.Settlement{HoldID: id, AccountID: account, Cost: cost, Model: model,
		Deployment: "d", Source: billing.SourceAPI, Usage: billing.Usage{Prompt: 1234, Completion: 7, Estimated: cost == 3}})
	if err != nil {
		c.t.Fatal(err)
	}
	testenv.Until(c.t, "the ledger has it", func() bool {
		nano, err := c.desk.Ledger.Balance(c.ctx, account)
		return err == nil && nano == before-cost
	})
}

// picture is the picture of a message.
func (c *counter) picture(m *telegramsim.Message) []byte {
	c.t.Helper()
	if len(m.Photo) == 0 {
		c.t.Fatalf("no picture in %q", m.Caption)
	}
	raw, err := c.telegram.File(m.Photo[len(m.Photo)-1].FileID)
	if err != nil {
		c.t.Fatal(err)
	}
	return raw
}

// lawful holds all calls of the test against the Bot API's limits.
func (c *counter) lawful() {
	c.t.Helper()
	for _, violation := range c.telegram.Violations() {
		c.t.Errorf("%s: %v", violation.Call.Method, violation.Err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	for i, cost := range []int64{1_000, 20_000_000, 3} {
		c.spends(account.ID, cost, fmt.Sprintf("model-%d", i%2))
	}
	c.tell(person, "/usage")
	today := time.Now().UTC().Format("2 Jan 2006")
	receipt := c.hears(person, `^Spending: `+regexp.QuoteMeta(today)+` \(UTC\)`)
	for _, want := range []string{"model-1: $0.02\n   calls: 1, tokens: 1,234 in, 7 out", "model-0: $0.000001003\n   calls: 2, tokens: 2,468 in, 14 out",
		"In all: $0.020001003, calls: 3", "the provider told no tokens: 1."} {
		if !strings.Contains(receipt.Caption, want) {
			t.Errorf("no %q in\n%s", want, receipt.Caption)
		}
	}
	if picture, _, err := image.Decode(bytes.NewReader(c.picture(receipt))); err != nil || picture.Bounds().Dx() != chart.Width {
		t.Errorf("the chart: %v", err)
	}
	for _, days := range []string{"7", "30"} {
		c.press(person, receipt, "usage:"+days+"d")
		shown := c.hears(person, `^Spending: `+days+` days \(UTC\)[\s\S]*In all: \$0\.020001003, calls: 3`)
		if shown.MessageID != receipt.MessageID || len(c.picture(shown)) == 0 {
			t.Errorf("%s days are shown in another message", days)
		}
		receipt = shown
	}
	c.press(person, receipt, "usage:"+time.Now().UTC().Format(time.DateOnly))
	receipt = c.hears(person, `^Spending: `+regexp.QuoteMeta(today))
	yesterday := time.Now().UTC().AddDate(0, 0, -1)
	c.press(person, receipt, "usage:"+yesterday.Format(time.DateOnly))
	c.hears(person, `^Nothing was spent: `+yesterday.Format("2 Jan 2006"))
	c.tell(person, "/usage "+time.Now().UTC().Format("2006-01"))
	c.hears(person, `^Spending: `+time.Now().UTC().Format("January 2006"))
	c.tell(person, "/usage  2020-02-30")
	c.hears(person, `^Write a day like`)
	c.lawful()
}

// TestUsageInTheirZone: days begin where the person is, and the sums are the ledger's.
func TestUsageInTheirZone(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	c.spends(account.ID, 7_000_000, "m")
	for _, zone := range []string{"Pacific/Auckland", "America/Los_Angeles", "Asia/Kolkata"} {
		_, err := c.desk.Settings.Change(c.ctx, account.ID, func(s *billing.Settings) { s.Zone = zone })
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		c.tell(person, "/usage 7d")
		c.hears(person, `^Spending: 7 days \(`+zone+`\)[\s\S]*In all: \$0\.007, calls: 1`)
		day := time.Now().In(at)
		c.tell(person, "/usage "+day.Format(time.DateOnly))
		c.hears(person, regexp.QuoteMeta(english(t).Day(day))+` \(`+zone+`\)`)
	}
}
