package telegramsim

import (
	"strings"
	"testing"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
	"github.com/tidwall/gjson"
)

// What the official-shaped client sends and reads of payments.
func TestClientPayments(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	u := started(t, s, 0, "Ada")
	c := newCashier(t, s)

	m, err := b.SendInvoice(ctx, &tg.SendInvoiceParams{
		ChatID: u.ID, Title: "100 Stars", Description: "Credit", Payload: "p", Currency: "XTR", StartParameter: "again",
		Prices: []models.LabeledPrice{{Label: "Credit", Amount: 100}},
	})
	if err != nil || m.Invoice == nil || *m.Invoice != (models.Invoice{Title: "100 Stars", Description: "Credit", StartParameter: "again", Currency: "XTR", TotalAmount: 100}) {
		t.Fatalf("%+v, %v", m, err)
	}
	if key := m.ReplyMarkup.InlineKeyboard[0][0]; !key.Pay || key.Text != "Pay ⭐️100" {
		t.Fatalf("%+v", key)
	}
	link, err := b.CreateInvoiceLink(ctx, &tg.CreateInvoiceLinkParams{
		Title: "Plan", Description: "Each month", Payload: "plan", Currency: "XTR", SubscriptionPeriod: subscriptionPeriod,
		Prices: []models.LabeledPrice{{Label: "Plan", Amount: 500}},
	})
	if err != nil || !strings.HasPrefix(link, "https://t.me/$") {
		t.Fatal(link, err)
	}
	first, err := s.Pay(ctx, Purchase{User: u.ID, Message: int64(m.ID)})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.Pay(ctx, Purchase{User: u.ID, Link: link})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := b.EditUserStarSubscription(ctx, &tg.EditUserStarSubscriptionParams{UserID: u.ID, TelegramPaymentChargeID: plan.Charge, IsCanceled: true}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := b.RefundStarPayment(ctx, &tg.RefundStarPaymentParams{UserID: u.ID, TelegramPaymentChargeID: first.Charge}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	list, err := b.GetStarTransactions(ctx, &tg.GetStarTransactionsParams{Limit: 10})
	if err != nil || len(list.Transactions) != 3 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i, want := range []struct {
		id, payload    string
		amount, period int
		out            bool
	}{{first.Charge, "p", 100, 0, false}, {plan.Charge, "plan", 500, subscriptionPeriod, false}, {first.Charge, "p", 100, 0, true}} {
		got := list.Transactions[i]
		partner, other := got.Source, got.Receiver
		if want.out {
			partner, other = other, partner
		}
		if got.ID != want.id || got.Amount != want.amount || other != nil || partner.User.User.ID != u.ID ||
			partner.User.InvoicePayload != want.payload || partner.User.SubscriptionPeriod != want.period || partner.User.TransactionType != "invoice_payment" {
			t.Errorf("%d: %+v %+v", i, got, partner)
		}
	}
	if balance, err := b.GetMyStarBalance(ctx); err != nil || balance.Amount != 500 {
		t.Fatal(balance, err)
	}
	c.answerWith(func(q gjson.Result) object { return object{"ok": false, "error_message": "Sold out"} })
	if _, err := s.Pay(ctx, Purchase{User: u.ID, Link: link}); err == nil || !strings.HasSuffix(err.Error(), "Sold out") {
		t.Fatal(err)
	}
	if v := s.Violations(); len(v) != 0 {
		t.Fatalf("violations: %v", v)
	}
	for _, call := range s.Calls() {
		if call.Method == "answerPreCheckoutQuery" && call.Chat != u.ID {
			t.Errorf("the call is not the person's: %+v", call)
		}
	}
}

// An invoice is refused in the words that the published server, TDLib and Telegram's list of errors have for it.
func TestInvoiceRefusals(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 1001, "Ada")
	s.User(1002, "Silent")
	price := func(v any) object { return object{"prices": v} }
	amount := func(n any) object { return price([]object{{"label": "x", "amount": n}}) }
	pay := object{"text": "Pay", "pay": true}
	keys := func(rows ...[]object) object { return object{"reply_markup": object{"inline_keyboard": rows}} }

	for _, test := range []struct {
		change object
		want   string
	}{
		{object{"title": ""}, `parameter "title" is required`},
		{object{"description": nil}, `parameter "description" is required`},
		{object{"payload": ""}, `parameter "payload" is required`},
		{object{"currency": nil}, `parameter "currency" is required`},
		{price(nil), `parameter "prices" is required`},
		{price("[{"), "can't parse prices JSON object"},
		{price(object{}), "expected an Array of labeled prices"},
		{price([]int{100}), "can't parse labeled price: LabeledPrice must be an Object"},
		{price([]object{{"amount": 1}}), `can't parse labeled price: Can't find field "label"`},
		{price([]object{{"label": []int{}, "amount": 1}}), `can't parse labeled price: Field "label" must be of type String`},
		{price([]object{{"label": "", "amount": 1}}), "can't parse labeled price: LabeledPrice label must be non-empty"},
		{price([]object{{"label": "x"}}), `can't parse labeled price: Can't find field "amount"`},
		{amount(true), `can't parse labeled price: Field "amount" must be a Number`},
		{amount(1.5), `can't parse labeled price: Field "amount" must be a valid Number`},
		{price([]object{}), "there must be at least one price"},
		{amount(0), "total price must be positive"},
		{amount(-100), "total price must be positive"},
		{amount(maxAmount + 1), "too big amount of the currency specified"},
		{price([]object{{"label": "x", "amount": maxAmount}, {"label": "x", "amount": 1}}), "total price is too big"},
		{amount(maxInvoiceStars + 1), "CURRENCY_TOTAL_AMOUNT_INVALID"},
		{price([]object{{"label": "x", "amount": 1}, {"label": "y", "amount": 1}}), "STARS_INVOICE_INVALID"},
		{object{"provider_token": "1:TEST:2"}, "STARS_INVOICE_INVALID"},
		{object{"max_tip_amount": 5}, "STARS_INVOICE_INVALID"},
		{object{"max_tip_amount": "much"}, `can't parse "max_tip_amount" as Number`},
		{object{"suggested_tip_amounts": "[1"}, "can't parse suggested_tip_amounts JSON object"},
		{object{"title": strings.Repeat("é", 33)}, "STARS_INVOICE_INVALID"},
		{object{"description": strings.Repeat("é", 256)}, "STARS_INVOICE_INVALID"},
		{object{"payload": strings.Repeat("é", 64) + "x"}, "INVOICE_PAYLOAD_INVALID"},
		{object{"currency": "USD"}, "PAYMENT_PROVIDER_INVALID"},
		{object{"currency": "XTS"}, "PAYMENT_PROVIDER_INVALID"},
		{object{"start_parameter": "no spaces"}, "START_PARAM_INVALID"},
	} {
		for _, method := range []string{"sendInvoice", "createInvoiceLink"} {
			o := invoice(test.change)
			if method == "sendInvoice" {
				o["chat_id"] = u.ID
			}
			if a := post(t, s, method, o); a.OK || a.status != 400 || a.Description != "Bad Request: "+test.want {
				t.Errorf("%s %v:\n got %d %s\nwant %s", method, test.change, a.status, a.Description, test.want)
			}
		}
	}
	for _, test := range []struct {
		method string
		change object
		want   string
	}{
		{"sendInvoice", object{}, "Bad Request: chat_id is empty"},
		{"sendInvoice", object{"chat_id": 1002}, "Forbidden: bot can't initiate conversation with a user"},
		{"sendInvoice", merged(object{"chat_id": u.ID}, keys([]object{{"text": "Terms", "callback_data": "t"}, pay})), "Bad Request: REPLY_MARKUP_BUY_EMPTY"},
		{"sendInvoice", merged(object{"chat_id": u.ID}, keys([]object{pay}, []object{pay})), "Bad Request: BUTTON_TYPE_INVALID"},
		{"sendInvoice", merged(object{"chat_id": u.ID}, keys([]object{pay}, []object{{"text": "x", "callback_data": strings.Repeat("d", 65)}})), "Bad Request: BUTTON_DATA_INVALID"},
		{"createInvoiceLink", object{"subscription_period": 3600}, "Bad Request: SUBSCRIPTION_PERIOD_INVALID"},
		{"createInvoiceLink", merged(object{"subscription_period": subscriptionPeriod}, amount(maxSubscription+1)), "Bad Request: SUBSCRIPTION_AMOUNT_INVALID"},
		{"createInvoiceLink", object{"subscription_period": subscriptionPeriod, "currency": "EUR"}, "Bad Request: PAYMENT_PROVIDER_INVALID"},
		{"createInvoiceLink", object{"business_connection_id": "x"}, "Bad Request: business connection not found"},
	} {
		if a := post(t, s, test.method, invoice(test.change)); a.OK || a.Description != test.want {
			t.Errorf("%s %v:\n got %s\nwant %s", test.method, test.change, a.Description, test.want)
		}
	}
	if n := len(s.world.till.bills) + len(s.world.till.links); n != 0 {
		t.Errorf("%d refused invoices are kept", n)
	}
	if a := post(t, s, "sendMessage", object{"chat_id": u.ID, "text": "x", "reply_markup": buttons(pay)}); a.Description != "Bad Request: BUTTON_TYPE_INVALID" {
		t.Error("a key to pay below a message that is no invoice:", a.Description)
	}
}

func merged(objects ...object) object {
	all := object{}
	for _, o := range objects {
		for k, v := range o {
			all[k] = v
		}
	}
	return all
}

// What stands at the limits is taken, and an invoice keeps its key to pay through edits.
func TestInvoices(t *testing.T) {
	s := start(t, Options{HistoryLimit: 4})
	u := started(t, s, 0, "Ada")
	invoiced(t, s, u.ID, object{
		"title": strings.Repeat("é", 32), "description": strings.Repeat("é", 255), "payload": strings.Repeat("é", 64),
		"prices": []object{{"label": "x", "amount": "10000"}}, "provider_token": "", "need_email": true, "max_tip_amount": 0, "suggested_tip_amounts": []int{},
	})
	invoiceLink(t, s, object{"prices": []object{{"label": "x", "amount": 1}}, "subscription_period": 0})
	m := invoiced(t, s, u.ID, object{"reply_markup": object{"inline_keyboard": [][]object{
		{{"text": "Pay XTR 100", "pay": true}}, {{"text": "Terms", "callback_data": "terms"}},
	}}})
	edit := object{"chat_id": u.ID, "message_id": m.MessageID}
	if a := post(t, s, "editMessageText", merged(edit, object{"text": "x"})); a.Description != "Bad Request: there is no text in the message to edit" {
		t.Error(a.Description)
	}
	if a := post(t, s, "editMessageReplyMarkup", merged(edit, object{"reply_markup": buttons(object{"text": "x", "callback_data": "x"})})); a.Description != "Bad Request: REPLY_MARKUP_BUY_EMPTY" {
		t.Error(a.Description)
	}
	var edited Message
	answered(t, post(t, s, "editMessageReplyMarkup", edit), &edited)
	if edited.Invoice == nil || !strings.Contains(string(edited.ReplyMarkup), `"pay":true`) {
		t.Errorf("%+v", edited)
	}
	if n := s.Pace().MostPerMinute; n < 2 {
		t.Error("invoices do not count as messages:", n)
	}
	if a := post(t, s, "deleteMessage", edit); !a.OK {
		t.Fatal(a)
	}
	for range 5 {
		invoiced(t, s, u.ID, nil)
	}
	if n := len(s.world.till.bills); n != 4 {
		t.Errorf("%d invoices are kept of %d messages", n, len(s.Messages(u.ID)))
	}
}
