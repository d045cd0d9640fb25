package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

const starNano = 13_000_000 // $0.013

// shop is a rig that takes Stars, with a clock that can be turned.
func shop(t *testing.T) (*rig, *time.Time) {
	t.Helper()
	at := time.Now()
	r := newRig(t, testenv.Redis(t), func(c *Config) {
		c.StarNano = starNano
		c.Now = func() time.Time { return at }
	})
	return r, &at
}

func (r *rig) person(account int64) (telegramID int64) {
	return r.count(`select coalesce(telegram_id, 0) from accounts where id = $1`, account)
}

func (r *rig) offer(account, stars int64, monthly bool) Offer {
	r.t.Helper()
	o, err := r.desk.Payments.Offer(account, stars, monthly)
	r.must(err)
	return o
}

func stars(id string, telegramID, amount int64, payload string) Charge {
	return Charge{ID: id, Provider: ProviderStars, Amount: amount, Currency: CurrencyStars, TelegramID: telegramID, Payload: payload}
}

func (r *rig) pay(c Charge) Receipt {
	r.t.Helper()
	receipt, err := r.desk.Payments.Paid(r.t.Context(), c)
	r.must(err)
	return receipt
}

// TestPaidOnce: the same charge told by many at once is one credit; the same invoice
// paid twice is two.
func TestPaidOnce(t *testing.T) {
	r, _ := shop(t)
	account := r.account(0)
	offer := r.offer(account, 100, false)
	charge := stars("charge-1", r.person(account), 100, offer.Payload)
	var group sync.WaitGroup
	var mu sync.Mutex
	fresh := 0
	for range 20 {
		group.Go(func() {
			receipt, err := r.desk.Payments.Paid(t.Context(), charge)
			mu.Lock()
			defer mu.Unlock()
			if err != nil || receipt.CreditNano != 100*starNano || receipt.AccountID != account {
				t.Errorf("%+v, %v", receipt, err)
			}
			if !receipt.Replayed {
				fresh++
			}
		})
	}
	group.Wait()
	if fresh != 1 {
		t.Errorf("%d of the receipts are fresh", fresh)
	}
	r.wantBalance(account, 100*starNano, 0)
	charge.ID = "charge-2"
	r.pay(charge)
	r.wantBalance(account, 200*starNano, 0)
	r.wantBooks(t.Context())
	if n := r.count(`select count(*) from notices where kind = 'topped_up'`); n != 2 {
		t.Errorf("%d notices", n)
	}
	if n := r.count(`select -sum(amount_nano) from ledger_entries where book = 'stars'`); n != 200*starNano {
		t.Errorf("the book of Stars has %d", n)
	}
}

// TestPaidWhateverComes: money that came is credited to who paid it.
func TestPaidWhateverComes(t *testing.T) {
	r, at := shop(t)
	account, other := r.account(0), r.account(0)
	person := r.person(account)
	old := r.offer(account, 10, false)
	*at = at.Add(1000 * time.Hour)
	r.desk.Payments.starNano = 5
	for name, c := range map[string]struct {
		payload string
		amount  int64
		nano    int64
	}{
		"the old promise is kept":      {old.Payload, 10, 10 * starNano},
		"no payload":                   {"", 10, 50},
		"garbage":                      {"k1.once.\x00\xff", 10, 50},
		"forged":                       {strings.Replace(old.Payload, ".10.", ".11.", 1), 11, 55},
		"another amount than promised": {old.Payload, 12, 60},
		"somebody else's":              {r.offer(other, 10, false).Payload, 10, 50},
	} {
		before, err := r.desk.Accounts.Balance(t.Context(), account)
		r.must(err)
		if receipt := r.pay(stars("charge "+name, person, c.amount, c.payload)); receipt.CreditNano != c.nano || receipt.AccountID != account {
			t.Errorf("%s: %+v", name, receipt)
		}
		r.wantBalance(account, before.Available+c.nano, 0)
	}
	r.wantBalance(other, 0, 0)

	receipt := r.pay(stars("of a stranger", 987654, 7, "")) // never seen before
	r.wantBalance(receipt.AccountID, 35, 0)
	if r.person(receipt.AccountID) != 987654 {
		t.Error("the stranger's account is not theirs")
	}
	r.wantBooks(t.Context())

	for name, c := range map[string]Charge{
		"no id":            stars("", person, 10, ""),
		"an endless id":    stars(strings.Repeat("x", 200), person, 10, ""),
		"no payer":         stars("c", 0, 10, ""),
		"nothing":          stars("c", person, 0, ""),
		"less":             stars("c", person, -10, ""),
		"too much":         stars("c", person, 1<<62, ""),
		"another currency": {ID: "c", Provider: ProviderStars, Amount: 10, Currency: "USD", TelegramID: person},
		"no account":       {ID: "c", Provider: ProviderCard, Amount: 10, Currency: "USD", AccountID: 1 << 40, CreditNano: 5},
		"no provider":      {ID: "c", Amount: 10, Currency: "USD", AccountID: account},
	} {
		if receipt, err := r.desk.Payments.Paid(t.Context(), c); err == nil {
			t.Errorf("%s: %+v", name, receipt)
		}
	}
}

func TestPaidByCard(t *testing.T) {
	r, _ := shop(t)
	account := r.account(0)
	c := Charge{ID: "pi_1", Provider: ProviderCard, Amount: 500, Currency: "USD", AccountID: account, CreditNano: 5 * NanoPerUSD}
	r.pay(c)
	if receipt := r.pay(c); !receipt.Replayed {
		t.Error("taken twice")
	}
	r.wantBalance(account, 5*NanoPerUSD, 0)
	if n := r.count(`select -sum(amount_nano) from ledger_entries where book = 'card'`); n != 5*NanoPerUSD {
		t.Errorf("the book of cards has %d", n)
	}
}

func fault(err error) OfferFault {
	var refusal *OfferError
	if errors.As(err, &refusal) {
		return refusal.Fault
	}
	return OfferFault(fmt.Sprint(err))
}

func TestCheckRefuses(t *testing.T) {
	r, at := shop(t)
	account, other := r.account(0), r.account(0)
	person := r.person(account)
	offer := r.offer(account, 250, false)
	if len(offer.Payload) > 128 || offer.CreditNano != 250*starNano {
		t.Fatalf("%d bytes: %+v", len(offer.Payload), offer)
	}
	longest := Offer{AccountID: maxAccount, Stars: StarsMost, CreditNano: StarsMost * NanoPerUSD}
	if n := len(fmt.Sprintf("%s.monthly.%d.%d.%d.%d.", offerForm, longest.AccountID, longest.Stars, longest.CreditNano, int64(1)<<40)) + macDigits; n > 128 {
		t.Errorf("the longest payload has %d bytes", n)
	}
	good := Purchase{TelegramID: person, Payload: offer.Payload, Amount: 250, Currency: CurrencyStars}
	r.must(r.desk.Payments.Check(t.Context(), good))
	for name, c := range map[string]struct {
		change func(*Purchase)
		want   OfferFault
	}{
		"no payload":       {func(p *Purchase) { p.Payload = "" }, OfferForged},
		"another's seal":   {func(p *Purchase) { p.Payload = p.Payload[:len(p.Payload)-1] + "x" }, OfferForged},
		"a cheaper one":    {func(p *Purchase) { p.Payload = strings.Replace(p.Payload, ".250.", ".1.", 1); p.Amount = 1 }, OfferForged},
		"another account":  {func(p *Purchase) { p.Payload = strings.Replace(p.Payload, "once.", "once.9", 1) }, OfferForged},
		"unicode":          {func(p *Purchase) { p.Payload = "k1.once.１.２５０.３.４.五" }, OfferForged},
		"another amount":   {func(p *Purchase) { p.Amount = 249 }, OfferAmount},
		"another currency": {func(p *Purchase) { p.Currency = "USD" }, OfferAmount},
		"another payer":    {func(p *Purchase) { p.TelegramID = r.person(other) }, OfferForeign},
		"an unknown payer": {func(p *Purchase) { p.TelegramID = 31337 }, OfferClosed},
	} {
		purchase := good
		c.change(&purchase)
		if got := fault(r.desk.Payments.Check(t.Context(), purchase)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	*at = at.Add(offerLife + time.Second)
	if got := fault(r.desk.Payments.Check(t.Context(), good)); got != OfferStale {
		t.Errorf("a day later: %s", got)
	}
	*at = at.Add(-offerLife)
	r.must(r.desk.Accounts.Close(t.Context(), account, OfAccount(account)))
	if got := fault(r.desk.Payments.Check(t.Context(), good)); got != OfferClosed {
		t.Errorf("after the account was closed: %s", got)
	}
	again, _, err := r.desk.Accounts.Open(t.Context(), Profile{TelegramID: person})
	r.must(err)
	if got := fault(r.desk.Payments.Check(t.Context(), good)); got != OfferForeign || again.ID == account {
		t.Errorf("with a new account: %s", got)
	}
	for _, amount := range []int64{-1, 0, StarsMost + 1, 1 << 62} {
		if _, err := r.desk.Payments.Offer(account, amount, false); !errors.Is(err, ErrAmount) {
			t.Errorf("offer of %d Stars: %v", amount, err)
		}
	}
}

// TestCheckNeedsNoPostgres: where Redis knows the payer.
func TestCheckNeedsNoPostgres(t *testing.T) {
	r, _ := shop(t)
	account := r.account(0)
	purchase := Purchase{TelegramID: r.person(account), Payload: r.offer(account, 5, false).Payload, Amount: 5, Currency: CurrencyStars}
	r.pool.Close()
	r.must(r.desk.Payments.Check(t.Context(), purchase))
	monthly := r.offer(account, 5, true)
	purchase.Payload = monthly.Payload
	r.must(r.desk.Payments.Check(t.Context(), purchase)) // better one too many than none
	purchase.TelegramID = 4711
	if err := r.desk.Payments.Check(t.Context(), purchase); !errors.Is(err, ErrClosed) {
		t.Errorf("a payer that only Postgres could know: %v", err)
	}
}

func TestPeppersOfInvoices(t *testing.T) {
	r, _ := shop(t)
	offer := r.offer(1, 5, false)
	for _, c := range []struct {
		secrets []string
		want    bool
	}{{[]string{testPepper}, true}, {[]string{"a newer pepper", testPepper}, true}, {[]string{"a newer pepper"}, false}} {
		ring, err := newPeppers(c.secrets)
		r.must(err)
		if _, ok := (&Payments{peppers: ring}).read(offer.Payload); ok != c.want {
			t.Errorf("%q: %v", c.secrets, ok)
		}
	}
}

func FuzzReadOffer(f *testing.F) {
	ring, err := newPeppers([]string{testPepper})
	if err != nil {
		f.Fatal(err)
	}
	p := &Payments{peppers: ring, now: time.Now, starNano: starNano}
	offer, err := p.Offer(7, 250, true)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(offer.Payload)
	f.Add("k1.once.1.2.3.4.00000000000000000000000000000000")
	f.Add("......")
	f.Fuzz(func(t *testing.T, payload string) {
		if o, ok := p.read(payload); ok && payload != offer.Payload {
			t.Errorf("%q is taken for ours: %+v", payload, o)
		}
	})
}

// teller is a provider that gives money back.
type teller struct {
	given map[string]int
	err   error
}

func (b *teller) Refund(_ context.Context, p Payment) error {
	if b.err != nil {
		return b.err
	}
	if b.given == nil {
		b.given = map[string]int{}
	}
	b.given[p.ChargeID]++
	return nil
}

func TestRefundIsOwedOnce(t *testing.T) {
	r, _ := shop(t)
	account := r.account(0)
	r.pay(stars("c1", r.person(account), 100, ""))
	bank := &teller{err: errors.New("no answer")}
	refund := func() (Payment, error) {
		return r.desk.Payments.Refund(t.Context(), "c1", Operator("ada"), bank)
	}
	if p, err := refund(); err == nil || p.State() != PaymentAsked {
		t.Fatalf("the provider is away: %s, %v", p.State(), err)
	}
	// Whoever asked died; a job goes on, once some time has passed.
	bank.err = nil
	r.must(r.desk.Payments.FinishRefunds(t.Context(), ProviderStars, bank))
	if len(bank.given) != 0 {
		t.Error("too soon: who asked may still be at it")
	}
	_, err := r.pool.Exec(t.Context(), `update payments set refund_asked_at = now() - interval '2 minutes'`)
	r.must(err)
	r.must(r.desk.Payments.FinishRefunds(t.Context(), ProviderCard, bank))
	r.must(r.desk.Payments.FinishRefunds(t.Context(), ProviderStars, bank))
	for range 3 {
		_, err = refund()
		r.must(err)
		_, err = r.desk.Payments.Refunded(t.Context(), "c1")
		r.must(err)
		r.must(r.desk.Payments.FinishRefunds(t.Context(), ProviderStars, bank))
	}
	if bank.given["c1"] != 1 {
		t.Errorf("given back %d times", bank.given["c1"])
	}
	if n := r.count(`select count(*) from debits where reference = 'refund:c1' and amount_nano = $1 and book = 'stars'`, 100*starNano); n != 1 {
		t.Errorf("%d debits", n)
	}
	if n := r.count(`select count(*) from notices where kind = 'refunded'`); n != 1 {
		t.Errorf("%d notices", n)
	}
	if n := r.count(`select count(*) from audit_log where action = 'payment.refund_asked' and actor = 'operator:ada'`); n != 1 {
		t.Errorf("%d lines in the audit log", n)
	}
}

func TestRefundsThatAreNot(t *testing.T) {
	r, _ := shop(t)
	account := r.account(0)
	if _, err := r.desk.Payments.Refund(t.Context(), "nobody's", House, &teller{}); !errors.Is(err, ErrChargeUnknown) {
		t.Errorf("an unknown charge: %v", err)
	}
	if _, err := r.desk.Payments.Refunded(t.Context(), "nobody's"); !errors.Is(err, ErrChargeUnknown) {
		t.Errorf("an unknown charge was refunded: %v", err)
	}
	r.pay(stars("c1", r.person(account), 100, ""))
	_, err := r.desk.Payments.Refund(t.Context(), "c1", House, &teller{err: fmt.Errorf("too old: %w", ErrRefundRefused)})
	if !errors.Is(err, ErrRefundRefused) {
		t.Errorf("refused: %v", err)
	}
	p, err := r.desk.Payments.Find(t.Context(), "c1")
	if err != nil || p.State() != PaymentPaid || p.TelegramID != r.person(account) {
		t.Errorf("%+v, %v", p, err)
	}
	if n := r.count(`select count(*) from debits`); n != 0 {
		t.Errorf("%d debits", n)
	}
}

func TestSubscription(t *testing.T) {
	r, at := shop(t)
	account := r.account(0)
	person := r.person(account)
	p := r.desk.Payments
	if _, found, err := p.Subscription(t.Context(), account); found || err != nil {
		t.Errorf("before: %v, %v", found, err)
	}
	r.must(p.SubscriptionChanged(t.Context(), account, SubscriptionCanceled, false)) // came before its payment
	offer := r.offer(account, 50, true)
	purchase := Purchase{TelegramID: person, Payload: offer.Payload, Amount: 50, Currency: CurrencyStars}
	r.must(p.Check(t.Context(), purchase))
	month := 30 * 24 * time.Hour
	first := stars("m1", person, 50, offer.Payload)
	first.Until, first.First = at.Add(month).Truncate(time.Second), true
	r.pay(first)
	if got := fault(p.Check(t.Context(), purchase)); got != OfferSubscribed {
		t.Errorf("a second subscription: %s", got)
	}
	r.desk.Payments.starNano = 1 // what was promised stays promised
	second := stars("m2", person, 50, offer.Payload)
	second.Until = first.Until.Add(month)
	r.pay(second)
	r.pay(first) // told once more, late
	r.wantBalance(account, 100*starNano, 0)
	s, found, err := p.Subscription(t.Context(), account)
	if err != nil || !found || s.ChargeID != "m1" || !s.PaidUntil.Equal(second.Until) || !s.Running() || s.Stars != 50 {
		t.Errorf("%+v, %v, %v", s, found, err)
	}
	*at = at.Add(offerLife * 31)
	r.must(p.Check(t.Context(), purchase)) // were a renewal to be asked for
	*at = at.Add(-offerLife * 31)

	for range 2 {
		r.must(p.SubscriptionChanged(t.Context(), account, SubscriptionCanceled, false))
	}
	r.must(p.SubscriptionChanged(t.Context(), account, SubscriptionActive, false))
	r.must(p.SubscriptionChanged(t.Context(), account, SubscriptionFailed, true))
	if err := p.SubscriptionChanged(t.Context(), account, "odd", false); err == nil {
		t.Error("an odd state is taken")
	}
	kinds := map[string]int64{}
	for _, kind := range []string{NoticeToppedUp, NoticeSubscriptionRenewed, NoticeSubscriptionEnded} {
		kinds[kind] = r.count(`select count(*) from notices where kind = $1`, kind)
	}
	if kinds[NoticeToppedUp] != 1 || kinds[NoticeSubscriptionRenewed] != 1 || kinds[NoticeSubscriptionEnded] != 1 {
		t.Errorf("notices %v", kinds)
	}
	due, err := r.desk.Notices.ClaimOne(t.Context(), "paid:m2")
	r.must(err)
	var told Paid
	if err := json.Unmarshal(due[0].Details, &told); err != nil || !told.Until.Equal(second.Until) || told.CreditNano != 50*starNano {
		t.Errorf("%s: %v", due[0].Details, err)
	}
	again := stars("m9", person, 50, offer.Payload)
	again.Until, again.First = second.Until.Add(month), true
	r.pay(again)
	if s, _, err := p.Subscription(t.Context(), account); err != nil || s.ChargeID != "m9" || !s.Running() {
		t.Errorf("subscribed anew: %+v, %v", s, err)
	}
}
