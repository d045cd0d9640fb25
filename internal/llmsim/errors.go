package llmsim

import (
	"encoding/json"
	"fmt"
	"net/http"
)

const statusOverloaded = 529 // Anthropic's own

// apiError is a refusal. Its fields are those of OpenAI's error object; the
// Anthropic dialect derives its own type from the status.
type apiError struct {
	Status  int     `json:"-"`
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

func invalid(param, code, text string) *apiError {
	e := &apiError{Status: http.StatusBadRequest, Message: text, Type: "invalid_request_error"}
	if param != "" {
		e.Param = &param
	}
	if code != "" {
		e.Code = &code
	}
	return e
}

func unknownModel(model string) *apiError {
	e := invalid("", "model_not_found", fmt.Sprintf("The model `%s` does not exist or you do not have access to it.", model))
	e.Status = http.StatusNotFound
	return e
}

func badKey() *apiError {
	e := invalid("", "invalid_api_key", "Incorrect API key provided. You can find your API key in the settings of the simulator.")
	e.Status = http.StatusUnauthorized
	return e
}

// faultFor is the error that goes with a status.
func faultFor(status int) *apiError {
	e := &apiError{Status: status, Type: "invalid_request_error", Message: "The request was refused as its model's name asks."}
	code := ""
	switch {
	case status == http.StatusTooManyRequests:
		e.Type, code = "requests", "rate_limit_exceeded"
		e.Message = "Rate limit reached for this model. Please try again in " + retryAfter + "s."
	case status == http.StatusUnauthorized:
		return badKey()
	case status >= http.StatusInternalServerError:
		e.Type, code = "server_error", "server_error"
		e.Message = "The server had an error while processing your request. Sorry about that!"
	}
	if code != "" {
		e.Code = &code
	}
	return e
}

// body is the error as OpenAI sends it.
func (e *apiError) body() string {
	raw, err := json.Marshal(map[string]*apiError{"error": e})
	if err != nil { // strings always encode
		return `{"error":{"message":"encoding failed","type":"server_error","param":null,"code":null}}`
	}
	return string(raw)
}

// messagesBody is the error as Anthropic sends it, and as its streams carry it.
func (e *apiError) messagesBody(requestID string) string {
	return fmt.Sprintf(`{"type":"error","error":{"type":"%s","message":%s},"request_id":%s}`,
		messagesErrorType(e.Status), quoted(e.Message), quoted(requestID))
}

func messagesErrorType(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "authentication_error"
	case http.StatusPaymentRequired:
		return "billing_error"
	case http.StatusForbidden:
		return "permission_error"
	case http.StatusNotFound:
		return "not_found_error"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	case http.StatusTooManyRequests:
		return "rate_limit_error"
	case http.StatusGatewayTimeout:
		return "timeout_error"
	case statusOverloaded, http.StatusServiceUnavailable:
		return "overloaded_error"
	}
	if status >= http.StatusInternalServerError {
		return "api_error"
	}
	return "invalid_request_error"
}

// quoted is a text as JSON.
func quoted(text string) string {
	raw, err := json.Marshal(text)
	if err != nil { // a string always encodes
		return `""`
	}
	return string(raw)
}
