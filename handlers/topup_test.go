package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/till"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

const welcomeNano = 500_000_000

func TestTopUp(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	c.tell(person, "/topup")
	menu := c.hears(person, `^Your balance is \$0\.50`)
	if !strings.Contains(string(menu.ReplyMarkup), `⭐ 250 → $3.25`) {
		t.Errorf("buttons %s", menu.ReplyMarkup)
	}
	c.press(person, menu, "topup:100")
	c.pay(person, c.invoice(person, 100))
	c.hears(person, `^Paid: ⭐ 100\. Added to your balance: \$1\.30\. You have \$1\.80 now\.$`)

	c.tell(person, "/topup 7")
	seven := c.invoice(person, 7)
	c.pay(person, seven)
	c.pay(person, seven) // the same invoice can be paid twice: it counts twice
	c.balance(account.ID, welcomeNano+114*starNano)

	c.press(person, menu, "topup:other")
	asked := c.hears(person, `^How many Stars\?`)
	if _, err := c.telegram.Send(telegramsim.Saying{User: person, Text: "33", Reply: asked.MessageID}); err != nil {
		t.Fatal(err)
	}
	c.pay(person, c.invoice(person, 33))
	c.balance(account.ID, welcomeNano+147*starNano)
	if len(c.calls) != 0 {
		t.Errorf("the model was asked: %+v", c.calls)
	}
	if differences, err := c.desk.Ledger.Check(c.ctx); err != nil || len(differences) != 0 {
		t.Errorf("the books differ: %+v, %v", differences, err)
	}
	for _, violation := range c.telegram.Violations() {
		t.Errorf("%s: %v", violation.Call.Method, violation.Err)
	}
}

func TestAmountsThatAreNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, text := range []string{"-5", "0", "2.5", "99999999999999999999", "２５０"} {
		r.handle(r.message(int64(3000+i), "/topup "+text))
		r.heard(`^An amount is a whole number of Stars from 1 to 10000`)
	}
}

// TestRefusedAtTheTill: each payment that must not be made is refused, with the reason.
func TestRefusedAtTheTill(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	const other = person + 1
	c.telegram.User(other, "Eve")
	account := c.start(person)
	c.start(other)
	mine, err := c.router.Till.InvoiceLink(c.ctx, account.ID, 5, false)
	if err != nil {
		t.Fatal(err)
	}
	c.refusedFor(telegramsim.Purchase{User: other, Link: mine}, "belongs to another account")

	rush := func(bill telegramsim.Bill, words string) {
		t.Helper()
		report, err := c.telegram.Checkouts(c.ctx, telegramsim.CheckoutOptions{People: 1, FirstUser: person,
			Bill: func(int64) telegramsim.Bill { return bill }})
		if err != nil || report.Refused != 1 || report.Paid != 0 {
			t.Fatalf("%+v, %v", report, err)
		}
		for reason := range report.Reasons {
			if !strings.Contains(reason, words) {
				t.Errorf("refused for %q, want %q", reason, words)
			}
		}
	}
	offer, err := c.desk.Payments.Offer(account.ID, 100, false)
	if err != nil {
		t.Fatal(err)
	}
	rush(telegramsim.Bill{Title: "x", Payload: "k1.once.1.100.100.9999999999.0123456789abcdef0123456789abcdef", Stars: 100}, "not made by me")
	rush(telegramsim.Bill{Title: "x", Payload: "привет", Stars: 100}, "not made by me")
	rush(telegramsim.Bill{Title: "x", Payload: offer.Payload, Stars: 1}, "amount")
	yesterday, err := billing.New(billing.Config{
		Redis: c.redis, Postgres: testenv.Postgres(t), Log: testenv.Logger(t), Peppers: []string{pepper}, StarNano: starNano,
		Now: func() time.Time { return time.Now().Add(-25 * time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	stale, err := yesterday.Payments.Offer(account.ID, 100, false)
	if err != nil {
		t.Fatal(err)
	}
	rush(telegramsim.Bill{Title: "x", Payload: stale.Payload, Stars: 100}, "more than a day old")
	c.tell(person, "/deleteaccount")
	c.press(person, c.hears(person, `deletes your account for good[\s\S]*\$0\.50 is forfeited`), "delete:")
	c.hears(person, `^Your account is deleted`)
	rush(telegramsim.Bill{Title: "x", Payload: offer.Payload, Stars: 100}, "account is closed")
	if paid := c.telegram.Payments(0); len(paid) != 0 {
		t.Errorf("paid: %+v", paid)
	}
}

// TestPaidOnceHoweverOftenTold: five more deliveries of the payment, some at once.
func TestPaidOnceHoweverOftenTold(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	c.tell(person, "/topup 10")
	paid := c.pay(person, c.invoice(person, 10))
	if _, err := c.telegram.DuplicatePayment(paid.Charge, 3); err != nil {
		t.Fatal(err)
	}
	u := c.paymentUpdate(paid)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { c.handle(u) })
	}
	group.Wait()
	testenv.Until(c.t, "all is handled", func() bool { return c.waiting() == 0 })
	c.balance(account.ID, welcomeNano+10*starNano)
	c.hears(person, `^Paid: ⭐ 10`)
	if n := c.heardTimes(person, `^Paid:`); n != 1 {
		t.Errorf("%d receipts", n)
	}
}

// paymentUpdate is the update of a payment, made by hand.
func (c *counter) paymentUpdate(p telegramsim.Payment) *bot.Update {
	c.t.Helper()
	c.updates++
	return c.decode(c.updates, fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1790000000,
		"from":{"id":%d,"is_bot":false,"first_name":"Ada"},"chat":{"id":%d,"type":"private","first_name":"Ada"},
		"successful_payment":{"currency":"XTR","total_amount":%d,"invoice_payload":%q,
		"telegram_payment_charge_id":%q,"provider_payment_charge_id":"p"}}}`, c.updates, c.updates, p.User, p.User, p.Stars, p.Payload, p.Charge))
}

// waiting counts the updates that are not handled.
func (c *counter) waiting() (n int64) {
	keys, err := c.redis.Keys(c.ctx, "*{s*}").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, "inbox:") || strings.HasPrefix(key, "urgent:") || strings.HasPrefix(key, "checkout:") {
			n += c.redis.XLen(c.ctx, key).Val()
		}
	}
	return n
}

// TestPaymentPassesARunningAnswer: the chat is busy, and the till works all the same.
func TestPaymentPassesARunningAnswer(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	c.tell(person, "/topup 10")
	invoice := c.invoice(person, 10)
	busy, release := make(chan struct{}), make(chan struct{})
	c.setAnswer(func(ctx context.Context) {
		close(busy)
		select {
		case <-release:
		case <-ctx.Done():
		}
	})
	c.tell(person, "tell me a long story")
	<-busy
	c.pay(person, invoice)
	c.balance(account.ID, welcomeNano+10*starNano)
	c.hears(person, `^Paid: ⭐ 10`)
	close(release)
	c.hears(person, `^An answer`)
}

// TestPreCheckoutOutages: where nobody can say whether a payment may be made, it is
// refused, soon and in words.
func TestPreCheckoutOutages(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	offer, err := c.desk.Payments.Offer(account.ID, 5, false)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := json.Marshal(offer.Payload)
	u := c.decode(77, fmt.Sprintf(`{"update_id":77,"pre_checkout_query":{"id":"q77","from":{"id":%d,"is_bot":false,"first_name":"Ada"},
		"currency":"XTR","total_amount":5,"invoice_payload":%s}}`, person, raw))
	if err := c.redis.Del(c.ctx, billing.EpochKey(account.ID)).Err(); err != nil { // the shard is closed
		t.Fatal(err)
	}
	begun := time.Now()
	err = c.router.Handle(c.ctx, u)
	if err != nil || time.Since(begun) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(begun))
	}
	calls := c.telegram.Calls()
	last := calls[len(calls)-1]
	for _, call := range calls {
		if call.Method == "answerPreCheckoutQuery" {
			last = call
		}
	}
	if last.Method != "answerPreCheckoutQuery" || !strings.Contains(last.Params["error_message"], "try again") {
		t.Errorf("answered %v", last.Params)
	}
}

func TestStartToTopUp(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	if _, err := c.telegram.StartBot(person, "topup"); err != nil {
		t.Fatal(err)
	}
	c.hears(person, `^Your balance is \$0\.50`)
}

func TestRefunderForgetsNobody(t *testing.T) {
	t.Parallel()
	err := till.StarRefunds{}.Refund(t.Context(), billing.Payment{ChargeID: "c"})
	if !errors.Is(err, billing.ErrRefundRefused) {
		t.Errorf("a payer who left: %v", err)
	}
}
