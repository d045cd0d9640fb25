package cache

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotFound is what a loader says, wrapped or not, of a value that does not
	// exist. It is remembered for SpaceOptions.Negative.
	ErrNotFound = errors.New("cache: not found")
	// ErrBusy says that too many loaders are at work, stuck ones included.
	ErrBusy = errors.New("cache: too many loads at once")
	// ErrUnshared says that an invalidation is in force on this instance alone: Redis
	// could not be told. It is repeated in the background until it is.
	ErrUnshared = errors.New("cache: invalidation not shared yet")

	errRedisURL  = errors.New("cache: a Redis URL cannot be read: redis://:password@host:6379/0 is its shape")
	errClosed    = errors.New("cache: closed")
	errAway      = errors.New("cache: Redis is passed over")
	errElsewhere = errors.New("cache: another instance refreshes")
	errRefresh   = errors.New("cache: a refresh brought nothing")
	errExited    = errors.New("cache: the loader ended its goroutine")
)

// LoadTimeoutError says that a loader did not return in time.
type LoadTimeoutError struct{ After time.Duration }

func (e *LoadTimeoutError) Error() string {
	return fmt.Sprintf("cache: the loader did not return within %s", e.After)
}

// PanicError carries what a loader panicked with.
type PanicError struct{ Value any }

func (e *PanicError) Error() string { return fmt.Sprintf("cache: the loader panicked: %v", e.Value) }
