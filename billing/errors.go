package billing

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
)

// What callers can tell apart. An error that wraps ErrClosed means: not now;
// edges answer 503 with Retry-After, and nothing was given away.
var (
	ErrClosed              = errors.New("billing: the account's shard is closed")
	ErrPoor                = errors.New("billing: not enough money")
	ErrBudget              = errors.New("billing: a budget is spent")
	ErrHoldUnknown         = errors.New("billing: no such hold")
	ErrHoldConflict        = errors.New("billing: the hold was resolved or made with other arguments")
	ErrHoldExpired         = errors.New("billing: the hold passed its deadline and was resolved then")
	ErrHoldLife            = errors.New("billing: a hold lives for a millisecond to a day")
	ErrUncommon            = errors.New("billing: not all of these holds are the common case: settle each by itself")
	ErrHoldID              = errors.New("billing: a hold id has 1 to 128 characters of A-Z a-z 0-9 . _ : -")
	ErrAccountUnknown      = errors.New("billing: no such account")
	ErrAccountInactive     = errors.New("billing: the account may not spend")
	ErrKeyMalformed        = errors.New("billing: not an API key")
	ErrKeyUnknown          = errors.New("billing: no such API key")
	ErrKeyLimit            = errors.New("billing: the account has as many API keys as it may")
	ErrIdempotencyConflict = errors.New("billing: the idempotency key was used with other arguments")
	ErrIdempotencyKey      = errors.New("billing: an idempotency key has 1 to 200 characters")
	ErrAmount              = errors.New("billing: amount out of bounds")
	ErrCharge              = errors.New("billing: a charge has an id of 1 to 190 characters, a provider, its currency and a payer")
	ErrChargeUnknown       = errors.New("billing: no such charge")
	ErrRefundRefused       = errors.New("billing: the provider does not give this charge back")
	ErrTierName            = errors.New("billing: a tier's name has 1 to 32 characters of a-z 0-9 _ -, the first a letter or a digit")
	ErrTierUnknown         = errors.New("billing: no such tier")
	ErrTierLimit           = errors.New("billing: there are as many tiers as there may be")
	ErrOrganisationName    = errors.New("billing: an organisation's name has 1 to 64 characters, none of them a control character")
	ErrOrganisationExists  = errors.New("billing: there is an organisation of that name")
	ErrOrganisationUnknown = errors.New("billing: no such organisation")
	ErrOrganisationStatus  = errors.New("billing: an organisation is active or suspended")
	ErrMember              = errors.New("billing: the account belongs to another organisation")
	ErrNoMember            = errors.New("billing: the account does not belong to the organisation")
	ErrGroupUnpaid         = errors.New("billing: nobody pays for the group")
	ErrGroupPaid           = errors.New("billing: another account pays for the group")
	ErrGroupLimit          = errors.New("billing: the account pays for as many groups as it may")
	ErrGiftUnknown         = errors.New("billing: no such gift")
	ErrGiftPending         = errors.New("billing: the gift is not in the ledger yet")
	ErrGiftTaken           = errors.New("billing: the gift was taken by somebody else")
	ErrGiftGone            = errors.New("billing: the gift went back to its giver, or is about to")
	ErrGiftLimit           = errors.New("billing: the account has as many open gifts as it may")
	ErrCreditKind          = errors.New("billing: no such kind of credit")
)

// PoorError says how much was needed and how much there is. errors.Is finds
// ErrPoor in it.
type PoorError struct {
	Need, Available int64 // nano-USD
}

func (e *PoorError) Error() string {
	return fmt.Sprintf("billing: %d nano-USD needed, %d available", e.Need, e.Available)
}

// Is makes errors.Is(err, ErrPoor) true.
func (e *PoorError) Is(target error) bool { return target == ErrPoor }

// HoldExpiredError says what was taken of a hold that passed its deadline. What its
// call cost beyond that is written off. errors.Is finds ErrHoldExpired in it.
type HoldExpiredError struct {
	Captured, WriteOff int64 // nano-USD
	Available          int64 // nano-USD of the account, now
}

func (e *HoldExpiredError) Error() string {
	return fmt.Sprintf("billing: the hold passed its deadline: %d nano-USD captured, %d written off", e.Captured, e.WriteOff)
}

// Is makes errors.Is(err, ErrHoldExpired) true.
func (e *HoldExpiredError) Is(target error) bool { return target == ErrHoldExpired }

// unavailable are the beginnings of Redis' answers that mean "not now".
var unavailable = [...]string{
	"LOADING", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOREPLICAS",
	"MISCONF", "OOM", "BUSY", "MOVED", "ASK", "UNKILLABLE", "max number of clients",
}

// redisError translates an error of Redis: whatever means that Redis is away,
// starting, full or read-only wraps ErrClosed. A caller's own cancellation and
// a fault of ours (a script's error) stay what they are.
func redisError(what string, err error) error {
	if err == nil {
		return nil
	}
	var answer redis.Error
	switch {
	case errors.Is(err, ErrClosed):
		return err
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("billing: %s: %w", what, err)
	case errors.As(err, &answer) && !notNow(err):
		return fmt.Errorf("billing: %s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrClosed, what, err)
}

func notNow(err error) bool {
	for _, prefix := range unavailable {
		if redis.HasErrorPrefix(err, prefix) {
			return true
		}
	}
	return false
}

// errNoHash says that Redis has no hash of an account: new and not projected
// yet, or lost. Never a reason for a free call.
var errNoHash = fmt.Errorf("%w: no hash of the account", ErrClosed)

// databaseError translates an error of Postgres: whatever means that it is away or has
// no room wraps ErrClosed. Our own refusals, a caller's cancellation and faults in
// statements stay what they are.
func databaseError(what string, err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.As(err, &pg) && !passing(pg.Code), refused(err):
		return fmt.Errorf("billing: %s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrClosed, what, err)
}

// passing tells Postgres' errors that mean "not now": of the connection, contention,
// lack of resources, an operator's intervention, a server that only reads.
func passing(code string) bool {
	switch code[:min(2, len(code))] {
	case "08", "40", "53", "57", "58":
		return true
	}
	return code == "25006"
}

func refused(err error) bool {
	for _, refusal := range []error{
		ErrAccountUnknown, ErrAccountInactive, ErrIdempotencyConflict, ErrIdempotencyKey, ErrAmount, ErrCreditKind,
		ErrCharge, ErrChargeUnknown, ErrKeyUnknown, ErrKeyLimit, ErrLimits,
		ErrGroupUnpaid, ErrGroupPaid, ErrGroupLimit,
		ErrGiftUnknown, ErrGiftPending, ErrGiftTaken, ErrGiftGone, ErrGiftLimit,
	} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	var restriction *RestrictionError
	var bound *GiftBoundError
	return errors.As(err, &restriction) || errors.As(err, &bound)
}
