package telegramsim

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Errors of paying. Telegram's clients show the person something of the kind.
var (
	ErrInvoiceUnknown       = errors.New("telegramsim: no such invoice")
	ErrStarsShort           = errors.New("telegramsim: BALANCE_TOO_LOW: the person has too few Stars")
	ErrCheckoutUnanswered   = errors.New("telegramsim: BOT_PRECHECKOUT_TIMEOUT: the bot did not answer the pre-checkout query in time")
	ErrPaymentUnknown       = errors.New("telegramsim: no such payment")
	ErrPaymentRefunded      = errors.New("telegramsim: the payment is refunded already")
	ErrSubscriptionUnknown  = errors.New("telegramsim: no such subscription of this person")
	ErrSubscriptionCanceled = errors.New("telegramsim: the subscription is cancelled")
	ErrSubscriptionOver     = errors.New("telegramsim: the subscription is over")
	ErrSubscriptionActive   = errors.New("telegramsim: the subscription is not cancelled")
	ErrStarsInvalid         = errors.New("telegramsim: a number of Stars is from 0 to 2^53")
	ErrTillFull             = errors.New("telegramsim: too many payments are kept")
)

// CheckoutRefusedError is a payment that the bot refused with answerPreCheckoutQuery. Reason is what the
// person is shown.
type CheckoutRefusedError struct{ Reason string }

// Error says the reason.
func (e *CheckoutRefusedError) Error() string {
	return "telegramsim: the bot refused the payment: " + e.Reason
}

// What Telegram allows of Stars (Bot API documentation; https://core.telegram.org/bots/payments-stars).
const (
	currencyStars      = "XTR"
	maxInvoiceStars    = 10_000 // Telegram was seen to take more of ordinary invoices; what passes here passes there
	maxSubscription    = 10_000
	subscriptionPeriod = 2_592_000        // seconds; the only one there is
	checkoutLife       = 10 * time.Second // answerPreCheckoutQuery
	maxInvoiceTitle    = 32               // characters
	maxInvoiceText     = 255              // characters
	maxInvoicePayload  = 128              // bytes
	maxTransactions    = 100              // in one answer of getStarTransactions

	walletStars = 1_000_000 // what a person has who was given nothing else
	maxStars    = 1 << 53
	maxLinks    = 100_000 // kept; the oldest go first
	maxPayments = 500_000 // kept; more are refused
)

// Invoice is the Bot API's Invoice.
type Invoice struct {
	Title          string `json:"title"`
	Description    string `json:"description"`
	StartParameter string `json:"start_parameter"`
	Currency       string `json:"currency"`
	TotalAmount    int64  `json:"total_amount"`
}

// SuccessfulPayment is the Bot API's SuccessfulPayment.
type SuccessfulPayment struct {
	Currency                   string `json:"currency"`
	TotalAmount                int64  `json:"total_amount"`
	InvoicePayload             string `json:"invoice_payload"`
	SubscriptionExpirationDate int64  `json:"subscription_expiration_date,omitempty"`
	IsRecurring                bool   `json:"is_recurring,omitempty"`
	IsFirstRecurring           bool   `json:"is_first_recurring,omitempty"`
	TelegramPaymentChargeID    string `json:"telegram_payment_charge_id"`
	ProviderPaymentChargeID    string `json:"provider_payment_charge_id"`
}

// RefundedPayment is the Bot API's RefundedPayment.
type RefundedPayment struct {
	Currency                string `json:"currency"`
	TotalAmount             int64  `json:"total_amount"`
	InvoicePayload          string `json:"invoice_payload"`
	TelegramPaymentChargeID string `json:"telegram_payment_charge_id"`
	ProviderPaymentChargeID string `json:"provider_payment_charge_id,omitempty"`
}

// Bill is an invoice with all the bot said of it; people see neither its payload nor its label.
type Bill struct {
	Title          string `json:"title"`
	Description    string `json:"description"`
	Payload        string `json:"payload"`
	Label          string `json:"label"`
	Stars          int64  `json:"stars"`
	Period         int64  `json:"period,omitempty"` // seconds; 0: no subscription
	StartParameter string `json:"start_parameter,omitempty"`
}

// Payment is one payment in Stars that was carried out.
type Payment struct {
	Charge         string `json:"charge"` // telegram_payment_charge_id
	ProviderCharge string `json:"provider_charge"`
	User           int64  `json:"user"`
	Title          string `json:"title"`
	Payload        string `json:"payload"`
	Stars          int64  `json:"stars"`
	Date           int64  `json:"date"`                   // Unix seconds
	Subscription   string `json:"subscription,omitempty"` // its id, where the payment is for one
	Expires        int64  `json:"expires,omitempty"`      // until when the subscription is paid
	Refunded       int64  `json:"refunded,omitempty"`     // when
	Chat           int64  `json:"chat,omitempty"`         // of the message with the invoice, where it was one
	Invoice        int64  `json:"invoice,omitempty"`      // that message
	Message        int64  `json:"message"`                // the one with successful_payment, in the private chat
	Update         int64  `json:"update,omitempty"`       // that carried it; 0: none did
}

// Subscription is what a person pays each month. Its id is the charge of its first payment.
type Subscription struct {
	ID            string `json:"id"`
	User          int64  `json:"user"`
	Bill          Bill   `json:"bill"`
	Expires       int64  `json:"expires"`
	Canceled      bool   `json:"canceled,omitempty"`        // by the person
	CanceledByBot bool   `json:"canceled_by_bot,omitempty"` // who cannot take it up again then
	Failed        bool   `json:"failed,omitempty"`          // the last renewal: too few Stars
	Payments      int    `json:"payments"`
}

// StarTransaction is the Bot API's StarTransaction.
type StarTransaction struct {
	ID       string              `json:"id"`
	Amount   int64               `json:"amount"`
	Date     int64               `json:"date"`
	Source   *TransactionPartner `json:"source,omitempty"`
	Receiver *TransactionPartner `json:"receiver,omitempty"`
}

// TransactionPartner is the Bot API's TransactionPartnerUser, or its TransactionPartnerFragment.
type TransactionPartner struct {
	Type               string           `json:"type"` // "user", "fragment"
	TransactionType    string           `json:"transaction_type,omitempty"`
	User               *User            `json:"user,omitempty"`
	InvoicePayload     string           `json:"invoice_payload,omitempty"`
	SubscriptionPeriod int64            `json:"subscription_period,omitempty"`
	WithdrawalState    *WithdrawalState `json:"withdrawal_state,omitempty"`
}

// WithdrawalState is the Bot API's RevenueWithdrawalStateSucceeded.
type WithdrawalState struct {
	Type string `json:"type"`
	Date int64  `json:"date"`
	URL  string `json:"url"`
}

// billKey is a message with an invoice.
type billKey struct{ chat, message int64 }

// till is all there is about Stars. The world's lock guards it.
type till struct {
	bills         map[billKey]*Bill
	links         map[string]*Bill // by slug
	slugs         []string         // of links, oldest first
	wallets       map[int64]int64  // people's Stars; walletStars for who is not in it
	payments      []*Payment
	charges       map[string]*Payment
	subscriptions map[string]*Subscription
	transactions  []StarTransaction // of the bot, oldest first
	balance       int64             // of the bot; refunds can make it negative
	checkouts     map[string]*checkout
}

func newTill() *till {
	return &till{
		bills: map[billKey]*Bill{}, links: map[string]*Bill{}, wallets: map[int64]int64{}, charges: map[string]*Payment{},
		subscriptions: map[string]*Subscription{}, checkouts: map[string]*checkout{},
	}
}

func (t *till) wallet(user int64) int64 {
	if stars, ok := t.wallets[user]; ok {
		return stars
	}
	return walletStars
}

// link keeps a bill and returns the slug of its link.
func (t *till) link(b *Bill) string {
	slug := token(16)
	t.links[slug] = b
	t.slugs = append(t.slugs, slug)
	if over := len(t.slugs) - maxLinks; over > 0 {
		for _, old := range t.slugs[:over] {
			delete(t.links, old)
		}
		t.slugs = slices.Delete(t.slugs, 0, over)
	}
	return slug
}

// token is n random bytes as text.
func token(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

// charge is an id as Telegram gives them to payments in Stars: long, longer than 128 characters.
func charge() string { return "stx" + token(100) }

func partner(u User, p *Payment, period int64) *TransactionPartner {
	return &TransactionPartner{
		Type: "user", TransactionType: "invoice_payment", User: &u, InvoicePayload: p.Payload, SubscriptionPeriod: period,
	}
}

// Stars is what a person has.
func (s *Server) Stars(user int64) int64 {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.world.till.wallet(user)
}

// SetStars gives a person so many Stars.
func (s *Server) SetStars(user, stars int64) error {
	if stars < 0 || stars > maxStars {
		return ErrStarsInvalid
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users[user].ID == 0 {
		return fmt.Errorf("%w: %d", ErrUserUnknown, user)
	}
	w.till.wallets[user] = stars
	w.dirty = true
	s.tellWallet(user)
	return nil
}

// BotStars is the bot's balance, as getMyStarBalance tells it.
func (s *Server) BotStars() int64 {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.world.till.balance
}

// Withdraw is the bot's owner taking Stars out: a transaction without a person.
func (s *Server) Withdraw(stars int64) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if stars < 1 || stars > w.till.balance {
		return ErrStarsInvalid
	}
	now := s.now().Unix()
	w.till.balance -= stars
	w.till.transactions = append(w.till.transactions, StarTransaction{
		ID: charge(), Amount: stars, Date: now, Receiver: &TransactionPartner{Type: "fragment", WithdrawalState: &WithdrawalState{
			Type: "succeeded", Date: now, URL: "https://fragment.com/stars",
		}},
	})
	w.dirty = true
	return nil
}

// StarTransactions are all of the bot's, oldest first.
func (s *Server) StarTransactions() []StarTransaction {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return slices.Clone(s.world.till.transactions)
}

// Payments are those of one person, or of all for 0, oldest first.
func (s *Server) Payments(user int64) []Payment {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.world.till.paymentsOf(user)
}

func (t *till) paymentsOf(user int64) []Payment {
	var list []Payment
	for _, p := range t.payments {
		if user == 0 || p.User == user {
			list = append(list, *p)
		}
	}
	return list
}

// Payment finds one by its charge.
func (s *Server) Payment(charge string) (Payment, error) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	p := s.world.till.charges[charge]
	if p == nil {
		return Payment{}, ErrPaymentUnknown
	}
	return *p, nil
}

// take carries a payment out: the person's Stars go to the bot, and both are told. at is where the invoice
// stood, if it did. The caller holds the lock.
func (s *Server) take(u User, b *Bill, at billKey, sub *Subscription, quiet bool) (*Payment, error) {
	w, t := s.world, s.world.till
	r := w.rooms[u.ID]
	switch {
	case t.wallet(u.ID) < b.Stars:
		return nil, ErrStarsShort
	case len(t.payments) >= maxPayments:
		return nil, ErrTillFull
	}
	now := s.now().Unix()
	p := &Payment{
		Charge: charge(), User: u.ID, Title: b.Title, Payload: b.Payload, Stars: b.Stars, Date: now,
		Chat: at.chat, Invoice: at.message, ProviderCharge: strconv.FormatInt(u.ID, 10) + "_" + strconv.Itoa(len(t.payments)+1),
	}
	paid := &SuccessfulPayment{
		Currency: currencyStars, TotalAmount: b.Stars, InvoicePayload: b.Payload,
		TelegramPaymentChargeID: p.Charge, ProviderPaymentChargeID: p.ProviderCharge,
	}
	if b.Period > 0 {
		if sub == nil {
			sub = &Subscription{ID: p.Charge, User: u.ID, Bill: *b, Expires: now}
			t.subscriptions[sub.ID] = sub
		}
		sub.Expires, sub.Failed = max(sub.Expires, now)+b.Period, false
		sub.Payments++
		p.Subscription, p.Expires = sub.ID, sub.Expires
		paid.IsRecurring, paid.IsFirstRecurring, paid.SubscriptionExpirationDate = true, sub.Payments == 1, sub.Expires
	}
	t.wallets[u.ID] = t.wallet(u.ID) - b.Stars
	t.balance += b.Stars
	t.payments = append(t.payments, p)
	t.charges[p.Charge] = p
	t.transactions = append(t.transactions, StarTransaction{ID: p.Charge, Amount: b.Stars, Date: now, Source: partner(u, p, b.Period)})

	// the payment is a message of the person's to the bot, wherever the invoice stood
	m := &Message{From: &u, Date: now, SuccessfulPayment: paid}
	r.started = true
	w.addMessage(r, m)
	p.Message = m.MessageID
	s.tellPayment(p)
	s.hub.to(r, event{Type: "message", Message: m})
	if sub != nil {
		s.tellSubscription(sub)
	}
	if quiet {
		return p, nil
	}
	p.Update = s.tellBot(r, m)
	return p, nil
}

// tellBot queues a message that is there in any case, and returns its update's id: 0 where there is none.
func (s *Server) tellBot(r *room, m *Message) int64 {
	id, err := s.pushNumbered("message", r.chat.ID, m)
	if err != nil {
		s.log.Error("telegram simulator could not queue an update about a payment", "message", m.MessageID, "error", err)
	}
	return id
}

// giveBack refunds a payment; the bot is told by a message of its own (Client.cpp: need_skip_update_message
// lets messagePaymentRefunded through although it is outgoing). The caller holds the lock.
func (s *Server) giveBack(p *Payment) {
	w, t := s.world, s.world.till
	u, r := w.users[p.User], w.rooms[p.User]
	now := s.now().Unix()
	p.Refunded = now
	t.wallets[u.ID] = t.wallet(u.ID) + p.Stars
	t.balance -= p.Stars
	var period int64
	if p.Subscription != "" {
		period = subscriptionPeriod
	}
	t.transactions = append(t.transactions, StarTransaction{ID: p.Charge, Amount: p.Stars, Date: now, Receiver: partner(u, p, period)})
	m := &Message{From: &s.bot, Date: now, RefundedPayment: &RefundedPayment{
		Currency: currencyStars, TotalAmount: p.Stars, InvoicePayload: p.Payload,
		TelegramPaymentChargeID: p.Charge, ProviderPaymentChargeID: p.ProviderCharge,
	}}
	w.addMessage(r, m)
	s.tellPayment(p)
	s.hub.to(r, event{Type: "message", Message: m})
	s.tellBot(r, m)
}
