package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// TestStripeMissed: what Stripe's list of events has and nobody told us of is taken in
// all the same, once.
func TestStripeMissed(t *testing.T) {
	var list []happened // newest first
	var asked []string
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodPost {
			fmt.Fprint(w, `{"id":"cs_1","object":"checkout.session","url":"https://stripe.example/1"}`)
			return
		}
		asked = append(asked, q.URL.Query().Get("created[gte]")+" "+q.URL.Query().Get("created[lte]"))
		var page struct {
			Object string            `json:"object"`
			More   bool              `json:"has_more"`
			Data   []json.RawMessage `json:"data"`
		}
		start := 0
		for i := range list {
			var event struct{ ID string }
			if err := json.Unmarshal(list[i].body(), &event); err == nil && event.ID == q.URL.Query().Get("starting_after") {
				start = i + 1
			}
		}
		end := min(start+2, len(list))
		for _, h := range list[start:end] {
			page.Data = append(page.Data, h.body())
		}
		page.Object, page.More = "list", end < len(list)
		if err := json.NewEncoder(w).Encode(page); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(provider.Close)
	r := newRig(t, taking(provider.URL))
	account, key := r.account(0)
	told, untold := r.beginCard(key, "10"), r.beginCard(key, "20")
	r.wantDelivered(paid(told, "pi_told", 1000))
	broken := paid(told, "pi_broken", 1000, func(s map[string]any) { s["amount_total"] = "much" })
	list = []happened{givenBack("pi_untold", 500), paid(untold, "pi_untold", 2000), broken, paid(told, "pi_told", 1000), {kind: "something.new", object: map[string]any{"id": "x"}}}
	for range 3 {
		r.must(r.desk.Checkouts.Reconcile(t.Context()))
	}
	if owed, debits := r.owed(account); r.credited(account) != 3000 || owed != 500 || debits != 1 {
		t.Errorf("%d cents credited, %d owed in %d debits", r.credited(account), owed, debits)
	}
	if len(asked) != 9 {
		t.Fatalf("asked for %d pages", len(asked))
	}
	// The first look goes back for days, the next ones a little behind the last.
	var from, until [9]int64
	for i, question := range asked {
		if _, err := fmt.Sscanf(question, "%d %d", &from[i], &until[i]); err != nil {
			t.Fatal(err)
		}
	}
	if days := until[0] - from[0]; days != 72*3600 || from[3] != until[0]-600 || time.Now().Unix()-until[8] < 5*60 {
		t.Errorf("asked from %v until %v", from, until)
	}

	provider.Close()
	if err := r.desk.Checkouts.Reconcile(t.Context()); !errors.Is(err, billing.ErrPaymentProvider) {
		t.Errorf("with Stripe away: %v", err)
	}
}

// TestStripeRefund: an operator gives a card payment back.
func TestStripeRefund(t *testing.T) {
	var answer atomic.Pointer[func(w http.ResponseWriter)]
	say := func(status int, body string) {
		f := func(w http.ResponseWriter) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
		answer.Store(&f)
	}
	var of string
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if of = q.FormValue("payment_intent"); of != "" && q.URL.Path == "/v1/refunds" {
			(*answer.Load())(w)
			return
		}
		fmt.Fprint(w, `{"id":"cs_1","object":"checkout.session","url":"https://stripe.example/1"}`)
	}))
	t.Cleanup(provider.Close)
	r := newRig(t, taking(provider.URL))
	account, key := r.account(0)
	for i, row := range []struct {
		status  int
		body    string
		refused bool
		done    bool
	}{
		{500, `{"error":{"type":"api_error"}}`, false, false},
		{401, `{"error":{"type":"invalid_request_error"}}`, false, false},
		{429, `{"error":{"type":"invalid_request_error","code":"rate_limit"}}`, false, false},
		{400, `{"error":{"type":"invalid_request_error","code":"charge_disputed"}}`, true, false},
		{404, `{"error":{"type":"invalid_request_error","code":"resource_missing"}}`, true, false},
		{200, `{"id":"re_1","object":"refund","status":"failed"}`, true, false},
		{200, `{"id":"re_1","object":"refund","status":"succeeded"}`, false, true},
		{200, `{"id":"re_1","object":"refund","status":"pending"}`, false, true},
		{400, `{"error":{"type":"invalid_request_error","code":"charge_already_refunded"}}`, false, true},
	} {
		payment := "pi_" + strconv.Itoa(i)
		r.wantDelivered(paid(r.beginCard(key, "10"), payment, 1000))
		_, owed := r.owed(account)
		say(row.status, row.body)
		got, err := r.desk.Payments.Refund(t.Context(), payment, billing.Operator("ada"), r.desk.Checkouts)
		if of != payment || (err == nil) != row.done || errors.Is(err, billing.ErrRefundRefused) != row.refused {
			t.Errorf("%d %s: asked for %s, %+v, %v", row.status, row.body, of, got, err)
		}
		r.wantDelivered(givenBack(payment, 1000)) // whoever asked
		r.wantDelivered(givenBack(payment, 1000))
		if _, after := r.owed(account); after != owed+1 {
			t.Errorf("%d %s: %d debits", row.status, row.body, after-owed)
		}
	}
	if owed, debits := r.owed(account); owed != 9000 || debits != 9 {
		t.Errorf("%d cents owed in %d debits", owed, debits)
	}
	r.balancedBooks()
}

// TestStripeKnowsTheseRequests: Stripe's specification knows what is asked of it besides
// checkouts.
func TestStripeKnowsTheseRequests(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	r.must(r.desk.Checkouts.Reconcile(t.Context()))
	r.must(r.desk.Checkouts.Refund(t.Context(), billing.Payment{ChargeID: "pi_1", Provider: billing.ProviderCard}))
}
