package telegramsim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

const pagePayments = 50 // in one answer of /sim/stars

// pageStarsState is the answer of GET /sim/stars (PAGE.md).
type pageStarsState struct {
	Stars         int64          `json:"stars"`
	Payments      []Payment      `json:"payments"` // the newest, oldest first
	Subscriptions []Subscription `json:"subscriptions"`
}

// pageBill is an invoice as people see it.
type pageBill struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Stars       int64  `json:"stars"`
	Period      int64  `json:"period,omitempty"`
}

// openInvoice leads the simulator's own form of an invoice link to the page.
func openInvoice(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/?invoice="+url.QueryEscape(slugOf(r.URL.String())), http.StatusFound)
}

func (s *Server) pageStars(w http.ResponseWriter, r *http.Request) {
	state, err := s.starsOf(queryInt(r, "user"), r.URL.Query().Get("charge"))
	if err != nil {
		pageError(w, statusOf(err), err)
		return
	}
	pageAnswer(w, state)
}

// starsOf is a person's wallet; the payment of a charge is in it however old it is.
func (s *Server) starsOf(user int64, charge string) (pageStarsState, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, _, err := w.person(user, 0); err != nil {
		return pageStarsState{}, err
	}
	all := w.till.paymentsOf(user)
	old := max(len(all)-pagePayments, 0)
	payments := []Payment{}
	if i := slices.IndexFunc(all[:old], func(p Payment) bool { return p.Charge == charge }); i >= 0 {
		payments = append(payments, all[i])
	}
	return pageStarsState{
		Stars: w.till.wallet(user), Payments: append(payments, all[old:]...),
		Subscriptions: append([]Subscription{}, w.till.subscriptionsOf(user)...),
	}, nil
}

func (s *Server) pageInvoice(w http.ResponseWriter, r *http.Request) {
	s.world.mu.Lock()
	b, _, err := s.world.billOf(Purchase{Link: r.URL.Query().Get("link")})
	s.world.mu.Unlock()
	if err != nil || r.URL.Query().Get("link") == "" {
		pageError(w, http.StatusNotFound, ErrInvoiceUnknown)
		return
	}
	pageAnswer(w, map[string]any{"invoice": pageBill{Title: b.Title, Description: b.Description, Stars: b.Stars, Period: b.Period}})
}

// paymentsIn are the payments of a person that messages are about.
func (t *till) paymentsIn(user int64, messages []*Message) []Payment {
	list := []Payment{}
	shown := map[string]bool{}
	add := func(charge string) {
		if p := t.charges[charge]; p != nil && !shown[charge] {
			shown[charge] = true
			list = append(list, *p)
		}
	}
	invoices := map[billKey]bool{}
	for _, m := range messages {
		switch {
		case m.SuccessfulPayment != nil:
			add(m.SuccessfulPayment.TelegramPaymentChargeID)
		case m.RefundedPayment != nil:
			add(m.RefundedPayment.TelegramPaymentChargeID)
		case m.Invoice != nil:
			invoices[billKey{m.Chat.ID, m.MessageID}] = true
		}
	}
	if len(invoices) == 0 {
		return list
	}
	for _, p := range t.payments {
		if p.User == user && invoices[billKey{p.Chat, p.Invoice}] {
			add(p.Charge)
		}
	}
	return list
}

// actOnStars are the calls of a page that are about Stars.
func (s *Server) actOnStars(action string, q pageRequest) (any, error) {
	ok := map[string]bool{"ok": true}
	switch action {
	case "pay": // whoever closes the page has confirmed already
		p, err := s.Pay(s.ctx, Purchase{User: q.User, Chat: q.Chat, Message: q.MessageID, Link: q.Link})
		return map[string]any{"payment": p}, err
	case "stars":
		return ok, s.SetStars(q.User, q.Stars)
	case "refund":
		return ok, s.RefundByTelegram(q.Charge)
	case "subscription":
		switch q.Action {
		case "cancel":
			return ok, s.CancelSubscription(q.User, q.Subscription)
		case "resume":
			return ok, s.ResumeSubscription(q.User, q.Subscription)
		case "renew":
			p, err := s.Renew(q.Subscription)
			return map[string]any{"payment": p}, err
		}
		return nil, fmt.Errorf("no such action: %q", q.Action)
	}
	return nil, fmt.Errorf("no such call: %q", action)
}
