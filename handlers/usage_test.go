package handlers

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
)

func TestUsage(t *testing.T) {
	c := openCounter(t)
	account := c.start(person)
	var sum int64
	for i, cost := range []int64{1_000, 20_000_000, 3} {
		id := fmt.Sprintf("call-%d", i)
		if _, err := c.desk.Holds.Reserve(c.ctx, billing.Reservation{HoldID: id, AccountID: account.ID, Want: cost, Least: cost, Life: time.Minute}); err != nil {
			t.Fatal(err)
		}
		_, err := c.desk.Holds.Settle(c.ctx, billing.Settlement{HoldID: id, AccountID: account.ID, Cost: cost, Model: fmt.Sprintf("model-%d", i%2),
			Deployment: "d", Source: billing.SourceAPI, Usage: billing.Usage{Prompt: 1234, Completion: 7, Estimated: i == 2}})
		if err != nil {
			t.Fatal(err)
		}
		sum += cost
	}
	c.until("the ledger has them", func() bool {
		nano, err := c.desk.Ledger.Balance(c.ctx, account.ID)
		return err == nil && nano == welcomeNano-sum
	})
	c.tell(person, "/usage")
	today := time.Now().UTC().Format("2 Jan 2006")
	receipt := c.hears(person, `^Spending on `+regexp.QuoteMeta(today)+` \(UTC\)`)
	for _, want := range []string{"model-1: $0.02\n   1 calls, 1,234 tokens in, 7 out", "model-0: $0.000001003\n   2 calls, 2,468 tokens in, 14 out",
		"In all: $0.020001003 for 3 calls", "1 of them counted here"} {
		if !strings.Contains(receipt.Text, want) {
			t.Errorf("no %q in\n%s", want, receipt.Text)
		}
	}
	yesterday := time.Now().UTC().AddDate(0, 0, -1)
	c.press(person, receipt, "usage:"+yesterday.Format(dayForm))
	c.hears(person, `^Nothing was spent on `+yesterday.Format("2 Jan 2006"))
	c.tell(person, "/usage "+time.Now().UTC().Format(monthForm))
	c.hears(person, `^Spending on `+time.Now().UTC().Format("January 2006"))
	c.tell(person, "/usage  2020-02-30")
	c.hears(person, `^Write a day like`)
}

func TestSpans(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 30, 0, 0, time.FixedZone("Tokyo", 9*3600)) // still February in UTC
	for text, want := range map[string]string{
		"": "28 Feb 2026", "2026-11-20": "20 Nov 2026", " 2026-02 ": "February 2026",
		"2026-13": "", "2026-02-30": "", "yesterday": "", "２０２６-11-20": "", "-1": "", "2026-11-20; drop": "",
	} {
		s, ok := parseSpan(text, now)
		if ok != (want != "") || ok && s.String() != want {
			t.Errorf("%q is %s, %v", text, s, ok)
		}
	}
	s, _ := parseSpan("2026-01-31", now)
	month, _ := parseSpan("2026-12", now)
	if s.step(1).data() != "usage:2026-02-01" || s.step(-31).data() != "usage:2025-12-31" || month.step(1).data() != "usage:2027-01" {
		t.Errorf("steps %s, %s, %s", s.step(1).data(), s.step(-31).data(), month.step(1).data())
	}
	buttons := spanButtons(dayOf(now), now).InlineKeyboard
	if len(buttons[0]) != 1 {
		t.Errorf("a way into the future: %+v", buttons)
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
}
