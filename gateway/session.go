package gateway

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
)

const sessionIn = 5 * time.Second

// errOrigin is a browser that shows another site's page.
var errOrigin = errors.New("gateway: another site's page sends this")

// errSessionless is where there is no bot whose Mini App could be opened.
var errSessionless = errors.New("gateway: there are no sessions here")

// sessions let people in who come from the Mini App.
type sessions interface {
	// Begin exchanges initData for a session.
	Begin(ctx context.Context, initData string) (billing.Session, error)
	// Identify reads initData that came in place of a session.
	Identify(ctx context.Context, initData string) (billing.PresentedKey, error)
	// Parse reads a session's token.
	Parse(token string) (billing.PresentedKey, error)
}

// sessionAnswer is a session that began.
type sessionAnswer struct {
	Token      string `json:"token"`
	ExpiresAt  string `json:"expires_at"` // RFC 3339
	AccountID  int64  `json:"account_id"`
	TelegramID int64  `json:"telegram_id"`
	Language   string `json:"language"`
	StartParam string `json:"start_param"`
}

// beginSession answers POST /api/v1/session: what Telegram said to the Mini App, in the
// Authorization header, becomes a token for some minutes.
func (s *Server) beginSession(c *fiber.Ctx) error {
	c.Response().Header.Set(fiber.HeaderCacheControl, noStore)
	if s.sessions == nil {
		return errSessionless
	}
	initData, err := s.readInitData(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, sessionIn)
	defer cancel()
	session, err := s.sessions.Begin(ctx, initData)
	if err != nil {
		return s.strange(c, err)
	}
	return c.JSON(sessionAnswer{
		Token: session.Token, ExpiresAt: session.ExpiresAt.UTC().Format(time.RFC3339),
		AccountID: session.Account.ID, TelegramID: session.Account.TelegramID,
		Language: session.Language, StartParam: session.StartParam,
	})
}

// hasInitData says whether an Authorization header is what Telegram said to the Mini App.
func hasInitData(header string) bool {
	return len(header) > len(tma) && strings.EqualFold(header[:len(tma)], tma)
}

// readInitData reads what Telegram said to the Mini App, of a sender who may come with it.
func (s *Server) readInitData(c *fiber.Ctx) (string, error) {
	header := c.Get(fiber.HeaderAuthorization)
	if !hasInitData(header) {
		return "", errNoKey
	}
	if err := s.sameOrigin(c); err != nil {
		return "", err
	}
	if err := s.strangers.admit(s.clientAddress(c), ""); err != nil {
		return "", err
	}
	return strings.Clone(header[len(tma):]), nil // what waits for stores does not use the request's memory
}

// identify authenticates a request that came with initData in place of a session.
func (s *Server) identify(c *fiber.Ctx) (billing.PresentedKey, error) {
	initData, err := s.readInitData(c)
	if err != nil {
		return billing.PresentedKey{}, err
	}
	ctx, cancel := context.WithTimeout(s.base, sessionIn)
	defer cancel()
	return s.sessions.Identify(ctx, initData)
}

// strange counts a failure against its sender, if it is one of theirs.
func (s *Server) strange(c *fiber.Ctx, err error) error {
	if blameless(err) || errors.Is(err, billing.ErrAccountInactive) {
		return err
	}
	return s.strangers.failed(s.base, s.clientAddress(c), "", err)
}

// sameOrigin refuses a browser whose page is another site's. Who is no browser does not
// say where its page is from.
func (s *Server) sameOrigin(c *fiber.Ctx) error {
	sent := c.Get(fiber.HeaderOrigin)
	if sent == "" || s.origin != "" && strings.EqualFold(sent, s.origin) {
		return nil
	}
	if s.origin == "" {
		if from, err := url.Parse(sent); err == nil && from.Host != "" && from.Host == string(c.Context().Host()) {
			return nil
		}
	}
	return errOrigin
}

// OriginOf is the origin of a site's address, as browsers send it; "": it has none.
func OriginOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// sessionStands says whether a session goes on: it ends with what its account may.
func (v Visit) sessionStands(key billing.PresentedKey) error {
	if key.Session != "" && !v.Active {
		return billing.ErrAccountInactive
	}
	return nil
}

// actor is who acts, as the audit log names them.
func (v Visit) actor() billing.Actor {
	if v.KeyID == 0 {
		return billing.OfAccount(v.AccountID)
	}
	return billing.OfKey(v.AccountID, v.KeyID)
}

// sourceOf says where a paid call comes from.
func sourceOf(key billing.PresentedKey) string {
	if key.Session != "" {
		return billing.SourceApp
	}
	return billing.SourceAPI
}

// explainSession are the errors of those who come from the Mini App.
func explainSession(err error) problem {
	switch {
	case errors.Is(err, errSessionless):
		return problem{status: 404, code: "not_found", kind: kindOfYou, message: "There is no Mini App here. Use an API key."}
	case errors.Is(err, errOrigin):
		return problem{status: 403, code: "origin_not_allowed", kind: kindOfYou,
			message: "This may be sent from the Mini App's own pages alone."}
	case errors.Is(err, billing.ErrInitDataOld):
		return problem{status: 401, code: "init_data_expired", kind: kindOfYou,
			message: "The Mini App was opened too long ago, or this device's clock is wrong. Open it again."}
	case errors.Is(err, billing.ErrInitData):
		return problem{status: 401, code: "invalid_init_data", kind: kindOfYou,
			message: "This is not what Telegram says to this bot's Mini App. Open it from the bot."}
	}
	return problem{status: 401, code: "session_ended", kind: kindOfYou,
		message: "The session has ended, or never was one. Begin another with POST /api/v1/session."}
}
