package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	accountIn   = 10 * time.Second // for what an answer asks of Postgres
	pageDefault = 50
	pageMost    = 500
	noStore     = "no-store"
	cursorMost  = 512 // bytes
)

var (
	errNotWhole  = errors.New("gateway: the key is restricted and may not see or change what is the whole account's")
	errNoCursor  = errors.New("gateway: not a cursor of this account and question")
	errNoReports = errors.New("gateway: no files are sent from here")
)

// AccountOptions are what the account's own pages of the API need, besides its keys.
type AccountOptions struct {
	Usage         usageBook
	Movements     movementBook
	Seals         seals
	Settings      settingsBook
	Organisations organisationBook
	Reports       fileSender  // nil: none are sent
	ReportGuard   reportGuard // nil: they are not limited
	Spent         listSpace   // what usage came to, for /graphql; nil: it is summed up each time
	Queries       querySpace  // of /graphql, by hash; nil: none are kept
	StarNano      int64       // nano-USD that a Telegram Star is credited with; 0: none are taken
	ChatModel     string      // that chats use unless their owner chose another; "": none
}

// usageBook tells what calls came to.
type usageBook interface {
	Consumption(ctx context.Context, q billing.ConsumptionQuery) ([]billing.Consumed, error)
	UsedCalls(ctx context.Context, q billing.UsedCallsQuery) ([]billing.UsedCall, error)
}

// movementBook tells what changed a balance.
type movementBook interface {
	Movements(ctx context.Context, q billing.MovementQuery) ([]billing.Movement, error)
}

// organisationBook finds whom an account belongs to.
type organisationBook interface {
	Of(ctx context.Context, accountID int64) (billing.Organisation, error)
}

// seals are marks that only this house can make.
type seals interface {
	Seal(purpose, text string) string
	Sealed(purpose, text, seal string) bool
}

// viewer is who asks what an account did.
type viewer struct {
	Visit
	own *int64 // a restricted key, which sees its own calls alone; nil: all are seen
}

// viewer authenticates a request for what its account did. The answer is for nobody else.
func (s *Server) viewer(c *fiber.Ctx) (viewer, error) {
	c.Response().Header.Set(fiber.HeaderCacheControl, noStore)
	v, err := s.visit(c)
	if err != nil {
		return viewer{}, err
	}
	return s.view(s.base, v)
}

// view says what of its account a visit may see.
func (s *Server) view(ctx context.Context, v Visit) (viewer, error) {
	whole, err := s.isWhole(ctx, v)
	if err != nil {
		return viewer{}, err
	}
	if !whole {
		return viewer{v, &v.KeyID}, nil
	}
	return viewer{Visit: v}, nil
}

// isWhole says whether a visit stands for its whole account: it is of its owner, or of a
// key that is restricted in no way.
func (s *Server) isWhole(ctx context.Context, v Visit) (bool, error) {
	if v.KeyID == 0 {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, accountIn)
	defer cancel()
	key, err := s.keyBook.Find(ctx, v.KeyID)
	switch {
	case errors.Is(err, billing.ErrKeyUnknown), err == nil && !key.RevokedAt.IsZero(): // revoked meanwhile
		return false, errKeyUnknown
	case err != nil:
		return false, err
	}
	return key.MayManage(), nil
}

// owner is viewer for what is the whole account's, which a restricted key does not see.
func (s *Server) owner(c *fiber.Ctx) (Visit, error) {
	v, err := s.viewer(c)
	if err == nil && v.own != nil {
		err = errNotWhole
	}
	return v.Visit, err
}

// cursorOf is where a page ended, good for the same account and question alone.
func (s *Server) cursorOf(account int64, question, position string) *string {
	text := position + "." + s.account.Seals.Seal("cursor", cursorText(account, question, position))
	return &text
}

// openCursor is the position in a cursor; "": there is none. errNoCursor.
func (s *Server) openCursor(text string, account int64, question string) (position string, err error) {
	if text == "" {
		return "", nil
	}
	i := strings.LastIndexByte(text, '.')
	if len(text) > cursorMost || i < 0 || !s.account.Seals.Sealed("cursor", cursorText(account, question, text[:i]), text[i+1:]) {
		return "", errNoCursor
	}
	return text[:i], nil
}

func cursorText(account int64, question, position string) string {
	return fmt.Sprintf("%d %q %s", account, question, position)
}

// query is a parameter of a request's address, in memory of its own.
func query(c *fiber.Ctx, name string) string { return strings.Clone(c.Query(name)) }

// readLimit reads how long a page is to be. *llm.RequestError.
func readLimit(c *fiber.Ctx) (int, error) {
	text := query(c, "limit")
	if text == "" {
		return pageDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > pageMost {
		return 0, &llm.RequestError{Param: "limit", Message: fmt.Sprintf(`"limit" is a number from 1 to %d.`, pageMost)}
	}
	return n, nil
}

// readFlag reads true or false. *llm.RequestError.
func readFlag(c *fiber.Ctx, name string, unless bool) (bool, error) {
	switch query(c, name) {
	case "":
		return unless, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, &llm.RequestError{Param: name, Message: fmt.Sprintf("%q is true or false.", name)}
}

// explainAccount are the errors of what is told of an account.
func explainAccount(err error) (problem, bool) {
	switch {
	case errors.Is(err, errNotWhole):
		return problem{status: 403, code: "key_restricted", kind: kindOfYou,
			message: "This API key is restricted (by models, addresses, an end, a budget or limits of its own), so it sees its own calls alone. Use a key without restrictions, or the Mini App."}, true
	case errors.Is(err, errNoCursor):
		return problem{status: 400, code: "invalid_cursor", kind: kindOfYou, param: "cursor",
			message: `"cursor" is what the page before gave as "next_cursor", with all other parameters as they were then. Leave it out to begin anew.`}, true
	case errors.Is(err, errNoReports):
		return problem{status: 404, code: "not_found", kind: kindOfYou, message: "No files are sent from here. GET /api/v1/usage/export gives all calls."}, true
	case errors.Is(err, billing.ErrSettings):
		return problem{status: 400, code: "invalid_request", kind: kindOfYou, message: "A setting is out of its bounds. /api/docs tells them."}, true
	}
	return problem{}, false
}
