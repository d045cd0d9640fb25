package telegramsim

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxAmount is what TDLib takes as an amount of any currency (misc.cpp: check_currency_amount).
const maxAmount = 9999_9999_9999

// draftBill is an invoice as a call states it, before anything but its form is checked.
type draftBill struct {
	Bill
	currency, provider string
	prices             []int64
	tips               bool
}

// inputBill reads an invoice (Client.cpp: get_input_message_invoice, get_labeled_price_parts).
func inputBill(p Params) (*draftBill, *RefusalError) {
	for _, name := range []string{"title", "description", "payload", "currency", "prices"} {
		if p[name] == "" {
			return nil, badRequest("parameter %q is required", name)
		}
		if name == "payload" && !utf8.ValidString(p[name]) {
			return nil, badRequest("the payload must be encoded in UTF-8")
		}
	}
	d := &draftBill{currency: p["currency"], provider: p["provider_token"]}
	d.Title, d.Description, d.Payload, d.StartParameter = p["title"], p["description"], p["payload"], p["start_parameter"]
	if !gjson.Valid(p["prices"]) {
		return nil, badRequest("can't parse prices JSON object")
	}
	prices := gjson.Parse(p["prices"])
	if !prices.IsArray() {
		return nil, badRequest("expected an Array of labeled prices")
	}
	for _, price := range prices.Array() {
		if refusal := d.addPrice(price); refusal != nil {
			return nil, refusal
		}
	}
	if len(d.prices) == 0 {
		return nil, badRequest("there must be at least one price")
	}
	if raw := p["max_tip_amount"]; raw != "" {
		n, ok := p.Int("max_tip_amount")
		if !ok {
			return nil, badRequest(`can't parse "max_tip_amount" as Number`)
		}
		d.tips = n != 0
	}
	var tips []int64
	if raw := p["suggested_tip_amounts"]; raw != "" && json.Unmarshal([]byte(raw), &tips) != nil {
		return nil, badRequest("can't parse suggested_tip_amounts JSON object")
	}
	d.tips = d.tips || len(tips) > 0
	return d, nil
}

func (d *draftBill) addPrice(price gjson.Result) *RefusalError {
	wrong := func(what string) *RefusalError { return badRequest("can't parse labeled price: %s", what) }
	if !price.IsObject() {
		return wrong("LabeledPrice must be an Object")
	}
	label, amount := price.Get("label"), price.Get("amount")
	switch {
	case !label.Exists():
		return wrong(`Can't find field "label"`)
	case label.Type != gjson.String && label.Type != gjson.Number:
		return wrong(`Field "label" must be of type String`)
	case label.String() == "":
		return wrong("LabeledPrice label must be non-empty")
	case !amount.Exists():
		return wrong(`Can't find field "amount"`)
	case amount.Type != gjson.String && amount.Type != gjson.Number:
		return wrong(`Field "amount" must be a Number`)
	}
	text := amount.Raw
	if amount.Type == gjson.String {
		text = amount.Str
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return wrong(`Field "amount" must be a valid Number`)
	}
	d.Label = label.String()
	d.prices = append(d.prices, n)
	return nil
}

// bill checks what TDLib (LabeledPricePart.cpp) and then Telegram's servers check
// (https://core.telegram.org/method/messages.sendMedia lists their errors). Which error a title or a
// description of a wrong length has is not documented: here it is the general one.
func (d *draftBill) bill(period int64) (*Bill, *RefusalError) {
	for _, n := range d.prices {
		if n > maxAmount || n < -maxAmount {
			return nil, badRequest("too big amount of the currency specified")
		}
		d.Stars += n
	}
	switch {
	case d.Stars <= 0:
		return nil, badRequest("total price must be positive")
	case d.Stars > maxAmount:
		return nil, badRequest("total price is too big")
	case d.currency != currencyStars:
		return nil, badRequest("PAYMENT_PROVIDER_INVALID") // the simulated bot has no provider of any other currency
	case d.provider != "" || len(d.prices) != 1 || d.tips:
		return nil, badRequest("STARS_INVOICE_INVALID")
	case utf8.RuneCountInString(d.Title) > maxInvoiceTitle || utf8.RuneCountInString(d.Description) > maxInvoiceText:
		return nil, badRequest("STARS_INVOICE_INVALID")
	case len(d.Payload) > maxInvoicePayload:
		return nil, badRequest("INVOICE_PAYLOAD_INVALID")
	case len(d.StartParameter) > maxStartPayload || !validPayload(d.StartParameter):
		return nil, badRequest("START_PARAM_INVALID")
	case period != 0 && period != subscriptionPeriod:
		return nil, badRequest("SUBSCRIPTION_PERIOD_INVALID")
	case period != 0 && d.Stars > maxSubscription:
		return nil, badRequest("SUBSCRIPTION_AMOUNT_INVALID")
	case d.Stars > maxInvoiceStars:
		return nil, badRequest("CURRENCY_TOTAL_AMOUNT_INVALID")
	}
	b := d.Bill
	b.Period = period
	return &b, nil
}

func (b *Bill) invoice() *Invoice {
	return &Invoice{
		Title: b.Title, Description: b.Description, StartParameter: b.StartParameter, Currency: currencyStars, TotalAmount: b.Stars,
	}
}

// payButton is what an invoice has below it when the bot said nothing of it.
func (b *Bill) payButton() json.RawMessage {
	return mustJSON(map[string]any{"inline_keyboard": [][]map[string]any{{{
		"text": "Pay ⭐️" + strconv.FormatInt(b.Stars, 10), "pay": true,
	}}}})
}

func sendInvoice(s *Server, c *call) (any, *RefusalError) {
	draft, refusal := inputBill(c.params)
	if refusal != nil {
		return nil, refusal
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	var bill *Bill
	o, refusal := s.open(c, func(r *room, buttons *markup) (refusal *RefusalError) {
		if bill, refusal = draft.bill(0); refusal != nil {
			return refusal
		}
		return buttons.checkInvoice(r)
	})
	if refusal != nil {
		return nil, refusal
	}
	m := o.message
	if m.Invoice = bill.invoice(); m.ReplyMarkup == nil {
		m.ReplyMarkup = bill.payButton()
	}
	s.post(c, o.room, m)
	w.till.bills[billKey{o.room.chat.ID, m.MessageID}] = bill
	return m, nil
}

func createInvoiceLink(s *Server, c *call) (any, *RefusalError) {
	draft, refusal := inputBill(c.params)
	if refusal != nil {
		return nil, refusal
	}
	if c.params["business_connection_id"] != "" {
		return nil, badRequest("business connection not found")
	}
	period, _ := c.params.Int("subscription_period")
	bill, refusal := draft.bill(max(period, 0))
	if refusal != nil {
		return nil, refusal
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirty = true
	return linkPrefix + w.till.link(bill), nil
}
