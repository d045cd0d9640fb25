package gateway

import (
	"context"
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

// present reads the API key of a request, without asking anybody whether it is one.
func (s *Server) present(c *fiber.Ctx) (billing.PresentedKey, error) {
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
}

// Visit admits an unpaid call: it authenticates the key, takes one request off its
// limit and reads the balance, in one round trip. The error is a [*CallError].
func (m *Meter) Visit(ctx context.Context, key billing.PresentedKey) (Visit, error) {
	p, err := m.gate.visit(ctx, caller{account: key.Account, key: &key})
	if err != nil {
		return Visit{}, refuse(p, err)
	}
	return Visit{Decision: p.decision, AccountID: key.Account, KeyID: p.keyID, Available: p.n, Held: p.available}, nil
}

// visit authenticates an unpaid request and says on the answer what is left of its limit.
func (s *Server) visit(c *fiber.Ctx) (Visit, error) {
	key, err := s.present(c)
	if err != nil {
		return Visit{}, err
	}
	v, err := s.meter.Visit(s.base, key)
	if err == nil {
		setLimitHeaders(c, v.Decision)
	}
	return v, err
}

// afterVisit is fault, unless the caller may not even come in: who has no valid
// key learns nothing else.
func (s *Server) afterVisit(c *fiber.Ctx, key billing.PresentedKey, fault error) error {
	v, err := s.meter.Visit(s.base, key)
	if err != nil {
		return err
	}
	setLimitHeaders(c, v.Decision)
	return fault
}

func setLimitHeaders(c *fiber.Ctx, d ratelimit.Decision) {
	for _, h := range d.Headers() {
		c.Response().Header.Set(h.Name, h.Value)
	}
}
