package telegramsim

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// A person's way with Stars through the page's API.
func TestPageStars(t *testing.T) {
	s := start(t, Options{LifeScale: 0.05})
	c := newCashier(t, s)
	u := started(t, s, 1001, "Ada")
	reader := s.hub.open(u.ID)
	defer s.hub.leave(reader)
	m := invoiced(t, s, u.ID, nil)
	link := invoiceLink(t, s, object{"subscription_period": subscriptionPeriod, "title": "Plan"})
	call := func(method, path string, body any, want int) gjson.Result {
		t.Helper()
		status, a := pageCall(t, s, method, path, body, nil)
		if status != want {
			t.Fatalf("%s %s: %d %s", method, path, status, a)
		}
		return a
	}

	paid := call("POST", "/sim/pay", object{"user": u.ID, "message_id": m.MessageID}, 200).Get("payment")
	if paid.Get("stars").Int() != 100 || paid.Get("invoice").Int() != m.MessageID || paid.Get("title").Str != "100 Stars" {
		t.Error(paid)
	}
	kinds := map[string]int{}
	for len(reader.frames) > 0 {
		f := <-reader.frames
		kinds[gjson.GetBytes(f.data, "type").Str]++
	}
	if kinds["payment"] != 1 || kinds["stars"] != 1 || kinds["message"] != 2 {
		t.Errorf("events: %v", kinds)
	}
	if bill := call("GET", "/sim/invoice?link="+strings.ReplaceAll(link, "$", "%24"), nil, 200).Get("invoice"); bill.Get("title").Str != "Plan" ||
		bill.Get("period").Int() != subscriptionPeriod || bill.Get("payload").Exists() {
		t.Error(bill)
	}
	plan := call("POST", "/sim/pay", object{"user": u.ID, "link": link}, 200).Get("payment.subscription").Str
	change := func(action string, want int) {
		call("POST", "/sim/subscription", object{"user": u.ID, "subscription": plan, "action": action}, want)
	}
	change("renew", 200)
	change("cancel", 200)
	change("cancel", 400)
	change("resume", 200)
	change("eat", 400)
	call("POST", "/sim/refund", object{"charge": paid.Get("charge").Str}, 200)
	call("POST", "/sim/refund", object{"charge": "none"}, 404)

	c.answerWith(func(gjson.Result) object { return object{"ok": false, "error_message": "Sold out"} })
	if a := call("POST", "/sim/pay", object{"user": u.ID, "message_id": m.MessageID}, 422); a.Get("error").Str != "the bot refused the payment: Sold out" {
		t.Error(a)
	}
	c.answerWith(func(gjson.Result) object { return nil })
	call("POST", "/sim/pay", object{"user": u.ID, "message_id": m.MessageID}, 504)
	call("POST", "/sim/stars", object{"user": u.ID, "stars": 99}, 200)
	call("POST", "/sim/stars", object{"user": u.ID, "stars": -1}, 400)
	call("POST", "/sim/stars", object{"user": 7, "stars": 1}, 404)
	call("POST", "/sim/pay", object{"user": u.ID, "message_id": m.MessageID}, 402)
	call("POST", "/sim/pay", object{"user": u.ID, "message_id": 99}, 404)
	call("GET", "/sim/invoice?link=https://t.me/$nothing", nil, 404)
	call("GET", "/sim/invoice", nil, 404)

	mine := call("GET", "/sim/stars?user=1001", nil, 200)
	if mine.Get("stars").Int() != 99 || mine.Get("payments.#").Int() != 3 || mine.Get("subscriptions.0.payments").Int() != 2 ||
		mine.Get("payments.0.refunded").Int() == 0 {
		t.Error(mine)
	}
	call("GET", "/sim/stars?user=7", nil, 404)
	state := call("GET", "/sim/state?user=1001", nil, 200)
	if state.Get("stars").Int() != 99 || state.Get("payments.#").Int() != 3 {
		t.Error(state.Get("payments"))
	}
	http.DefaultClient.CloseIdleConnections()
}

// A receipt is found however many payments came after it.
func TestPageFindsOldPayments(t *testing.T) {
	s := start(t, Options{HistoryLimit: 10})
	newCashier(t, s)
	u := started(t, s, 1001, "Ada")
	m := invoiced(t, s, u.ID, nil)
	for range pagePayments + 5 {
		if _, err := s.Pay(soon(t), Purchase{User: u.ID, Link: invoiceLink(t, s, nil)}); err != nil {
			t.Fatal(err)
		}
	}
	first := s.Payments(u.ID)[0].Charge
	state, err := s.starsOf(u.ID, first)
	if err != nil || len(state.Payments) != pagePayments+1 || state.Payments[0].Charge != first {
		t.Errorf("%d payments, %v", len(state.Payments), err)
	}
	if state, err := s.starsOf(u.ID, ""); err != nil || len(state.Payments) != pagePayments {
		t.Errorf("%d payments, %v", len(state.Payments), err)
	}
	if _, err := s.Pay(soon(t), Purchase{User: u.ID, Message: m.MessageID}); err == nil {
		t.Error("an invoice whose message is gone was paid")
	}
}

// The simulator's own forms of a link lead to the page.
func TestInvoiceAddresses(t *testing.T) {
	s := start(t, Options{})
	for _, path := range []string{"/$a_b-C", "/%24a_b-C", "/invoice/a_b-C"} {
		r, err := http.NewRequestWithContext(soon(t), http.MethodGet, s.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Close = true
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := response.Header.Get("Location"); response.StatusCode != http.StatusFound || got != "/?invoice=a_b-C" {
			t.Errorf("%s: %d %s", path, response.StatusCode, got)
		}
	}
}
