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
	fault := gjson.Result{}
	if gjson.ValidBytes(body) {
		fault = gjson.GetBytes(body, "error")
	}
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
		status == http.StatusNotFound, status == http.StatusMethodNotAllowed, status == http.StatusProxyAuthRequired:
		e.Fault = FaultMisconfigured
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		e.Fault = FaultTimeout
	case status == http.StatusBadRequest && strings.Contains(fault.Get("message").Str, poorSentence):
		e.Fault = FaultMisconfigured
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge,
		status == http.StatusUnsupportedMediaType, status == http.StatusUnprocessableEntity:
		e.Fault = FaultRefused
		e.Message = presentable(fault)
		e.Type, e.Code, e.Param = token(fault.Get("type")), token(fault.Get("code")), token(fault.Get("param"))
	default:
		e.Fault = FaultBroken
		if e.Overloaded() {
			e.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
		}
	}
	return e
}

// presentable is the provider's sentence without names of our accounts; "" where
// there is none worth showing.
func presentable(fault gjson.Result) string {
	message := fault.Get("message").Str
	if fault.Type == gjson.String {
		message = fault.Str
	}
	if !utf8.ValidString(message) || strings.ContainsAny(message, "<>\x00") {
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
