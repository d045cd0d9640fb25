package telegramsim

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// linkPrefix begins the links of createInvoiceLink. The simulator serves the same paths itself, so that what
// stands behind t.me can be opened there.
const linkPrefix = "https://t.me/$"

// Purchase is a person paying an invoice: a message with one, or a link.
type Purchase struct {
	User    int64
	Chat    int64 // of Message; 0: the private chat with the bot
	Message int64
	Link    string // as createInvoiceLink gave it; instead of Message

	// Unannounced payments happen, but the update with successful_payment never reaches the bot.
	Unannounced bool
}

// checkout is a payment that waits for answerPreCheckoutQuery.
type checkout struct {
	id    string
	user  User
	bill  *Bill
	at    billKey // where the invoice stood; zero for a link
	quiet bool
	begun time.Time
	done  chan verdict // capacity 1
}

// verdict is how a checkout ended.
type verdict struct {
	payment Payment
	err     error
	took    time.Duration // from the query to the bot's answer
}

type preCheckoutQuery struct {
	ID             string `json:"id"`
	From           User   `json:"from"`
	Currency       string `json:"currency"`
	TotalAmount    int64  `json:"total_amount"`
	InvoicePayload string `json:"invoice_payload"`
}

// Pay lets a person pay: the bot gets a pre_checkout_query and has ten seconds to answer, then a message with
// successful_payment. The same invoice can be paid any number of times. Where it fails, it is with
// ErrStarsShort, ErrCheckoutUnanswered or a *CheckoutRefusedError, and nothing is paid.
func (s *Server) Pay(ctx context.Context, o Purchase) (Payment, error) {
	v := s.pay(ctx, o)
	return v.payment, v.err
}

func (s *Server) pay(ctx context.Context, o Purchase) verdict {
	q, err := s.beginCheckout(o)
	if err != nil {
		return verdict{err: err}
	}
	return s.awaitCheckout(ctx, q)
}

func (s *Server) awaitCheckout(ctx context.Context, q *checkout) verdict {
	limit := time.NewTimer(s.life(checkoutLife))
	defer limit.Stop()
	var failure error
	select {
	case v := <-q.done:
		return v
	case <-limit.C:
		failure = ErrCheckoutUnanswered
	case <-ctx.Done():
		failure = context.Cause(ctx)
	case <-s.ctx.Done():
		failure = context.Cause(s.ctx)
	}
	s.world.mu.Lock()
	delete(s.world.till.checkouts, q.id)
	s.world.mu.Unlock()
	select {
	case v := <-q.done: // the answer came in the last moment
		return v
	default:
		return verdict{err: failure}
	}
}

// beginCheckout shows the bot what somebody is about to pay.
func (s *Server) beginCheckout(o Purchase) (*checkout, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, own, err := w.person(o.User, 0)
	if err != nil {
		return nil, err
	}
	if own.blocked {
		return nil, ErrBotBlocked
	}
	b, at, err := w.billOf(o)
	if err != nil {
		return nil, err
	}
	return s.query(u, b, at, o.Unannounced)
}

// query sends a pre_checkout_query; the caller holds the lock.
func (s *Server) query(u User, b *Bill, at billKey, quiet bool) (*checkout, error) {
	w := s.world
	if w.till.wallet(u.ID) < b.Stars {
		return nil, ErrStarsShort
	}
	q := &checkout{
		id: strconv.FormatInt(u.ID<<20|w.nextQuery, 10), user: u, bill: b, at: at, quiet: quiet,
		begun: time.Now(), done: make(chan verdict, 1),
	}
	w.nextQuery++
	w.till.checkouts[q.id] = q
	w.dirty = true
	err := s.push("pre_checkout_query", u.ID, preCheckoutQuery{
		ID: q.id, From: u, Currency: currencyStars, TotalAmount: b.Stars, InvoicePayload: b.Payload,
	})
	if err != nil {
		delete(w.till.checkouts, q.id)
		return nil, err
	}
	return q, nil
}

// billOf finds what a person wants to pay, and where it stands; the caller holds the lock.
func (w *world) billOf(o Purchase) (*Bill, billKey, error) {
	if o.Link != "" {
		if b := w.till.links[slugOf(o.Link)]; b != nil {
			return b, billKey{}, nil
		}
		return nil, billKey{}, ErrInvoiceUnknown
	}
	_, r, err := w.person(o.User, o.Chat)
	if err != nil {
		return nil, billKey{}, err
	}
	at := billKey{r.chat.ID, o.Message}
	if b := w.till.bills[at]; b != nil {
		return b, at, nil
	}
	return nil, billKey{}, fmt.Errorf("%w: message %d", ErrInvoiceUnknown, o.Message)
}

// slugOf takes a link apart: t.me/$slug and t.me/invoice/slug are Telegram's, on the simulator's own address too.
func slugOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	path := strings.TrimPrefix(u.Path, "/")
	if slug, ok := strings.CutPrefix(path, "$"); ok {
		return slug
	}
	return strings.TrimPrefix(path, "invoice/")
}

// answerCheckout ends a checkout by the bot's word: an empty reason lets it through. The caller holds the lock.
func (s *Server) answerCheckout(q *checkout, reason string) {
	delete(s.world.till.checkouts, q.id)
	v := verdict{took: time.Since(q.begun)}
	if reason != "" {
		v.err = &CheckoutRefusedError{Reason: reason}
	} else if p, err := s.take(q.user, q.bill, q.at, nil, q.quiet); err != nil {
		v.err = err // the Stars were spent elsewhere meanwhile; the bot hears no more of it
	} else {
		v.payment = *p
	}
	q.done <- v
}

// DuplicatePayment delivers a payment n times more, each time as another update, and returns their ids.
func (s *Server) DuplicatePayment(charge string, n int) ([]int64, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	r, m, _, err := w.announced(charge)
	if err != nil {
		return nil, err
	}
	var ids []int64
	for range n {
		id, err := s.pushNumbered("message", r.chat.ID, m)
		if err != nil {
			return ids, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// RedeliverPayment delivers the update of a payment once more, id and all, as after a lost acknowledgement. A
// bot that polls has moved past that id: only a webhook sees it again.
func (s *Server) RedeliverPayment(charge string) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	r, m, p, err := w.announced(charge)
	if err != nil {
		return err
	}
	if p.Update == 0 {
		return fmt.Errorf("%w: it was not announced", ErrPaymentUnknown)
	}
	s.pushAgain("message", p.Update, r.chat.ID, m)
	return nil
}

// announced finds the message of a payment; the caller holds the lock.
func (w *world) announced(charge string) (*room, *Message, *Payment, error) {
	p := w.till.charges[charge]
	if p == nil {
		return nil, nil, nil, ErrPaymentUnknown
	}
	r := w.rooms[p.User]
	i := r.find(p.Message)
	if i < 0 {
		return nil, nil, nil, fmt.Errorf("%w: its message is gone", ErrPaymentUnknown)
	}
	return r, r.messages[i], p, nil
}

// RefundByTelegram refunds a payment that the bot did not ask to refund, as Telegram does on complaints.
func (s *Server) RefundByTelegram(charge string) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.till.charges[charge]
	switch {
	case p == nil:
		return ErrPaymentUnknown
	case p.Refunded != 0:
		return ErrPaymentRefunded
	}
	s.giveBack(p)
	return nil
}

// CheckoutOptions describe a rush to the till: People who pay at the same time.
type CheckoutOptions struct {
	People    int                     // default 1000
	FirstUser int64                   // the first person's id, the others follow; default 3,000,001
	Bill      func(user int64) Bill   // what a person pays; the bot need not have sent it
	Link      func(user int64) string // or the link they pay; one of the two is required
	Rate      float64                 // checkouts begun per second; 0: all at once
}

// CheckoutReport is what became of a rush. The times are from the query's birth to the bot's answer, its
// delivery included.
type CheckoutReport struct {
	Begun      int
	Paid       int
	Refused    int            // by the bot
	Reasons    map[string]int // of the refusals
	Unanswered int            // ten seconds without an answer
	Failed     int            // otherwise: too few Stars, no such link
	Charges    []string       // of the payments

	P50, P99, Max time.Duration // of the answered ones
	Elapsed       time.Duration
}

const (
	checkoutsPeople    = 1000
	checkoutsFirstUser = 3_000_001
	maxCheckoutsPeople = 100_000
)

// ErrCheckouts says that CheckoutOptions make no sense.
var ErrCheckouts = errors.New("telegramsim: checkouts need a Bill or a Link, and 1 to 100,000 people")

// Checkouts lets many people pay at once and reports how fast the bot answered.
func (s *Server) Checkouts(ctx context.Context, o CheckoutOptions) (CheckoutReport, error) {
	set(&o.People, checkoutsPeople)
	set(&o.FirstUser, checkoutsFirstUser)
	report := CheckoutReport{Reasons: map[string]int{}}
	if (o.Bill == nil) == (o.Link == nil) || o.People < 1 || o.People > maxCheckoutsPeople {
		return report, ErrCheckouts
	}
	for n := range o.People {
		s.User(o.FirstUser+int64(n), "Person "+strconv.Itoa(n+1))
	}
	begin := time.Now()
	verdicts := make(chan verdict, o.People)
	for n := range o.People {
		if o.Rate > 0 && !pause(ctx, s.ctx, time.Until(begin.Add(time.Duration(float64(n)/o.Rate*float64(time.Second))))) {
			break
		}
		report.Begun++
		go func() { verdicts <- s.payOne(ctx, o, o.FirstUser+int64(n)) }()
	}
	var took []time.Duration
	for range report.Begun {
		v := <-verdicts
		if v.took > 0 {
			took = append(took, v.took)
		}
		report.count(v)
	}
	slices.Sort(took)
	report.P50, report.P99, report.Max = percentile(took, 50), percentile(took, 99), percentile(took, 100)
	report.Elapsed = time.Since(begin)
	return report, context.Cause(ctx)
}

func (s *Server) payOne(ctx context.Context, o CheckoutOptions, user int64) verdict {
	if o.Link != nil {
		return s.pay(ctx, Purchase{User: user, Link: o.Link(user)})
	}
	b := o.Bill(user)
	s.world.mu.Lock()
	q, err := s.query(s.world.users[user], &b, billKey{}, false)
	s.world.mu.Unlock()
	if err != nil {
		return verdict{err: err}
	}
	return s.awaitCheckout(ctx, q)
}

func (r *CheckoutReport) count(v verdict) {
	var refused *CheckoutRefusedError
	switch {
	case v.err == nil:
		r.Paid++
		r.Charges = append(r.Charges, v.payment.Charge)
	case errors.As(v.err, &refused):
		r.Refused++
		r.Reasons[refused.Reason]++
	case errors.Is(v.err, ErrCheckoutUnanswered):
		r.Unanswered++
	default:
		r.Failed++
	}
}
