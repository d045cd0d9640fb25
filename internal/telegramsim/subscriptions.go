package telegramsim

import (
	"slices"
	"strings"
)

// States of the update "subscription" (Bot API: BotSubscriptionUpdated). A renewal has none: it is a message
// with successful_payment.
const (
	subscriptionCanceled = "canceled" // by the person
	subscriptionActive   = "active"   // taken up again by the person
	subscriptionFailed   = "failed"   // the renewal could not be paid
)

type subscriptionUpdated struct {
	User           User   `json:"user"`
	InvoicePayload string `json:"invoice_payload"`
	State          string `json:"state"`
}

// Subscriptions are those of one person, or of all for 0, by id.
func (s *Server) Subscriptions(user int64) []Subscription {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.world.till.subscriptionsOf(user)
}

func (t *till) subscriptionsOf(user int64) []Subscription {
	var list []Subscription
	for _, sub := range t.subscriptions {
		if user == 0 || sub.User == user {
			list = append(list, *sub)
		}
	}
	slices.SortFunc(list, func(a, b Subscription) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Renew is the next month's payment, whether its time has come or not: no pre_checkout_query, a message with
// successful_payment. With too few Stars it fails, and the bot is told "failed".
func (s *Server) Renew(subscription string) (Payment, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	sub := w.till.subscriptions[subscription]
	switch {
	case sub == nil:
		return Payment{}, ErrSubscriptionUnknown
	case sub.Canceled || sub.CanceledByBot:
		return Payment{}, ErrSubscriptionCanceled
	}
	u := w.users[sub.User]
	if w.till.wallet(u.ID) < sub.Bill.Stars {
		sub.Failed = true
		if err := s.pushSubscription(sub, subscriptionFailed); err != nil {
			return Payment{}, err
		}
		return Payment{}, ErrStarsShort
	}
	p, err := s.take(u, &sub.Bill, billKey{}, sub, false)
	if err != nil {
		return Payment{}, err
	}
	return *p, nil
}

// CancelSubscription is a person ending their subscription; what is paid lasts until it expires.
func (s *Server) CancelSubscription(user int64, subscription string) error {
	return s.changeSubscription(user, subscription, true)
}

// ResumeSubscription is a person taking a cancelled subscription up again before it expires.
func (s *Server) ResumeSubscription(user int64, subscription string) error {
	return s.changeSubscription(user, subscription, false)
}

func (s *Server) changeSubscription(user int64, subscription string, cancel bool) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	sub := w.till.subscriptions[subscription]
	switch {
	case sub == nil || sub.User != user:
		return ErrSubscriptionUnknown
	case s.now().Unix() >= sub.Expires:
		return ErrSubscriptionOver
	case sub.CanceledByBot || cancel && sub.Canceled:
		return ErrSubscriptionCanceled
	case !cancel && !sub.Canceled:
		return ErrSubscriptionActive
	}
	sub.Canceled = cancel
	state := subscriptionActive
	if cancel {
		state = subscriptionCanceled
	}
	return s.pushSubscription(sub, state)
}

// pushSubscription tells page and bot; the caller holds the lock.
func (s *Server) pushSubscription(sub *Subscription, state string) error {
	w := s.world
	w.dirty = true
	s.tellSubscription(sub)
	return s.push("subscription", sub.User, subscriptionUpdated{User: w.users[sub.User], InvoicePayload: sub.Bill.Payload, State: state})
}
