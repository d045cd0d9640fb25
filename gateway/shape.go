package gateway

import (
	"encoding/json"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/internal/llm"
)

// shape is the form that errors and limits take: the protocol that the client speaks.
type shape int

const (
	shapePlain     shape = iota // {"error":{"code","message","request_id"}}
	shapeOpenAI                 // {"error":{"message","type","param","code"}}
	shapeAnthropic              // {"type":"error","error":{"type","message"},"request_id"}
)

const (
	// headerAnthropic is the request's id as Anthropic's clients look for it.
	headerAnthropic = "Request-Id"
	// headerVersion is what only Anthropic's clients send.
	headerVersion = "Anthropic-Version"

	statusOverloaded = 529 // Anthropic's own
)

var (
	pingComment   = []byte(": ping\n\n")
	pingAnthropic = []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n")
)

// shapeOf is the shape in which an operation's clients are told of errors.
func shapeOf(o llm.Operation) shape {
	if o.Protocol() == llm.ProtocolAnthropic {
		return shapeAnthropic
	}
	return shapeOpenAI
}

// shapeSpoken is the protocol of a request to a route of the shape sh: the list of models is
// there for clients of both.
func shapeSpoken(c *fiber.Ctx, sh shape) shape {
	if sh == shapeOpenAI && len(c.Request().Header.Peek(headerVersion)) > 0 && strings.HasPrefix(c.Path(), "/v1/models") {
		return shapeAnthropic
	}
	return sh
}

// unroutedShape is the protocol of a request that no route took.
func unroutedShape(c *fiber.Ctx) shape {
	switch path := c.Path(); {
	case strings.HasPrefix(path, "/v1/messages"):
		return shapeAnthropic
	case strings.HasPrefix(path, "/v1/"):
		return shapeSpoken(c, shapeOpenAI)
	}
	return shapePlain
}

// ping is what is sent in a stream's silence.
func (s shape) ping() []byte {
	if s == shapeAnthropic {
		return pingAnthropic
	}
	return pingComment
}

// body writes the problem in a shape.
func (p problem) body(s shape, requestID string) []byte {
	var v any
	switch s {
	case shapeOpenAI:
		type fault struct {
			Message string  `json:"message"`
			Type    string  `json:"type"`
			Param   *string `json:"param"`
			Code    *string `json:"code"`
		}
		v = map[string]fault{"error": {p.message, p.kind, optional(p.param), optional(p.code)}}
	case shapeAnthropic:
		type fault struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		}
		v = struct {
			Type      string `json:"type"`
			Error     fault  `json:"error"`
			RequestID string `json:"request_id"`
		}{"error", fault{p.anthropicType(), p.message}, requestID}
	default:
		type fault struct {
			Code      string `json:"code"`
			Message   string `json:"message"`
			RequestID string `json:"request_id"`
		}
		v = map[string]fault{"error": {p.plainCode(), p.message, requestID}}
	}
	text, _ := json.Marshal(v) // strings always encode
	return text
}

// plainCode is the problem's code in our own shape: a provider's refusal may have none.
func (p problem) plainCode() string {
	if p.code == "" {
		return "refused_by_provider"
	}
	return p.code
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// anthropicType is the type that Anthropic's clients know the problem by.
func (p problem) anthropicType() string {
	switch p.status {
	case fiber.StatusUnauthorized:
		return "authentication_error"
	case fiber.StatusPaymentRequired:
		return "billing_error"
	case fiber.StatusForbidden:
		return "permission_error"
	case fiber.StatusNotFound:
		return "not_found_error"
	case fiber.StatusRequestEntityTooLarge:
		return "request_too_large"
	case fiber.StatusTooManyRequests:
		return "rate_limit_error"
	case fiber.StatusGatewayTimeout:
		return "timeout_error"
	case fiber.StatusServiceUnavailable, statusOverloaded:
		return "overloaded_error"
	}
	if p.status >= fiber.StatusInternalServerError {
		return "api_error"
	}
	return kindOfYou
}
