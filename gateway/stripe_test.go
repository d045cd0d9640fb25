package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

const stripePath = "/api/v1/payment/webhook/stripe"

// happened is an event as Stripe tells it.
type happened struct {
	kind    stripe.EventType
	version string // "": the library's
	object  map[string]any
}

func (h happened) body() []byte {
	if h.version == "" {
		h.version = stripe.APIVersion
	}
	body, err := json.Marshal(map[string]any{
		"id": "evt_" + fmt.Sprint(h.object["id"]), "object": "event", "api_version": h.version, "type": h.kind,
		"created": time.Now().Unix(), "livemode": false, "pending_webhooks": 1, "data": map[string]any{"object": h.object},
	})
	if err != nil {
		panic(err)
	}
	return body
}

// paid tells that a checkout was paid.
func paid(checkout, payment string, cents int64, edit ...func(session map[string]any)) happened {
	session := map[string]any{
		"id": "cs_" + payment, "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid",
		"client_reference_id": checkout, "metadata": map[string]string{"kikuai_checkout": checkout},
		"payment_intent": payment, "amount_total": cents, "currency": "usd",
	}
	for _, e := range edit {
		e(session)
	}
	return happened{kind: stripe.EventTypeCheckoutSessionCompleted, object: session}
}

// givenBack tells how much of a payment was refunded so far, in all.
func givenBack(payment string, cents int64) happened {
	return happened{kind: stripe.EventTypeChargeRefunded, object: map[string]any{
		"id": "ch_" + payment, "object": "charge", "payment_intent": payment, "amount_refunded": cents, "currency": "usd", "refunded": false,
	}}
}

// deliver sends an event as Stripe would.
func (r *rig) deliver(h happened) answer {
	r.t.Helper()
	return r.deliverSigned(h.body(), stripeTestSecret, time.Now())
}

func (r *rig) deliverSigned(body []byte, secret string, at time.Time) answer {
	r.t.Helper()
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at})
	return r.do(http.MethodPost, stripePath, "", string(body), "Stripe-Signature", signed.Header)
}

func (r *rig) wantDelivered(h happened) {
	r.t.Helper()
	if a := r.deliver(h); a.status != http.StatusOK {
		r.t.Errorf("%s: %d %s", h.kind, a.status, a.body)
	}
}

// credited is what the ledger says the account was given by card, in cents.
func (r *rig) credited(account int64) int64 {
	return r.count(`select coalesce(sum(amount_nano), 0)::bigint from credits where account_id = $1 and kind = 'card'`, account) / nanoPerCent
}

// owed is what the account is to give back, in cents, and in how many debits.
func (r *rig) owed(account int64) (cents, debits int64) {
	r.t.Helper()
	r.must(r.pool.QueryRow(r.t.Context(), `select coalesce(sum(amount_nano), 0)::bigint, count(*) from debits
		where account_id = $1 and kind = 'refund' and book = 'card'`, account).Scan(&cents, &debits))
	return cents / nanoPerCent, debits
}

func (r *rig) balancedBooks() {
	r.t.Helper()
	differences, err := r.desk.Ledger.Check(r.t.Context())
	if err != nil || len(differences) > 0 {
		r.t.Errorf("the books differ: %+v, %v", differences, err)
	}
}

func TestStripePaid(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	account, key := r.account(0)
	checkout := r.beginCard(key, "12.34")
	event := paid(checkout, "pi_1", 1234)
	for range 5 {
		r.wantDelivered(event)
	}
	r.wantBalance(account, nano(t, "12.34"))

	// Five at once, as a hasty provider might.
	second := r.beginCard(key, "5")
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { r.wantDelivered(paid(second, "pi_2", 500)) })
	}
	all.Wait()
	r.wantBalance(account, nano(t, "17.34"))

	// Paid later than completed; the intent expanded; told by another version of the API.
	third := r.beginCard(key, "1")
	unpaid := paid(third, "pi_3", 100, func(s map[string]any) { s["payment_status"] = "unpaid" })
	r.wantDelivered(unpaid)
	r.wantBalance(account, nano(t, "17.34"))
	later := paid(third, "pi_3", 100, func(s map[string]any) { s["payment_intent"] = map[string]any{"id": "pi_3", "object": "payment_intent"} })
	later.kind, later.version = stripe.EventTypeCheckoutSessionAsyncPaymentSucceeded, "2019-03-14"
	r.wantDelivered(later)
	r.wantDelivered(unpaid)
	r.wantDelivered(later)
	r.wantBalance(account, nano(t, "18.34"))

	// The same page paid twice by two payments is money twice.
	r.wantDelivered(paid(second, "pi_2b", 500))
	r.wantBalance(account, nano(t, "23.34"))
	if notices := r.count(`select count(*) from notices where account_id = $1 and kind = 'topped_up'`, account); notices != 4 {
		t.Errorf("%d notices of 4 payments", notices)
	}
	r.balancedBooks()
}

// TestStripeIgnores: what is not ours, or not of concern, is taken and changes nothing.
func TestStripeIgnores(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	account, key := r.account(0)
	checkout := r.beginCard(key, "10")
	bare := func(s map[string]any) { s["metadata"], s["client_reference_id"] = map[string]string{}, nil }
	foreign := func(s map[string]any) { s["client_reference_id"] = "order-77" }
	for name, event := range map[string]happened{
		"another shop's":    paid(checkout, "pi_a", 1000, bare),
		"another reference": paid(checkout, "pi_b", 1000, foreign),
		"unknown checkout":  paid("co_AAAAAAAAAAAAAAAAAAAAAAAAAA", "pi_c", 1000),
		"not paid":          paid(checkout, "pi_d", 1000, func(s map[string]any) { s["payment_status"] = "no_payment_required" }),
		"expired":           {kind: stripe.EventTypeCheckoutSessionExpired, object: paid(checkout, "pi_e", 1000).object},
		"failed":            {kind: stripe.EventTypeCheckoutSessionAsyncPaymentFailed, object: paid(checkout, "pi_f", 1000).object},
		"unknown event":     {kind: "something.new", object: map[string]any{"id": "x"}},
		"refund elsewhere":  givenBack("pi_elsewhere", 500),
		"refund of a bare charge": {kind: stripe.EventTypeChargeRefunded, object: map[string]any{
			"id": "ch_1", "object": "charge", "payment_intent": nil, "amount_refunded": 5, "currency": "usd"}},
		"refund in yen": {kind: stripe.EventTypeChargeRefunded, object: map[string]any{
			"id": "ch_2", "object": "charge", "payment_intent": "pi_yen", "amount_refunded": 5, "currency": "jpy"}},
	} {
		if a := r.deliver(event); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if cents := r.credited(account); cents != 0 {
		t.Errorf("%d cents credited", cents)
	}
	if _, debits := r.owed(account); debits != 0 {
		t.Errorf("%d debits", debits)
	}
}

// TestStripeRefuses: what is paid otherwise than begun is not credited, stands in the
// audit log once, and is not sent for ever.
func TestStripeRefuses(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	account, key := r.account(0)
	checkout := r.beginCard(key, "10")
	for payment, event := range map[string]happened{
		"pi_less":     paid(checkout, "pi_less", 999),
		"pi_more":     paid(checkout, "pi_more", 100_000),
		"pi_negative": paid(checkout, "pi_negative", -1000),
		"pi_zero":     paid(checkout, "pi_zero", 0),
		"pi_euro":     paid(checkout, "pi_euro", 1000, func(s map[string]any) { s["currency"] = "eur" }),
	} {
		for range 3 {
			r.wantDelivered(event)
		}
		if n := r.count(`select count(*) from audit_log where action = 'payment.refused' and account_id = $1 and details->>'payment' = $2`, account, payment); n != 1 {
			t.Errorf("%s stands in the audit log %d times", payment, n)
		}
	}
	if cents := r.credited(account); cents != 0 {
		t.Errorf("%d cents credited", cents)
	}
	r.wantDelivered(paid(checkout, "pi_right", 1000))
	r.wantBalance(account, nano(t, "10"))
	r.balancedBooks()
}

// TestStripeForged: nothing is believed that Stripe did not sign a moment ago.
func TestStripeForged(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	account, key := r.account(0)
	body := paid(r.beginCard(key, "10"), "pi_1", 1000).body()
	refused := func(name string, a answer, code string) {
		t.Helper()
		if a.status != http.StatusBadRequest || a.get("error.code").Str != code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	now := time.Now()
	refused("another's secret", r.deliverSigned(body, "whsec_of_somebody_else", now), "invalid_signature")
	refused("no secret", r.deliverSigned(body, "", now), "invalid_signature")
	refused("old", r.deliverSigned(body, stripeTestSecret, now.Add(-6*time.Minute)), "invalid_signature")
	good := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: stripeTestSecret}).Header
	changed := strings.Replace(string(body), `"amount_total":1000`, `"amount_total":9000`, 1)
	for name, row := range map[string][2]string{
		"changed":   {changed, good},
		"longer":    {string(body) + " ", good},
		"unsigned":  {string(body), ""},
		"nonsense":  {string(body), "t=,v1="},
		"no scheme": {string(body), strings.Replace(good, "v1=", "v0=", 1)},
		"cut":       {string(body), good[:len(good)-2]},
		"moved":     {string(body), strings.Replace(good, "t=", "t=9", 1)},
	} {
		refused(name, r.do(http.MethodPost, stripePath, "", row[0], "Stripe-Signature", row[1]), "invalid_signature")
	}
	for name, signed := range map[string]string{
		"no JSON": "paid", "thin": `{"id":"evt_1","object":"v2.core.event","type":"x"}`, "no object": `{"id":"evt_1","object":"event","type":"checkout.session.completed"}`,
		"array":           `{"id":"evt_1","object":"event","type":"checkout.session.completed","data":{"object":[]}}`,
		"string amount":   string(paid("co_x", "pi_x", 1, func(s map[string]any) { s["amount_total"] = "1000" }).body()),
		"fraction":        string(paid("co_x", "pi_x", 1, func(s map[string]any) { s["amount_total"] = 10.5 }).body()),
		"huge":            string(paid("co_x", "pi_x", 1, func(s map[string]any) { s["amount_total"] = 1e300 }).body()),
		"without payment": string(paid("co_x", "pi_x", 1, func(s map[string]any) { s["payment_intent"] = nil }).body()),
	} {
		refused(name, r.deliverSigned([]byte(signed), stripeTestSecret, now), "invalid_event")
	}
	if cents := r.credited(account); cents != 0 {
		t.Errorf("%d cents credited", cents)
	}
	if a := r.do(http.MethodPost, stripePath, "", string(body), "Stripe-Signature", good); a.status != http.StatusOK || r.credited(account) != 1000 {
		t.Errorf("the true one: %d %s, %d cents", a.status, a.body, r.credited(account))
	}
	large := r.do(http.MethodPost, stripePath, "", strings.Repeat(" ", eventBody+1))
	large.wantPlain(t, http.StatusRequestEntityTooLarge, "request_too_large", "")
}

// TestStripeRefunds: what was given back is owed once, in whatever order it is told.
func TestStripeRefunds(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	for name, row := range map[string]struct {
		events []happened
		owed   int64 // of 1000 cents
	}{
		"whole":                 {[]happened{paid("", "", 1000), givenBack("", 1000)}, 1000},
		"told five times":       {[]happened{paid("", "", 1000), givenBack("", 400), givenBack("", 400), givenBack("", 400), givenBack("", 400), givenBack("", 400)}, 400},
		"in parts":              {[]happened{paid("", "", 1000), givenBack("", 300), givenBack("", 500), givenBack("", 1000)}, 1000},
		"parts overtaking":      {[]happened{paid("", "", 1000), givenBack("", 1000), givenBack("", 300), givenBack("", 500)}, 1000},
		"before the payment":    {[]happened{givenBack("", 1000), paid("", "", 1000), paid("", "", 1000)}, 1000},
		"parts around":          {[]happened{givenBack("", 300), paid("", "", 1000), givenBack("", 800), givenBack("", 300), paid("", "", 1000)}, 800},
		"before, and all again": {[]happened{givenBack("", 200), givenBack("", 700), paid("", "", 1000), givenBack("", 700), givenBack("", 200)}, 700},
	} {
		account, key := r.account(0)
		checkout, payment := r.beginCard(key, "10"), fmt.Sprintf("pi_%d", account)
		for _, event := range row.events {
			event = event.of(checkout, payment)
			r.wantDelivered(event)
			if event.kind == stripe.EventTypeChargeRefunded {
				r.wantDelivered(event)
			}
		}
		if owed, debits := r.owed(account); owed != row.owed || r.credited(account) != 1000 {
			t.Errorf("%s: %d cents owed in %d debits, %d credited", name, owed, debits, r.credited(account))
		}
		if whole := r.count(`select count(*) from payments where charge_id = $1 and refunded_at is not null`, payment) == 1; whole != (row.owed == 1000) {
			t.Errorf("%s: given back as a whole: %v", name, whole)
		}
	}
	r.balancedBooks()

	// All of it at once, from several connections.
	account, key := r.account(0)
	checkout := r.beginCard(key, "10")
	var all sync.WaitGroup
	for _, event := range []happened{paid(checkout, "pi_all", 1000), givenBack("pi_all", 100), givenBack("pi_all", 600), givenBack("pi_all", 1000)} {
		for range 4 {
			all.Go(func() { r.wantDelivered(event) })
		}
	}
	all.Wait()
	if owed, _ := r.owed(account); owed != 1000 || r.credited(account) != 1000 {
		t.Errorf("all at once: %d cents owed, %d credited", owed, r.credited(account))
	}
}

// of is the event for another checkout and payment.
func (h happened) of(checkout, payment string) happened {
	if h.kind == stripe.EventTypeChargeRefunded {
		return givenBack(payment, h.object["amount_refunded"].(int64))
	}
	return paid(checkout, payment, h.object["amount_total"].(int64))
}

// TestStripeTellsBeforeWeKnow: the event of a payment comes while its page is still
// being opened.
func TestStripeTellsBeforeWeKnow(t *testing.T) {
	var r *rig
	var early atomic.Int64
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if early.Add(1) == 1 {
			r.wantDelivered(paid(q.FormValue("client_reference_id"), "pi_early", 1000))
		}
		fmt.Fprint(w, `{"id":"cs_1","object":"checkout.session","url":"https://stripe.example/1"}`)
	}))
	t.Cleanup(provider.Close)
	r = newRig(t, taking(provider.URL))
	account, key := r.account(0)
	checkout := r.beginCard(key, "10")
	r.wantBalance(account, nano(t, "10"))
	r.wantDelivered(paid(checkout, "pi_early", 1000))
	r.wantBalance(account, nano(t, "10"))
}

// TestStripeWithoutPostgres: an event is taken only when its effect is durable.
func TestStripeWithoutPostgres(t *testing.T) {
	server := testenv.PostgresServer(t)
	r := newRig(t, taking(testenv.Stripe(t)), func(s *setup) { s.pool = server.Pool() })
	account, key := r.account(0)
	event := paid(r.beginCard(key, "10"), "pi_1", 1000)
	server.Stop()
	if a := r.deliver(event); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("with Postgres away: %d %s", a.status, a.body)
	}
	if a := r.topUp(key, "later", card("10")); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("with Postgres away: %d %s", a.status, a.body)
	}
	server.Start()
	testenv.Until(r.t, "Postgres is back", func() bool { return r.pool.Ping(context.Background()) == nil })
	r.wantDelivered(event)
	r.wantBalance(account, nano(t, "10"))
	if a := r.topUp(key, "later", card("10")); a.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
	if balance := r.balance(account); balance != (billing.Balance{Available: nano(t, "10")}) {
		t.Errorf("balance %+v", balance)
	}
}
