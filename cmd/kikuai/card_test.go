package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

const cardSecret = "whsec_of_simulated_sites"

// takeCards lets the site take card payments through Stripe's own mock.
func (s *site) takeCards() {
	s.t.Helper()
	s.env["STRIPE_SECRET_KEY"], s.env["STRIPE_WEBHOOK_SECRET"] = "sk_test_ofSimulatedSites", cardSecret
	s.env["STRIPE_API_URL"] = testenv.Stripe(s.t)
}

// checkoutAnswer is what a payment that was begun is answered with.
type checkoutAnswer struct {
	CheckoutID    string `json:"checkout_id"`
	CheckoutURL   string `json:"checkout_url"`
	AmountUSD     string `json:"amount_usd"`
	CreditNanoUSD int64  `json:"credit_nano_usd"`
	Error         struct {
		Code, Message string
	} `json:"error"`
}

// topUp asks for a payment. Status 0 is no answer.
func (s *site) topUp(ctx context.Context, key, idempotencyKey, body string) (status int, answer checkoutAnswer) {
	s.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + key}}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	status, text := s.post(ctx, "/api/v1/payment/topup", header, body)
	if status != 0 && json.Unmarshal([]byte(text), &answer) != nil {
		s.t.Errorf("top up: %d %s", status, text)
	}
	return status, answer
}

// tell tells of an event as Stripe would. Status 0 is no answer.
func (s *site) tell(ctx context.Context, kind stripe.EventType, object map[string]any) int {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{
		"id": "evt_" + fmt.Sprint(object["payment_intent"]), "object": "event", "api_version": "2024-06-20", "type": kind,
		"data": map[string]any{"object": object},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: cardSecret})
	status, _ := s.post(ctx, "/api/v1/payment/webhook/stripe", http.Header{"Stripe-Signature": {signed.Header}}, string(body))
	return status
}

func (s *site) tellPaid(ctx context.Context, checkout, payment string, cents int64) int {
	return s.tell(ctx, stripe.EventTypeCheckoutSessionCompleted, map[string]any{
		"object": "checkout.session", "payment_status": "paid", "client_reference_id": checkout,
		"metadata": map[string]string{"kikuai_checkout": checkout}, "payment_intent": payment, "amount_total": cents, "currency": "usd",
	})
}

func (s *site) tellRefunded(ctx context.Context, payment string, cents int64) int {
	return s.tell(ctx, stripe.EventTypeChargeRefunded, map[string]any{
		"object": "charge", "payment_intent": payment, "amount_refunded": cents, "currency": "usd",
	})
}

func (s *site) tellDisputeLost(ctx context.Context, payment string, cents int64) int {
	return s.tell(ctx, stripe.EventTypeChargeDisputeClosed, map[string]any{
		"id": "dp_" + payment, "object": "dispute", "payment_intent": payment, "amount": cents, "currency": "usd",
		"reason": "fraudulent", "status": stripe.DisputeStatusLost,
	})
}

func (s *site) post(ctx context.Context, path string, header http.Header, body string) (int, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header = header
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// TestE2ECard: a key holder pays by card. Two servers are told of it, five times each
// and at once; the balance has it once, and what is given back once.
func TestE2ECard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.takeCards()
	other := s.another()
	first, second := s.serve(), other.serve()
	ctx := t.Context()
	key := s.key(personID, "1")

	status, begun := s.topUp(ctx, key, "order-1", `{"method":"card","usd":"25.00"}`)
	if status != http.StatusOK || !strings.HasPrefix(begun.CheckoutURL, "https://checkout.stripe.com/") || begun.CreditNanoUSD != 25_000_000_000 {
		t.Fatalf("top up: %d %+v", status, begun)
	}
	if status, again := other.topUp(ctx, key, "order-1", `{"usd":"25","method":"card"}`); status != http.StatusOK || again != begun {
		t.Errorf("the same key at another server: %d %+v, want %+v", status, again, begun)
	}
	if status, conflict := other.topUp(ctx, key, "order-1", `{"method":"card","usd":"26.00"}`); status != http.StatusConflict || conflict.Error.Code != "idempotency_conflict" {
		t.Errorf("the same key with another amount: %d %+v", status, conflict)
	}

	var all sync.WaitGroup
	for _, server := range []*site{s, other} {
		for range 5 {
			all.Go(func() {
				if status := server.tellPaid(ctx, begun.CheckoutID, "pi_e2e", 2500); status != http.StatusOK {
					t.Errorf("paid: %d", status)
				}
			})
		}
	}
	all.Wait()
	s.until(startIn, "credited", func() bool {
		available, _ := s.balance(key)
		return available == 26_000_000_000
	})
	var user accountAnswer
	s.admin(&user, "user", "--telegram-id", fmt.Sprint(personID))
	if user.AvailableNanoUSD != 26_000_000_000 {
		t.Errorf("admin user says %+v", user)
	}

	for _, server := range []*site{s, other, s} {
		if status := server.tellRefunded(ctx, "pi_e2e", 1000); status != http.StatusOK {
			t.Errorf("refunded in part: %d", status)
		}
	}
	s.until(startIn, "debited", func() bool {
		available, _ := s.balance(key)
		return available == 16_000_000_000
	})
	s.reconciled()
	second.stop()
	first.stop()
	s.reconciled()
	for book, nano := range map[string]int64{"card": -15_000_000_000, "customer": 16_000_000_000} {
		if has := s.one(`select coalesce(sum(amount_nano), 0)::bigint from ledger_entries where book = $1`, book); has != nano {
			t.Errorf("the book %s has %d, want %d", book, has, nano)
		}
	}
	for _, process := range []*process{first, second} {
		if log := process.log.String(); strings.Contains(log, cardSecret) || strings.Contains(log, s.env["STRIPE_SECRET_KEY"]) {
			t.Error("a secret is in the log")
		}
	}
}

// TestE2ECardGivenBack: an operator gives card payments back: whole, after a part, and
// one whose money is spent.
func TestE2ECardGivenBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.takeCards()
	serve := s.serve()
	ctx := t.Context()
	key := s.key(personID, "1")
	pay := func(payment string) {
		t.Helper()
		status, begun := s.topUp(ctx, key, "", `{"method":"card","usd":"10.00"}`)
		if status != http.StatusOK || s.tellPaid(ctx, begun.CheckoutID, payment, 1000) != http.StatusOK {
			t.Fatalf("%s: %d %+v", payment, status, begun)
		}
	}
	available := func(nano int64) {
		t.Helper()
		var has int64
		s.until(startIn, "at its balance", func() bool {
			has, _ = s.balance(key)
			return has == nano
		})
	}
	pay("pi_whole")
	pay("pi_parts")
	available(21_000_000_000)
	var back struct {
		USD      string `json:"usd"`
		Captured int64  `json:"captured_nano_usd"`
		Written  int64  `json:"written_off_nano_usd"`
		State    string `json:"state"`
	}
	s.admin(&back, "refund", "--charge-id", "pi_whole")
	if back.USD != "10.00" || back.Captured != 10_000_000_000 || back.State != "refunded" {
		t.Errorf("given back: %+v", back)
	}
	available(11_000_000_000)
	if status := s.tellRefunded(ctx, "pi_whole", 1000); status != http.StatusOK { // as Stripe tells of it, too
		t.Errorf("told of it: %d", status)
	}
	if status := s.tellRefunded(ctx, "pi_parts", 250); status != http.StatusOK {
		t.Errorf("told of a part: %d", status)
	}
	available(8_500_000_000)
	s.admin(&back, "refund", "--charge-id", "pi_parts")
	if back.Captured != 10_000_000_000 || back.State != "refunded" {
		t.Errorf("given back after a part: %+v", back)
	}
	available(1_000_000_000)

	// What is spent cannot be taken back: the rest is written off.
	pay("pi_spent")
	available(11_000_000_000)
	if status, body := s.chat(key, "exact", "go", 100); status != http.StatusOK {
		t.Fatalf("call: %d %s", status, body)
	}
	available(11_000_000_000 - callNano)
	pay("pi_other")
	for _, payment := range []string{"pi_other", "pi_spent"} {
		s.admin(&back, "refund", "--charge-id", payment)
	}
	available(1_000_000_000 - callNano)
	s.admin(&back, "refund", "--charge-id", "pi_spent") // again, nothing
	available(1_000_000_000 - callNano)
	serve.stop()
	s.reconciled()
}

// TestE2EStarsOverHTTP: a key holder asks for an invoice in Telegram Stars, and its link
// is paid in Telegram.
func TestE2EStarsOverHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	s.arrange("webhook", "set")
	ctx := t.Context()
	s.telegram.User(personID, "Ada")
	if err := s.telegram.SetStars(personID, 1000); err != nil {
		t.Fatal(err)
	}
	key := s.key(personID, "1")
	ask := func(body string) checkoutAnswer {
		t.Helper()
		status, begun := s.topUp(ctx, key, "order", body)
		if status != http.StatusOK {
			t.Fatalf("top up: %d %+v", status, begun)
		}
		return begun
	}
	begun := ask(`{"method":"stars","stars":100}`)
	if again := ask(`{"method":"stars","stars":100}`); again != begun || begun.CheckoutURL == "" {
		t.Errorf("first %+v, again %+v", begun, again)
	}
	if _, err := s.telegram.Pay(ctx, telegramsim.Purchase{User: personID, Link: begun.CheckoutURL}); err != nil {
		t.Fatal(err)
	}
	s.until(startIn, "credited", func() bool {
		available, _ := s.balance(key)
		return available == 1_000_000_000+begun.CreditNanoUSD
	})
	serve.stop()
	s.reconciled()
}

// TestE2ECardBadAmounts: amounts that are none, over HTTP; and a server that takes no
// cards, or was given half of what it takes.
func TestE2ECardBadAmounts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.takeCards()
	serve := s.serve()
	key := s.key(personID, "1")
	for _, usd := range []string{
		`"-10.00"`, `"0"`, `"0.00"`, `"0.99"`, `"1000.01"`, `"10.001"`, `"1e3"`, `"NaN"`, `""`, `" 10"`, `"10,00"`, `"١٠"`, `"１０"`, `"½"`, `"10\u200b"`, `"−10"`,
		`"99999999999999999999999"`, `"9007199254740993"`, `10`, `-10`, `1e400`, `null`, `[]`, `{}`, `true`,
	} {
		status, answer := s.topUp(t.Context(), key, "", `{"method":"card","usd":`+usd+`}`)
		if status != http.StatusBadRequest || answer.Error.Code != "invalid_request" || answer.Error.Message == "" {
			t.Errorf("usd %s: %d %+v", usd, status, answer)
		}
	}
	if begun := s.one(`select count(*) from checkouts`); begun != 0 {
		t.Errorf("%d payments were begun", begun)
	}
	serve.stop()

	delete(s.env, "STRIPE_WEBHOOK_SECRET")
	s.fails(1, "STRIPE_WEBHOOK_SECRET", "serve")
	delete(s.env, "STRIPE_SECRET_KEY")
	without := s.serve()
	if status, answer := s.topUp(t.Context(), key, "", `{"method":"card","usd":"10.00"}`); status != http.StatusBadRequest || answer.Error.Code != "payment_method_unavailable" {
		t.Errorf("without cards: %d %+v", status, answer)
	}
	if available, _ := s.balance(key); available != 1_000_000_000 {
		t.Errorf("available %d", available)
	}
	without.stop()
	s.reconciled()
}

// payByCard pays, is given a part back and another by a dispute, as a client and Stripe would who go on until
// they are answered.
func (p *passage) payByCard(ctx context.Context, c customer, serial int) {
	s, payment := p.w.s, fmt.Sprintf("pi_passage_%d", serial)
	var begun checkoutAnswer
	until := func(what string, ask func() int) bool {
		for ctx.Err() == nil {
			if ask() == http.StatusOK {
				return true
			}
			time.Sleep(50 * time.Millisecond)
		}
		s.t.Errorf("%s: %s was never answered", p.mark, what)
		return false
	}
	all := until("a top-up", func() (status int) {
		status, begun = s.topUp(ctx, c.key, payment, `{"method":"card","usd":"3.00"}`)
		return status
	}) && until("a payment", func() int { return s.tellPaid(ctx, begun.CheckoutID, payment, 300) }) &&
		until("a refund", func() int { return s.tellRefunded(ctx, payment, 100) }) &&
		until("a dispute", func() int { return s.tellDisputeLost(ctx, payment, 50) })
	if all {
		p.w.credited("card:" + payment)
		p.tookBack(ctx, payment, billing.NanoPerUSD*3/2)
	}
}

// tookBack holds what was decided to be taken off the account for a payment against what
// was given back of it.
func (p *passage) tookBack(ctx context.Context, payment string, want int64) {
	var nano int64
	err := p.w.pool.QueryRow(ctx, `select coalesce(sum(amount_nano), 0)::bigint from debits where reference like 'refund:' || $1 || '%'`, payment).Scan(&nano)
	if err != nil || nano != want {
		p.w.s.t.Errorf("%s: %d is taken back for %s, not %d: %v", p.mark, nano, payment, want, err)
	}
}
