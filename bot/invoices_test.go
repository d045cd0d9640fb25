package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestInvoicesAsTelegramWantsThem(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	ctx := t.Context()
	invoice := Invoice{ChatID: 7, Title: strings.Repeat("⭐", 40), Description: strings.Repeat("d", 300), Label: "Top-up",
		Payload: "k1.once.1", Stars: 250, Start: "topup"}
	a.script(func(c call) reply {
		switch c.method {
		case "sendInvoice":
			return reply{body: `{"ok":true,"result":{"message_id":77,"date":1,"chat":{"id":7,"type":"private"}}}`}
		case "createInvoiceLink":
			return reply{body: `{"ok":true,"result":"https://t.me/$abc"}`}
		case "getStarTransactions":
			return reply{body: `{"ok":true,"result":{"transactions":[{"id":"c1","amount":250,"date":5,"source":{"type":"user",
				"transaction_type":"invoice_payment","user":{"id":7,"is_bot":false,"first_name":"A"},"invoice_payload":"p"}}]}}`}
		}
		return reply{}
	})
	if id, err := s.SendInvoice(ctx, invoice); err != nil || id != 77 {
		t.Errorf("SendInvoice: %d, %v", id, err)
	}
	sent := a.made("sendInvoice")[0].params
	if sent["currency"] != "XTR" || sent["provider_token"] != "" || sent["prices"] != `[{"label":"Top-up","amount":250}]` ||
		len([]rune(sent["title"])) != 32 || len(sent["description"]) != 255 || sent["start_parameter"] != "topup" {
		t.Errorf("sendInvoice %v", sent)
	}
	for _, monthly := range []bool{false, true} {
		invoice.Monthly = monthly
		if link, err := s.InvoiceLink(ctx, invoice); err != nil || link != "https://t.me/$abc" {
			t.Errorf("InvoiceLink: %s, %v", link, err)
		}
	}
	links := a.made("createInvoiceLink")
	if links[0].params["subscription_period"] != "" || links[1].params["subscription_period"] != "2592000" {
		t.Errorf("periods %q and %q", links[0].params["subscription_period"], links[1].params["subscription_period"])
	}
	list, err := s.StarTransactions(ctx, 5, 1000)
	if err != nil || len(list) != 1 || list[0].Source.User.User.ID != 7 || list[0].Source.User.InvoicePayload != "p" {
		t.Errorf("StarTransactions: %+v, %v", list, err)
	}
	if p := a.made("getStarTransactions")[0].params; p["offset"] != "5" || p["limit"] != "100" {
		t.Errorf("getStarTransactions %v", p)
	}
	if err := s.CancelSubscription(ctx, 7, "c1", true); err != nil {
		t.Error(err)
	}
	if p := a.made("editUserStarSubscription")[0].params; p["is_canceled"] != "true" || p["user_id"] != "7" {
		t.Errorf("editUserStarSubscription %v", p)
	}
}

func TestAnswersToPreCheckouts(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	var tries atomic.Int32
	a.script(func(call) reply {
		switch tries.Add(1) {
		case 1:
			return reply{status: http.StatusBadGateway, body: "<html>"}
		case 2:
			return reply{}
		}
		return refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
	})
	for _, words := range []string{"", "This invoice is too old."} {
		if err := s.AnswerPreCheckout(t.Context(), "q1", words); err != nil {
			t.Errorf("%q: %v", words, err)
		}
	}
	made := a.made("answerPreCheckoutQuery")
	if len(made) != 3 || made[1].params["ok"] != "true" || made[1].params["error_message"] != "" ||
		made[2].params["ok"] != "false" || made[2].params["error_message"] == "" {
		t.Errorf("%d calls: %v", len(made), made)
	}
}

func TestRefundsAreGivenOnce(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(c call) reply {
		if c.params["telegram_payment_charge_id"] == "gone" {
			return refusal(400, "Bad Request: CHARGE_NOT_FOUND")
		}
		return refusal(400, "Bad Request: CHARGE_ALREADY_REFUNDED")
	})
	if err := s.RefundStars(t.Context(), 7, "given"); err != nil {
		t.Errorf("given back before: %v", err)
	}
	var api *APIError
	if err := s.RefundStars(t.Context(), 7, "gone"); !errors.As(err, &api) || errors.Is(err, ErrTryLater) {
		t.Errorf("not found: %v", err)
	}
}

func TestAskingForAReply(t *testing.T) {
	a := newAPI(t)
	if _, err := a.sender().Send(t.Context(), Message{ChatID: 7, Text: "How many?", AskReply: "such as 250"}); err != nil {
		t.Fatal(err)
	}
	if got := a.made("sendMessage")[0].params["reply_markup"]; got != `{"force_reply":true,"input_field_placeholder":"such as 250"}` {
		t.Errorf("reply_markup %s", got)
	}
}

func checkoutUpdate(id, user int64) []byte {
	return fmt.Appendf(nil, `{"update_id":%d,"pre_checkout_query":{"id":"c%d","from":{"id":%d,"is_bot":false,"first_name":"A"},
		"currency":"XTR","total_amount":5,"invoice_payload":"p"}}`, id, id, user)
}

func paymentUpdate(id, chat int64) []byte {
	return fmt.Appendf(nil, `{"update_id":%d,"message":{"message_id":%d,"date":1700000000,"chat":{"id":%d,"type":"private"},
		"from":{"id":%d,"is_bot":false,"first_name":"A"},"successful_payment":{"currency":"XTR","total_amount":5,"invoice_payload":"p",
		"telegram_payment_charge_id":"ch","provider_payment_charge_id":"x"}}}`, id, id, chat, chat)
}

// TestCheckoutsWaitForNothing: more buttons than there are handlers, and than one shard
// reads at once, are stuck; pre-checkouts of the same people pass them.
func TestCheckoutsWaitForNothing(t *testing.T) {
	m := newMachine(t)
	release := make(chan struct{})
	answered := make(chan int64, 10)
	m.dispatch(func(ctx context.Context, u *Update) error {
		if u.PreCheckoutQuery != nil {
			answered <- u.ID
			return nil
		}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	}, func(d *Dispatcher) {
		for l := range d.slots {
			d.slots[l] = make(chan struct{}, 4)
		}
	})
	defer close(release)
	const shards = 16
	id := int64(0)
	for range window + 10 {
		id++
		m.put(callbackUpdate(id, 7+shards*id)) // all on one shard
	}
	time.Sleep(50 * time.Millisecond) // they are being read
	for range cap(answered) {
		id++
		m.put(checkoutUpdate(id, 7+shards*id))
	}
	deadline := time.After(patience)
	for range cap(answered) {
		select {
		case <-answered:
		case <-deadline:
			t.Fatal("a pre-checkout waits behind buttons")
		}
	}
}

// TestWordOfPaymentsPasses: the chat's answer is being written, its payment is booked
// all the same; and a Stop passes both.
func TestWordOfPaymentsPasses(t *testing.T) {
	m := newMachine(t)
	release := make(chan struct{})
	seen := make(chan string, 4)
	m.dispatch(func(ctx context.Context, u *Update) error {
		name := u.Message.Text
		if u.Message.SuccessfulPayment != nil {
			name = "payment"
		}
		seen <- name
		if name == "/stop" {
			return nil
		}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil
	})
	defer close(release)
	m.put(textUpdate(1, 7, "a long story"))
	m.put(paymentUpdate(2, 7))
	m.put(textUpdate(3, 7, "/stop"))
	got := map[string]bool{}
	for range 3 {
		select {
		case name := <-seen:
			got[name] = true
		case <-time.After(patience):
			t.Fatalf("only %v", got)
		}
	}
}
