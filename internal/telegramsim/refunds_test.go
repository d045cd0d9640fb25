package telegramsim

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefunds(t *testing.T) {
	s := start(t, Options{})
	c := newCashier(t, s)
	u, other := started(t, s, 0, "Ada"), started(t, s, 0, "Bob")
	m := invoiced(t, s, u.ID, nil)
	p, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID})
	if err != nil {
		t.Fatal(err)
	}
	ref := object{"user_id": u.ID, "telegram_payment_charge_id": p.Charge}
	for _, test := range []struct {
		params object
		want   string
	}{
		{object{"telegram_payment_charge_id": p.Charge}, "invalid user_id specified"},
		{object{"user_id": u.ID}, `parameter "telegram_payment_charge_id" is required`},
		{object{"user_id": 5, "telegram_payment_charge_id": p.Charge}, "USER_ID_INVALID"},
		{object{"user_id": other.ID, "telegram_payment_charge_id": p.Charge}, "CHARGE_NOT_FOUND"},
		{object{"user_id": u.ID, "telegram_payment_charge_id": "stx"}, "CHARGE_NOT_FOUND"},
		{ref, ""},
		{ref, "CHARGE_ALREADY_REFUNDED"},
	} {
		a := post(t, s, "refundStarPayment", test.params)
		if a.OK != (test.want == "") || !a.OK && a.Description != "Bad Request: "+test.want {
			t.Errorf("%v: %+v", test.params, a)
		}
	}
	again, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Withdraw(100); err != nil {
		t.Fatal(err)
	}
	if err := s.RefundByTelegram(again.Charge); err != nil {
		t.Fatal(err)
	}
	if err := s.RefundByTelegram(again.Charge); !errors.Is(err, ErrPaymentRefunded) {
		t.Error(err)
	}
	told := c.told(t, s, "message.refunded_payment")
	if len(told) != 2 {
		t.Fatal(told)
	}
	for i, charge := range []string{p.Charge, again.Charge} {
		r := told[i].Get("message.refunded_payment")
		if r.Get("telegram_payment_charge_id").Str != charge || r.Get("total_amount").Int() != 100 || r.Get("currency").Str != "XTR" ||
			r.Get("invoice_payload").Str != "v1:100" || told[i].Get("message.from.id").Int() != s.Bot().ID || told[i].Get("message.chat.id").Int() != u.ID {
			t.Error(told[i])
		}
	}
	if s.Stars(u.ID) != walletStars || s.BotStars() != -100 {
		t.Errorf("the person has %d, the bot %d", s.Stars(u.ID), s.BotStars())
	}
	if got, err := s.Payment(p.Charge); err != nil || got.Refunded == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	var balance struct{ Amount int64 }
	answered(t, post(t, s, "getMyStarBalance", object{}), &balance)
	if balance.Amount != -100 {
		t.Error(balance)
	}
}

// getStarTransactions pages from the oldest on.
func TestStarTransactionPages(t *testing.T) {
	s := start(t, Options{})
	newCashier(t, s)
	u := started(t, s, 0, "Ada")
	m := invoiced(t, s, u.ID, object{"prices": []object{{"label": "x", "amount": 1}}})
	for range 105 {
		if _, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Withdraw(105); err != nil {
		t.Fatal(err)
	}
	all := s.StarTransactions()
	for _, test := range []struct {
		params   object
		from, to int
	}{
		{object{}, 0, 100},
		{object{"limit": 100, "offset": 100}, 100, 106},
		{object{"limit": 0}, 0, 1},
		{object{"limit": 1000, "offset": -5}, 0, 100},
		{object{"limit": 2, "offset": 3}, 3, 5},
		{object{"offset": 106}, 106, 106},
		{object{"offset": 1000}, 106, 106},
	} {
		var page struct{ Transactions []StarTransaction }
		answered(t, post(t, s, "getStarTransactions", test.params), &page)
		if page.Transactions == nil || !cmp.Equal(page.Transactions, append([]StarTransaction{}, all[test.from:test.to]...)) {
			t.Errorf("%v: %d transactions", test.params, len(page.Transactions))
		}
	}
	if last := all[105]; last.Receiver.Type != "fragment" || last.Receiver.User != nil || last.Amount != 105 {
		t.Errorf("%+v", last)
	}
}
