package llm

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

var (
	// ErrModelUnknown means that no usable model has the asked name.
	ErrModelUnknown = errors.New("llm: no such model here")
	// ErrStalled is the cause of a call that fell silent for too long.
	ErrStalled = errors.New("llm: the provider fell silent")
	// ErrTooLong is the cause of a call that ran into the total time limit.
	ErrTooLong = errors.New("llm: the call took too long")
	// ErrNoAnswer is the cause of a call whose first byte did not come in time.
	ErrNoAnswer = errors.New("llm: the provider did not answer in time")
)

// RequestError is a fault of the client's request. Message is written for the
// client; Param names the field, as a path such as "messages[2].role".
type RequestError struct {
	Param   string
	Message string
}

func (e *RequestError) Error() string {
	if e.Param == "" {
		return "llm: bad request: " + e.Message
	}
	return fmt.Sprintf("llm: bad request: %s: %s", e.Param, e.Message)
}

// Fault says what went wrong at the provider.
type Fault int

// The faults. Only Refused and Busy are about the request; the rest are the
// provider's or ours, and a client cannot mend them.
const (
	FaultRefused       Fault = iota // the provider found the request wrong
	FaultBusy                       // the provider's rate limit
	FaultMisconfigured              // our key, our account or our model name there
	FaultBroken                     // 5xx, or an answer that makes no sense
	FaultUnreachable                // no connection, or it broke
	FaultTimeout                    // nothing came in time
)

func (f Fault) String() string {
	switch f {
	case FaultRefused:
		return "refused"
	case FaultBusy:
		return "busy"
	case FaultMisconfigured:
		return "misconfigured"
	case FaultBroken:
		return "broken"
	case FaultUnreachable:
		return "unreachable"
	case FaultTimeout:
		return "timeout"
	}
	return "unknown"
}

// UpstreamError is a call that the provider did not answer as it should have.
// Message, Type, Code and Param are the provider's words; they are set for
// FaultRefused alone, free of names of our accounts, and may be shown.
type UpstreamError struct {
	Fault      Fault
	Status     int // the provider's HTTP status; 0: there was none
	Message    string
	Type       string
	Code       string
	Param      string
	RetryAfter time.Duration // of FaultBusy, or Overloaded: what the provider asked for; 0: nothing
	Err        error         // the cause, for the log
}

// Overloaded says whether the provider cannot keep up.
func (e *UpstreamError) Overloaded() bool {
	return e.Status == http.StatusServiceUnavailable || e.Status == statusOverloaded
}

func (e *UpstreamError) Error() string {
	text := "llm: provider " + e.Fault.String()
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *UpstreamError) Unwrap() error { return e.Err }
