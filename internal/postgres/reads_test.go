package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// maxLag is short, so that tests need not wait for it.
const maxLag = 400 * time.Millisecond

// readsRig is a primary with a table, its replica, and who reads from them.
type readsRig struct {
	t       *testing.T
	primary *testenv.PostgresHandle
	replica *testenv.ReplicaHandle
	pool    *pgxpool.Pool
	reads   *postgres.Reads
	rows    int
}

func newReadsRig(t *testing.T) *readsRig {
	t.Helper()
	r := &readsRig{t: t}
	r.primary, r.replica = testenv.PostgresPair(t)
	r.pool = r.primary.Pool()
	if _, err := testenv.Owner(t, r.pool).Exec(t.Context(), "create table noted (n int); grant select, insert on noted to kikuai_app"); err != nil {
		t.Fatal(err)
	}
	r.replica.Await()
	r.reads = r.run(r.replica.Pool())
	return r
}

// run reads from a replica until the test ends.
func (r *readsRig) run(replica *pgxpool.Pool) *postgres.Reads {
	r.t.Helper()
	reads := postgres.NewReads(postgres.ReadsOptions{
		Primary: r.pool, Replica: replica, Log: testenv.Logger(r.t), Registerer: prometheus.NewPedanticRegistry(),
		MaxLag: maxLag, LookEvery: maxLag / 8,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := reads.Run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return reads
}

// note writes a row at the primary.
func (r *readsRig) note() {
	r.t.Helper()
	if _, err := r.pool.Exec(r.t.Context(), "insert into noted values (1)"); err != nil {
		r.t.Fatal(err)
	}
	r.rows++
}

// count reads the rows, and says whether the replica told.
func (r *readsRig) count(ctx context.Context, reads *postgres.Reads) (rows int, replica bool, err error) {
	err = reads.Read(ctx, func(ctx context.Context, pool *pgxpool.Pool, _ bool) error {
		return pool.QueryRow(ctx, "select count(*), pg_is_in_recovery() from noted").Scan(&rows, &replica)
	})
	return rows, replica, err
}

// awaits waits until reads come from there, and holds each to what may be missing in it.
func (r *readsRig) awaits(replica bool, meanwhile func()) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		if meanwhile != nil {
			meanwhile()
		}
		rows, from, err := r.count(r.t.Context(), r.reads)
		if err != nil {
			r.t.Fatal(err)
		}
		if !from && rows != r.rows {
			r.t.Fatalf("%d rows at the primary, of %d", rows, r.rows)
		}
		if from == replica {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("reads from the replica: %v", from)
		}
		time.Sleep(maxLag / 16)
	}
}

// TestReads: a replica is read from while it is near and not otherwise, whatever it says of
// itself.
func TestReads(t *testing.T) {
	r := newReadsRig(t)
	r.awaits(true, nil)
	idle := time.Now()
	for time.Since(idle) < 3*maxLag { // nothing is written, and nothing is behind
		if _, replica, err := r.count(t.Context(), r.reads); err != nil || !replica {
			t.Fatalf("an idle primary: %v, %v", replica, err)
		}
		time.Sleep(maxLag / 8)
	}
	r.note()
	r.replica.Await()
	if rows, replica, err := r.count(t.Context(), r.reads); rows != 1 || !replica || err != nil {
		t.Errorf("near: %d rows, %v, %v", rows, replica, err)
	}

	t.Run("behind", func(t *testing.T) {
		r.replica.Hold()
		r.awaits(false, r.note)
		r.replica.Release()
		r.awaits(true, nil)
	})
	t.Run("asked for what it lacks", func(t *testing.T) {
		var asked []bool
		err := r.reads.Read(t.Context(), func(_ context.Context, _ *pgxpool.Pool, atPrimary bool) error {
			if asked = append(asked, atPrimary); !atPrimary {
				return postgres.ErrBehind
			}
			return nil
		})
		if err != nil || len(asked) != 2 || !asked[1] {
			t.Errorf("asked %v, %v", asked, err)
		}
		r.awaits(true, nil) // which is no reason to leave it
	})
	t.Run("refused", func(t *testing.T) {
		r.replica.Stop()
		r.awaits(false, r.note)
		r.replica.Start()
		r.awaits(true, nil)
	})
	t.Run("black hole", func(t *testing.T) {
		r.replica.Pause()
		began := time.Now()
		r.awaits(false, r.note)
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("answered after %s", took)
		}
		r.replica.Resume()
		r.awaits(true, nil)
	})
	t.Run("a fault of the question", func(t *testing.T) {
		fault := errors.New("no answer")
		err := r.reads.Read(t.Context(), func(context.Context, *pgxpool.Pool, bool) error { return fault })
		if !errors.Is(err, fault) {
			t.Error(err)
		}
		r.awaits(true, nil)
	})
	t.Run("without its primary", func(t *testing.T) {
		r.primary.Stop()
		if _, replica, err := r.count(t.Context(), r.reads); err != nil || !replica {
			t.Errorf("what may be out of date is told all the same: %v, %v", replica, err)
		}
		r.primary.Start()
		r.awaits(true, nil)
	})
	t.Run("of another primary", func(t *testing.T) {
		stranger := r.run(testenv.Postgres(t))
		time.Sleep(3 * maxLag)
		if _, _, err := r.count(t.Context(), stranger); err != nil {
			t.Error(err) // it has no such table
		}
	})
	t.Run("promoted", func(t *testing.T) {
		r.replica.Promote()
		r.awaits(false, r.note)
	})
}
