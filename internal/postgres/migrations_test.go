package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

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
