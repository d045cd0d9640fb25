package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	stripeTestKey    = "sk_test_ofTheseTests"
	stripeTestSecret = "whsec_of_these_tests"
	topUpPath        = "/api/v1/payment/topup"
)

// taking makes a rig that takes card payments through the Stripe at address.
func taking(address string) func(*setup) {
	return func(s *setup) {
		s.stripe = &billing.StripeOptions{
			SecretKey: stripeTestKey, WebhookSecret: stripeTestSecret, APIURL: address,
			DoneURL: "https://kikuai.example" + PaymentDonePath, CanceledURL: "https://kikuai.example" + PaymentCanceledPath,
		}
	}
}

func (r *rig) topUp(key, idempotencyKey, body string) answer {
	r.t.Helper()
	if idempotencyKey == "" {
		return r.do(http.MethodPost, topUpPath, key, body)
	}
	return r.do(http.MethodPost, topUpPath, key, body, "Idempotency-Key", idempotencyKey)
}

func card(usd string) string { return fmt.Sprintf(`{"method":"card","usd":%q}`, usd) }

// beginCard begins a card payment and returns the checkout's id.
func (r *rig) beginCard(key, usd string) string {
	r.t.Helper()
	begun := r.topUp(key, "", card(usd))
	if begun.status != http.StatusOK {
		r.t.Fatalf("begin: %d %s", begun.status, begun.body)
	}
	return begun.get("checkout_id").Str
}

// wantPlain checks an error outside of OpenAI's routes.
func (a answer) wantPlain(t testing.TB, status int, code, sentence string) {
	t.Helper()
	fault := a.get("error")
	if a.status != status || fault.Get("code").Str != code || fault.Get("request_id").Str == "" || !strings.Contains(fault.Get("message").Str, sentence) {
		t.Errorf("answered %d %s, want %d %s with %q", a.status, a.body, status, code, sentence)
	}
	for _, internal := range []string{"gateway:", "billing:", "stripe answered", "127.0.0.1", "dial", stripeTestKey, stripeTestSecret} {
		if strings.Contains(a.body, internal) {
			t.Errorf("the answer tells of the inside: %s", a.body)
		}
	}
}

// TestTopUpCard begins payments at Stripe's own mock, which refuses requests that its
// specification does not know.
func TestTopUpCard(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	account, key := r.account(0)
	first := r.topUp(key, "mine", card("10.00"))
	if first.status != http.StatusOK || !strings.HasPrefix(first.get("checkout_url").Str, "https://checkout.stripe.com/") ||
		!regexp.MustCompile(`^co_[A-Z2-7]{26}$`).MatchString(first.get("checkout_id").Str) ||
		first.get("method").Str != "card" || first.get("amount_usd").Str != "10.00" || first.get("credit_nano_usd").Int() != 10*billing.NanoPerUSD {
		t.Fatalf("answered %d %s", first.status, first.body)
	}
	if first.header.Get("RateLimit") == "" || first.header.Get("Cache-Control") != noStore {
		t.Errorf("no word of the limit, or it may be kept: %v", first.header)
	}
	for range 3 {
		if again := r.topUp(key, "mine", card("10")); again.status != http.StatusOK || again.body != first.body {
			t.Errorf("the same key: %d %s, want %s", again.status, again.body, first.body)
		}
	}
	r.topUp(key, "mine", card("10.01")).wantPlain(t, http.StatusConflict, "idempotency_conflict", "new key")
	if again := r.topUp(key, "mine", card("10.00")); again.body != first.body {
		t.Errorf("after a conflict: %s, want %s", again.body, first.body)
	}
	_, other := r.account(0)
	if theirs := r.topUp(other, "mine", card("10.00")); theirs.status != http.StatusOK || theirs.get("checkout_id").Str == first.get("checkout_id").Str {
		t.Errorf("another account's same key: %d %s", theirs.status, theirs.body)
	}
	if one, two := r.beginCard(key, "5"), r.beginCard(key, "5"); one == two {
		t.Error("two payments without a key are one")
	}
	if got := r.balance(account); got != (billing.Balance{}) {
		t.Errorf("a payment that was begun is money already: %+v", got)
	}
}

// TestTopUpOnceAtOnce: as many requests at once with one key begin one payment.
func TestTopUpOnceAtOnce(t *testing.T) {
	var sessions sync.Map
	var n atomic.Int64
	answers := make([]answer, 16)
	var arrived sync.WaitGroup
	arrived.Add(len(answers))
	stripe := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		arrived.Done()
		arrived.Wait() // so that none of them finds another's page
		// Stripe answers a repeated key with its first answer.
		id, _ := sessions.LoadOrStore(q.Header.Get("Idempotency-Key"), n.Add(1))
		fmt.Fprintf(w, `{"id":"cs_%d","object":"checkout.session","url":"https://stripe.example/%d"}`, id, id)
	}))
	t.Cleanup(stripe.Close)
	r := newRig(t, taking(stripe.URL))
	_, key := r.account(0)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = r.topUp(key, "once", card("7.50")) })
	}
	all.Wait()
	for _, a := range answers {
		if a.status != http.StatusOK || a.body != answers[0].body {
			t.Errorf("%d %s, another was answered %s", a.status, a.body, answers[0].body)
		}
	}
	if count := lenOf(&sessions); count != 1 {
		t.Errorf("%d payments were begun", count)
	}
}

func lenOf(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// TestTopUpBadInput: each fault is named with its mend, and nothing is begun.
func TestTopUpBadInput(t *testing.T) {
	r := newRig(t, taking("http://127.0.0.1:1"), linking(&linkMaker{})) // what comes so far is answered 502
	_, key := r.account(0)
	usd := func(raw string) string { return `{"method":"card","usd":` + raw + `}` }
	const digits, cent, bounds, text = "not a decimal", "finer than a cent", "from 1.00 to 1000.00 USD", "not a string"
	for _, row := range []struct{ body, sentence string }{
		{usd(`"-10.00"`), digits}, {usd(`"-0"`), digits}, {usd(`"+10.00"`), digits}, {usd(`"--1"`), digits},
		{usd(`"0"`), bounds}, {usd(`"0.00"`), bounds}, {usd(`"0.99"`), bounds}, {usd(`"000"`), bounds}, {usd(`"0.01"`), bounds},
		{usd(`"10.001"`), cent}, {usd(`"10.009"`), cent}, {usd(`"0.999999999"`), cent}, {usd(`"10.0000000001"`), cent},
		{usd(`"1000.01"`), bounds}, {usd(`"99999999999999999999999999999999999999"`), bounds}, {usd(`"9007199254740993"`), bounds},
		{usd(`"` + strings.Repeat("9", 3000) + `"`), bounds},
		{usd(`"1e3"`), digits}, {usd(`"0x10"`), digits}, {usd(`"NaN"`), digits}, {usd(`"Infinity"`), digits}, {usd(`"10,00"`), digits},
		{usd(`"10."`), digits}, {usd(`".5"`), digits}, {usd(`"1.2.3"`), digits}, {usd(`" 10"`), digits}, {usd(`"10 "`), digits},
		{usd(`""`), digits}, {usd(`"$10"`), digits}, {usd(`"10 USD"`), digits}, {usd(`"10\u0000"`), digits},
		{usd(`"١٠.٠٠"`), digits}, {usd(`"１０.００"`), digits}, {usd(`"10．00"`), digits}, {usd(`"𝟏𝟎"`), digits}, {usd(`"10\u200b"`), digits},
		{usd(`"ten"`), digits}, {usd(`"²"`), digits}, {usd(`"½"`), digits},
		{usd(`10`), text}, {usd(`10.00`), text}, {usd(`-5`), text}, {usd(`1e400`), text}, {usd(`null`), text}, {usd(`true`), text},
		{usd(`["10.00"]`), text}, {usd(`{"usd":"10.00"}`), text},
		{`{"method":"card"}`, `"usd" is missing`},
		{`{"method":"card","stars":250}`, `leave out "stars"`}, {`{"method":"card","usd":"10.00","stars":250}`, "stated twice"}, {`{"method":"stars","usd":"10.00","stars":250}`, "stated twice"},
		{`{"usd":"10.00"}`, `"card" or "stars"`}, {`{"method":"cash","usd":"10.00"}`, `"card" or "stars"`},
		{`{"method":"CARD","usd":"10.00"}`, `"card" or "stars"`}, {`{"method":null,"usd":"10.00"}`, `"card" or "stars"`}, {`{"method":1}`, `"card" or "stars"`},
		{`{"method":"card","usd":"10.00","currency":"EUR"}`, "not known here"}, {`{"method":"card","USD":"10.00"}`, "not known here"},
		{``, "not a JSON object"}, {`null`, "not a JSON object"}, {`"card"`, "not a JSON object"}, {`[]`, "not a JSON object"}, {`{`, "not a JSON object"},
		{`{"method":"card","usd":"10.00"} {}`, "not a JSON object"}, {"\xff\xfe", "not a JSON object"}, {`method=card&usd=10.00`, "not a JSON object"},
	} {
		r.topUp(key, "bad", row.body).wantPlain(t, http.StatusBadRequest, "invalid_request", row.sentence)
	}
	const whole, bound = "not a whole number", "from 1 to 10000 of them"
	for raw, sentence := range map[string]string{
		`-1`: whole, `-0`: whole, `2.5`: whole, `250.0`: whole, `1e2`: whole, `"250"`: whole, `null`: whole, `true`: whole, `[250]`: whole, `"٢٥٠"`: whole,
		`0`: bound, `10001`: bound, `9007199254740993`: bound, `99999999999999999999999999`: bound,
	} {
		r.topUp(key, "bad", `{"method":"stars","stars":`+raw+`}`).wantPlain(t, http.StatusBadRequest, "invalid_request", sentence)
	}
	for raw, sentence := range map[string]string{
		`"0"`: bound, `"0.00"`: bound, `"130.01"`: bound, `"99999999999999999999999999"`: bound, `"9007199.25"`: bound,
		`"-1"`: digits, `"1.001"`: cent, `250`: text, `"１"`: digits,
	} {
		r.topUp(key, "bad", `{"method":"stars","usd":`+raw+`}`).wantPlain(t, http.StatusBadRequest, "invalid_request", sentence)
	}
	r.topUp(key, "bad", `{"method":"stars"}`).wantPlain(t, http.StatusBadRequest, "invalid_request", `"stars" is missing`)
	for name, idempotencyKey := range map[string]string{"long": strings.Repeat("k", 201), "long in letters": strings.Repeat("я", 201), "no text": "\xff\xfe"} {
		a := r.topUp(key, idempotencyKey, card("10.00"))
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, "Idempotency-Key") {
			t.Errorf("an idempotency key that is %s: %d %s", name, a.status, a.body)
		}
	}
	large := r.topUp(key, "", card("10.00")+strings.Repeat(" ", topUpBody))
	large.wantPlain(t, http.StatusRequestEntityTooLarge, "request_too_large", "")
	r.do(http.MethodPost, topUpPath, key, card("10.00"), "Content-Encoding", "gzip").wantPlain(t, http.StatusUnsupportedMediaType, "unsupported_encoding", "")
	r.topUp("", "", `{"method":`).wantPlain(t, http.StatusUnauthorized, "invalid_api_key", "")
	r.topUp("kk_1_nonsense", "", card("10.00")).wantPlain(t, http.StatusUnauthorized, "invalid_api_key", "")
	if begun := r.count(`select count(*) from checkouts`); begun != 0 {
		t.Errorf("%d payments were begun", begun)
	}
	// What is right gets past all that, with up to 200 letters in its key.
	for _, right := range []string{"1", "1.00", "1000", "1000.00", "999.99", "0010.50", "10.5", "10.500"} {
		r.topUp(key, right+strings.Repeat("я", 200-len(right)), card(right)).wantPlain(t, http.StatusBadGateway, "payment_provider_error", "")
	}
}

func (r *rig) count(query string, args ...any) (n int64) {
	r.t.Helper()
	r.must(r.pool.QueryRow(r.t.Context(), query, args...).Scan(&n))
	return n
}

// linkMaker makes links as the bot does, unless it cannot.
type linkMaker struct {
	err  error
	made atomic.Int64
}

func (l *linkMaker) InvoiceLink(_ context.Context, accountID, stars int64, monthly bool) (string, error) {
	if l.err != nil || monthly {
		return "", l.err
	}
	return fmt.Sprintf("https://t.me/$%d_%d_%d", accountID, stars, l.made.Add(1)), nil
}

func linking(l *linkMaker) func(*setup) {
	return func(s *setup) { s.server.Invoices, s.starNano = l, 13_000_000 }
}

func TestTopUpStars(t *testing.T) {
	links := &linkMaker{}
	r := newRig(t, linking(links))
	account, key := r.account(0)
	first := r.topUp(key, "mine", `{"method":"stars","stars":250}`)
	if first.status != http.StatusOK || first.get("checkout_url").Str != fmt.Sprintf("https://t.me/$%d_250_1", account) ||
		first.get("amount_stars").Int() != 250 || first.get("credit_nano_usd").Int() != 250*13_000_000 || first.get("amount_usd").Exists() {
		t.Fatalf("answered %d %s", first.status, first.body)
	}
	if again := r.topUp(key, "mine", `{"stars":250,"method":"stars"}`); again.body != first.body {
		t.Errorf("the same key: %s, want %s", again.body, first.body)
	}
	for _, other := range []string{`{"method":"stars","stars":251}`, `{"method":"stars","usd":"3.25"}`} {
		r.topUp(key, "mine", other).wantPlain(t, http.StatusConflict, "idempotency_conflict", "")
	}
	// As many as are worth it at least, and never fewer than asked for.
	for usd, stars := range map[string]int64{"0.01": 1, "0.02": 2, "0.13": 10, "0.14": 11, "3.25": 250, "10.00": 770, "130": 10_000} {
		if a := r.topUp(key, "", `{"method":"stars","usd":"`+usd+`"}`); a.get("amount_stars").Int() != stars || a.get("credit_nano_usd").Int() < nano(t, usd) {
			t.Errorf("%s USD: %d %s, want %d Stars", usd, a.status, a.body, stars)
		}
	}
	links.err = errors.New("telegram is away")
	r.topUp(key, "later", `{"method":"stars","stars":5}`).wantPlain(t, http.StatusBadGateway, "payment_provider_error", "same Idempotency-Key")
	links.err = nil
	if a := r.topUp(key, "later", `{"method":"stars","stars":5}`); a.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
	r.topUp(key, "", card("10.00")).wantPlain(t, http.StatusBadRequest, "payment_method_unavailable", "")
}

// TestCheckoutsAreForgotten: what nobody paid in three months, and nothing else.
func TestCheckoutsAreForgotten(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	_, key := r.account(0)
	for name, change := range map[string]string{"fresh": "", "old": "", "paid": `charge_id = 'pi_1'`, "odd": `refused = '{pi_2}'`} {
		r.topUp(key, name, card("1"))
		if name != "fresh" {
			_, err := r.pool.Exec(t.Context(), `update checkouts set created_at = now() - interval '91 days' where idempotency_key = $1`, name)
			r.must(err)
		}
		if change != "" {
			_, err := r.pool.Exec(t.Context(), `update checkouts set `+change+` where idempotency_key = $1`, name)
			r.must(err)
		}
	}
	r.must(r.desk.Checkouts.Prune(t.Context()))
	if old, all := r.count(`select count(*) from checkouts where idempotency_key = 'old'`), r.count(`select count(*) from checkouts`); old != 0 || all != 3 {
		t.Errorf("%d of the old and %d in all are left", old, all)
	}
}

func TestTopUpUnavailable(t *testing.T) {
	r := newRig(t)
	account, key := r.account(0)
	r.topUp(key, "", card("10.00")).wantPlain(t, http.StatusBadRequest, "payment_method_unavailable", "not taken here")
	r.topUp(key, "", `{"method":"stars","stars":250}`).wantPlain(t, http.StatusBadRequest, "payment_method_unavailable", "not taken here")
	r.do(http.MethodPost, stripePath, "", "{}").wantPlain(t, http.StatusBadRequest, "payment_method_unavailable", "")
	if _, err := r.pool.Exec(t.Context(), `update accounts set status = 'closed' where id = $1`, account); err != nil {
		t.Fatal(err)
	}
	closed := newRig(t, taking("http://127.0.0.1:1"), func(s *setup) { s.pool = r.pool })
	_, err := closed.desk.Checkouts.Card(t.Context(), billing.CheckoutRequest{AccountID: account, Amount: 500})
	if !errors.Is(err, billing.ErrAccountInactive) {
		t.Errorf("a closed account may pay: %v", err)
	}
	_, err = closed.desk.Checkouts.Card(t.Context(), billing.CheckoutRequest{AccountID: account + 1000, Amount: 500})
	if !errors.Is(err, billing.ErrAccountUnknown) {
		t.Errorf("nobody's payment: %v", err)
	}
}

// TestTopUpProviderAway: whatever the provider does, the client hears 502 and may come
// again with the same key, and then has one payment.
func TestTopUpProviderAway(t *testing.T) {
	var fault atomic.Pointer[http.HandlerFunc]
	set := func(h http.HandlerFunc) { fault.Store(&h) }
	var keys []string
	stripe := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		keys = append(keys, q.Header.Get("Idempotency-Key"))
		(*fault.Load())(w, q)
	}))
	t.Cleanup(stripe.Close)
	r := newRig(t, taking(stripe.URL))
	_, key := r.account(0)
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	for name, row := range map[string]struct {
		do    http.HandlerFunc
		spent bool // Stripe would repeat its answer to the same key
	}{
		"500":         {say(500, `{"error":{"message":"secret sk_test_ofTheseTests","type":"api_error"}}`), true},
		"503":         {say(503, `nothing`), false},
		"401":         {say(401, `{"error":{"message":"Invalid API Key provided: sk_test_ofTheseTests","type":"invalid_request_error"}}`), false},
		"429":         {say(429, `{"error":{"message":"slow down","type":"invalid_request_error","code":"rate_limit"}}`), false},
		"redirect":    {say(307, ``), false},
		"html":        {say(200, `<html>`), false},
		"no address":  {say(200, `{"id":"cs_1","object":"checkout.session"}`), false},
		"cut":         {cut, false},
		"empty":       {say(200, ``), false},
		"wrong types": {say(200, `{"id":1,"url":{}}`), false},
	} {
		keys = nil
		set(row.do)
		r.topUp(key, name, card("10.00")).wantPlain(t, http.StatusBadGateway, "payment_provider_error", "same Idempotency-Key")
		r.topUp(key, name, card("11.00")).wantPlain(t, http.StatusConflict, "idempotency_conflict", "")
		set(say(200, `{"id":"cs_1","object":"checkout.session","url":"https://stripe.example/now"}`))
		if a := r.topUp(key, name, card("10.00")); a.status != http.StatusOK || a.get("checkout_url").Str != "https://stripe.example/now" {
			t.Errorf("after %s: %d %s", name, a.status, a.body)
		}
		if len(keys) != 2 || (keys[0] != keys[1]) != row.spent {
			t.Errorf("after %s Stripe heard the keys %v", name, keys)
		}
	}
	if n := r.count(`select count(*) from checkouts`); n != 10 {
		t.Errorf("%d payments for 10 keys", n)
	}
}

func TestPaymentPages(t *testing.T) {
	r := newRig(t)
	for path, want := range map[string]string{PaymentDonePath: "Thank you", PaymentCanceledPath: "Nothing was paid"} {
		page := r.do(http.MethodGet, path+"?session_id=x", "", "")
		if page.status != http.StatusOK || !strings.Contains(page.body, want) || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %s", path, page.status, page.body)
		}
	}
}

// TestTopUpsOfAnHour: over the limit no further payment is begun, with the time to wait,
// and what was begun before is still found by its key.
func TestTopUpsOfAnHour(t *testing.T) {
	clock := time.Now()
	var guard *ratelimit.Guard
	r := newRig(t, taking(testenv.Stripe(t)), func(s *setup) {
		guard = ratelimit.NewGuard(ratelimit.NewRedisAt(testenv.Redis(t), func() time.Time { return clock }), "topups", 2, time.Hour)
		s.server.TopUps = guard
	})
	_, key := r.account(0)
	_, other := r.account(0)
	first := r.topUp(key, "one", card("10"))
	r.topUp(key, "bad", card("0.10")).wantPlain(t, http.StatusBadRequest, "invalid_request", "from 1.00") // begins nothing
	for range 3 {
		if again := r.topUp(key, "one", card("10")); again.status != http.StatusOK || again.body != first.body {
			t.Errorf("the same key: %d %s", again.status, again.body)
		}
	}
	if two := r.topUp(key, "", card("10")); two.status != http.StatusOK {
		t.Errorf("the second: %d %s", two.status, two.body)
	}
	clock = clock.Add(10*time.Minute + 500*time.Millisecond)
	for _, idempotencyKey := range []string{"", "three", "three"} {
		denied := r.topUp(key, idempotencyKey, card("10"))
		denied.wantPlain(t, http.StatusTooManyRequests, "topup_limit_exceeded", "next one can be begun in")
		if after := denied.header.Get("Retry-After"); after != "3000" {
			t.Errorf("Retry-After is %q", after)
		}
	}
	if again := r.topUp(key, "one", card("10")); again.status != http.StatusOK || again.body != first.body {
		t.Errorf("a payment begun before: %d %s", again.status, again.body)
	}
	if theirs := r.topUp(other, "", card("10")); theirs.status != http.StatusOK {
		t.Errorf("another account: %d %s", theirs.status, theirs.body)
	}
	clock = clock.Add(3000 * time.Second)
	if later := r.topUp(key, "three", card("10")); later.status != http.StatusOK {
		t.Errorf("after that time: %d %s", later.status, later.body)
	}
}
