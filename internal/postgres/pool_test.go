package postgres_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// TestPoolOutlivesItsDatabase starts a pool while the database is away, and
// takes the database away again while the pool is in use.
func TestPoolOutlivesItsDatabase(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server := testenv.PostgresServer(t)
	server.Stop()
	registry := prometheus.NewPedanticRegistry()
	options := postgres.Options{MaxConns: 2, Registerer: registry}
	if _, err := postgres.Open(ctx, server.URL(), options); err == nil {
		t.Fatal("Open succeeded without a database")
	}
	pool, err := postgres.New(ctx, server.URL(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Ping(ctx); err == nil {
		t.Fatal("a database that is away answered")
	}
	for range 2 {
		server.Start()
		if err := pool.Ping(ctx); err != nil {
			// A connection of before the outage is found broken once.
			if err := pool.Ping(ctx); err != nil {
				t.Fatalf("after the database came back: %v", err)
			}
		}
		server.Stop()
	}
	if families, err := registry.Gather(); err != nil || len(families) != 3 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
}

// TestObjectsGoThroughPgBouncer: in the mode for it, pgx asks the server about no type.
func TestObjectsGoThroughPgBouncer(t *testing.T) {
	url := testenv.PostgresURL(t)
	separator := "?"
	if strings.Contains(url, separator) {
		separator = "&"
	}
	pool, err := postgres.Open(t.Context(), url+separator+"default_query_exec_mode=exec", postgres.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, object := range []any{map[string]string{"a": "b"}, map[string]any{"a": "b"}} {
		var got string
		if err := pool.QueryRow(t.Context(), `select $1::jsonb ->> 'a'`, object).Scan(&got); err != nil || got != "b" {
			t.Errorf("%T: %q, %v", object, got, err)
		}
	}
}
