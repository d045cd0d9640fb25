package telemetry_test

import (
	"context"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/internal/testenv"
)

// read returns each series of a metric by its label values: the count of a
// histogram, the value of the others.
func read(t *testing.T, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			key := ""
			for _, label := range metric.GetLabel() {
				if key != "" {
					key += " "
				}
				key += label.GetValue()
			}
			out[key] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestRedisMetrics(t *testing.T) {
	ctx := context.Background()
	server := testenv.RedisServer(t)
	registry := prometheus.NewPedanticRegistry()
	first, second := server.Client(), server.Client()
	first.AddHook(telemetry.RedisHook(registry))
	second.AddHook(telemetry.RedisHook(registry)) // the same metric
	telemetry.RedisPool(registry, first.PoolStats, second.PoolStats)

	before := read(t, registry, "redis_command_duration_seconds")
	for range 3 {
		if err := first.Set(ctx, "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Get(ctx, "k").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := first.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Incr(ctx, "a")
		p.Incr(ctx, "b")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	after := read(t, registry, "redis_command_duration_seconds")
	for command, want := range map[string]float64{"set": 3, "get": 1, "incr": 0} {
		if got := after[command] - before[command]; got != want {
			t.Errorf("%s observed %v times, want %v", command, got, want)
		}
	}
	if after["pipeline"] <= before["pipeline"] {
		t.Error("the pipeline was not observed")
	}
	pool := read(t, registry, "redis_pool_connections")
	if pool["total"] < 2 || pool["idle"]+pool["used"] != pool["total"] {
		t.Errorf("pool: %v", pool)
	}
}

func TestRedisCommandsAreBounded(t *testing.T) {
	ctx := context.Background()
	registry := prometheus.NewPedanticRegistry()
	hook := telemetry.RedisHook(registry).ProcessHook(func(context.Context, redis.Cmder) error { return nil })
	for i := range 200 {
		if err := hook(ctx, redis.NewCmd(ctx, fmt.Sprintf("command%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	got := read(t, registry, "redis_command_duration_seconds")
	if len(got) > 70 || got["other"] < 100 {
		t.Errorf("%d series, %v in other", len(got), got["other"])
	}
}

func TestPostgresMetrics(t *testing.T) {
	ctx := context.Background()
	registry := prometheus.NewPedanticRegistry()
	pool, err := postgres.Open(ctx, testenv.EmptyPostgresURL(t), postgres.Options{
		Registerer: registry, Tracer: telemetry.NewPostgresTracer(registry), MaxConns: 3, Owner: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	err = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		for _, sql := range []string{"create table t (id int)", "  INSERT into t values (1)", "insert into t values (2)", "(select 1)"} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		var batch pgx.Batch
		batch.Queue("select 1")
		batch.Queue("select 2")
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"id"}, pgx.CopyFromRows([][]any{{3}}))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, registry, "db_query_duration_seconds")
	for operation, want := range map[string]float64{"begin": 1, "insert": 2, "select": 1, "batch": 1, "copy": 1, "commit": 1} {
		if got[operation] != want {
			t.Errorf("%s observed %v times, want %v (%v)", operation, got[operation], want, got)
		}
	}
	if conns := read(t, registry, "db_pool_connections"); conns["max"] != 3 || conns["total"] < 1 {
		t.Errorf("pool: %v", conns)
	}
}

func TestHTTPMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	m := telemetry.NewHTTPMetrics(registry)
	reused := []byte("/v1/models")
	endpoint := unsafe.String(&reused[0], len(reused)) // as servers hand out their buffers
	m.Observe("GET", endpoint, 200, time.Millisecond)
	m.Observe("BREW", endpoint, 405, time.Millisecond)
	copy(reused, "/overwritten")
	m.Observe("POST", "", 404, time.Millisecond)
	got := read(t, registry, "http_requests_total") // endpoint method status
	for key, want := range map[string]float64{"/v1/models GET 200": 1, "/v1/models other 405": 1, "none POST 404": 1} {
		if got[key] != want {
			t.Errorf("%s counted %v times (%v)", key, got[key], got)
		}
	}
	for i := range 6000 { // raw paths by mistake
		m.Observe("GET", fmt.Sprintf("/accounts/%d", i), 200, time.Millisecond)
	}
	if got := read(t, registry, "http_requests_total"); len(got) > 4200 || got["other GET 200"] < 1000 {
		t.Errorf("%d series", len(got))
	}
}

func BenchmarkHTTPMetrics(b *testing.B) {
	m := telemetry.NewHTTPMetrics(prometheus.NewRegistry())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Observe("POST", "/v1/chat/completions", 200, time.Millisecond)
		}
	})
}

func BenchmarkRedisHook(b *testing.B) {
	ctx := context.Background()
	hook := telemetry.RedisHook(prometheus.NewRegistry()).ProcessHook(func(context.Context, redis.Cmder) error { return nil })
	cmd := redis.NewCmd(ctx, "evalsha")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = hook(ctx, cmd)
		}
	})
}
