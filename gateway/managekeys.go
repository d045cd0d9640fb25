package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	headerReplayed = "Idempotent-Replayed"

	keysIn     = 10 * time.Second
	keysListed = 100 // keys of one page, at most
)

var (
	errMayNotManage = errors.New("gateway: the key is restricted and may not manage keys")
	errKeysHere     = errors.New("gateway: keys are not managed here")
)

// keyMaker makes, changes and revokes API keys.
type keyMaker interface {
	Create(ctx context.Context, spec billing.KeySpec) (billing.Key, string, error)
	Change(ctx context.Context, accountID, keyID int64, c billing.KeyChange, by billing.Actor) (billing.Key, error)
	Revoke(ctx context.Context, accountID, keyID int64, by billing.Actor) error
}

// keyBook tells of API keys and of what was spent with them.
type keyBook interface {
	Used(ctx context.Context, q billing.KeyQuery) ([]billing.KeyUse, error)
	Find(ctx context.Context, keyID int64) (billing.Key, error)
	// Names are those of all keys that the account has or had.
	Names(ctx context.Context, accountID int64) (map[int64]string, error)
}

// keyFaultError wraps what is wrong with a wish about a key, which is told otherwise where
// money moves.
type keyFaultError struct{ error }

func (e keyFaultError) Unwrap() error { return e.error }

// listKeys answers GET /api/v1/keys[?limit=N&cursor=ID&include_revoked=true].
func (s *Server) listKeys(c *fiber.Ctx) error {
	query, fault := readKeyQuery(c)
	v, err := s.manager(c, fault)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, keysIn)
	defer cancel()
	most := query.Most
	query.AccountID, query.Most = v.AccountID, most+1
	uses, err := s.keyBook.Used(ctx, query)
	if err != nil {
		return err
	}
	answer := keysAnswer{Keys: []keyAnswer{}}
	for i, use := range uses {
		if i == most {
			cursor := strconv.FormatInt(uses[i-1].ID, 10)
			answer.NextCursor = &cursor
			break
		}
		answer.Keys = append(answer.Keys, s.keyJSON(use))
	}
	return c.JSON(answer)
}

// makeKey answers POST /api/v1/keys: 201 with the key, which is shown this once; 200
// without it where the Idempotency-Key made it before.
func (s *Server) makeKey(c *fiber.Ctx) error {
	change, fault := readKeyChange(c)
	idempotency := string(c.Request().Header.Peek(headerIdempotencyKey))
	v, err := s.manager(c, fault)
	if err == nil && !v.Active {
		err = billing.ErrAccountInactive
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, keysIn)
	defer cancel()
	made, token, err := s.keyMaker.Create(ctx, change.Spec(billing.KeySpec{
		AccountID: v.AccountID, IdempotencyKey: idempotency, By: v.actor()}))
	if err != nil {
		return keyFaultError{err}
	}
	answer := madeAnswer{keyAnswer: s.keyJSON(billing.KeyUse{Key: made}), Notice: "This is the only time that the key is shown. Keep it where secrets are kept."}
	if token == "" {
		uses, err := s.keyBook.Used(ctx, billing.KeyQuery{AccountID: v.AccountID, KeyID: made.ID, Revoked: true})
		if err != nil {
			return err
		}
		for _, use := range uses {
			answer.keyAnswer = s.keyJSON(use)
		}
		answer.Notice = "This Idempotency-Key made the key before. It was shown then and cannot be shown again: where it was lost, revoke it and make another."
		c.Response().Header.Set(headerReplayed, "true")
	} else {
		answer.Key = &token
		c.Status(fiber.StatusCreated)
	}
	return c.JSON(answer)
}

// changeKey answers PATCH /api/v1/keys/:id: what is sent is changed, null removes it.
func (s *Server) changeKey(c *fiber.Ctx) error {
	id, fault := readKeyID(c)
	change, wrong := readKeyChange(c)
	if fault == nil {
		fault = wrong
	}
	v, err := s.manager(c, fault)
	if err == nil && !v.Active {
		err = billing.ErrAccountInactive
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, keysIn)
	defer cancel()
	if _, err := s.keyMaker.Change(ctx, v.AccountID, id, change, v.actor()); err != nil {
		return keyFaultError{err}
	}
	uses, err := s.keyBook.Used(ctx, billing.KeyQuery{AccountID: v.AccountID, KeyID: id})
	if err == nil && len(uses) == 0 {
		err = billing.ErrKeyUnknown // revoked meanwhile
	}
	if err != nil {
		return err
	}
	return c.JSON(s.keyJSON(uses[0]))
}

// revokeKey answers DELETE /api/v1/keys/:id. Repeating it is harmless.
func (s *Server) revokeKey(c *fiber.Ctx) error {
	id, fault := readKeyID(c)
	v, err := s.manager(c, fault)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, keysIn)
	defer cancel()
	if err := s.keyMaker.Revoke(ctx, v.AccountID, id, v.actor()); err != nil {
		return err
	}
	return c.JSON(struct {
		ID      int64 `json:"id"`
		Revoked bool  `json:"revoked"`
	}{id, true})
}

// manager authenticates a request to manage keys, which only a key may make that is not
// restricted in any way, or a session of the Mini App: another one could free itself. fault is what is wrong with the
// request, told to nobody without a key. What is answered is for nobody else.
func (s *Server) manager(c *fiber.Ctx, fault error) (Visit, error) {
	c.Response().Header.Set(fiber.HeaderCacheControl, noStore)
	if s.keyMaker == nil || s.keyBook == nil {
		return Visit{}, errKeysHere
	}
	key, err := s.present(c)
	if err != nil {
		return Visit{}, err
	}
	v, err := s.visitWith(c, key, "")
	if err == nil {
		err = fault
	}
	if err != nil {
		return v, err
	}
	whole, err := s.isWhole(s.base, v)
	if err == nil && !whole {
		err = errMayNotManage
	}
	return v, err
}

// explainKeys are the errors of managing keys.
func explainKeys(err error) (problem, bool) {
	var wish keyFaultError
	var restriction *billing.RestrictionError
	bad := func(param, message string) (problem, bool) {
		return problem{status: 400, code: "invalid_request", kind: kindOfYou, param: param, message: message}, true
	}
	switch {
	case errors.Is(err, errMayNotManage):
		return problem{status: 403, code: "key_may_not_manage", kind: kindOfYou,
			message: "This API key is restricted (by models, addresses, an end, a budget or limits of its own), so it may not manage keys. Use one without restrictions, or the bot: /newkey, /keys."}, true
	case errors.Is(err, errKeysHere):
		return problem{status: 404, code: "not_found", kind: kindOfYou, message: "Keys are not managed here. The bot does it: /newkey, /keys."}, true
	case errors.Is(err, billing.ErrKeyUnknown):
		return problem{status: 404, code: "key_not_found", kind: kindOfYou, message: "Your account has no usable key of that id. GET /api/v1/keys lists those it has."}, true
	case errors.Is(err, billing.ErrKeyLimit):
		return problem{status: 409, code: "key_limit_reached", kind: kindOfYou, message: fmt.Sprintf(
			"The account has %d usable keys, or made hundreds within a day, and may have no more. Revoke one with DELETE /api/v1/keys/:id.", billing.MaxKeys)}, true
	case errors.As(err, &restriction):
		return bad(restriction.Field, fmt.Sprintf("%q: %s", restriction.Field, restriction.Fault))
	case errors.Is(err, billing.ErrLimits):
		return bad("limits", `"limits" are from 0 (none) to 2147483647, and "per_second" comes together with "burst".`)
	case errors.As(err, &wish) && errors.Is(err, billing.ErrAmount):
		return bad("budget", `"budget" is more than can be spent. Send smaller amounts, or none.`)
	case errors.As(err, &wish) && errors.Is(err, billing.ErrIdempotencyConflict):
		return problem{status: 409, code: "idempotency_conflict", kind: kindOfYou,
			message: "This Idempotency-Key made another key, which stands as it was. Send a new one to make this key."}, true
	}
	return problem{}, false
}

// readKeyID reads the id in the address. What is no id is nobody's key.
func readKeyID(c *fiber.Ctx) (int64, error) {
	id, err := strconv.ParseInt(c.Params("id"), 10, 64)
	if err != nil || id <= 0 {
		return 0, billing.ErrKeyUnknown
	}
	return id, nil
}

// readKeyQuery reads which keys are asked for. [*llm.RequestError].
func readKeyQuery(c *fiber.Ctx) (q billing.KeyQuery, err error) {
	q.Most = keysListed
	if text := c.Query("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > keysListed {
			return q, &llm.RequestError{Param: "limit", Message: fmt.Sprintf(`"limit" is a number from 1 to %d.`, keysListed)}
		}
		q.Most = n
	}
	if text := c.Query("cursor"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return q, &llm.RequestError{Param: "cursor", Message: `"cursor" is what an answer gave as "next_cursor".`}
		}
		q.Before = n
	}
	switch c.Query("include_revoked") {
	case "", "false":
	case "true":
		q.Revoked = true
	default:
		return q, &llm.RequestError{Param: "include_revoked", Message: `"include_revoked" is true or false.`}
	}
	return q, nil
}
