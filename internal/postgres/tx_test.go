package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

var serializable = pgx.TxOptions{IsoLevel: pgx.Serializable}

// accounts makes a table with the rows 1 and 2, each with balance 100.
func accounts(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.Background(), testenv.EmptyPostgresURL(t), postgres.Options{MaxConns: 10, Owner: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(context.Background(), "create table a (id int primary key, n int); insert into a values (1, 100), (2, 100)"); err != nil {
		t.Fatal(err)
	}
	return pool
}

func sum(t *testing.T, pool *pgxpool.Pool) (first, second int) {
	t.Helper()
	if err := pool.QueryRow(context.Background(), "select (select n from a where id = 1), (select n from a where id = 2)").Scan(&first, &second); err != nil {
		t.Fatal(err)
	}
	return first, second
}

// TestInTxRepeatsAfterSerializationFailure lets two transactions read the same
// row before either writes it: Postgres must refuse one with 40001.
func TestInTxRepeatsAfterSerializationFailure(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pool := accounts(t)
	met := rendezvous(2)
	runs := make(chan int, 2)
	done := make(chan error, 2)
	for range 2 {
		go func() {
			run := 0
			done <- postgres.InTxWith(ctx, pool, serializable, func(tx pgx.Tx) error {
				run++
				var n int
				if err := tx.QueryRow(ctx, "select n from a where id = 1").Scan(&n); err != nil {
					return err
				}
				if run == 1 {
					met()
				}
				_, err := tx.Exec(ctx, "update a set n = $1 where id = 1", n-10)
				return err
			})
			runs <- run
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if total := <-runs + <-runs; total < 3 {
		t.Errorf("no conflict happened: %d runs", total)
	}
	if n, _ := sum(t, pool); n != 80 {
		t.Errorf("balance %d after two debits of 10", n)
	}
}

// TestInTxRepeatsAfterDeadlock lets two transactions lock two rows in opposite
// order: Postgres must end one with 40P01.
func TestInTxRepeatsAfterDeadlock(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pool := accounts(t)
	met := rendezvous(2)
	runs := make(chan int, 2)
	done := make(chan error, 2)
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		go func() {
			run := 0
			done <- postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
				run++
				if _, err := tx.Exec(ctx, "update a set n = n - 10 where id = $1", order[0]); err != nil {
					return err
				}
				if run == 1 {
					met()
				}
				_, err := tx.Exec(ctx, "update a set n = n + 10 where id = $1", order[1])
				return err
			})
			runs <- run
		}()
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if total := <-runs + <-runs; total < 3 {
		t.Errorf("no deadlock happened: %d runs", total)
	}
	if first, second := sum(t, pool); first != 100 || second != 100 {
		t.Errorf("balances %d and %d", first, second)
	}
}

func TestInTxGivesUpAfterABound(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pool := accounts(t)
	runs := 0
	err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		runs++
		_, err := tx.Exec(ctx, "do $$ begin raise exception 'lost' using errcode = '40001'; end $$")
		return err
	})
	var pg *pgconn.PgError
	if !errors.Is(err, postgres.ErrContention) || !errors.As(err, &pg) || pg.Code != "40001" {
		t.Errorf("the error is %v", err)
	}
	if runs != 8 {
		t.Errorf("%d runs", runs)
	}
}

func TestInTxStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pool := accounts(t)
	runs := 0
	err := postgres.InTx(ctx, pool, func(pgx.Tx) error {
		runs++
		if runs == 2 {
			cancel()
		}
		return &pgconn.PgError{Code: "40P01"}
	})
	var pg *pgconn.PgError
	if !errors.Is(err, context.Canceled) || !errors.As(err, &pg) || runs != 2 {
		t.Errorf("%d runs, %v: want the cancellation, during the pause, and its cause", runs, err)
	}
}

func TestInTxRunsOnceForOtherErrors(t *testing.T) {
	ctx := context.Background()
	pool := accounts(t)
	failure := errors.New("of the caller's own")
	for _, want := range []error{failure, &pgconn.PgError{Code: "23505"}} {
		runs := 0
		err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
			runs++
			if _, err := tx.Exec(ctx, "update a set n = 0"); err != nil {
				return err
			}
			return want
		})
		if !errors.Is(err, want) || runs != 1 {
			t.Errorf("%d runs, %v", runs, err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "update a set n = 0"); err != nil {
				return err
			}
			panic("in the middle")
		})
	}()
	if first, second := sum(t, pool); first != 100 || second != 100 {
		t.Errorf("a failed transaction left %d and %d", first, second)
	}
	if used := pool.Stat().AcquiredConns(); used != 0 {
		t.Errorf("%d connections were not given back", used)
	}
}

func TestOpenNamesNoPassword(t *testing.T) {
	ctx := context.Background()
	for _, url := range []string{
		"postgres://u:hush@127.0.0.1:1/db?connect_timeout=1", // nobody listens there
		"postgres://u:hush@127.0.0.1:port/db",
		"postgres://u:hush@127.0.0.1:1/db?sslmode=hush",
	} {
		_, err := postgres.Open(ctx, url, postgres.Options{})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("Open: %v", err)
		}
		if err := postgres.Migrate(ctx, url); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("Migrate: %v", err)
		}
	}
}

// rendezvous returns a function that n goroutines leave together.
func rendezvous(n int) func() {
	arrive, leave := make(chan struct{}), make(chan struct{})
	go func() {
		for range n {
			<-arrive
		}
		close(leave)
	}()
	return func() {
		arrive <- struct{}{}
		<-leave
	}
}
