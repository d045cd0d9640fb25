package requestlog

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestForget(t *testing.T) {
	pool := testenv.Postgres(t)
	partitions := func() []string {
		t.Helper()
		rows, err := pool.Query(t.Context(), `select inhrelid::regclass::text from pg_inherits where inhparent = 'requests'::regclass order by 1`)
		if err != nil {
			t.Fatal(err)
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	var now time.Time
	if err := pool.QueryRow(t.Context(), `select now()`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	now = now.UTC()
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	name := func(months int) string { return month.AddDate(0, months, 0).Format("requests_2006_01") }
	if got := partitions(); !slices.Contains(got, name(0)) || !slices.Contains(got, name(1)) || !slices.Contains(got, "requests_default") {
		t.Fatalf("migrated with %v", got)
	}
	// Three months ago has a partition, as it would have after three months.
	owner := testenv.Owner(t, pool)
	if _, err := owner.Exec(t.Context(), `select request_log_partitions(null, 0, $1)`, month.AddDate(0, -3, 0)); err != nil {
		t.Fatal(err)
	}
	w, stop := start(t, pool)
	for _, at := range []time.Time{now, now.Add(-29 * 24 * time.Hour), now.Add(-31 * 24 * time.Hour), month.AddDate(0, -3, 1), month.AddDate(-5, 0, 0), month.AddDate(40, 0, 0)} {
		w.Record(Request{At: at, AccountID: 1})
	}
	stop()
	if got := partitions(); !slices.Contains(got, name(-3)) {
		t.Fatalf("partitions %v", got)
	}
	for range 2 {
		if err := (Retention{Postgres: pool, Keep: 30 * 24 * time.Hour}).Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := partitions(); slices.Contains(got, name(-3)) || !slices.Contains(got, name(0)) || !slices.Contains(got, "requests_default") {
			t.Errorf("partitions %v", got)
		}
		if got := rowsOf(t, pool); len(got) != 3 || got[0].CreatedAt.Before(now.Add(-30*24*time.Hour)) {
			t.Errorf("left %+v", got)
		}
	}
}

// The program may add to the log, read it and forget, and change nothing in it.
func TestRights(t *testing.T) {
	pool := testenv.Postgres(t)
	w, stop := start(t, pool)
	w.Record(Request{At: time.Now(), AccountID: 1})
	stop()
	for _, query := range []string{`update requests set account_id = 2`, `truncate requests`, `drop table requests`} {
		if _, err := pool.Exec(t.Context(), query); err == nil {
			t.Errorf("%s passes", query)
		}
	}
}
