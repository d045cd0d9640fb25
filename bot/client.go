package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
)

const (
	defaultServer  = "https://api.telegram.org"
	answerMost     = 32 << 20         // bytes of one answer of the Bot API
	callTimeout    = 25 * time.Second // of one call, unless its context ends earlier
	dialTimeout    = 5 * time.Second
	connsPerHost   = 128
	idleConns      = 64
	idleConnLife   = 90 * time.Second
	answerFaultMax = 200 // bytes of a description we keep
	methodCheckout = "answerPreCheckoutQuery"
)

// ErrBlocked is a chat that cannot be reached: the person blocked the bot or is gone,
// the group removed it, or there is no such chat.
var ErrBlocked = errors.New("bot: chat cannot be reached")

// APIError is a call to the Bot API that failed. It holds no token, no address and no
// body.
//
// Where Telegram is away or asks to wait, errors.Is(err, [ErrTryLater]); where the chat
// cannot be reached, errors.Is(err, [ErrBlocked]).
type APIError struct {
	Method      string
	Code        int           // Telegram's error_code, else the HTTP status; 0 when no answer came
	Description string        // Telegram's, or ours
	RetryAfter  time.Duration // of a 429
	MigrateTo   int64         // id of the supergroup that the group has become
	cause       error
}

func (e *APIError) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("telegram: %s: %s", e.Method, e.Description)
	}
	return fmt.Sprintf("telegram: %s: %d %s", e.Method, e.Code, e.Description)
}

// Unwrap returns what a call without an answer failed with.
func (e *APIError) Unwrap() error { return e.cause }

// Is matches [ErrBlocked] and [ErrTryLater].
func (e *APIError) Is(target error) bool {
	switch target {
	case ErrBlocked:
		return e.Code == http.StatusForbidden ||
			e.Code == http.StatusBadRequest && strings.Contains(e.Description, "chat not found")
	case ErrTryLater:
		return e.Code == http.StatusTooManyRequests || e.passing()
	}
	return false
}

// passing tells whether the same call may succeed in a moment.
func (e *APIError) passing() bool {
	return e.Code == 0 && !errors.Is(e.cause, context.Canceled) || e.Code >= http.StatusInternalServerError
}

// NewHTTPClient returns a client for the Bot API: pooled, bounded, and without an
// overall timeout, which long polling would exceed. Calls get theirs from [NewClient].
func NewHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ForceAttemptHTTP2:     true,
		MaxConnsPerHost:       connsPerHost,
		MaxIdleConns:          idleConns,
		MaxIdleConnsPerHost:   idleConns,
		IdleConnTimeout:       idleConnLife,
		ExpectContinueTimeout: time.Second,
	}}
}

// NewClient returns a client of the Bot API that calls nothing by itself. Its errors
// are, or wrap, an [*APIError]. serverURL is Telegram's own if empty, client
// [NewHTTPClient] if nil; then answers to payers have connections of their own.
func NewClient(token, serverURL string, client *http.Client) (*tg.Bot, error) {
	if serverURL == "" {
		serverURL = defaultServer
	}
	checkouts := client
	if client == nil {
		client, checkouts = NewHTTPClient(), NewHTTPClient()
	}
	api, err := tg.New(token,
		tg.WithSkipGetMe(),
		tg.WithNotAsyncHandlers(),
		tg.WithServerURL(strings.TrimSuffix(serverURL, "/")),
		tg.WithHTTPClient(pollTimeout, &wire{http: client, checkouts: checkouts, timeout: callTimeout}),
		tg.WithErrorsHandler(func(error) {}), // what matters is returned
	)
	if err != nil {
		return nil, fmt.Errorf("bot client: %w", err)
	}
	return api, nil
}

// wire sends a request and returns only successful answers. Everything else becomes an
// *APIError before the library could put bodies and addresses into its own errors.
type wire struct {
	http      *http.Client
	checkouts *http.Client // for answers to pre-checkout queries, which must wait for no other call
	timeout   time.Duration
}

type answer struct {
	OK          bool   `json:"ok"`
	Code        int    `json:"error_code"`
	Description string `json:"description"`
	Parameters  struct {
		RetryAfter int   `json:"retry_after"` // seconds
		MigrateTo  int64 `json:"migrate_to_chat_id"`
	} `json:"parameters"`
}

// Do implements the library's HTTP client.
func (w *wire) Do(request *http.Request) (*http.Response, error) {
	method := request.URL.Path[strings.LastIndexByte(request.URL.Path, '/')+1:]
	ctx, cancel := context.WithTimeout(request.Context(), w.timeout)
	defer cancel()
	client := w.http
	if method == methodCheckout {
		client = w.checkouts
	}
	response, err := client.Do(request.WithContext(ctx))
	if err != nil {
		return nil, noAnswer(method, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMost))
	if err != nil {
		return nil, noAnswer(method, err)
	}
	if err := judge(method, response.StatusCode, body); err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// judge returns what is wrong with an answer.
func judge(method string, status int, body []byte) error {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		if status < http.StatusInternalServerError {
			status = http.StatusBadGateway // a page of something between us and Telegram
		}
		return &APIError{Method: method, Code: status, Description: "not an answer of the Bot API"}
	}
	if a.OK {
		return nil
	}
	if a.Code == 0 {
		a.Code = status
	}
	return &APIError{
		Method: method, Code: a.Code, Description: trimmed(a.Description, answerFaultMax),
		RetryAfter: time.Duration(a.Parameters.RetryAfter) * time.Second, MigrateTo: a.Parameters.MigrateTo,
	}
}

// noAnswer hides the address, which holds the token.
func noAnswer(method string, err error) *APIError {
	var withAddress *url.Error
	if errors.As(err, &withAddress) {
		err = withAddress.Err
	}
	description := "no answer"
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		description = "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		description = "no answer in time"
	}
	return &APIError{Method: method, Description: description, cause: err}
}

// asAPIError returns the APIError in err, or one that stands for it.
func asAPIError(method string, err error) *APIError {
	var known *APIError
	if errors.As(err, &known) {
		return known
	}
	// The request could not be built, or the result has an unexpected shape. The
	// library's own words may quote it.
	return &APIError{Method: method, Code: http.StatusBadRequest, Description: "call could not be made or its result not be read"}
}
