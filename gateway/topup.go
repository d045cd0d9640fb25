package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/ratelimit"
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
	Stars(ctx context.Context, r billing.CheckoutRequest, link func(ctx context.Context, accountID, stars int64) (string, error)) (billing.Checkout, error)
	Deliver(ctx context.Context, body []byte, signature string) error
	TakesCards() bool
}

// invoices makes links at which Telegram Stars are paid.
type invoices interface {
	InvoiceLink(ctx context.Context, accountID, stars int64, monthly bool) (string, error)
}

// topUpGuard limits how many top-ups an account begins.
type topUpGuard interface {
	// Take asks for one more of the account. [*ratelimit.ExceededError].
	Take(ctx context.Context, accountID int64) error
}

// topUpAnswer tells where a payment that was begun is made.
type topUpAnswer struct {
	CheckoutID  string `json:"checkout_id"`
	CheckoutURL string `json:"checkout_url"`
	Method      string `json:"method"`
	AmountUSD   string `json:"amount_usd,omitempty"`   // of a card payment
	AmountStars int64  `json:"amount_stars,omitempty"` // of one in Stars
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
	wish.request.IdempotencyKey = string(c.Request().Header.Peek(headerIdempotencyKey))
	v, err := s.visitWith(c, key, "")
	if err != nil {
		return err
	}
	wish.request.AccountID = v.AccountID
	if s.topUps != nil {
		wish.request.Admit = func(ctx context.Context) error { return s.admitTopUp(ctx, v.AccountID) }
	}
	ctx, cancel := context.WithTimeout(s.base, topUpIn)
	defer cancel()
	begun, err := s.begin(ctx, wish)
	if err != nil {
		return err
	}
	answer := topUpAnswer{CheckoutID: begun.ID, CheckoutURL: begun.URL, Method: wish.method, CreditNano: begun.CreditNano}
	if wish.method == methodCard {
		answer.AmountUSD = billing.FormatUSD(begun.Amount * nanoPerCent)
	} else {
		answer.AmountStars = begun.Amount
	}
	c.Response().Header.Set(fiber.HeaderCacheControl, noStore)
	return c.JSON(answer)
}

// admitTopUp asks for one more top-up of the account. *topUpsError, billing.ErrClosed.
func (s *Server) admitTopUp(ctx context.Context, account int64) error {
	err := s.topUps.Take(ctx, account)
	var exceeded *ratelimit.ExceededError
	switch {
	case errors.As(err, &exceeded):
		return &topUpsError{exceeded}
	case err != nil:
		return fmt.Errorf("%w: limit of top-ups: %w", billing.ErrClosed, err)
	}
	return nil
}

// topUpsError says that an account has begun as many top-ups as it may for now.
type topUpsError struct{ *ratelimit.ExceededError }

func (e *topUpsError) Unwrap() error { return e.ExceededError }

// begin begins the payment that is wished for.
func (s *Server) begin(ctx context.Context, wish topUpWish) (billing.Checkout, error) {
	switch {
	case s.checkouts == nil:
	case wish.method == methodCard:
		return s.checkouts.Card(ctx, wish.request)
	case s.invoices != nil:
		begun, err := s.checkouts.Stars(ctx, wish.request, func(ctx context.Context, accountID, stars int64) (string, error) {
			return s.invoices.InvoiceLink(ctx, accountID, stars, false)
		})
		if errors.Is(err, billing.ErrAmount) {
			err = &llm.RequestError{Param: "usd", Message: starBounds()}
		}
		return begun, err
	}
	return billing.Checkout{}, billing.ErrPaymentUnavailable
}

// topUpWish is what a request to top up asks for.
type topUpWish struct {
	method  string
	request billing.CheckoutRequest
}

// readTopUp reads {"method":"card","usd":"10.00"} or {"method":"stars","stars":250}.
// Whatever else is sent is refused: in a request about money a member that is not
// understood is a misunderstanding.
func readTopUp(c *fiber.Ctx) (wish topUpWish, err error) {
	body, err := rawBody(c, topUpBody)
	if err != nil {
		return wish, err
	}
	var members map[string]json.RawMessage
	decoder := json.NewDecoder(bytes.NewReader(body))
	if decoder.Decode(&members) != nil || members == nil || decoder.More() {
		return wish, &llm.RequestError{Message: `The body is not a JSON object. Send for example {"method":"card","usd":"10.00"}.`}
	}
	for name := range members {
		if name != "method" && name != "usd" && name != "stars" {
			return wish, &llm.RequestError{Message: `The body has a member that is not known here. Send "method", and "usd" or "stars".`}
		}
	}
	if json.Unmarshal(members["method"], &wish.method) != nil || wish.method != methodCard && wish.method != methodStars {
		return wish, &llm.RequestError{Param: "method", Message: `"method" says how to pay: send "card" or "stars".`}
	}
	usd, stars := members["usd"], members["stars"]
	param := "usd"
	var fault string
	switch {
	case usd != nil && stars != nil:
		param, fault = "stars", `The amount is stated twice: send "usd" or "stars", and leave out the other.`
	case wish.method == methodCard && stars != nil:
		param, fault = "stars", `A card payment is stated in dollars: send "usd" and leave out "stars".`
	case wish.method == methodCard:
		wish.request.Amount, fault = readCents(usd)
	case usd != nil:
		wish.request.WorthNano, fault = readDollars(usd)
	default:
		param = "stars"
		wish.request.Amount, fault = readStars(stars)
	}
	if fault != "" {
		return wish, &llm.RequestError{Param: param, Message: fault}
	}
	return wish, nil
}

const mendDollars = ` Send a string of dollars and cents such as "10.00".`

// readDollars reads an amount in whole cents and says what is wrong with it.
func readDollars(raw json.RawMessage) (nano int64, fault string) {
	var text string
	switch {
	case raw == nil:
		return 0, `"usd" is missing.` + mendDollars
	case raw[0] != '"' || json.Unmarshal(raw, &text) != nil:
		return 0, `"usd" is not a string: numbers lose cents on their way.` + mendDollars
	}
	whole, places, dotted := strings.Cut(text, ".")
	if whole == "" || dotted && places == "" || strings.Trim(whole+places, "0123456789") != "" {
		return 0, `"usd" is not a decimal of digits and at most one point.` + mendDollars
	}
	if places = strings.TrimRight(places, "0"); len(places) > 2 {
		return 0, `"usd" is finer than a cent.` + mendDollars
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if nano, err := billing.ParseUSD(whole + "." + places + "0"); err == nil {
		return nano, ""
	}
	return billing.MaxNano, "" // more than any bound
}

// readCents reads the amount of a card payment.
func readCents(raw json.RawMessage) (cents int64, fault string) {
	nano, fault := readDollars(raw)
	if fault == "" && (nano < billing.CardLeast*nanoPerCent || nano > billing.CardMost*nanoPerCent) {
		fault = fmt.Sprintf("A card payment is from %s to %s USD.",
			billing.FormatUSD(billing.CardLeast*nanoPerCent), billing.FormatUSD(billing.CardMost*nanoPerCent))
	}
	return nano / nanoPerCent, fault
}

// readStars reads an amount of Telegram Stars.
func readStars(raw json.RawMessage) (stars int64, fault string) {
	if raw == nil {
		return 0, `"stars" is missing. Send a whole number such as 250, or "usd".`
	}
	if strings.Trim(string(raw), "0123456789") != "" {
		return 0, `"stars" is not a whole number above zero. Send one such as 250.`
	}
	stars, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || stars < billing.StarsLeast || stars > billing.StarsMost {
		return 0, starBounds()
	}
	return stars, ""
}

func starBounds() string {
	return fmt.Sprintf("A payment in Telegram Stars is from %d to %d of them.", billing.StarsLeast, billing.StarsMost)
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
		s.report(requestID(c), 0, fiber.StatusBadRequest, err) // perhaps our secret is the wrong one
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
