package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/ratelimit"
)

// headerShouldRetry tells the official libraries what a status alone does not.
const headerShouldRetry = "X-Should-Retry"

const (
	retrySoon  = 1 // seconds, where we are to blame
	retryLater = 5 // seconds, where both our stores are away
	kindOfUs   = "server_error"
	kindOfYou  = "invalid_request_error"
)

var (
	errNoKey    = errors.New("gateway: no API key was sent")
	errEncoded  = errors.New("gateway: the body is encoded")
	errTooLarge = errors.New("gateway: the body is too large")
)

// problem is an error as a client sees it. Nothing in it is an internal message.
type problem struct {
	status     int
	code       string
	kind       string // OpenAI's type
	message    string
	param      string
	retryAfter int64 // seconds; 0: not said
	never      bool  // repeating the call does not help, though its status lets libraries try
}

// explain is the one place where errors become answers.
func explain(err error) problem {
	var (
		topUps   *topUpsError
		reported *reportsError
		wished   *reportWishError
		exceeded *ratelimit.ExceededError
		poor     *UnaffordableError
		budget   *billing.BudgetError
		invalid  *llm.RequestError
		upstream *llm.UpstreamError
		routing  *fiber.Error

		restricted *restrictedError
	)
	switch {
	case errors.Is(err, errNoKey):
		return problem{status: 401, code: "invalid_api_key", kind: kindOfYou,
			message: "Send your API key in the header 'Authorization: Bearer kk_…'. The bot makes one with /newkey."}
	case errors.Is(err, errKeyUnknown), errors.Is(err, billing.ErrKeyMalformed):
		return problem{status: 401, code: "invalid_api_key", kind: kindOfYou,
			message: "This API key is not valid. It may have been revoked or cut short; the bot makes a new one with /newkey."}
	case errors.Is(err, billing.ErrSession), errors.Is(err, billing.ErrInitData), errors.Is(err, billing.ErrInitDataOld),
		errors.Is(err, errOrigin), errors.Is(err, errSessionless):
		return explainSession(err)
	case errors.As(err, &restricted):
		return explainRestricted(restricted)
	case errors.As(err, &topUps):
		return problem{status: 429, code: "topup_limit_exceeded", kind: "requests", retryAfter: topUps.RetryAfterSeconds(),
			message: fmt.Sprintf("No more payments can be begun for now. Those that were can be made; the next one can be begun in %d s.", topUps.RetryAfterSeconds())}
	case errors.As(err, &reported):
		return problem{status: 429, code: "report_limit_exceeded", kind: "requests", retryAfter: reported.RetryAfterSeconds(),
			message: fmt.Sprintf("No more files are sent for now. The next one can be asked for in %d s.", reported.RetryAfterSeconds())}
	case errors.As(err, &wished):
		return problem{status: 409, code: "idempotency_conflict", kind: kindOfYou,
			message: "This Idempotency-Key asked for another file, which was sent as it was asked for. Send a new key to ask for this one."}
	case errors.As(err, &exceeded):
		return explainLimit(exceeded)
	case errors.As(err, &poor):
		return problem{status: 402, code: "insufficient_balance", kind: "insufficient_quota", message: poorSentence(poor)}
	case errors.As(err, &budget):
		return problem{status: 402, code: "budget_exceeded", kind: "insufficient_quota", message: budgetSentence(budget)}
	case errors.Is(err, billing.ErrAccountInactive):
		return problem{status: 403, code: "account_inactive", kind: kindOfYou, message: "This account may not make calls at present."}
	case errors.As(err, &invalid):
		return problem{status: 400, code: "invalid_request", kind: kindOfYou, message: invalid.Message, param: invalid.Param}
	case errors.Is(err, llm.ErrModelUnknown):
		return problem{status: 404, code: "model_not_found", kind: kindOfYou, param: "model",
			message: "This model does not exist or is not available here. GET /v1/models lists those that are, and GET /api/v1/products says what each is for."}
	case errors.Is(err, errTooLarge):
		return problem{status: 413, code: "request_too_large", kind: kindOfYou, message: "The request's body is larger than is accepted here."}
	case errors.Is(err, errEncoded):
		return problem{status: 415, code: "unsupported_encoding", kind: kindOfYou, message: "Send the body as it is: Content-Encoding is not accepted here."}
	case errors.As(err, &upstream):
		return explainUpstream(upstream)
	case errors.Is(err, errWithheld):
		return problem{status: 503, code: "answer_withheld", kind: kindOfUs, retryAfter: retryLater,
			message: "The answer could not be entered in the books, so it is not given out, and what was held for it is given back. Try again in a moment."}
	case errors.Is(err, errUnbooked):
		return problem{status: 503, code: "answer_unbooked", kind: kindOfUs, retryAfter: retryLater,
			message: "The answer ends here: it could not be entered in the books yet. What was sent is charged once it can."}
	case errors.Is(err, billing.ErrClosed), errors.Is(err, billing.ErrHoldConflict):
		return problem{status: 503, code: "service_unavailable", kind: kindOfUs, retryAfter: retrySoon,
			message: "The service is briefly unable to take this call. Nothing was charged; try again in a moment."}
	case errors.Is(err, errBusy):
		return problem{status: 503, code: "overloaded", kind: kindOfUs, retryAfter: retrySoon,
			message: "Too many calls are under way. Nothing was charged; try again in a moment."}
	case errors.Is(err, errBatchLate):
		return problem{status: 504, code: "batch_timeout", kind: kindOfUs,
			message: "The batch has taken too long, and this call was not answered in time. Nothing was charged for it; send it again."}
	case errors.Is(err, errClosing), errors.Is(err, context.Canceled):
		return problem{status: 503, code: "restarting", kind: kindOfUs, retryAfter: retrySoon,
			message: "The service is restarting. Try again in a moment."}
	case errors.As(err, &routing):
		return explainRouting(routing)
	}
	if p, is := explainKeys(err); is {
		return p
	}
	if p, is := explainPayment(err); is {
		return p
	}
	if p, is := explainAccount(err); is {
		return p
	}
	return problem{status: 500, code: "internal_error", kind: kindOfUs, message: "Something went wrong here. It has been noted under this request's id."}
}

func poorSentence(e *UnaffordableError) string {
	text := fmt.Sprintf("This call may cost up to %s USD and the balance is %s USD",
		billing.FormatUSD(e.Need), billing.FormatUSD(e.Available))
	switch {
	case e.Whole:
		return text + "." + topUpHint
	case e.Tokens > 0 && e.Stated:
		return text + fmt.Sprintf(". Ask for a shorter answer: the balance affords at most %d output tokens."+topUpHint, e.Tokens)
	case e.Tokens > 0:
		return text + fmt.Sprintf(": the balance affords %d output tokens."+topUpHint, e.Tokens)
	}
	return text + ": the balance does not cover the prompt." + topUpHint
}

// topUpHint says what helps where money is short.
const topUpHint = " Top up with /topup in the bot."

func budgetSentence(e *billing.BudgetError) string {
	return fmt.Sprintf("This call may cost up to %s USD, and of this %s's budget of %s USD a %s %s USD is left. It is whole again on %s UTC.",
		billing.FormatUSD(e.Need), e.Scope, billing.FormatUSD(e.Limit), e.Period, billing.FormatUSD(e.Left()),
		e.Resets.Format("2006-01-02 15:04"))
}

func explainUpstream(e *llm.UpstreamError) problem {
	switch e.Fault {
	case llm.FaultRefused:
		p := problem{status: e.Status, code: e.Code, kind: e.Type, message: e.Message, param: e.Param}
		if p.message == "" {
			p.message = "The model's provider refused the request."
		}
		if p.kind == "" {
			p.kind = kindOfYou
		}
		return p
	case llm.FaultBusy:
		return problem{status: 429, code: "provider_rate_limited", kind: "requests", retryAfter: max(retrySoon, int64((e.RetryAfter+time.Second-1)/time.Second)),
			message: "The model's provider takes no more requests at the moment. Try again later."}
	case llm.FaultTimeout:
		return problem{status: 504, code: "provider_timeout", kind: kindOfUs, message: "The model's provider did not answer in time."}
	}
	return problem{status: 502, code: "provider_error", kind: kindOfUs, message: "The model's provider could not answer. Try again, or use another model."}
}

// explainPayment are the errors of payments.
func explainPayment(err error) (problem, bool) {
	switch {
	case errors.Is(err, billing.ErrPaymentUnavailable):
		return problem{status: 400, code: "payment_method_unavailable", kind: kindOfYou, param: "method",
			message: "Payments of this kind are not taken here. The bot takes Telegram Stars: send it /topup."}, true
	case errors.Is(err, billing.ErrIdempotencyConflict):
		return problem{status: 409, code: "idempotency_conflict", kind: kindOfYou,
			message: "This Idempotency-Key began another payment, which stands as it was. Send a new key to begin this one."}, true
	case errors.Is(err, billing.ErrIdempotencyKey):
		return problem{status: 400, code: "invalid_request", kind: kindOfYou,
			message: "The Idempotency-Key cannot be used: send 1 to 200 characters, best those of a random UUID."}, true
	case errors.Is(err, billing.ErrPaymentProvider):
		return problem{status: 502, code: "payment_provider_error", kind: kindOfUs,
			message: "The payment provider could not answer. Nothing was charged; try again with the same Idempotency-Key."}, true
	case errors.Is(err, billing.ErrPaymentSignature):
		return problem{status: 400, code: "invalid_signature", kind: kindOfYou, message: "The event's signature is missing, wrong or too old."}, true
	case errors.Is(err, billing.ErrPaymentEvent):
		return problem{status: 400, code: "invalid_event", kind: kindOfYou, message: "The event cannot be read. Send events with their object in them."}, true
	}
	return problem{}, false
}

func explainRouting(e *fiber.Error) problem {
	p := problem{status: e.Code, code: "bad_request", kind: kindOfYou, message: "The request could not be read."}
	switch e.Code {
	case fiber.StatusNotFound:
		p.code, p.message = "not_found", "There is nothing at this address."
	case fiber.StatusMethodNotAllowed:
		p.code, p.message = "method_not_allowed", "This address does not answer that method."
	case fiber.StatusRequestEntityTooLarge:
		return explain(errTooLarge)
	case fiber.StatusRequestHeaderFieldsTooLarge:
		p.code, p.message = "headers_too_large", "The request's headers are larger than is accepted here."
	case fiber.StatusUpgradeRequired:
		p.code, p.message = "upgrade_required", "This address speaks WebSocket: ask for the upgrade."
	case fiber.StatusRequestTimeout:
		p.code, p.message = "request_timeout", "The request did not arrive in time."
	case fiber.StatusBadRequest:
	default:
		if e.Code >= 500 {
			return explain(errInternal)
		}
	}
	return p
}

var errInternal = errors.New("gateway: internal")

// fail answers a request with an error and writes what is ours to mend to the log.
func (s *Server) fail(c *fiber.Ctx, sh shape, err error) {
	p := explain(err)
	id := requestID(c)
	var refused *CallError
	if errors.As(err, &refused) && refused.Decision != nil {
		s.setLimitHeaders(c, *refused.Decision)
	}
	c.Response().ResetBody()
	c.Status(p.status)
	c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	if p.retryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.FormatInt(p.retryAfter, 10))
	}
	if p.never {
		c.Set(headerShouldRetry, "false")
	}
	c.Response().SetBodyRaw(p.body(sh, id))
	if p.status >= fiber.StatusInternalServerError {
		s.report(id, s.claimed(c), p.status, err)
	}
}

// claimed is the account that a request's key is of, whether or not anybody found the key
// to be good: for log lines alone. 0: no key says so.
func (s *Server) claimed(c *fiber.Ctx) int64 {
	if sent := c.Get(fiber.HeaderAuthorization); len(sent) > len(tma) && strings.EqualFold(sent[:len(tma)], tma) {
		return 0 // to read that is to open a session
	}
	key, err := s.readKey(c)
	if err != nil {
		return 0
	}
	return key.Account
}

// report logs a failure of a request, of that account if it is known; of those that come by
// the thousand while a dependency is away, one a second.
func (s *Server) report(id string, account int64, status int, err error) {
	level := slog.LevelWarn
	switch status {
	case fiber.StatusInternalServerError:
		level = slog.LevelError
	case fiber.StatusServiceUnavailable, fiber.StatusBadGateway, fiber.StatusGatewayTimeout, fiber.StatusBadRequest:
		now := s.now().Unix()
		if s.lastReport.Swap(now) == now {
			return
		}
	}
	attrs := []slog.Attr{slog.String("request_id", id), slog.Int("status", status), slog.Any("err", err)}
	if account != 0 {
		attrs = append(attrs, slog.Int64("account_id", account))
	}
	s.log.LogAttrs(context.Background(), level, "request failed", attrs...)
}
