package llmsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const (
	maxChoices   = 128
	maxStops     = 4
	mediaTokens  = 85
	promptTokens = 3
	turnTokens   = 4
	cacheFrom    = 1024
	cacheStep    = 128
)

// chatRequest is what the simulator reads of a request; the rest is ignored.
type chatRequest struct {
	Model               string          `json:"model"`
	Messages            []message       `json:"messages"`
	Stream              bool            `json:"stream"`
	StreamOptions       *streamOptions  `json:"stream_options"`
	MaxTokens           *int64          `json:"max_tokens"`
	MaxCompletionTokens *int64          `json:"max_completion_tokens"`
	N                   *int            `json:"n"`
	Stop                json.RawMessage `json:"stop"`
	Temperature         *float64        `json:"temperature"`

	stops []string
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`

	text  string
	media int
}

// parseChat decodes and checks a request as OpenAI does.
func parseChat(body []byte) (*chatRequest, *apiError) {
	var req chatRequest
	if err := json.Unmarshal(body, &req); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return nil, invalid(wrong.Field, "invalid_type", fmt.Sprintf("Invalid type for '%s': got %s instead.", wrong.Field, wrong.Value))
		}
		return nil, invalid("", "", "We could not parse the JSON body of your request.")
	}
	if req.Model == "" {
		return nil, invalid("", "", "you must provide a model parameter")
	}
	if len(req.Messages) == 0 {
		return nil, invalid("messages", "missing_required_parameter", "Missing required parameter: 'messages'.")
	}
	for i := range req.Messages {
		if fault := req.Messages[i].check(i); fault != nil {
			return nil, fault
		}
	}
	if fault := req.checkOptions(); fault != nil {
		return nil, fault
	}
	return &req, nil
}

func (r *chatRequest) checkOptions() *apiError {
	if r.StreamOptions != nil && !r.Stream {
		return invalid("stream_options", "", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	if r.MaxTokens != nil && r.MaxCompletionTokens != nil {
		return invalid("max_tokens", "invalid_parameter_combination",
			"Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
	}
	for name, limit := range map[string]*int64{"max_tokens": r.MaxTokens, "max_completion_tokens": r.MaxCompletionTokens} {
		if limit != nil && *limit < 1 {
			return invalid(name, "integer_below_min_value",
				fmt.Sprintf("Invalid '%s': integer below minimum value. Expected a value >= 1, but got %d instead.", name, *limit))
		}
	}
	if r.N != nil && (*r.N < 1 || *r.N > maxChoices) {
		return invalid("n", "integer_out_of_range", fmt.Sprintf("Invalid 'n': expected a value between 1 and %d, but got %d instead.", maxChoices, *r.N))
	}
	if r.Temperature != nil && (*r.Temperature < 0 || *r.Temperature > 2) {
		return invalid("temperature", "decimal_out_of_range", "Invalid 'temperature': expected a value between 0 and 2.")
	}
	if len(r.Stop) == 0 || bytes.Equal(r.Stop, []byte("null")) {
		return nil
	}
	var one string
	if json.Unmarshal(r.Stop, &one) == nil {
		r.stops = []string{one}
		return nil
	}
	if json.Unmarshal(r.Stop, &r.stops) != nil || len(r.stops) > maxStops {
		return invalid("stop", "invalid_type", fmt.Sprintf("Invalid 'stop': expected a string or an array of at most %d strings.", maxStops))
	}
	return nil
}

// limit is the most completion tokens allowed; 0 means no limit was stated.
func (r *chatRequest) limit() int64 {
	switch {
	case r.MaxCompletionTokens != nil:
		return *r.MaxCompletionTokens
	case r.MaxTokens != nil:
		return *r.MaxTokens
	}
	return 0
}

func (r *chatRequest) choices() int {
	if r.N == nil {
		return 1
	}
	return *r.N
}

func (r *chatRequest) includeUsage() bool {
	return !r.Stream || r.StreamOptions != nil && r.StreamOptions.IncludeUsage
}

// lastUser is the text of the newest message of the user.
func (r *chatRequest) lastUser() string {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role == "user" {
			return m.text
		}
	}
	return ""
}

// promptTokens counts the prompt, and the part of it that counts as cached.
func (r *chatRequest) promptTokens() (all, cached int64) {
	all = promptTokens
	for _, m := range r.Messages {
		cached = all
		all += turnTokens + int64(CountTokens(m.text)+m.media*mediaTokens)
	}
	if all < cacheFrom {
		return all, 0
	}
	return all, cached / cacheStep * cacheStep
}

// check decodes the content, which is a string, a list of parts, or absent.
func (m *message) check(i int) *apiError {
	if !slices.Contains([]string{"system", "developer", "user", "assistant", "tool", "function"}, m.Role) {
		return invalid(fmt.Sprintf("messages[%d].role", i), "invalid_value",
			fmt.Sprintf("Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", m.Role))
	}
	if len(m.Content) == 0 || bytes.Equal(m.Content, []byte("null")) {
		if m.Role == "user" || m.Role == "system" {
			return invalid(fmt.Sprintf("messages[%d].content", i), "invalid_type",
				fmt.Sprintf("Invalid value for 'content' of message %d: expected a string, got null.", i))
		}
		return nil
	}
	if json.Unmarshal(m.Content, &m.text) == nil {
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return invalid(fmt.Sprintf("messages[%d].content", i), "invalid_type",
			fmt.Sprintf("Invalid type for 'messages[%d].content': expected one of a string or array of objects.", i))
	}
	var texts []string
	for _, p := range parts {
		if p.Type == "text" {
			texts = append(texts, p.Text)
		} else {
			m.media++
		}
	}
	m.text = strings.Join(texts, "\n")
	return nil
}

// apiError is an error in OpenAI's shape.
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

// faultFor is the error body that goes with a status.
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

func (e *apiError) body() string {
	raw, err := json.Marshal(map[string]*apiError{"error": e})
	if err != nil { // strings always encode
		return `{"error":{"message":"encoding failed","type":"server_error","param":null,"code":null}}`
	}
	return string(raw)
}
