package conformance_test

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"

	"github.com/kikuai/kikuai/billing"
)

// TestRetryAfterIsTrue: a key for one request a minute is told, in either protocol, the
// second at which its window lets the next one in, no earlier and no later; and what the
// client reads as the reset agrees with it.
func TestRetryAfterIsTrue(t *testing.T) {
	s := open(t)
	account, _ := s.account(dollar, 0)
	for name, call := range map[string]func(key string) error{
		"x-ratelimit-reset-requests": func(key string) error {
			_, err := client(s.url, key).Chat.Completions.New(t.Context(), ask("sim-fast"))
			return err
		},
		"anthropic-ratelimit-requests-reset": func(key string) error {
			c := anthropic.NewClient(anthropicoption.WithBaseURL(s.url[:len(s.url)-len("/v1")]), anthropicoption.WithAPIKey(key), anthropicoption.WithMaxRetries(0))
			_, err := c.Messages.New(t.Context(), goMessage("claude-fast", "x"))
			return err
		},
	} {
		key := s.key(account, billing.Limits{RequestsPerMinute: 1})
		sent := time.Now()
		s.must(call(key))
		served := time.Now()
		header, asked := refusedHeader(t, name, call, key)
		told := time.Now()
		seconds, err := strconv.Atoi(header.Get("Retry-After"))
		s.must(err)
		// The window opens a minute after the first request was let in, between sent and
		// served; the answer counts from when it was decided, between asked and told, in
		// whole seconds, rounded up.
		earliest := asked.Add(time.Duration(seconds) * time.Second)
		latest := told.Add(time.Duration(seconds) * time.Second)
		if latest.Before(sent.Add(time.Minute)) || earliest.After(served.Add(time.Minute+time.Second)) {
			t.Errorf("%s: Retry-After %d, which is between %v and %v after the first request", name, seconds, earliest.Sub(served), latest.Sub(sent))
		}
		reset, err := time.ParseDuration(header.Get(name))
		if at, atErr := time.Parse(time.RFC3339, header.Get(name)); atErr == nil {
			reset, err = at.Sub(asked), nil
		}
		if err != nil || reset < time.Duration(seconds-2)*time.Second || reset > time.Duration(seconds+2)*time.Second {
			t.Errorf("%s: %q beside Retry-After %d: %v", name, header.Get(name), seconds, err)
		}
	}
}

// refusedHeader makes a call that is over its limit, and tells what the client read
// and when it began.
func refusedHeader(t *testing.T, name string, call func(string) error, key string) (http.Header, time.Time) {
	t.Helper()
	asked := time.Now()
	err := call(key)
	var chat *openai.Error
	var message *anthropic.Error
	switch {
	case errors.As(err, &chat) && chat.StatusCode == http.StatusTooManyRequests:
		return chat.Response.Header, asked
	case errors.As(err, &message) && message.StatusCode == http.StatusTooManyRequests:
		return message.Response.Header, asked
	}
	t.Fatalf("%s: %v", name, err)
	return nil, asked
}
