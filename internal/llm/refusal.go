package llm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	maxMessage    = 2000 // bytes of a provider's sentence that are passed on
	maxRetryAfter = time.Hour

	statusOverloaded = 529 // Anthropic's own
	// poorSentence is how Anthropic says, by a 400, that our account there is empty.
	poorSentence = "credit balance is too low"
)

// ours matches what a provider's sentence may tell of our account there.
var ours = regexp.MustCompile(`\b(org|proj|sk|user|key|acct|req)[-_][A-Za-z0-9_*.-]{4,}`)

// refusal reads an answer that is not 200.
func refusal(response *http.Response) *UpstreamError {
	status := response.StatusCode
	e := &UpstreamError{Status: status}
	// What cannot be read is not known; the status says enough.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxFault))
	fault := faultIn(body)
	code := fault.Get("code").String()
	if code == "" {
		code = fault.Get("type").String() // Anthropic's errors have no other
	}
	e.Err = fmt.Errorf("the provider answered %d, code %.60q", status, code)
	switch {
	case status == http.StatusTooManyRequests && strings.Contains(code, "quota"):
		e.Fault = FaultMisconfigured
	case status == http.StatusTooManyRequests, status == statusOverloaded:
		e.Fault = FaultBusy
		e.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	case status == http.StatusUnauthorized, status == http.StatusPaymentRequired, status == http.StatusForbidden,
		status == http.StatusNotFound && !ofRequest(fault), status == http.StatusMethodNotAllowed, status == http.StatusProxyAuthRequired:
		e.Fault = FaultMisconfigured
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		e.Fault = FaultTimeout
	case status == http.StatusBadRequest && strings.Contains(sentence(fault), poorSentence):
		e.Fault = FaultMisconfigured
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge,
		status == http.StatusUnsupportedMediaType, status == http.StatusUnprocessableEntity,
		status == http.StatusNotFound, status == http.StatusConflict && ofRequest(fault):
		e.refused(fault)
	default:
		e.Fault = FaultBroken
		if e.Overloaded() {
			e.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
		}
	}
	return e
}

// faultIn is where a provider's answer says what is wrong: in "error", which some put into
// an array, or, of servers without one, in "detail" or the answer itself.
func faultIn(body []byte) gjson.Result {
	if !gjson.ValidBytes(body) {
		return gjson.Result{}
	}
	root := gjson.ParseBytes(body)
	if root.IsArray() {
		root = root.Get("0")
	}
	if fault := root.Get("error"); fault.Exists() {
		return fault
	}
	if detail := root.Get("detail"); detail.Exists() {
		if detail.IsArray() {
			return detail.Get("0.msg")
		}
		return detail
	}
	return root
}

// sentence is what a fault says, in the provider's words.
func sentence(fault gjson.Result) string {
	if fault.Type == gjson.String {
		return fault.Str
	}
	return fault.Get("message").Str
}

// ofRequest says of what is not there, or stands in the way, that it is something which the
// request names, and not the model or the address, which are ours to know.
func ofRequest(fault gjson.Result) bool {
	said := sentence(fault)
	return named.MatchString(said) && !strings.Contains(strings.ToLower(said+fault.Get("code").Str), "model")
}

// named matches the words for what a request may name.
var named = regexp.MustCompile(`(?i)\b(item|file|image|message|response|conversation|container|prompt|url|tool)s?\b`)

// requestFault matches the codes of errors that a provider reports inside an answer and that
// are the request's: OpenAI's Responses and Anthropic's errors have them.
var requestFault = regexp.MustCompile(
	`^(invalid_(request|prompt|image|base64|file|value|type)\w*|image_\w+|empty_image_file|failed_to_download_image|unsupported_\w+|` +
		`context_length_exceeded|content_(policy|filter)\w*|\w+_policy|request_too_large)$`)

// reported is the error that a provider reports inside an answer: the request's, its own
// limit's, or, where it does not say so, its own.
func reported(fault gjson.Result) error {
	e := &UpstreamError{Fault: FaultBroken, Status: http.StatusOK, Err: ErrReported}
	for _, said := range [...]gjson.Result{fault.Get("code"), fault.Get("type")} {
		switch code := said.String(); {
		case requestFault.MatchString(code), code == "400", code == "413", code == "422":
			e.Status = http.StatusBadRequest
			e.refused(fault)
			return e
		case code == "rate_limit_exceeded", code == "rate_limit_error", code == "429":
			e.Fault = FaultBusy
			return e
		case code != "":
			return e
		}
	}
	return e
}

// refused notes that the provider found the request wrong, in its words.
func (e *UpstreamError) refused(fault gjson.Result) {
	e.Fault, e.Message = FaultRefused, presentable(fault)
	e.Type, e.Code, e.Param = token(fault.Get("type")), token(fault.Get("code")), token(fault.Get("param"))
}

// page matches what is a page for people and no sentence.
var page = regexp.MustCompile(`(?i)<\s*(!doctype|html|head|body)\b`)

// presentable is the provider's sentence without names of our accounts; "" where
// there is none worth showing.
func presentable(fault gjson.Result) string {
	message := sentence(fault)
	if !utf8.ValidString(message) || strings.Contains(message, "\x00") || page.MatchString(message) {
		return ""
	}
	message = ours.ReplaceAllString(message, "$1-…")
	if len(message) > maxMessage {
		message = message[:runeStart(message, maxMessage)] + "…"
	}
	return message
}

// token passes on the short words of an error: its type, code and param.
func token(v gjson.Result) string {
	if v.Type != gjson.String && v.Type != gjson.Number {
		return ""
	}
	text := v.String()
	for _, r := range text {
		if r < ' ' || r > '~' || r == '<' || r == '>' {
			return ""
		}
	}
	if len(text) > maxModelName {
		return ""
	}
	return text
}

var errRetryAfter = errors.New("llm: not a Retry-After")

// retryAfter reads the header's two forms; 0 for anything else.
func retryAfter(value string, now time.Time) time.Duration {
	wait, err := seconds(value)
	if err != nil {
		at, err := http.ParseTime(value)
		if err != nil {
			return 0
		}
		wait = at.Sub(now)
	}
	return min(max(0, wait), maxRetryAfter)
}

func seconds(value string) (time.Duration, error) {
	n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || n < 0 || n != n {
		return 0, errRetryAfter
	}
	return time.Duration(min(n, maxRetryAfter.Seconds()) * float64(time.Second)), nil
}
