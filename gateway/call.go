package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/ratelimit"
)

// errPaid is a hold that was settled: its call has been paid for.
var errPaid = fmt.Errorf("%w: the call was paid for", billing.ErrHoldConflict)

// Call is one call to a model, paid by an account.
type Call struct {
	Key        *billing.PresentedKey // the API key it is made with, or the Mini App's session; nil: none
	AccountID  int64                 // without a key
	LimitScope string                // without a key: whose request limit counts
	LimitID    string
	MaxOutput  int64  // tokens; caps an answer whose length the request leaves open; 0: no cap
	HoldID     string // names the call; "": a new name
	Gift       bool   // the house pays: nothing is held, so all of the cost is written off
	Source     string // billing.SourceAPI, SourceTelegram or SourceApp
	Provider   string // whose deployments alone are asked; "": any
	Request    *llm.Request

	try      int       // of the holds that HoldID names, from 1; 0 is 1
	fallback bool      // of another model, in whose place this one answers
	asked    time.Time // when the client's request came; zero: now
}

// hold names the call's hold.
func (c *Call) hold() string {
	switch {
	case c.HoldID == "":
		return newHoldID()
	case c.try > 1:
		return billing.HoldOfTry(c.HoldID, c.try)
	}
	return c.HoldID
}

// CallError is a call that came to nothing. Decision is what the request limit
// said, if it was asked.
type CallError struct {
	Decision *ratelimit.Decision
	Err      error

	keyID      int64  // 0: not known
	deployment string // that was asked last; "": none
	attempts   int
}

func (e *CallError) Error() string { return e.Err.Error() }
func (e *CallError) Unwrap() error { return e.Err }

// UnaffordableError is a call whose worst case exceeds the balance.
type UnaffordableError struct {
	billing.PoorError
	Whole  bool  // nothing less than the worst case would do
	Stated bool  // the request stated its answer's length
	Tokens int64 // the longest answer that the balance affords; 0: none
}

// Unwrap lets errors.As find the *billing.PoorError.
func (e *UnaffordableError) Unwrap() error { return &e.PoorError }

// ownHold begins the names of holds that are made up here: nobody uses one again.
const ownHold = "api-"

// newHoldID begins with the time, so that the ledger's index of names grows at its end and
// not all over. It is to be unique, and no secret.
func newHoldID() string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(time.Now().UnixMilli())<<16|rand.Uint64()&0xFFFF)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return ownHold + hex.EncodeToString(id[:])
}
