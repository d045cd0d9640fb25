package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v85"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// contested tells of a dispute: that it began, or of its end.
func contested(payment, id string, cents int64, status stripe.DisputeStatus) happened {
	kind := stripe.EventTypeChargeDisputeClosed
	if status == stripe.DisputeStatusNeedsResponse {
		kind = stripe.EventTypeChargeDisputeCreated
	}
	return happened{kind: kind, object: map[string]any{
		"id": id, "object": "dispute", "payment_intent": payment, "charge": "ch_" + payment, "amount": cents, "currency": "usd",
		"reason": "fraudulent", "status": status,
	}}
}

// noted is how often an action on a charge stands in the audit log.
func (r *rig) noted(action, charge string) int64 {
	return r.count(`select count(*) from audit_log where action = $1 and details ->> 'charge' = $2`, action, charge)
}

// TestStripeDisputes: a dispute that is lost is owed once, as a refund is, in whatever
// order it is told and beside refunds; one that is open or won is owed never. Its
// beginning stands in the audit log.
func TestStripeDisputes(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	const open, lost, won = stripe.DisputeStatusNeedsResponse, stripe.DisputeStatusLost, stripe.DisputeStatusWon
	pay := func(p string) happened { return paid("", p, 1000) }
	back := givenBack
	for name, row := range map[string]struct {
		events func(payment string) []happened
		owed   int64 // of 1000 cents
		begun  int64 // disputes in the audit log
		lost   int64
	}{
		"open": {func(p string) []happened { return []happened{pay(p), contested(p, "dp_1", 1000, open)} }, 0, 1, 0},
		"won": {func(p string) []happened {
			return []happened{pay(p), contested(p, "dp_1", 1000, open), contested(p, "dp_1", 1000, won)}
		}, 0, 1, 0},
		"an inquiry": {func(p string) []happened {
			return []happened{pay(p), contested(p, "dp_1", 1000, open), contested(p, "dp_1", 1000, stripe.DisputeStatusWarningClosed)}
		}, 0, 1, 0},
		"lost": {func(p string) []happened {
			return []happened{pay(p), contested(p, "dp_1", 1000, open), contested(p, "dp_1", 1000, lost)}
		}, 1000, 1, 1},
		"lost before it began": {func(p string) []happened {
			return []happened{pay(p), contested(p, "dp_1", 1000, lost), contested(p, "dp_1", 1000, open)}
		}, 1000, 0, 1},
		"lost before the payment": {func(p string) []happened {
			return []happened{contested(p, "dp_1", 400, lost), pay(p)}
		}, 400, 0, 0},
		"in part, after a refund": {func(p string) []happened {
			return []happened{pay(p), back(p, 300), contested(p, "dp_1", 700, open), contested(p, "dp_1", 700, lost), back(p, 300)}
		}, 1000, 1, 1},
		"in part, before a refund": {func(p string) []happened {
			return []happened{pay(p), contested(p, "dp_1", 200, lost), back(p, 300)}
		}, 500, 0, 1},
		"two": {func(p string) []happened {
			return []happened{pay(p), contested(p, "dp_1", 200, lost), contested(p, "dp_2", 300, lost), contested(p, "dp_3", 100, won)}
		}, 500, 0, 2},
		"more than was paid": {func(p string) []happened {
			return []happened{pay(p), back(p, 1000), contested(p, "dp_1", 5000, lost)}
		}, 1000, 0, 1},
	} {
		account, key := r.account(0)
		checkout, payment := r.beginCard(key, "10"), fmt.Sprintf("pi_%d", account)
		for _, event := range row.events(payment) {
			if event.kind == stripe.EventTypeCheckoutSessionCompleted {
				event = paid(checkout, payment, 1000)
			}
			for range 3 {
				r.wantDelivered(event)
			}
		}
		owed, debits := r.owed(account)
		if owed != row.owed || r.credited(account) != 1000 {
			t.Errorf("%s: %d cents owed in %d debits, %d credited", name, owed, debits, r.credited(account))
		}
		if begun, lost := r.noted("payment.disputed", payment), r.noted("payment.dispute_lost", payment); begun != row.begun || lost != row.lost {
			t.Errorf("%s: in the audit log %d times begun, %d times lost", name, begun, lost)
		}
	}
	r.balancedBooks()
}

// TestStripeDisputesAtOnce: all that is told of a disputed payment comes at once.
func TestStripeDisputesAtOnce(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	account, key := r.account(0)
	checkout := r.beginCard(key, "10")
	var all sync.WaitGroup
	for _, event := range []happened{
		paid(checkout, "pi_all", 1000), givenBack("pi_all", 100), contested("pi_all", "dp_1", 400, stripe.DisputeStatusNeedsResponse),
		contested("pi_all", "dp_1", 400, stripe.DisputeStatusLost), contested("pi_all", "dp_2", 300, stripe.DisputeStatusLost),
	} {
		for range 4 {
			all.Go(func() { r.wantDelivered(event) })
		}
	}
	all.Wait()
	if owed, _ := r.owed(account); owed != 800 || r.credited(account) != 1000 {
		t.Errorf("%d cents owed, %d credited", owed, r.credited(account))
	}
	testenv.Until(r.t, "taken off the balance", func() bool { return r.balance(account) == billing.Balance{Available: nano(t, "2")} })
	r.balancedBooks()
}

// TestStripeDisputesIgnored: disputes of others' payments, and ones that make no sense.
func TestStripeDisputesIgnored(t *testing.T) {
	r := newRig(t, taking(testenv.Stripe(t)))
	account, key := r.account(0)
	r.wantDelivered(paid(r.beginCard(key, "10"), "pi_1", 1000))
	with := func(name string, value any) happened {
		event := contested("pi_1", "dp_1", 1000, stripe.DisputeStatusLost)
		event.object[name] = value
		return event
	}
	for name, event := range map[string]happened{
		"elsewhere": contested("pi_elsewhere", "dp_1", 1000, stripe.DisputeStatusLost), "in yen": with("currency", "jpy"),
		"of nothing": with("amount", 0), "negative": with("amount", -1000), "of a bare charge": with("payment_intent", nil),
	} {
		if a := r.deliver(event); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for name, event := range map[string]happened{"without an id": with("id", ""), "amount in words": with("amount", "all"),
		"huge": with("amount", 1e300)} {
		if a := r.deliverSigned(event.body(), stripeTestSecret, time.Now()); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	long := with("id", "dp_"+strings.Repeat("x", 300))
	long.object["amount"] = 600
	r.wantDelivered(long)
	r.wantDelivered(long)
	if owed, debits := r.owed(account); owed != 600 || debits != 1 {
		t.Errorf("%d cents owed in %d debits", owed, debits)
	}
}
