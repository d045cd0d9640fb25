package requestlog

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// kept is a row of the table.
type kept struct {
	CreatedAt        time.Time
	RequestID        string
	AccountID, KeyID int64
	Operation, Model string
	Deployment       string
	Attempts, Status int32
	ErrorCode        string
	Streamed, Cached bool
	FirstTokenMS     int32
	DurationMS       int32
	PromptTokens     int64
	CompletionTokens int64
	CostNano         int64
	Client           string
}

func rowsOf(t *testing.T, pool *pgxpool.Pool) []kept {
	t.Helper()
	rows, err := pool.Query(t.Context(), `select * from requests order by created_at, request_id`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[kept])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// start runs a writer; stop ends it and waits.
func start(t *testing.T, pool *pgxpool.Pool) (w *Writer, stop func()) {
	t.Helper()
	w, err := NewWriter(Options{Postgres: pool, Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	return w, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestWriter(t *testing.T) {
	pool := testenv.Postgres(t)
	w, stop := start(t, pool)
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w.Record(Request{At: at, ID: "r-1", AccountID: 7, KeyID: 3, Operation: "chat", Model: "small", Deployment: "home/small", Attempts: 2,
		Status: 200, Streamed: true, FirstToken: 250 * time.Millisecond, Duration: 3 * time.Second, Prompt: 10, Completion: 20, CostNano: 5, Client: "OpenAI/Python"})
	// Nothing that a request brings can make its batch fail.
	w.Record(Request{At: at.Add(time.Second), ID: "r\x00-2\xff" + strings.Repeat("x", 100), AccountID: 7, Operation: "chat", Model: "a b\u2028漢", Attempts: -1,
		Status: math.MaxInt, ErrorCode: "a\nb", Cached: true, Duration: -time.Hour, FirstToken: math.MaxInt64, Client: strings.Repeat("é", 100)})
	stop()
	want := []kept{
		{CreatedAt: at, RequestID: "r-1", AccountID: 7, KeyID: 3, Operation: "chat", Model: "small", Deployment: "home/small", Attempts: 2,
			Status: 200, Streamed: true, FirstTokenMS: 250, DurationMS: 3000, PromptTokens: 10, CompletionTokens: 20, CostNano: 5, Client: "OpenAI/Python"},
		{CreatedAt: at.Add(time.Second), RequestID: "r-2" + strings.Repeat("x", maxWord-3), AccountID: 7, Operation: "chat", Model: "ab",
			Status: math.MaxInt32, ErrorCode: "ab", Cached: true, FirstTokenMS: math.MaxInt32},
	}
	if diff := cmp.Diff(want, rowsOf(t, pool)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if n := testutil.ToFloat64(w.written); n != 2 {
		t.Errorf("%v written", n)
	}
}

// Everything that was taken is written before Run returns, in batches of any size.
func TestWriterFlush(t *testing.T) {
	pool := testenv.Postgres(t)
	w, stop := start(t, pool)
	for i := range 3000 {
		w.Record(Request{At: time.Now(), ID: fmt.Sprint(i), AccountID: 1})
	}
	stop()
	dropped := int(testutil.ToFloat64(w.dropped))
	if got := len(rowsOf(t, pool)); got+dropped != 3000 || dropped != 0 {
		t.Errorf("%d rows and %d dropped of 3000", got, dropped)
	}
}

// What a batch leaves is written without another request's coming; whole batches wait for nothing.
func TestWriterGoesOn(t *testing.T) {
	pool := testenv.Postgres(t)
	for _, row := range []struct {
		every time.Duration
		want  float64
	}{{time.Millisecond, 2*batch + 1}, {time.Hour, 2 * batch}} {
		w, err := NewWriter(Options{Postgres: pool, Log: testenv.Logger(t), Every: row.every})
		if err != nil {
			t.Fatal(err)
		}
		for range 2*batch + 1 {
			w.Record(Request{At: time.Now(), AccountID: 1})
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		testenv.Until(t, "they are written", func() bool { return testutil.ToFloat64(w.written) >= row.want })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := testutil.ToFloat64(w.written); n != 2*batch+1 {
			t.Errorf("%v written", n)
		}
	}
}

// Where Postgres does not follow, recording never waits: what is too much is dropped,
// and counted.
func TestWriterFull(t *testing.T) {
	pool := testenv.Postgres(t)
	w, err := NewWriter(Options{Postgres: pool, Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	for range waitingMost + 100 {
		w.Record(Request{At: time.Now(), AccountID: 1})
	}
	if n := testutil.ToFloat64(w.dropped); n != 100 {
		t.Errorf("%v dropped", n)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ended); err != nil {
		t.Fatal(err)
	}
	if got := len(rowsOf(t, pool)); got != waitingMost {
		t.Errorf("%d rows", got)
	}
}

// With Postgres away for good, the end does not wait for it, and says what is lost.
func TestWriterAway(t *testing.T) {
	away := testenv.Postgres(t)
	away.Close()
	w, err := NewWriter(Options{Postgres: away, Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	for range waitingMost {
		w.Record(Request{At: time.Now(), AccountID: 1})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Run(ended); err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(w.dropped); n != waitingMost {
		t.Errorf("%v dropped", n)
	}
}

func TestBehindPgBouncer(t *testing.T) {
	pool, err := postgres.Open(t.Context(), testenv.PgBouncer(t, testenv.Postgres(t).Config().ConnString()), postgres.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	w, stop := start(t, pool)
	for i := range 50 {
		w.Record(Request{At: time.Now().Add(-time.Hour * 24 * time.Duration(i)), ID: fmt.Sprint(i), AccountID: 1})
	}
	stop()
	if got := len(rowsOf(t, pool)); got != 50 {
		t.Fatalf("%d rows", got)
	}
	if err := (Retention{Postgres: pool, Keep: 10*24*time.Hour + time.Hour}).Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(rowsOf(t, pool)); got != 11 {
		t.Errorf("%d rows are left", got)
	}
}
