package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/form"
	"github.com/stripe/stripe-go/v85/webhook"
)

const (
	stripeIn        = 10 * time.Second
	stripeTolerance = 5 * time.Minute // age of an event's signature
	stripeCurrency  = "usd"
	stripeItem      = "KikuAI balance"
	stripePage      = 100 // events
	stripePages     = 1000
	metaCheckout    = "kikuai_checkout"
	maxDispute      = 100 // characters of an id, and of a reason
)

// StripeOptions turn card payments on.
type StripeOptions struct {
	SecretKey     string
	WebhookSecret string
	APIURL        string // such as https://api.stripe.com
	DoneURL       string // where the customer comes out after paying
	CanceledURL   string // … and after turning back
}

// stripeCards takes payments through Stripe Checkout.
type stripeCards struct {
	options StripeOptions
	backend stripe.Backend
}

func newStripe(o StripeOptions) *stripeCards {
	return &stripeCards{options: o, backend: stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(o.APIURL),
		// Checkouts are begun rarely: a connection of its own for each leaves nothing to close.
		HTTPClient: &http.Client{
			Timeout:       stripeIn,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		// Who asked repeats, with the same key; patience here would only add up.
		MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull}, // it would print what Stripe says
		EnableTelemetry:   stripe.Bool(false),
	})}
}

// begin opens a Checkout Session. Stripe answers a repeated idempotency key with the
// first answer, for a day: so two attempts at once open one session.
func (s *stripeCards) begin(ctx context.Context, o cardOrder) (string, error) {
	mark := map[string]string{metaCheckout: o.checkout}
	params := &stripe.CheckoutSessionCreateParams{
		Params:            stripe.Params{Context: ctx, IdempotencyKey: stripe.String(o.checkout + "-" + strconv.Itoa(o.attempt))},
		Mode:              stripe.String(stripe.CheckoutSessionModePayment),
		ClientReferenceID: stripe.String(o.checkout),
		Metadata:          mark,
		PaymentIntentData: &stripe.CheckoutSessionCreatePaymentIntentDataParams{Metadata: mark},
		SuccessURL:        stripe.String(s.options.DoneURL),
		CancelURL:         stripe.String(s.options.CanceledURL),
		// What is paid is what was asked for: no conversion to the payer's currency.
		AdaptivePricing: &stripe.CheckoutSessionCreateAdaptivePricingParams{Enabled: stripe.Bool(false)},
		LineItems: []*stripe.CheckoutSessionCreateLineItemParams{{
			Quantity: stripe.Int64(1),
			PriceData: &stripe.CheckoutSessionCreateLineItemPriceDataParams{
				Currency:    stripe.String(stripeCurrency),
				UnitAmount:  stripe.Int64(o.cents),
				ProductData: &stripe.CheckoutSessionCreateLineItemPriceDataProductDataParams{Name: stripe.String(stripeItem)},
			},
		}},
	}
	session := &stripe.CheckoutSession{}
	err := s.backend.Call(http.MethodPost, "/v1/checkout/sessions", s.options.SecretKey, params, session)
	if err != nil {
		return "", stripeError(err)
	}
	if session.URL == "" {
		return "", fmt.Errorf("%w: stripe opened a session without an address", ErrPaymentProvider)
	}
	return session.URL, nil
}

// refund gives back what is left of a payment. Stripe never gives back more than was
// paid, so that a repetition is refused there and no error here.
func (s *stripeCards) refund(ctx context.Context, payment string) error {
	params := &stripe.RefundCreateParams{Params: stripe.Params{Context: ctx}, PaymentIntent: stripe.String(payment)}
	given := &stripe.Refund{}
	err := s.backend.Call(http.MethodPost, "/v1/refunds", s.options.SecretKey, params, given)
	var said *stripe.Error
	switch {
	case errors.As(err, &said) && said.Code == stripe.ErrorCodeChargeAlreadyRefunded:
		return nil
	case errors.As(err, &said) && (said.HTTPStatusCode == http.StatusBadRequest || said.HTTPStatusCode == http.StatusNotFound):
		return fmt.Errorf("%w: %w", ErrRefundRefused, stripeError(err))
	case err != nil:
		return stripeError(err)
	case given.Status == stripe.RefundStatusFailed || given.Status == stripe.RefundStatusCanceled:
		return fmt.Errorf("%w: stripe says that it %s", ErrRefundRefused, given.Status)
	}
	return nil
}

// stripeError says what failed without Stripe's own words, which quote keys and
// parameters.
func stripeError(err error) error {
	var said *stripe.Error
	if !errors.As(err, &said) {
		return fmt.Errorf("%w: %w", ErrPaymentProvider, err)
	}
	err = fmt.Errorf("%w: stripe answered %d %s %s (request %s)", ErrPaymentProvider, said.HTTPStatusCode, said.Type, said.Code, said.RequestID)
	if said.HTTPStatusCode >= http.StatusInternalServerError {
		// Stripe would answer the same to a repetition of this attempt.
		return &spentAttemptError{err}
	}
	return err
}

// read checks an event's signature and its age and takes out what it tells. Events of
// another API version than this library's are read all the same: an endpoint keeps the
// version of the day it was made, and the few fields read here are the same in all.
func (s *stripeCards) read(body []byte, signature string) (cardEvent, error) {
	event, err := webhook.ConstructEventWithOptions(body, signature, s.options.WebhookSecret, webhook.ConstructEventOptions{
		Tolerance: stripeTolerance, IgnoreAPIVersionMismatch: true,
	})
	for _, forged := range []error{webhook.ErrNotSigned, webhook.ErrInvalidHeader, webhook.ErrNoValidSignature, webhook.ErrTooOld} {
		if errors.Is(err, forged) {
			return cardEvent{}, fmt.Errorf("%w: %w", ErrPaymentSignature, err)
		}
	}
	if err != nil {
		return cardEvent{}, fmt.Errorf("%w: not a whole event (a thin one?)", ErrPaymentEvent)
	}
	return readEvent(&event)
}

// readEvent takes out of an event what it tells us.
func readEvent(event *stripe.Event) (e cardEvent, err error) {
	if event.Data == nil {
		return e, fmt.Errorf("%w: %s %s without its object", ErrPaymentEvent, event.Type, event.ID)
	}
	switch event.Type {
	case stripe.EventTypeCheckoutSessionCompleted, stripe.EventTypeCheckoutSessionAsyncPaymentSucceeded:
		e, err = readSession(event.Data.Raw)
	case stripe.EventTypeChargeRefunded:
		e, err = readRefund(event.Data.Raw)
	case stripe.EventTypeChargeDisputeCreated, stripe.EventTypeChargeDisputeClosed:
		e, err = readDispute(event.Data.Raw, event.Type == stripe.EventTypeChargeDisputeClosed)
	}
	e.id = event.ID
	if err != nil {
		return cardEvent{}, fmt.Errorf("%w: %s %s: %w", ErrPaymentEvent, event.Type, event.ID, err)
	}
	return e, nil
}

// list reads Stripe's own list of events, newest first. One that cannot be read is left
// to its delivery, where the fault is answered.
func (s *stripeCards) list(ctx context.Context, from, until time.Time, each func(cardEvent)) error {
	params := &stripe.EventListParams{
		ListParams:   stripe.ListParams{Context: ctx, Limit: stripe.Int64(stripePage)},
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: from.Unix(), LesserThanOrEqual: until.Unix()},
		Types: []*string{
			stripe.String(stripe.EventTypeCheckoutSessionCompleted), stripe.String(stripe.EventTypeCheckoutSessionAsyncPaymentSucceeded),
			stripe.String(stripe.EventTypeChargeRefunded),
			stripe.String(stripe.EventTypeChargeDisputeCreated), stripe.String(stripe.EventTypeChargeDisputeClosed),
		},
	}
	for range stripePages {
		page := &stripe.EventList{}
		query := &form.Values{}
		form.AppendTo(query, params)
		if err := s.backend.CallRaw(http.MethodGet, "/v1/events", s.options.SecretKey, []byte(query.Encode()), params.GetParams(), page); err != nil {
			return stripeError(err)
		}
		for _, event := range page.Data {
			if e, err := readEvent(event); err == nil && e.what != cardNothing {
				each(e)
			}
		}
		if !page.HasMore || len(page.Data) == 0 {
			return nil
		}
		params.StartingAfter = stripe.String(page.Data[len(page.Data)-1].ID)
	}
	return fmt.Errorf("%w: more than %d events at once", ErrPaymentProvider, stripePage*stripePages)
}

// readSession reads a finished checkout. One that is not paid yet will be, or not; an
// event of its own tells.
func readSession(raw json.RawMessage) (cardEvent, error) {
	var session struct {
		Reference     string            `json:"client_reference_id"`
		Metadata      map[string]string `json:"metadata"`
		PaymentStatus string            `json:"payment_status"`
		PaymentIntent stripeID          `json:"payment_intent"`
		AmountTotal   int64             `json:"amount_total"`
		Currency      string            `json:"currency"`
	}
	if err := json.Unmarshal(raw, &session); err != nil {
		return cardEvent{}, err
	}
	checkout := session.Metadata[metaCheckout]
	if checkout == "" || session.Reference != checkout || session.PaymentStatus != string(stripe.CheckoutSessionPaymentStatusPaid) {
		return cardEvent{}, nil // another shop's on the same Stripe account, or not paid
	}
	if session.PaymentIntent == "" {
		return cardEvent{}, errors.New("paid without a payment intent")
	}
	return cardEvent{
		what: cardPaid, checkout: checkout, payment: string(session.PaymentIntent),
		cents: session.AmountTotal, currency: strings.ToUpper(session.Currency),
	}, nil
}

// readRefund reads a charge that was refunded, in whole or in part.
func readRefund(raw json.RawMessage) (cardEvent, error) {
	var charge struct {
		PaymentIntent  stripeID `json:"payment_intent"`
		AmountRefunded int64    `json:"amount_refunded"`
		Currency       string   `json:"currency"`
	}
	if err := json.Unmarshal(raw, &charge); err != nil {
		return cardEvent{}, err
	}
	if charge.PaymentIntent == "" {
		return cardEvent{}, nil // not from a checkout
	}
	return cardEvent{
		what: cardRefunded, payment: string(charge.PaymentIntent),
		cents: charge.AmountRefunded, currency: strings.ToUpper(charge.Currency),
	}, nil
}

// readDispute reads a dispute that began or was closed. Closed and not lost, the money
// stays where it is, and there is nothing to tell.
func readDispute(raw json.RawMessage, closed bool) (cardEvent, error) {
	var dispute struct {
		ID            string   `json:"id"`
		PaymentIntent stripeID `json:"payment_intent"`
		Amount        int64    `json:"amount"`
		Currency      string   `json:"currency"`
		Reason        string   `json:"reason"`
		Status        string   `json:"status"`
	}
	if err := json.Unmarshal(raw, &dispute); err != nil {
		return cardEvent{}, err
	}
	what := cardDisputed
	if closed {
		what = cardDisputeLost
	}
	if dispute.PaymentIntent == "" || closed && dispute.Status != string(stripe.DisputeStatusLost) {
		return cardEvent{}, nil // not from a checkout, or not lost
	}
	if dispute.ID == "" {
		return cardEvent{}, errors.New("a dispute without an id")
	}
	return cardEvent{
		what: what, payment: string(dispute.PaymentIntent), dispute: cleanText(dispute.ID, maxDispute),
		cents: dispute.Amount, currency: strings.ToUpper(dispute.Currency), reason: cleanText(dispute.Reason, maxDispute),
	}, nil
}

// stripeID is an object's id, be the object expanded or not.
type stripeID string

func (s *stripeID) UnmarshalJSON(raw []byte) error {
	id, is := stripe.ParseID(raw)
	if is {
		*s = stripeID(id)
		return nil
	}
	var object struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		return err
	}
	*s = stripeID(object.ID)
	return nil
}
