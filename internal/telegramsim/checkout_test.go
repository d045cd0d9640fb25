package telegramsim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
)

// A payment from the query to the message, twice with one invoice.
func TestPay(t *testing.T) {
	s := start(t, Options{})
	c := newCashier(t, s)
	u := started(t, s, 0, "Ada")
	if err := s.SetStars(u.ID, 250); err != nil {
		t.Fatal(err)
	}
	var queries []gjson.Result
	c.answerWith(func(q gjson.Result) object {
		queries = append(queries, q)
		return object{"ok": true, "error_message": "ignored"}
	})
	m := invoiced(t, s, u.ID, nil)
	var paid []Payment
	for range 2 {
		p, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID})
		if err != nil {
			t.Fatal(err)
		}
		paid = append(paid, p)
	}
	if _, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID}); !errors.Is(err, ErrStarsShort) {
		t.Fatal(err)
	}
	if len(queries) != 2 || paid[0].Charge == paid[1].Charge || len(paid[0].Charge) <= 128 {
		t.Fatalf("%d queries, %+v", len(queries), paid)
	}
	q := queries[0]
	if q.Get("from.id").Int() != u.ID || q.Get("currency").Str != "XTR" || q.Get("total_amount").Int() != 100 || q.Get("invoice_payload").Str != "v1:100" {
		t.Error(q)
	}
	told := c.told(t, s, "message.successful_payment")
	if len(told) != 2 {
		t.Fatal(told)
	}
	for i, update := range told {
		sp := update.Get("message.successful_payment")
		if update.Get("update_id").Int() != paid[i].Update || update.Get("message.message_id").Int() != paid[i].Message ||
			update.Get("message.from.id").Int() != u.ID || update.Get("message.chat.id").Int() != u.ID ||
			sp.Get("telegram_payment_charge_id").Str != paid[i].Charge || sp.Get("provider_payment_charge_id").Str != paid[i].ProviderCharge ||
			sp.Get("total_amount").Int() != 100 || sp.Get("currency").Str != "XTR" || sp.Get("invoice_payload").Str != "v1:100" || sp.Get("is_recurring").Exists() {
			t.Error(update)
		}
	}
	if s.Stars(u.ID) != 50 || s.BotStars() != 200 {
		t.Errorf("the person has %d, the bot %d", s.Stars(u.ID), s.BotStars())
	}
}

// In a group anybody can pay; the bot hears of it in the private chat, which the payment opens.
func TestPayInAGroup(t *testing.T) {
	s := start(t, Options{})
	c := newCashier(t, s)
	u, stranger := s.User(0, "Ada"), s.User(0, "Eve")
	g, err := s.Group("Friends", u.ID)
	if err != nil {
		t.Fatal(err)
	}
	m := invoiced(t, s, g.ID, nil)
	if _, err := s.Pay(soon(t), Purchase{User: stranger.ID, Chat: g.ID, Message: m.MessageID}); !errors.Is(err, ErrNotMember) {
		t.Error(err)
	}
	if _, err := s.Pay(soon(t), Purchase{User: u.ID, Chat: g.ID, Message: m.MessageID}); err != nil {
		t.Fatal(err)
	}
	if told := c.told(t, s, "message.successful_payment"); len(told) != 1 || told[0].Get("message.chat.id").Int() != u.ID {
		t.Error(told)
	}
	if a := post(t, s, "sendMessage", object{"chat_id": u.ID, "text": "thanks"}); !a.OK {
		t.Error(a)
	}
}

func TestCheckoutEndings(t *testing.T) {
	s := start(t, Options{LifeScale: 0.02}) // ten seconds are 200 ms
	c := newCashier(t, s)
	u := started(t, s, 0, "Ada")
	m := invoiced(t, s, u.ID, nil)
	buy := Purchase{User: u.ID, Message: m.MessageID}

	c.answerWith(func(gjson.Result) object { return object{"ok": false, "error_message": "Sold out, sorry."} })
	_, err := s.Pay(soon(t), buy)
	var refused *CheckoutRefusedError
	if !errors.As(err, &refused) || refused.Reason != "Sold out, sorry." {
		t.Error(err)
	}
	ids := make(chan string, 1)
	c.answerWith(func(q gjson.Result) object { ids <- q.Get("id").Str; return nil })
	if _, err := s.Pay(soon(t), buy); !errors.Is(err, ErrCheckoutUnanswered) {
		t.Error(err)
	}
	silent := <-ids
	for _, test := range []struct {
		params object
		want   string
	}{
		{object{"pre_checkout_query_id": silent, "ok": true}, saidQueryTooOld},
		{object{"pre_checkout_query_id": "1", "ok": true}, saidQueryTooOld},
		{object{"pre_checkout_query_id": silent, "ok": false}, `parameter "error_message" is required`},
	} {
		if a := post(t, s, "answerPreCheckoutQuery", test.params); a.OK || a.Description != "Bad Request: "+test.want {
			t.Errorf("%v: %+v", test.params, a)
		}
	}
	// somebody who leaves takes the query along
	ctx, leave := context.WithCancel(t.Context())
	c.answerWith(func(gjson.Result) object { leave(); return nil })
	if _, err := s.Pay(ctx, buy); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, o := range []Purchase{{User: u.ID, Message: 999}, {User: u.ID, Link: "https://t.me/$nothing"}, {User: u.ID, Link: "::"}} {
		if _, err := s.Pay(soon(t), o); !errors.Is(err, ErrInvoiceUnknown) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if err := s.Block(u.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pay(soon(t), buy); !errors.Is(err, ErrBotBlocked) {
		t.Error(err)
	}
	if s.Stars(u.ID) != walletStars || s.BotStars() != 0 || len(s.StarTransactions()) != 0 || len(s.world.till.checkouts) != 0 {
		t.Errorf("Stars moved: %d, %d, %+v", s.Stars(u.ID), s.BotStars(), s.StarTransactions())
	}
}

// Two checkouts at once with Stars for one: the bot lets both through, one is paid.
func TestCheckoutsRaceForTheWallet(t *testing.T) {
	s := start(t, Options{})
	newCashier(t, s).answerWith(nil)
	u := started(t, s, 0, "Ada")
	if err := s.SetStars(u.ID, 150); err != nil {
		t.Fatal(err)
	}
	m := invoiced(t, s, u.ID, nil)
	first, err := s.beginCheckout(Purchase{User: u.ID, Message: m.MessageID})
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.beginCheckout(Purchase{User: u.ID, Message: m.MessageID})
	if err != nil {
		t.Fatal(err)
	}
	ends := map[bool]int{}
	for _, q := range []*checkout{first, second} {
		v := s.awaitCheckout(soon(t), q)
		if v.err != nil && !errors.Is(v.err, ErrStarsShort) {
			t.Error(v.err)
		}
		ends[v.err == nil]++
	}
	if ends[true] != 1 || ends[false] != 1 || s.Stars(u.ID) != 50 || s.BotStars() != 100 {
		t.Errorf("%v, %d, %d", ends, s.Stars(u.ID), s.BotStars())
	}
}

// One payment can reach the bot more than once, or never.
func TestPaymentsAnnouncedAgain(t *testing.T) {
	s := start(t, Options{})
	c := newCashier(t, s)
	u := started(t, s, 0, "Ada")
	m := invoiced(t, s, u.ID, nil)
	p, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID})
	if err != nil {
		t.Fatal(err)
	}
	ids, err := s.DuplicatePayment(p.Charge, 3)
	if err != nil || len(ids) != 3 {
		t.Fatal(ids, err)
	}
	waitIdle(t, s)
	if err := s.RedeliverPayment(p.Charge); err != nil {
		t.Fatal(err)
	}
	for ctx := soon(t); s.Deliveries().Duplicates == 0; {
		s.record.mu.Lock()
		changed := s.record.changed
		s.record.mu.Unlock()
		if ctx.Err() != nil {
			t.Fatal("not delivered again")
		}
		select {
		case <-changed:
		case <-time.After(10 * time.Millisecond): // a duplicate alone changes nothing in the record
		}
	}
	told := c.told(t, s, "message.successful_payment")
	want := append([]int64{p.Update}, append(ids, p.Update)...)
	var got []int64
	for _, update := range told {
		got = append(got, update.Get("update_id").Int())
		if update.Get("message").Raw != told[0].Get("message").Raw {
			t.Error("the message differs:", update)
		}
	}
	if !cmp.Equal(got, want) {
		t.Errorf("updates %v, want %v", got, want)
	}
	silent, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID, Unannounced: true})
	if err != nil || silent.Update != 0 || len(c.told(t, s, "message.successful_payment")) != len(told) {
		t.Errorf("%+v, %v", silent, err)
	}
	if err := s.RedeliverPayment(silent.Charge); !errors.Is(err, ErrPaymentUnknown) {
		t.Error(err)
	}
	if n := len(s.StarTransactions()); n != 2 || s.BotStars() != 200 {
		t.Errorf("%d transactions, %d Stars", n, s.BotStars())
	}
}

// Faults can be about some methods only; an answer lost after its effect leaves the payment paid.
func TestPaymentFaults(t *testing.T) {
	s := start(t, Options{})
	newCashier(t, s)
	u := started(t, s, 0, "Ada")
	if err := s.SetFaults(Faults{LostAnswerPercent: 100, Methods: []string{"answerPreCheckoutQuery", "refundStarPayment"}}); err != nil {
		t.Fatal(err)
	}
	m := invoiced(t, s, u.ID, nil) // undisturbed
	p, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID})
	if err != nil {
		t.Fatal(err)
	}
	say(s, "refundStarPayment", object{"user_id": u.ID, "telegram_payment_charge_id": p.Charge})
	if got, _ := s.Payment(p.Charge); got.Refunded == 0 {
		t.Error("the refund was lost with its answer")
	}
	if err := s.SetFaults(Faults{TooManyPercent: 100, Methods: []string{"refundstarpayment"}}); err != nil {
		t.Fatal(err)
	}
	if a := post(t, s, "refundStarPayment", object{"user_id": u.ID, "telegram_payment_charge_id": p.Charge}); a.status != http.StatusTooManyRequests {
		t.Error(a)
	}
	if a := post(t, s, "getMyStarBalance", object{}); !a.OK {
		t.Error(a)
	}
	http.DefaultClient.CloseIdleConnections()
}

// A rush: some are refused, some not answered, the rest pay.
func TestCheckouts(t *testing.T) {
	s := start(t, Options{LifeScale: 0.1})
	c := newCashier(t, s)
	const people = 60
	c.answerWith(func(q gjson.Result) object {
		switch (q.Get("from.id").Int() - checkoutsFirstUser) % 10 {
		case 0:
			return nil
		case 1:
			return object{"ok": false, "error_message": "No"}
		}
		return object{"ok": true}
	})
	bill := func(user int64) Bill { return Bill{Title: "x", Description: "y", Payload: fmt.Sprint(user), Stars: 5} }
	report, err := s.Checkouts(soon(t), CheckoutOptions{People: people, Bill: bill})
	if err != nil {
		t.Fatal(err)
	}
	if report.Begun != people || report.Unanswered != 6 || report.Refused != 6 || report.Reasons["No"] != 6 || report.Paid != 48 || len(report.Charges) != 48 || report.Failed != 0 {
		t.Errorf("%+v", report)
	}
	if report.P50 <= 0 || report.P99 < report.P50 || report.Max < report.P99 || s.BotStars() != 48*5 {
		t.Errorf("%+v", report)
	}
	link := invoiceLink(t, s, nil)
	c.answerWith(nil)
	report, err = s.Checkouts(soon(t), CheckoutOptions{People: 5, FirstUser: 9_000_001, Link: func(int64) string { return link }, Rate: 1000})
	if err != nil || report.Paid != 5 {
		t.Errorf("%+v, %v", report, err)
	}
	if _, err := s.Checkouts(soon(t), CheckoutOptions{People: 5}); !errors.Is(err, ErrCheckouts) {
		t.Error(err)
	}
}
