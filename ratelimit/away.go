package ratelimit

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// away says whether an error means that Redis does not serve, rather than that it
// answered with an error or that the caller left.
func away(err error) bool {
	var reply redis.Error
	if errors.As(err, &reply) {
		return unserved(err)
	}
	return !errors.Is(err, context.Canceled)
}

// unserved says whether Redis answered that it cannot serve now: it loads, has no
// master, is full, takes no writes, is busy, or knows us no longer.
func unserved(err error) bool {
	if _, moved := redis.IsMovedError(err); moved {
		return true // the client followed as often as it may
	}
	if _, ask := redis.IsAskError(err); ask {
		return true
	}
	for _, is := range []func(error) bool{
		redis.IsLoadingError, redis.IsReadOnlyError, redis.IsClusterDownError, redis.IsTryAgainError,
		redis.IsMasterDownError, redis.IsMaxClientsError, redis.IsAuthError, redis.IsPermissionError,
		redis.IsOOMError, redis.IsNoReplicasError,
	} {
		if is(err) {
			return true
		}
	}
	return redis.HasErrorPrefix(err, "BUSY") || redis.HasErrorPrefix(err, "MISCONF")
}

// certain says whether an error of a Redis that is away cannot come of this process being
// slow: Redis said so itself, or the connection was refused or cut.
func certain(err error) bool {
	var reply redis.Error
	if errors.As(err, &reply) {
		return true
	}
	var failed net.Error
	if errors.As(err, &failed) && failed.Timeout() {
		return false
	}
	for _, cut := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, cut) {
			return true
		}
	}
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
