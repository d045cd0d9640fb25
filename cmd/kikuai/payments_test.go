package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

const (
	starNano = 13_000_000 // what a Star adds, by default
	payerID  = 6_000_001
)

// cashier is a site at which people pay.
type cashier struct {
	*site
	ctx context.Context
}

// openTill starts a site whose Telegram has a clock two minutes behind, so that what
// happened there is old enough to be compared with the books at once.
func openTill(t *testing.T) *cashier {
	t.Helper()
	s := newSite(t, func(o *telegramsim.Options) {
		o.RetryScale = 0.05
		o.Now = func() time.Time { return time.Now().Add(-2 * time.Minute) }
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	return &cashier{s, ctx}
}

// hear waits for something that the bot says.
func (s *cashier) hear(who int64, pattern string) telegramsim.Call {
	s.t.Helper()
	call, err := s.telegram.WaitSent(s.ctx, who, said(pattern))
	if err != nil {
		s.t.Fatalf("no message like %q: %v", pattern, err)
	}
	return call
}

// come presses Start and returns the person's account.
func (s *cashier) come(who int64, name string) accountAnswer {
	s.t.Helper()
	s.telegram.User(who, name)
	if _, err := s.telegram.StartBot(who, ""); err != nil {
		s.t.Fatal(err)
	}
	s.hear(who, `^Hello`)
	return s.user(who)
}

func (s *cashier) user(who int64) (user accountAnswer) {
	s.t.Helper()
	s.admin(&user, "user", "--telegram-id", fmt.Sprint(who))
	return user
}

// invoice asks for an invoice and returns its message.
func (s *cashier) invoice(who, stars int64) int64 {
	s.t.Helper()
	if _, err := s.telegram.Say(who, fmt.Sprintf("/topup %d", stars)); err != nil {
		s.t.Fatal(err)
	}
	call, err := s.telegram.WaitSent(s.ctx, who, func(c telegramsim.Call) bool {
		return c.Method == "sendInvoice" && strings.Contains(c.Params["prices"], fmt.Sprintf(`"amount":%d}`, stars))
	})
	if err != nil {
		s.t.Fatalf("no invoice: %v", err)
	}
	return call.Message.MessageID
}

func (s *cashier) pay(p telegramsim.Purchase) telegramsim.Payment {
	s.t.Helper()
	paid, err := s.telegram.Pay(s.ctx, p)
	if err != nil {
		s.t.Fatal(err)
	}
	return paid
}

// has waits until the person's account has so much.
func (s *cashier) has(who, nano int64) {
	s.t.Helper()
	desk := s.desk()
	var got billing.Account
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if got, err = desk.Accounts.ByTelegram(s.ctx, who); err == nil && got.Available == nano {
			return
		}
	}
	s.t.Fatalf("%d has %d nano-USD, not %d: %v", who, got.Available, nano, err)
}

// due makes a scheduled job due now.
func (s *cashier) due(job string) {
	s.t.Helper()
	pool, err := postgres.Open(s.ctx, s.database, postgres.Options{MaxConns: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(s.ctx, `update jobs set next_at = now() where name = $1`, job); err != nil {
		s.t.Fatal(err)
	}
}

// TestE2EPayments: Stars come once, however often they are told, and go once, however
// often they are asked back; what nobody told is found.
func TestE2EPayments(t *testing.T) {
	t.Parallel()
	s := openTill(t)
	serve := s.serve()
	s.arrange("webhook", "set")
	const welcome = 500_000_000
	account := s.come(payerID, "Ada").AccountID
	invoice := s.invoice(payerID, 100)
	paid := s.pay(telegramsim.Purchase{User: payerID, Message: invoice})
	s.hear(payerID, `^Paid: ⭐ 100\. Added to your balance: \$1\.30\. You have \$1\.80 now\.$`)
	for range 2 { // the same update and others of the same payment: five deliveries in all
		if err := s.telegram.RedeliverPayment(paid.Charge); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.telegram.DuplicatePayment(paid.Charge, 2); err != nil {
		t.Fatal(err)
	}
	second := s.pay(telegramsim.Purchase{User: payerID, Message: invoice}) // paid twice is credited twice
	s.has(payerID, welcome+200*starNano)

	_, err := s.telegram.Pay(s.ctx, telegramsim.Purchase{User: s.telegram.User(payerID+1, "Eve").ID, Link: s.linkOf(account)})
	var refused *telegramsim.CheckoutRefusedError
	if !errors.As(err, &refused) {
		t.Errorf("somebody else's invoice: %v", err)
	}

	silent := s.pay(telegramsim.Purchase{User: payerID, Message: invoice, Unannounced: true})
	s.due("stars")
	s.has(payerID, welcome+300*starNano)
	s.hear(payerID, `You have \$4\.40 now`)

	var first, again refundAnswer
	s.admin(&first, "refund", "--charge-id", second.Charge)
	s.admin(&again, "refund", "--charge-id", second.Charge)
	if first != again || first.State != billing.PaymentRefunded || first.CapturedNanoUSD != 100*starNano || first.WrittenOffNanoUSD != 0 ||
		first.Stars != 100 || first.AccountID != account {
		t.Errorf("refunded %+v, then %+v", first, again)
	}
	s.has(payerID, welcome+200*starNano)
	s.hear(payerID, `^Your payment of ⭐ 100 was given back`)
	if at, err := s.telegram.Payment(second.Charge); err != nil || at.Refunded == 0 {
		t.Errorf("Telegram has not given it back: %+v, %v", at, err)
	}
	if _, _, err := s.try("admin", "refund", "--charge-id", "unheard-of"); err == nil {
		t.Error("a charge that does not exist was refunded")
	}

	// Two more were spent before they are asked back: to zero, the rest is written off.
	s.spendAll(account)
	if err := s.telegram.RefundByTelegram(silent.Charge); err != nil {
		t.Fatal(err)
	}
	var spent refundAnswer
	s.until(30*time.Second, "written off", func() bool {
		out, _, err := s.try("admin", "refund", "--charge-id", silent.Charge, "--json")
		return err == nil && json.Unmarshal(out, &spent) == nil && spent.State == billing.PaymentRefunded
	})
	if spent.CapturedNanoUSD != 0 || spent.WrittenOffNanoUSD != 100*starNano {
		t.Errorf("refund of spent money: %+v", spent)
	}
	s.has(payerID, 0)
	for _, violation := range s.telegram.Violations() {
		t.Errorf("%s: %v", violation.Call.Method, violation.Err)
	}
	serve.stop()
	s.reconciled()
}

// linkOf is a link to an invoice of the account's, as the Mini App would show it.
func (s *cashier) linkOf(account int64) string {
	s.t.Helper()
	_, key, err := s.desk().Keys.Create(s.ctx, billing.KeySpec{AccountID: account, Name: "links"})
	if err != nil {
		s.t.Fatal(err)
	}
	status, body := s.send("POST", "/api/v1/payment/topup", key, `{"method":"stars","stars":50}`)
	var answer struct {
		CheckoutURL string `json:"checkout_url"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.CheckoutURL == "" {
		s.t.Fatalf("no link: %d %s", status, body)
	}
	return answer.CheckoutURL
}

// spendAll takes all that the account has.
func (s *cashier) spendAll(account int64) {
	s.t.Helper()
	desk := s.desk()
	balance, err := desk.Accounts.Balance(s.ctx, account)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := desk.Holds.Reserve(s.ctx, billing.Reservation{HoldID: "all", AccountID: account, Want: balance.Available, Least: balance.Available, Life: time.Minute}); err != nil {
		s.t.Fatal(err)
	}
	_, err = desk.Holds.Settle(s.ctx, billing.Settlement{HoldID: "all", AccountID: account, Cost: balance.Available, Model: "m", Deployment: "d", Source: billing.SourceAPI})
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestE2ECheckouts: a rush to the till while the chats are busy.
func TestE2ECheckouts(t *testing.T) {
	t.Parallel()
	s := openTill(t)
	s.rush(100, 20)
	if waits := s.checkoutWaits(); len(waits) != 100 || waits[98] > 5*time.Second {
		t.Errorf("answered after %v", waits)
	}
}

// checkoutWaits are the times from the delivery of each pre-checkout query to its
// answer, the shortest first: what the payer waits for the program.
func (s *cashier) checkoutWaits() []time.Duration {
	answered := map[int64]time.Time{}
	for _, call := range s.telegram.Calls() {
		if call.Method == "answerPreCheckoutQuery" && call.OK() {
			answered[call.Chat] = call.At
		}
	}
	var waits []time.Duration
	for _, ack := range s.telegram.Acked() {
		if at, ok := answered[ack.Object]; ok && ack.Kind == "pre_checkout_query" {
			waits = append(waits, at.Sub(ack.At.Add(-ack.Took)))
		}
	}
	slices.Sort(waits)
	return waits
}

// rush lets many people pay at once while others wait for slow answers; everybody's
// payment is answered in time, and credited.
func (s *cashier) rush(people, chats int) telegramsim.CheckoutReport {
	s.t.Helper()
	s.env["CHAT_MODEL"], s.env["WELCOME_CREDIT_USD"] = "slow", "5"
	serve := s.serve()
	s.arrange("webhook", "set")
	desk := s.desk()
	const firstPayer, firstChat, stars = 9_000_001, 9_500_001, 7
	offers := make(map[int64]string, people)
	var mu sync.Mutex
	var opening sync.WaitGroup
	slots := make(chan struct{}, 4)
	for n := range people {
		opening.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			who := int64(firstPayer + n)
			account, _, err := desk.Accounts.Register(s.ctx, who, billing.House)
			if err != nil {
				s.t.Error(err)
				return
			}
			offer, err := desk.Payments.Offer(account.ID, stars, false)
			if err != nil {
				s.t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			offers[who] = offer.Payload
		})
	}
	opening.Wait()
	busy, stop := context.WithCancel(s.ctx)
	var chatting sync.WaitGroup
	chatting.Go(func() {
		_, _ = s.telegram.Replay(busy, telegramsim.ReplayOptions{Chats: chats, PerChat: 50, FirstChat: firstChat, Wait: time.Minute,
			Text: func(_ int64, i int) string { return fmt.Sprintf("a long story, part %d", i) }})
	})
	s.until(time.Minute, "busy", func() bool { return s.model.Count() >= int64(chats) })
	report, err := s.telegram.Checkouts(s.ctx, telegramsim.CheckoutOptions{People: people, FirstUser: firstPayer,
		Bill: func(user int64) telegramsim.Bill {
			return telegramsim.Bill{Title: "Rush", Payload: offers[user], Label: "x", Stars: stars}
		}})
	stop()
	chatting.Wait()
	if err != nil || report.Paid != people || report.Unanswered+report.Refused+report.Failed > 0 {
		s.t.Errorf("%d of %d paid, %d refused for %v, %d unanswered, %d failed: %v",
			report.Paid, people, report.Refused, report.Reasons, report.Unanswered, report.Failed, err)
	}
	for n := range people {
		s.has(int64(firstPayer+n), stars*starNano)
	}
	serve.stop()
	s.reconciled()
	return report
}

// TestE2EPaymentsKilled: the server dies between two durable steps of a payment or a
// refund, and somebody else goes on.
func TestE2EPaymentsKilled(t *testing.T) {
	t.Parallel()
	s := openTill(t)
	s.withFailpoints()
	s.arrange("webhook", "set")
	for n, mark := range []string{"payments.credited", "handlers.paid", "notices.sent", "payments.refunded"} {
		who := int64(payerID + 10 + n)
		k := s.keep(mark)
		s.until(startIn, "ready", func() bool { status, _ := s.get("/readyz", ""); return status == 200 })
		s.come(who, "Ada")
		paid := s.pay(telegramsim.Purchase{User: who, Message: s.invoice(who, 10)})
		s.hear(who, `^Paid: ⭐ 10`)
		s.has(who, 500_000_000+10*starNano)
		if err := s.telegram.RefundByTelegram(paid.Charge); err != nil {
			t.Fatal(err)
		}
		s.has(who, 500_000_000)
		if k.kills() != 1 {
			t.Errorf("%s: killed %d times", mark, k.kills())
		}
		k.end()
	}
	serve := s.serve()
	serve.stop()
	s.reconciled()
}
