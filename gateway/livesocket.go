package gateway

import (
	"context"
	"net/netip"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
)

// sockets keep connections on which clients hear what is new.
type sockets interface {
	// Serve turns a request into such a connection. who is nil where the client is to say
	// who it is; admit then tells whom its token speaks for.
	Serve(c *fiber.Ctx, who *billing.Presence, admit func(ctx context.Context, token string) (billing.Presence, error)) error
}

// openSocket answers GET /api/v1/live: with a key or a session in a header, or, since
// browsers can send none with a WebSocket, with one in the first message.
func (s *Server) openSocket(c *fiber.Ctx) error {
	if s.sockets == nil {
		return fiber.ErrNotFound
	}
	if err := s.sameOrigin(c); err != nil {
		return err
	}
	var who *billing.Presence
	if len(c.Request().Header.Peek(fiber.HeaderAuthorization)) > 0 || len(c.Request().Header.Peek("X-Api-Key")) > 0 {
		key, err := s.present(c)
		if err != nil {
			return err
		}
		present, err := s.attend(s.base, key, s.clientAddress(c))
		if err != nil {
			return err
		}
		who = &present
	}
	from, address := s.sender(c), s.clientAddress(c)
	return s.sockets.Serve(c, who, func(ctx context.Context, token string) (billing.Presence, error) {
		key, err := s.parse(token)
		if err != nil {
			return billing.Presence{}, s.strangers.failed(ctx, address, "", err)
		}
		key.From = from
		if err := s.strangers.admit(address, key.Name()); err != nil {
			return billing.Presence{}, err
		}
		return s.attend(ctx, key, address)
	})
}

// attend says who a key or session speaks for. What is new about an account is for its
// owner: a key that is restricted in any way hears nothing.
func (s *Server) attend(ctx context.Context, key billing.PresentedKey, address netip.Addr) (billing.Presence, error) {
	v, err := s.meter.Visit(ctx, key, "")
	if err = s.learn(address, key, err); err == nil {
		err = v.sessionStands(key)
	}
	var sees viewer
	if err == nil {
		sees, err = s.view(ctx, v)
	}
	if err == nil && sees.own != nil {
		err = errNotWhole
	}
	if err != nil {
		return billing.Presence{}, err
	}
	return billing.Presence{AccountID: v.AccountID, KeyID: v.KeyID, Until: key.Until}, nil
}
