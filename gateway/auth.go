package gateway

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	bearer = "bearer "
	tma    = "tma " // before what Telegram said to the Mini App
	// ofSession begins the token of a session of the Mini App.
	ofSession = "kks_"
)

// keys is what the server needs of API keys.
type keys interface {
	Parse(token string) (billing.PresentedKey, error)
}

// present reads the API key of a request, or the session that it came with instead,
// without asking anybody whether it is one, and says whether its sender may come with it.
func (s *Server) present(c *fiber.Ctx) (billing.PresentedKey, error) {
	key, err := s.readKey(c)
	switch {
	case err == nil:
		key.From = s.sender(c)
		err = s.strangers.admit(household(key.From), key.Name())
	case !blameless(err):
		err = s.strangers.failed(s.base, s.clientAddress(c), "", err)
	}
	return key, err
}

// known learns from how a call with a key that was presented went whether it is one. It
// returns what its sender is told of err.
func (s *Server) known(key billing.PresentedKey, err error) error {
	return s.learn(household(key.From), key, err)
}

// learn is known of a call from that address.
func (s *Server) learn(from netip.Addr, key billing.PresentedKey, err error) error {
	var refused *CallError
	switch {
	case strange(err):
		return s.strangers.failed(s.base, from, key.Name(), err)
	case err == nil, errors.As(err, &refused) && refused.Decision != nil:
		s.strangers.welcome(key.Name())
	}
	return err
}

func (s *Server) readKey(c *fiber.Ctx) (billing.PresentedKey, error) {
	token := c.Get(fiber.HeaderAuthorization)
	switch {
	case len(token) > len(bearer) && strings.EqualFold(token[:len(bearer)], bearer):
		token = strings.TrimSpace(token[len(bearer):])
	case s.sessions != nil && hasInitData(token):
		return s.identify(c)
	case token == "":
		token = c.Get("X-Api-Key")
	default:
		return billing.PresentedKey{}, billing.ErrKeyMalformed
	}
	if token == "" {
		return billing.PresentedKey{}, errNoKey
	}
	return s.parse(token)
}

// parse reads a key, or a session's token.
func (s *Server) parse(token string) (billing.PresentedKey, error) {
	if s.sessions != nil && strings.HasPrefix(token, ofSession) {
		return s.sessions.Parse(token)
	}
	return s.keys.Parse(token)
}

// blameless says that a failed authentication is no try of a key: none was sent, a session
// has just ended, or we are to blame ourselves.
func blameless(err error) bool {
	var exceeded *ratelimit.ExceededError
	return errors.Is(err, errNoKey) || errors.Is(err, errOrigin) || errors.Is(err, billing.ErrInitDataOld) ||
		errors.Is(err, billing.ErrClosed) || errors.As(err, &exceeded)
}

// Visit is an unpaid call that came in.
type Visit struct {
	Decision  ratelimit.Decision
	AccountID int64
	KeyID     int64
	Available int64 // nano-USD
	Held      int64 // nano-USD
	Active    bool  // the account may make calls

	models modelList
}

// Visit admits an unpaid call: it authenticates the key, takes one request off its
// limit and reads the balance, in one round trip. Where it is about a model, the key must
// be for that; "": about none. The error is a [*CallError].
func (m *Meter) Visit(ctx context.Context, key billing.PresentedKey, model string) (Visit, error) {
	p, err := m.gate.visit(ctx, callerOf(&key, scopeApp, model))
	if err != nil {
		return Visit{}, refuse(p, err)
	}
	return Visit{Decision: p.decision, AccountID: key.Account, KeyID: p.keyID, Available: p.n, Held: p.available, Active: p.status == "ok", models: p.models}, nil
}

// visit authenticates an unpaid request and says on the answer what is left of its limit.
func (s *Server) visit(c *fiber.Ctx) (Visit, error) {
	key, err := s.present(c)
	if err != nil {
		return Visit{}, err
	}
	return s.visitWith(c, key, "")
}

// visitWith is visit for a key that was read already, about a model or none.
func (s *Server) visitWith(c *fiber.Ctx, key billing.PresentedKey, model string) (Visit, error) {
	v, err := s.meter.Visit(s.base, key, model)
	if err = s.known(key, err); err == nil {
		s.setLimitHeaders(c, v.Decision)
		err = v.sessionStands(key)
	}
	return v, err
}

// afterVisit is fault, unless the caller may not even come in: who has no valid
// key learns nothing else.
func (s *Server) afterVisit(c *fiber.Ctx, key billing.PresentedKey, fault error) error {
	if _, err := s.visitWith(c, key, ""); err != nil {
		return err
	}
	return fault
}

// setLimitHeaders says on the answer what is left of the limits, as clients of the
// protocol spoken read it.
func (s *Server) setLimitHeaders(c *fiber.Ctx, d ratelimit.Decision) {
	header := &c.Response().Header
	for _, h := range d.Headers() {
		header.Set(h.Name, h.Value)
	}
	if len(header.Peek(headerAnthropic)) == 0 {
		return
	}
	for _, h := range d.AnthropicHeaders(s.now()) {
		header.Set(h.Name, h.Value)
	}
}
