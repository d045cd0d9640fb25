package telegramsim

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The till survives a restart.
func TestTillPersists(t *testing.T) {
	file := filepath.Join(t.TempDir(), "telegram.json")
	first, err := Start(Options{Token: testToken, DataFile: file, RetryScale: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	newCashier(t, first)
	u := started(t, first, 0, "Ada")
	m := invoiced(t, first, u.ID, nil)
	link := invoiceLink(t, first, object{"subscription_period": subscriptionPeriod})
	for _, o := range []Purchase{{User: u.ID, Message: m.MessageID}, {User: u.ID, Link: link}} {
		if _, err := first.Pay(soon(t), o); err != nil {
			t.Fatal(err)
		}
	}
	waitIdle(t, first)
	if err := first.RefundByTelegram(first.Payments(u.ID)[0].Charge); err != nil {
		t.Fatal(err)
	}
	payments, subscriptions, transactions := first.Payments(0), first.Subscriptions(0), first.StarTransactions()
	stars, balance := first.Stars(u.ID), first.BotStars()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, Options{DataFile: file})
	newCashier(t, second)
	if !cmp.Equal(second.Payments(0), payments) || !cmp.Equal(second.Subscriptions(0), subscriptions) || !cmp.Equal(second.StarTransactions(), transactions) ||
		second.Stars(u.ID) != stars || second.BotStars() != balance {
		t.Fatalf("%+v", second.Payments(0))
	}
	for _, o := range []Purchase{{User: u.ID, Message: m.MessageID}, {User: u.ID, Link: link}} {
		p, err := second.Pay(soon(t), o)
		if err != nil || p.Charge == payments[0].Charge {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	if a := post(t, second, "refundStarPayment", object{"user_id": u.ID, "telegram_payment_charge_id": payments[0].Charge}); a.Description != "Bad Request: CHARGE_ALREADY_REFUNDED" {
		t.Error(a)
	}
	if _, err := second.Renew(subscriptions[0].ID); err != nil {
		t.Error(err)
	}
}
