package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	txAttempts     = 8
	txBackoffFirst = 4 * time.Millisecond
	txBackoffMost  = 250 * time.Millisecond

	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

// ErrContention is in the chain of the error of a transaction that lost to
// others at every one of its attempts. Nothing of it was applied.
var ErrContention = errors.New("transaction lost to concurrent ones at every attempt")

// InTx runs fn in a transaction at the database's default isolation and
// commits it unless fn fails. After a serialization failure or a deadlock, in
// fn or at the commit, it runs fn again from the start, at most eight times
// with growing, jittered pauses, and no longer than ctx lasts: so fn must do
// nothing outside the transaction that may not be repeated. An error other
// than those two comes back as it is; where the connection broke at the commit
// the outcome is unknown, and only an idempotent fn may be called again.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(pgx.Tx) error) error {
	return InTxWith(ctx, pool, pgx.TxOptions{}, fn)
}

// InTxWith is InTx with an isolation level or access mode of the caller's.
func InTxWith(ctx context.Context, pool *pgxpool.Pool, o pgx.TxOptions, fn func(pgx.Tx) error) error {
	pause := txBackoffFirst
	for attempt := 1; ; attempt++ {
		err := pgx.BeginTxFunc(ctx, pool, o, fn)
		if err == nil || !lost(err) {
			return err
		}
		if attempt == txAttempts {
			return fmt.Errorf("%w (%d): %w", ErrContention, txAttempts, err)
		}
		if waitErr := wait(ctx, pause/2+rand.N(pause)); waitErr != nil {
			return errors.Join(waitErr, err)
		}
		pause = min(2*pause, txBackoffMost)
	}
}

// lost reports whether Postgres rolled the transaction back for another's
// sake, so that the same work may succeed when it is done again.
func lost(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == serializationFailure || pg.Code == deadlockDetected)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
