package postgres_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

type copied struct {
	Big   int64
	Whole int32
	Small int16
	Truth bool
	Words string
	Bytes []byte
	At    time.Time
	None  *int64
}

var copiedColumns = []string{"big", "whole", "Small", "truth", "words", "bytes", "at", "none"}

func add(r *postgres.Rows, c copied) {
	r.Next()
	r.Bigint(c.Big)
	r.Integer(c.Whole)
	r.Smallint(c.Small)
	r.Boolean(c.Truth)
	r.Text(c.Words)
	r.Bytea(c.Bytes)
	r.Timestamptz(c.At)
	if c.None == nil {
		r.Null()
	} else {
		r.Bigint(*c.None)
	}
}

// What is copied comes out as it went in; a row that Postgres refuses takes all with it,
// and the connection goes on.
func TestCopy(t *testing.T) {
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, testenv.EmptyPostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	_, err = conn.Exec(ctx, `create temporary table "odd ""table" (big bigint, whole integer, "Small" smallint, truth boolean,
		words text, bytes bytea, at timestamptz, none bigint)`)
	if err != nil {
		t.Fatal(err)
	}
	one := int64(1)
	want := []copied{
		{1 << 62, math.MinInt32, math.MaxInt16, true, "größer, \"als\"\n\\N", []byte{0, 255, 10}, time.Date(2026, 11, 22, 4, 30, 0, 123456000, time.UTC), nil},
		{math.MinInt64, -1, -1, false, "", []byte{}, time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), &one},
		{0, 0, 0, false, strings.Repeat("x", 70_000), []byte("b"), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), nil},
	}
	rows := postgres.NewRows(`odd "table`, 100, copiedColumns...)
	if err := rows.Copy(ctx, conn); err != nil { // none
		t.Fatal(err)
	}
	for _, c := range want {
		add(rows, c)
	}
	if err := rows.Copy(ctx, conn); err != nil {
		t.Fatal(err)
	}
	for _, refused := range []struct {
		why string
		row func(r *postgres.Rows)
	}{
		{"a zero byte in a text", func(r *postgres.Rows) { add(r, copied{Words: "a\x00b"}) }},
		{"text that is no UTF-8", func(r *postgres.Rows) { add(r, copied{Words: "\xff"}) }},
		{"a value too few", func(r *postgres.Rows) { r.Next(); r.Bigint(1) }},
		{"another type", func(r *postgres.Rows) {
			r.Next()
			for range copiedColumns {
				r.Integer(1)
			}
		}},
	} {
		rows := postgres.NewRows(`odd "table`, 100, copiedColumns...)
		add(rows, want[0])
		refused.row(rows)
		if err := rows.Copy(ctx, conn); err == nil || !strings.Contains(err.Error(), `copy to odd "table: `) {
			t.Errorf("%s: %v", refused.why, err)
		}
	}
	found, err := conn.Query(ctx, `select * from "odd ""table" order by at desc`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(found, pgx.RowToStructByPos[copied])
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].At = got[i].At.UTC()
	}
	if diff := cmp.Diff([]copied{want[2], want[0], want[1]}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
