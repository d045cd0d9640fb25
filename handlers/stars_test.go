package handlers

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/till"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// debited waits until the refund of a charge is owed, and says so.
func (c *counter) debited(charge string, nano int64) {
	c.t.Helper()
	testenv.Until(c.t, "the refund is owed", func() bool {
		p, err := c.desk.Payments.Find(c.ctx, charge)
		return err == nil && !p.RefundedAt.IsZero() && p.CreditNano == nano
	})
}

func (c *counter) payment(charge string) billing.Payment {
	c.t.Helper()
	p, err := c.desk.Payments.Find(c.ctx, charge)
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// TestRefundsFromEverySide: by the operator, twice; by Telegram; before its payment was
// told; and refused.
func TestRefundsFromEverySide(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	c.start(person)
	c.tell(person, "/topup 10")
	invoice := c.invoice(person, 10)
	byUs, byThem := c.pay(person, invoice), c.pay(person, invoice)
	for _, charge := range []string{byUs.Charge, byThem.Charge} {
		testenv.Until(c.t, "it is credited", func() bool {
			_, err := c.desk.Payments.Find(c.ctx, charge)
			return err == nil
		})
	}
	bank := till.StarRefunds{Sender: c.router.Sender}
	for range 2 {
		if _, err := c.desk.Payments.Refund(c.ctx, byUs.Charge, billing.Operator("ada"), bank); err != nil {
			t.Fatal(err)
		}
	}
	c.debited(byUs.Charge, 10*starNano)
	if err := c.telegram.RefundByTelegram(byThem.Charge); err != nil {
		t.Fatal(err)
	}
	c.debited(byThem.Charge, 10*starNano)
	testenv.Until(c.t, "both refunds are told", func() bool { return c.heardTimes(person, `^Your payment of ⭐ 10 was given back`) == 2 })

	// Telegram had it given back already, and our note of it is what was lost.
	again := c.pay(person, invoice)
	if err := c.telegram.RefundByTelegram(again.Charge); err != nil {
		t.Fatal(err)
	}
	c.debited(again.Charge, 10*starNano)
	if _, err := c.desk.Payments.Refund(c.ctx, again.Charge, billing.House, bank); err != nil {
		t.Errorf("already given back: %v", err)
	}

	// A refund whose payment no update told of.
	silent, err := c.telegram.Pay(c.ctx, telegramsim.Purchase{User: person, Message: invoice.MessageID, Unannounced: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.telegram.RefundByTelegram(silent.Charge); err != nil {
		t.Fatal(err)
	}
	c.debited(silent.Charge, 10*starNano)
	if err := bank.Refund(c.ctx, billing.Payment{ChargeID: "unheard-of", TelegramID: person}); !errors.Is(err, billing.ErrRefundRefused) {
		t.Errorf("a charge that Telegram does not know: %v", err)
	}
}

// TestRefundGoesOnAfterAnOutage: Telegram was away when an operator asked.
func TestRefundGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	c.start(person)
	c.tell(person, "/topup 10")
	paid := c.pay(person, c.invoice(person, 10))
	testenv.Until(c.t, "it is credited", func() bool {
		_, err := c.desk.Payments.Find(c.ctx, paid.Charge)
		return err == nil
	})
	if err := c.telegram.SetFaults(telegramsim.Faults{BadGatewayPercent: 100, Methods: []string{"refundStarPayment"}}); err != nil {
		t.Fatal(err)
	}
	bank := till.StarRefunds{Sender: c.router.Sender}
	if _, err := c.desk.Payments.Refund(c.ctx, paid.Charge, billing.House, bank); err == nil {
		t.Fatal("given back through a gate that is shut")
	}
	if p := c.payment(paid.Charge); p.State() != billing.PaymentAsked {
		t.Errorf("state %s", p.State())
	}
	// The call comes through, its answer does not.
	if err := c.telegram.SetFaults(telegramsim.Faults{LostAnswerPercent: 100, Methods: []string{"refundStarPayment"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.desk.Payments.Refund(c.ctx, paid.Charge, billing.House, bank); err != nil {
		t.Errorf("the repetition is told that it was given back: %v", err)
	}
	c.debited(paid.Charge, 10*starNano)
}

// TestReconcileStars: a payment and a refund whose updates were lost are found, once.
func TestReconcileStars(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	c.tell(person, "/topup 10")
	invoice := c.invoice(person, 10)
	told := c.pay(person, invoice)
	silent, err := c.telegram.Pay(c.ctx, telegramsim.Purchase{User: person, Message: invoice.MessageID, Unannounced: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.telegram.Withdraw(5); err != nil { // not everything is a payment
		t.Fatal(err)
	}
	c.balance(account.ID, welcomeNano+10*starNano)
	for range 3 {
		if err := c.router.Till.ReconcileStars(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	c.balance(account.ID, welcomeNano+20*starNano)
	testenv.Until(c.t, "both receipts come", func() bool { return c.heardTimes(person, `^Paid: ⭐ 10`) == 2 })
	var at place
	if err := c.desk.Jobs.Load(c.ctx, till.JobStars, &at); err != nil || at.Offset != 3 || at.Bot != 424242 {
		t.Errorf("kept %+v, %v", at, err)
	}
	c.handle(c.paymentUpdate(silent)) // and the lost update comes after all
	c.balance(account.ID, welcomeNano+20*starNano)

	c.stopHearing()
	if err := c.telegram.RefundByTelegram(told.Charge); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.router.Till.ReconcileStars(c.ctx); err != nil {
			t.Fatal(err)
		}
	}
	c.debited(told.Charge, 10*starNano)

	// Another list, as of another Telegram: compared from its beginning.
	if err := c.desk.Jobs.Save(c.ctx, till.JobStars, place{Bot: 424242, Offset: 4, Last: "another"}); err != nil {
		t.Fatal(err)
	}
	before := c.comparedAs("known")
	if err := c.router.Till.ReconcileStars(c.ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.desk.Jobs.Load(c.ctx, till.JobStars, &at); err != nil || at.Offset != 4 || c.comparedAs("known") != before+3 {
		t.Errorf("kept %+v, %v; %v were known", at, err, c.comparedAs("known")-before)
	}
	if found, err := c.desk.Payments.Latest(c.ctx, account.ID, 10); err != nil || len(found) != 2 {
		t.Errorf("payments %+v, %v", found, err)
	}
}

// place is how far into Telegram's list of transactions the books were compared.
type place struct {
	Bot    int64
	Offset int
	Last   string
}

// comparedAs counts the transactions that were compared with such a result.
func (c *counter) comparedAs(result string) float64 {
	c.t.Helper()
	families, err := c.metrics.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "payments_stars_compared_total" && m.GetLabel()[0].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// stopHearing keeps further updates from the bot: they go to a webhook that is nowhere.
func (c *counter) stopHearing() {
	c.t.Helper()
	answer, err := http.PostForm(c.telegram.URL()+"/bot"+token+"/setWebhook", map[string][]string{"url": {"http://127.0.0.1:9/"}})
	if err != nil {
		c.t.Fatal(err)
	}
	answer.Body.Close()
}

// TestYoungTransactionsAreLeftToTheirUpdates keeps the count of what was missed honest.
func TestYoungTransactionsAreLeftToTheirUpdates(t *testing.T) {
	t.Parallel()
	c := openCounterAt(t, 0)
	account := c.start(person)
	c.tell(person, "/topup 10")
	_, err := c.telegram.Pay(c.ctx, telegramsim.Purchase{User: person, Message: c.invoice(person, 10).MessageID, Unannounced: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.router.Till.ReconcileStars(c.ctx); err != nil {
		t.Fatal(err)
	}
	var at place
	if err := c.desk.Jobs.Load(c.ctx, till.JobStars, &at); err != nil || at.Offset != 0 {
		t.Errorf("kept %+v, %v", at, err)
	}
	if found, err := c.desk.Payments.Latest(c.ctx, account.ID, 1); err != nil || len(found) != 0 {
		t.Errorf("credited %+v, %v", found, err)
	}
}

func TestSubscription(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	c.tell(person, "/topup")
	c.press(person, c.hears(person, `^Your balance is`), "topup:monthly")
	c.press(person, c.hears(person, `^How much each month`), "monthly:50")
	at := link(c.hears(person, `^Your monthly top-up of ⭐ 50`))
	first, err := c.telegram.Pay(c.ctx, telegramsim.Purchase{User: person, Link: at})
	if err != nil {
		t.Fatal(err)
	}
	c.hears(person, `^Paid: ⭐ 50\. Added to your balance: \$0\.65\. You have \$1\.15 now\.\nThe next payment is due on`)
	c.refusedFor(telegramsim.Purchase{User: person, Link: at}, "a monthly top-up already")
	if _, err := c.telegram.Renew(first.Subscription); err != nil {
		t.Fatal(err)
	}
	c.hears(person, `^Monthly top-up paid: ⭐ 50`)
	c.balance(account.ID, welcomeNano+100*starNano)

	c.tell(person, "/topup")
	menu := c.hears(person, `Monthly top-up: ⭐ 50, next on`)
	c.press(person, menu, "subscription:cancel")
	c.hears(person, `^Your monthly top-up is cancelled`)
	if s := c.telegram.Subscriptions(person)[0]; !s.CanceledByBot {
		t.Errorf("at Telegram: %+v", s)
	}
	c.tell(person, "/topup")
	c.press(person, c.hears(person, `Monthly top-up: ⭐ 50, cancelled`), "subscription:resume")
	c.hears(person, `^Your monthly top-up goes on`)
	if s := c.telegram.Subscriptions(person)[0]; s.CanceledByBot {
		t.Errorf("at Telegram: %+v", s)
	}

	if err := c.telegram.CancelSubscription(person, first.Subscription); err != nil { // in Telegram's settings
		t.Fatal(err)
	}
	c.state(account.ID, billing.SubscriptionCanceled)
	c.sendNotices(`^Your monthly top-up of ⭐ 50 was cancelled`)
	if err := c.telegram.ResumeSubscription(person, first.Subscription); err != nil {
		t.Fatal(err)
	}
	c.state(account.ID, billing.SubscriptionActive)
	if err := c.telegram.SetStars(person, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.telegram.Renew(first.Subscription); !errors.Is(err, telegramsim.ErrStarsShort) {
		t.Fatalf("renewed with one Star: %v", err)
	}
	c.state(account.ID, billing.SubscriptionFailed)
	c.sendNotices(`^Your monthly top-up of ⭐ 50 could not be paid`)
	for _, violation := range c.telegram.Violations() {
		t.Errorf("%s: %v", violation.Call.Method, violation.Err)
	}
}

func (c *counter) state(account int64, state string) {
	c.t.Helper()
	testenv.Until(c.t, "the subscription is "+state, func() bool {
		s, found, err := c.desk.Payments.Subscription(c.ctx, account)
		return err == nil && found && s.State == state
	})
}

func (c *counter) sendNotices(pattern string) {
	c.t.Helper()
	if err := c.router.Till.SendNotices(c.ctx); err != nil {
		c.t.Fatal(err)
	}
	c.hears(person, pattern)
}

// TestNotices: nobody is told twice, a chat that blocked the bot counts as told, and one
// that has to wait is told later.
func TestNotices(t *testing.T) {
	t.Parallel()
	c := openCounter(t)
	account := c.start(person)
	pay := func(id string) string {
		t.Helper()
		receipt, err := c.desk.Payments.Paid(c.ctx, billing.Charge{ID: id, Provider: billing.ProviderCard, Amount: 500,
			Currency: "USD", AccountID: account.ID, CreditNano: 5_000_000_000})
		if err != nil {
			t.Fatal(err)
		}
		return receipt.Notice
	}
	pay("card-1")
	for range 2 {
		c.sendNotices(`^Paid: \$5\.00\. Added to your balance: \$5\.00\. You have \$5\.50 now\.$`)
	}
	if n := c.heardTimes(person, `^Paid:`); n != 1 {
		t.Errorf("told %d times", n)
	}
	if err := c.telegram.SetFaults(telegramsim.Faults{BadGatewayPercent: 100, Methods: []string{"sendMessage"}}); err != nil {
		t.Fatal(err)
	}
	later := pay("card-2")
	if err := c.router.Till.SendNotices(c.ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.telegram.SetFaults(telegramsim.Faults{}); err != nil {
		t.Fatal(err)
	}
	if due, err := c.desk.Notices.ClaimOne(c.ctx, later); err != nil || len(due) != 0 {
		t.Errorf("not put off: %+v, %v", due, err)
	}
	if _, err := c.pool.Exec(c.ctx, `insert into notices (account_id, kind, details) values ($1, $2, $3), ($1, 'unheard of', '{}')`,
		account.ID, billing.NoticeLowBalance, `{"balance_nano": 80000000, "threshold_nano": 100000000}`); err != nil {
		t.Fatal(err)
	}
	c.sendNotices(`^Your balance is low: \$0\.08 are left\.$`)
	var unread int
	if err := c.pool.QueryRow(c.ctx, `select count(*) from notices where kind = 'unheard of' and sent_at is null`).Scan(&unread); err != nil || unread != 0 {
		t.Errorf("a notice that nobody has words for is tried again: %d, %v", unread, err)
	}
	if err := c.telegram.Block(person, true); err != nil {
		t.Fatal(err)
	}
	pay("card-3")
	begun := time.Now()
	if err := c.router.Till.SendNotices(c.ctx); err != nil || time.Since(begun) > 10*time.Second {
		t.Errorf("a chat that blocked the bot: %v after %s", err, time.Since(begun))
	}
	if due, err := c.desk.Notices.ClaimOne(c.ctx, "paid:card-3"); err != nil || len(due) != 0 {
		t.Errorf("still to be told: %+v, %v", due, err)
	}

}
