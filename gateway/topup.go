package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerStripe         = "Stripe-Signature"

	topUpBody   = 4 << 10 // bytes
	eventBody   = 1 << 20
	topUpIn     = 20 * time.Second // the provider opens a page meanwhile
	eventIn     = 15 * time.Second // the provider waits
	nanoPerCent = billing.NanoPerUSD / 100

	methodCard  = "card"
	methodStars = "stars"
)

// checkouts is what the server needs to begin payments and to hear of them.
type checkouts interface {
	Card(ctx context.Context, r billing.CheckoutRequest) (billing.Checkout, error)
	Deliver(ctx context.Context, body []byte, signature string) error
}

// topUpAnswer tells where a payment that was begun is made.
type topUpAnswer struct {
	CheckoutID  string `json:"checkout_id"`
	CheckoutURL string `json:"checkout_url"`
	Method      string `json:"method"`
	AmountUSD   string `json:"amount_usd,omitempty"`
	CreditNano  int64  `json:"credit_nano_usd"`
}

// topUp answers POST /api/v1/payment/topup: it begins a payment. The balance follows
// once the payment was made.
func (s *Server) topUp(c *fiber.Ctx) error {
	key, err := s.present(c)
	if err != nil {
		return err
	}
	wish, fault := readTopUp(c)
	if fault != nil {
		return s.afterVisit(c, key, fault)
	}
	idempotencyKey := string(c.Request().Header.Peek(headerIdempotencyKey))
	v, err := s.meter.Visit(s.base, key)
	if err != nil {
		return err
	}
	setLimitHeaders(c, v.Decision)
	if s.checkouts == nil || wish.method != methodCard {
		return billing.ErrPaymentUnavailable
	}
	ctx, cancel := context.WithTimeout(s.base, topUpIn)
	defer cancel()
	begun, err := s.checkouts.Card(ctx, billing.CheckoutRequest{AccountID: v.AccountID, Cents: wish.cents, IdempotencyKey: idempotencyKey})
	if err != nil {
		return err
	}
	return c.JSON(topUpAnswer{
		CheckoutID: begun.ID, CheckoutURL: begun.URL, Method: wish.method,
		AmountUSD: billing.FormatUSD(begun.Cents * nanoPerCent), CreditNano: begun.CreditNano,
	})
}

// topUpWish is what a request to top up asks for.
type topUpWish struct {
	method string
	cents  int64 // of a card payment
}

// readTopUp reads {"method":"card","usd":"10.00"}. Whatever else is sent is refused: in
// a request about money a member that is not understood is a misunderstanding.
func readTopUp(c *fiber.Ctx) (topUpWish, error) {
	body, err := rawBody(c, topUpBody)
	if err != nil {
		return topUpWish{}, err
	}
	var members map[string]json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(body))
	if decoder.Decode(&members) != nil || members == nil || decoder.More() {
		return topUpWish{}, &llm.RequestError{Message: `The body is not a JSON object. Send for example {"method":"card","usd":"10.00"}.`}
	}
	for name := range members {
		if name != "method" && name != "usd" && name != "stars" {
			return topUpWish{}, &llm.RequestError{Message: `The body has a member that is not known here. Send "method", and "usd" or "stars".`}
		}
	}
	var method string
	if json.Unmarshal(members["method"], &method) != nil || method != methodCard && method != methodStars {
		return topUpWish{}, &llm.RequestError{Param: "method", Message: `"method" says how to pay: send "card" or "stars".`}
	}
	if method == methodStars {
		return topUpWish{method: method}, nil
	}
	if _, is := members["stars"]; is {
		return topUpWish{}, &llm.RequestError{Param: "stars", Message: `A card payment is stated in dollars: send "usd" and leave out "stars".`}
	}
	cents, fault := readCents(members["usd"])
	if fault != "" {
		return topUpWish{}, &llm.RequestError{Param: "usd", Message: fault}
	}
	return topUpWish{method: method, cents: cents}, nil
}

// readCents reads an amount of a card payment and says what is wrong with it.
func readCents(raw json.RawMessage) (cents int64, fault string) {
	const mend = `Send a string of dollars and cents such as "10.00".`
	var text string
	switch {
	case raw == nil:
		return 0, `"usd" is missing. ` + mend
	case raw[0] != '"' || json.Unmarshal(raw, &text) != nil:
		return 0, `"usd" is not a string: numbers lose cents on their way. ` + mend
	}
	bounds := fmt.Sprintf("A card payment is from %s to %s USD.",
		billing.FormatUSD(billing.MinCardCents*nanoPerCent), billing.FormatUSD(billing.MaxCardCents*nanoPerCent))
	whole, places, _ := strings.Cut(text, ".")
	nano, err := billing.ParseUSD(text)
	switch {
	case strings.Trim(whole+places, "0123456789") != "" || whole == "" || strings.Count(text, ".") > 1 || strings.HasSuffix(text, "."):
		return 0, `"usd" is not a decimal of digits and at most one point. ` + mend
	case strings.TrimRight(places, "0") != "" && len(strings.TrimRight(places, "0")) > 2:
		return 0, `"usd" is finer than a cent. ` + mend
	case err != nil || nano < billing.MinCardCents*nanoPerCent || nano > billing.MaxCardCents*nanoPerCent:
		return 0, bounds
	}
	return nano / nanoPerCent, ""
}

// stripe answers POST /api/v1/payment/webhook/stripe: 200 once the event's effect is
// durable; until then Stripe sends it again.
func (s *Server) stripe(c *fiber.Ctx) error {
	if s.checkouts == nil {
		return billing.ErrPaymentUnavailable
	}
	body, err := rawBody(c, eventBody)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, eventIn)
	defer cancel()
	err = s.checkouts.Deliver(ctx, body, string(c.Request().Header.Peek(headerStripe)))
	if errors.Is(err, billing.ErrPaymentSignature) || errors.Is(err, billing.ErrPaymentEvent) {
		s.report(requestID(c), fiber.StatusBadRequest, err) // perhaps our secret is the wrong one
	}
	if err != nil {
		return err
	}
	return c.JSON(map[string]bool{"received": true})
}

// rawBody is a request's body as it came, no larger than allowed. It is fasthttp's
// memory, good until the handler returns.
func rawBody(c *fiber.Ctx, most int) ([]byte, error) {
	if encoding := c.Request().Header.ContentEncoding(); len(encoding) > 0 && string(encoding) != "identity" {
		return nil, errEncoded
	}
	body := c.BodyRaw()
	if len(body) > most {
		return nil, errTooLarge
	}
	return body, nil
}
