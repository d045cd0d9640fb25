package ratelimit

import (
	"fmt"
	"strconv"
	"time"
)

// Decision is the outcome of asking a window for one request.
type Decision struct {
	Allowed   bool
	Limit     int64         // requests per Window
	Window    time.Duration // length of the trailing window
	Remaining int64         // requests left after this one
	Reset     time.Duration // allowed: until the window is whole again; denied: until one more passes
}

// Err is nil when the request was allowed and an [*ExceededError] otherwise.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	return &ExceededError{Limit: d.Limit, Window: d.Window, RetryAfter: d.Reset}
}

// Header is one HTTP header of a decision.
type Header struct{ Name, Value string }

// Headers describes the decision in the two dialects clients read: the IETF draft
// "RateLimit header fields for HTTP" and the x-ratelimit-* of OpenAI's clients.
func (d Decision) Headers() [5]Header {
	limit := strconv.FormatInt(d.Limit, 10)
	remaining := strconv.FormatInt(d.Remaining, 10)
	return [5]Header{
		{"RateLimit-Policy", `"requests";q=` + limit + ";w=" + strconv.FormatInt(seconds(d.Window), 10)},
		{"RateLimit", `"requests";r=` + remaining + ";t=" + strconv.FormatInt(seconds(d.Reset), 10)},
		{"X-Ratelimit-Limit-Requests", limit},
		{"X-Ratelimit-Remaining-Requests", remaining},
		{"X-Ratelimit-Reset-Requests", d.Reset.Round(time.Millisecond).String()},
	}
}

// ExceededError says that a limit denied the request and when to come back.
type ExceededError struct {
	Limit      int64
	Window     time.Duration
	RetryAfter time.Duration
}

func (e *ExceededError) Error() string {
	return fmt.Sprintf("rate limit of %d requests per %s exceeded, retry after %s", e.Limit, e.Window, e.RetryAfter)
}

// RetryAfterSeconds is RetryAfter in whole seconds, rounded up: at that moment a
// request does pass.
func (e *ExceededError) RetryAfterSeconds() int64 { return seconds(e.RetryAfter) }

func seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}
