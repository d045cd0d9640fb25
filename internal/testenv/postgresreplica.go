package testenv

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv/pgserver"
)

// replayIn bounds the wait for a replica to have what its primary has.
const replayIn = time.Minute

// PostgresPair starts a private Postgres with one migrated database, and a streaming
// replica of it.
func PostgresPair(t testing.TB) (*PostgresHandle, *ReplicaHandle) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clusterIn)
	defer cancel()
	primary := startPostgres(ctx, t, pgserver.Options{Followed: true})
	server, err := primary.server.Follow(ctx)
	if err != nil {
		t.Fatalf("testenv: a replica: %v", err)
	}
	closeWith(t, server)
	return primary, &ReplicaHandle{PostgresHandle{t: t, server: server}, primary}
}

// ReplicaHandle is a streaming replica that a test may stop, freeze, hold back, and promote.
type ReplicaHandle struct {
	PostgresHandle

	primary *PostgresHandle
}

// Hold lets the replica receive what its primary does and apply none of it, until Release.
func (h *ReplicaHandle) Hold() {
	h.t.Helper()
	h.do(h.URL(), "select pg_wal_replay_pause()")
}

// Release lets the replica go on.
func (h *ReplicaHandle) Release() {
	h.t.Helper()
	h.do(h.URL(), "select pg_wal_replay_resume()")
}

// Promote makes the replica a server of its own, which may be written to.
func (h *ReplicaHandle) Promote() {
	h.t.Helper()
	h.do(h.URL(), "select pg_promote()")
}

// Await returns when the replica has all that its primary has now.
func (h *ReplicaHandle) Await() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), replayIn)
	defer cancel()
	var end string
	h.must("read the end of", h.query(ctx, h.primary.URL(), &end, "select pg_current_wal_lsn()::text"))
	for {
		var there bool
		h.must("follow", h.query(ctx, h.URL(), &there, "select coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)", end))
		if there {
			return
		}
		select {
		case <-ctx.Done():
			h.t.Fatalf("testenv: the replica is not at %s within %s", end, replayIn)
		case <-time.After(bouncerPoll):
		}
	}
}

func (h *ReplicaHandle) do(url, statement string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), dropIn)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	h.must("reach", err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	h.must(statement, err)
}

func (h *ReplicaHandle) query(ctx context.Context, url string, into any, statement string, args ...any) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.QueryRow(ctx, statement, args...).Scan(into)
}

// Pool opens a pool on the replica, closed at the test's end.
func (h *ReplicaHandle) Pool() *pgxpool.Pool {
	h.t.Helper()
	return open(h.t, h.URL(), postgres.Options{MaxConns: poolMost})
}
