package telegramsim

import (
	"fmt"
	"math"
	"net/http"
	"time"
)

// RefusalError is an error of the Bot API: the HTTP status and error_code, the description, for 429 the seconds,
// and the chat to use instead.
type RefusalError struct {
	Code        int
	Description string
	RetryAfter  int
	MigrateTo   int64 // the supergroup that a group became
}

// Error is "code description".
func (r *RefusalError) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Description) }

func refuse(code int, format string, args ...any) *RefusalError {
	return &RefusalError{Code: code, Description: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *RefusalError {
	return refuse(http.StatusBadRequest, "Bad Request: "+format, args...)
}

func forbidden(format string, args ...any) *RefusalError {
	return refuse(http.StatusForbidden, "Forbidden: "+format, args...)
}

func conflict(format string, args ...any) *RefusalError {
	return refuse(http.StatusConflict, "Conflict: "+format, args...)
}

func tooMany(wait time.Duration) *RefusalError {
	seconds := max(int(math.Ceil(wait.Seconds())), 1)
	r := refuse(http.StatusTooManyRequests, "Too Many Requests: retry after %d", seconds)
	r.RetryAfter = seconds
	return r
}

// Descriptions the server sends word for word (Client.cpp: fail_query_with_error, check_chat_access,
// check_message, get_input_message_text; TDLib for the rest).
const (
	saidNotModified = "message is not modified: specified new message content and reply markup are exactly the same " +
		"as a current content and reply markup of the message"
	saidQueryTooOld  = "query is too old and response timeout expired or query ID is invalid"
	saidPollConflict = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
	saidOtherPoll    = "terminated by other getUpdates request; make sure that only one bot instance is running"
	// The published server turns what TDLib says of a foreign file_id into this for getFile (its issue 490).
	saidWrongFile = "invalid file_id"
	saidPollEnded = "terminated by setWebhook request"
)

// Limits of the Bot API documentation.
const (
	maxText           = 4096 // UTF-16 units after entity parsing
	maxCaption        = 1024 // UTF-16 units after entity parsing
	maxQuote          = 1024 // UTF-16 units
	maxPhotoSides     = 10_000
	maxTextBytes      = 1 << 15
	maxCallbackData   = 64  // bytes
	maxCallbackAnswer = 200 // UTF-16 units
	maxCopyText       = 256 // UTF-16 units
	maxCommands       = 100
	maxCommandText    = 256
	maxButtons        = 100
	maxSecretToken    = 256
	maxStartPayload   = 64
	maxEntities       = 100 // more are dropped by the server, not refused
)
