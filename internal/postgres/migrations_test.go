package postgres_test

import (
	"context"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMigrateAgainAndAtTheSameTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url := testenv.EmptyPostgresURL(t)
	const instances = 3
	done := make(chan error, instances)
	for range instances {
		go func() { done <- postgres.Migrate(ctx, url) }()
	}
	for range instances {
		if err := <-done; err != nil {
			t.Errorf("at the same time as others: %v", err)
		}
	}
	if err := postgres.Migrate(ctx, url); err != nil {
		t.Errorf("again: %v", err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if pending, err := postgres.Pending(ctx, conn); err != nil || pending != 0 {
		t.Errorf("%d migrations pending, %v", pending, err)
	}
	var twice int
	err = conn.QueryRow(ctx, "select count(*) from (select version_id from goose_db_version group by 1 having count(*) > 1) as repeated").Scan(&twice)
	if err != nil || twice != 0 {
		t.Errorf("%d migrations ran twice, %v", twice, err)
	}
}

// TestMigrateRunsEachOnce uses a migration slow enough for every instance to
// see that it has not run yet, were they not kept apart.
func TestMigrateRunsEachOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	files := fstest.MapFS{
		"00001_log.sql":  {Data: []byte("-- +goose Up\ncreate table log (n int);\n")},
		"00002_slow.sql": {Data: []byte("-- +goose Up\ninsert into log values (1); select pg_sleep(0.3);\n")},
	}
	url := testenv.EmptyPostgresURL(t)
	const instances = 3
	done := make(chan error, instances)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	first := fstest.MapFS{"00001_log.sql": files["00001_log.sql"]}
	if err := postgres.MigrateWith(ctx, db, first); err != nil {
		t.Fatal(err)
	}
	for range instances {
		go func() { done <- postgres.MigrateWith(ctx, db, files) }()
	}
	for range instances {
		if err := <-done; err != nil {
			t.Errorf("at the same time as others: %v", err)
		}
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var ran int
	if err := conn.QueryRow(ctx, "select count(*) from log").Scan(&ran); err != nil || ran != 1 {
		t.Errorf("a migration ran %d times, %v", ran, err)
	}
}

func TestPendingCountsWhatIsMissing(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, testenv.EmptyPostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	pending, err := postgres.Pending(ctx, conn)
	if err != nil || pending == 0 {
		t.Errorf("an empty database lacks %d migrations, %v", pending, err)
	}
}
