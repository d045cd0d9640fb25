package telemetry

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// PostgresTracer observes db_query_duration_seconds{operation}: the statement's
// first word where it is a common one, "batch", "copy", or "other". It never
// sees arguments.
type PostgresTracer struct {
	durations map[string]prometheus.Observer
}

// NewPostgresTracer makes a tracer for postgres.Options.
func NewPostgresTracer(registerer prometheus.Registerer) *PostgresTracer {
	vec := register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "db_query_duration_seconds",
		Help:    "Time of Postgres statements, by their first word.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	}, []string{"operation"}))
	t := &PostgresTracer{durations: map[string]prometheus.Observer{}}
	for _, operation := range []string{
		"select", "insert", "update", "delete", "with", "begin", "commit", "rollback",
		"call", "set", "lock", "batch", "copy", "other",
	} {
		t.durations[operation] = vec.WithLabelValues(operation)
	}
	return t
}

type traceKey struct{}

type trace struct {
	start     time.Time
	operation string
}

// longestWord is longer than every operation above.
const longestWord = 10

func (t *PostgresTracer) operation(sql string) string {
	sql = strings.TrimLeft(sql, " \t\r\n(")
	end := 0
	for end < len(sql) && end < longestWord && (sql[end]|0x20) >= 'a' && (sql[end]|0x20) <= 'z' {
		end++
	}
	word := strings.ToLower(sql[:end])
	if _, known := t.durations[word]; known {
		return word
	}
	return "other"
}

func begin(ctx context.Context, operation string) context.Context {
	return context.WithValue(ctx, traceKey{}, trace{time.Now(), operation})
}

func (t *PostgresTracer) end(ctx context.Context) {
	if started, is := ctx.Value(traceKey{}).(trace); is {
		t.durations[started.operation].Observe(time.Since(started.start).Seconds())
	}
}

// TraceQueryStart is called by pgx.
func (t *PostgresTracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return begin(ctx, t.operation(data.SQL))
}

// TraceQueryEnd is called by pgx.
func (t *PostgresTracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	t.end(ctx)
}

// TraceBatchStart is called by pgx.
func (t *PostgresTracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return begin(ctx, "batch")
}

// TraceBatchQuery is called by pgx; the batch is observed as a whole.
func (t *PostgresTracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd is called by pgx.
func (t *PostgresTracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	t.end(ctx)
}

// TraceCopyFromStart is called by pgx.
func (t *PostgresTracer) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return begin(ctx, "copy")
}

// TraceCopyFromEnd is called by pgx.
func (t *PostgresTracer) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromEndData) {
	t.end(ctx)
}
