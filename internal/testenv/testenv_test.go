package testenv_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestRedisServersAreApart(t *testing.T) {
	ctx := context.Background()
	a, b := testenv.Redis(t), testenv.Redis(t)
	if err := a.Set(ctx, "k", "a", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Get(ctx, "k").Err(); !errors.Is(err, redis.Nil) {
		t.Fatalf("the second server knows the first one's key: %v", err)
	}
	for name, want := range map[string]string{"maxmemory-policy": "noeviction", "appendonly": "no", "save": ""} {
		got, err := a.ConfigGet(ctx, name).Result()
		if err != nil || got[name] != want {
			t.Errorf("%s = %q, want %q (%v)", name, got[name], want, err)
		}
	}
}

func TestRedisStopStartPause(t *testing.T) {
	ctx := context.Background()
	server := testenv.RedisServerWith(t, redisserver.Options{AppendOnly: true})
	client := server.ClientWith(redis.Options{ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	if err := client.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}

	server.Stop()
	if err := client.Ping(ctx).Err(); err == nil {
		t.Fatal("a stopped server answered")
	}
	server.Start()
	if got, err := client.Get(ctx, "k").Result(); err != nil || got != "v" {
		t.Fatalf("after a restart with an append-only file: %q, %v", got, err)
	}

	server.Pause()
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := client.Ping(short).Err(); err == nil {
		t.Fatal("a paused server answered")
	}
	server.Resume()
	if err := client.Ping(ctx).Err(); err != nil {
		t.Fatalf("after resume: %v", err)
	}

	server.FlushAll()
	if n, err := client.DBSize(ctx).Result(); err != nil || n != 0 {
		t.Fatalf("after FlushAll: %d keys, %v", n, err)
	}
	server.Kill()
	server.Start()
}

func TestPostgresDatabasesAreApartAndDropped(t *testing.T) {
	ctx := context.Background()
	url := testenv.EmptyPostgresURL(t)
	var gone string
	t.Run("inner", func(t *testing.T) {
		pool := testenv.Owner(t, testenv.Postgres(t))
		if _, err := pool.Exec(ctx, "create table only_here (id int)"); err != nil {
			t.Fatal(err)
		}
		if err := pool.QueryRow(ctx, "select current_database()").Scan(&gone); err != nil {
			t.Fatal(err)
		}
		var found bool
		other := testenv.Postgres(t)
		if err := other.QueryRow(ctx, "select to_regclass('only_here') is not null").Scan(&found); err != nil || found {
			t.Fatalf("a table of one test's database is in another's: %v", err)
		}
	})
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", gone).Scan(&exists); err != nil || exists {
		t.Fatalf("database %s outlived its test: %v, %v", gone, exists, err)
	}
}

func TestPostgresStopStart(t *testing.T) {
	ctx := context.Background()
	server := testenv.PostgresServer(t)
	pool := server.Pool()
	owner := testenv.Owner(t, pool)
	if _, err := owner.Exec(ctx, "create table kept (id int); grant select on kept to kikuai_app; insert into kept values (7)"); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if err := pool.Ping(ctx); err == nil {
		t.Fatal("a stopped server answered")
	}
	server.Start()
	var id int
	if err := pool.QueryRow(ctx, "select id from kept").Scan(&id); err != nil || id != 7 {
		t.Fatalf("after a restart: %d, %v", id, err)
	}
	server.Pause()
	short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if err := pool.Ping(short); err == nil {
		t.Fatal("a paused server answered")
	}
	server.Resume()
	if err := pool.Ping(ctx); err != nil {
		t.Fatalf("after resume: %v", err)
	}
}

// recorder is a test whose log and end can be watched.
type recorder struct {
	testing.TB
	lines []string
	end   func()
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.end = f }
func (r *recorder) Logf(format string, arg ...any) {
	r.lines = append(r.lines, fmt.Sprintf(format, arg...))
}

func TestLoggerFallsSilent(t *testing.T) {
	r := &recorder{TB: t}
	log := testenv.Logger(r)
	log.Debug("while it runs", "n", 1)
	r.end()
	log.Error("after its end")
	if len(r.lines) != 1 || !strings.HasSuffix(r.lines[0], `msg="while it runs" n=1`) {
		t.Errorf("logged %q", r.lines)
	}
}

func TestRedisCluster(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cluster := testenv.RedisCluster(t)
	client := cluster.Client()
	holders := map[string]int{}
	for i := range 16 {
		key := fmt.Sprintf("k:{s%02d}", i)
		if err := client.Set(ctx, key, "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		holders[cluster.NodeOf(key).Addr]++
	}
	if len(holders) != 3 {
		t.Fatalf("sixteen shards lie on %d nodes: %v", len(holders), holders)
	}
	// A node that is away takes its own shards with it, and brings them back.
	gone, stays := cluster.NodeOf("k:{s00}"), ""
	for i := range 16 {
		if key := fmt.Sprintf("k:{s%02d}", i); cluster.NodeOf(key) != gone {
			stays = key
		}
	}
	gone.Stop()
	if err := client.Get(ctx, stays).Err(); err != nil {
		t.Errorf("a shard of another node: %v", err)
	}
	if err := client.Get(ctx, "k:{s00}").Err(); err == nil || errors.Is(err, redis.Nil) {
		t.Errorf("a shard of the stopped node: %v", err)
	}
	gone.Start()
	for {
		if err := client.Get(ctx, "k:{s00}").Err(); errors.Is(err, redis.Nil) {
			break // it persisted nothing
		} else if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}
