package gateway

import (
	"context"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/ratelimit"
)

const bearer = "bearer "

// keys is what the server needs of API keys.
type keys interface {
	Parse(token string) (billing.PresentedKey, error)
}

// present reads the API key of a request, without asking anybody whether it is one, and
// says whether its sender may come with it.
func (s *Server) present(c *fiber.Ctx) (billing.PresentedKey, error) {
	key, err := s.readKey(c)
	switch {
	case err == nil:
		err = s.strangers.admit(s.clientAddress(c), key.Locator[0])
	case !errors.Is(err, errNoKey):
		err = s.strangers.failed(s.base, s.clientAddress(c), "", err)
	}
	return key, err
}

// known learns from how a call with a key went whether it is one. It returns what its
// sender is told of err.
func (s *Server) known(c *fiber.Ctx, key billing.PresentedKey, err error) error {
	var refused *CallError
	switch {
	case errors.Is(err, errKeyUnknown):
		return s.strangers.failed(s.base, s.clientAddress(c), key.Locator[0], err)
	case err == nil, errors.As(err, &refused) && refused.Decision != nil:
		s.strangers.welcome(key.Locator[0])
	}
	return err
}

func (s *Server) readKey(c *fiber.Ctx) (billing.PresentedKey, error) {
	token := c.Get(fiber.HeaderAuthorization)
	switch {
	case len(token) > len(bearer) && strings.EqualFold(token[:len(bearer)], bearer):
		token = strings.TrimSpace(token[len(bearer):])
	case token == "":
		token = c.Get("X-Api-Key")
	default:
		return billing.PresentedKey{}, billing.ErrKeyMalformed
	}
	if token == "" {
		return billing.PresentedKey{}, errNoKey
	}
	return s.keys.Parse(token)
}

// Visit is an unpaid call that came in.
type Visit struct {
	Decision  ratelimit.Decision
	AccountID int64
	KeyID     int64
	Available int64 // nano-USD
	Held      int64 // nano-USD
	Active    bool  // the account may make calls
}

// Visit admits an unpaid call: it authenticates the key, takes one request off its
// limit and reads the balance, in one round trip. The error is a [*CallError].
func (m *Meter) Visit(ctx context.Context, key billing.PresentedKey) (Visit, error) {
	p, err := m.gate.visit(ctx, caller{account: key.Account, key: &key})
	if err != nil {
		return Visit{}, refuse(p, err)
	}
	return Visit{Decision: p.decision, AccountID: key.Account, KeyID: p.keyID, Available: p.n, Held: p.available, Active: p.status == "ok"}, nil
}

// visit authenticates an unpaid request and says on the answer what is left of its limit.
func (s *Server) visit(c *fiber.Ctx) (Visit, error) {
	key, err := s.present(c)
	if err != nil {
		return Visit{}, err
	}
	return s.visitWith(c, key)
}

// visitWith is visit for a key that was read already.
func (s *Server) visitWith(c *fiber.Ctx, key billing.PresentedKey) (Visit, error) {
	v, err := s.meter.Visit(s.base, key)
	if err = s.known(c, key, err); err == nil {
		setLimitHeaders(c, v.Decision)
	}
	return v, err
}

// afterVisit is fault, unless the caller may not even come in: who has no valid
// key learns nothing else.
func (s *Server) afterVisit(c *fiber.Ctx, key billing.PresentedKey, fault error) error {
	if _, err := s.visitWith(c, key); err != nil {
		return err
	}
	return fault
}

func setLimitHeaders(c *fiber.Ctx, d ratelimit.Decision) {
	for _, h := range d.Headers() {
		c.Response().Header.Set(h.Name, h.Value)
	}
}
