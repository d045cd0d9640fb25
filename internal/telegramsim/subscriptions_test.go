package telegramsim

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSubscriptions(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	forward := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	s := start(t, Options{Now: clock})
	c := newCashier(t, s)
	u := started(t, s, 0, "Ada")
	link := invoiceLink(t, s, object{"subscription_period": subscriptionPeriod, "payload": "plan"})
	first, err := s.Pay(soon(t), Purchase{User: u.ID, Link: link})
	if err != nil || first.Subscription != first.Charge || first.Expires != clock().Unix()+subscriptionPeriod {
		t.Fatalf("%+v, %v", first, err)
	}
	forward(subscriptionPeriod * time.Second)
	second, err := s.Renew(first.Subscription)
	if err != nil || second.Charge == first.Charge || second.Subscription != first.Charge || second.Expires != first.Expires+subscriptionPeriod {
		t.Fatalf("%+v, %v", second, err)
	}
	told := c.told(t, s, "message.successful_payment.is_recurring")
	if len(told) != 2 || !told[0].Get("message.successful_payment.is_first_recurring").Bool() || told[1].Get("message.successful_payment.is_first_recurring").Exists() {
		t.Fatal(told)
	}
	for i, p := range []Payment{first, second} {
		if got := told[i].Get("message.successful_payment.subscription_expiration_date").Int(); got != p.Expires {
			t.Error(told[i])
		}
	}

	wants := []struct {
		do   func() error
		want error
		told string // the state the bot is told
	}{
		{func() error { return s.CancelSubscription(99, first.Charge) }, ErrSubscriptionUnknown, ""},
		{func() error { return s.ResumeSubscription(u.ID, first.Charge) }, ErrSubscriptionActive, ""},
		{func() error { return s.CancelSubscription(u.ID, first.Charge) }, nil, "canceled"},
		{func() error { return s.CancelSubscription(u.ID, first.Charge) }, ErrSubscriptionCanceled, ""},
		{func() error { _, err := s.Renew(first.Charge); return err }, ErrSubscriptionCanceled, ""},
		{func() error { return s.ResumeSubscription(u.ID, first.Charge) }, nil, "active"},
		{func() error { return s.SetStars(u.ID, 99) }, nil, ""},
		{func() error { _, err := s.Renew(first.Charge); return err }, ErrStarsShort, "failed"},
		{func() error { return s.SetStars(u.ID, 100) }, nil, ""},
		{func() error { _, err := s.Renew(first.Charge); return err }, nil, ""},
		// what the bot cancels only the bot can allow again, and it is not told what it did itself
		{func() error { return edit(t, s, u.ID, second.Charge, true) }, errors.New("Bad Request: CHARGE_ID_INVALID"), ""},
		{func() error { return edit(t, s, u.ID, first.Charge, true) }, nil, ""},
		{func() error { return s.ResumeSubscription(u.ID, first.Charge) }, ErrSubscriptionCanceled, ""},
		{func() error { _, err := s.Renew(first.Charge); return err }, ErrSubscriptionCanceled, ""},
		{func() error { return edit(t, s, u.ID, first.Charge, false) }, nil, ""},
		{func() error { return s.CancelSubscription(u.ID, first.Charge) }, nil, "canceled"},
		{func() error { forward(90 * day); return s.ResumeSubscription(u.ID, first.Charge) }, ErrSubscriptionOver, ""},
	}
	var states []string
	for i, step := range wants {
		if err := step.do(); !errors.Is(err, step.want) && fmt.Sprint(err) != fmt.Sprint(step.want) {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
		if step.told != "" {
			states = append(states, step.told)
		}
	}
	var got []string
	for _, update := range c.told(t, s, "subscription") {
		sub := update.Get("subscription")
		got = append(got, sub.Get("state").Str)
		if sub.Get("user.id").Int() != u.ID || sub.Get("invoice_payload").Str != "plan" {
			t.Error(update)
		}
	}
	if !cmp.Equal(got, states) {
		t.Errorf("the bot was told %v, want %v", got, states)
	}
	if list := s.Subscriptions(u.ID); len(list) != 1 || list[0].Payments != 3 || !list[0].Canceled || list[0].Expires != first.Expires+2*subscriptionPeriod {
		t.Errorf("%+v", list)
	}
	for _, tr := range s.StarTransactions() {
		if tr.Source.SubscriptionPeriod != subscriptionPeriod {
			t.Errorf("%+v", tr)
		}
	}
}

// edit is editUserStarSubscription.
func edit(t *testing.T, s *Server, user int64, charge string, canceled bool) error {
	t.Helper()
	if a := post(t, s, "editUserStarSubscription", object{"user_id": user, "telegram_payment_charge_id": charge, "is_canceled": canceled}); !a.OK {
		return errors.New(a.Description)
	}
	return nil
}
