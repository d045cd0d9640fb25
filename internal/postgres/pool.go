package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	defaultMaxConns  = 20
	connectIn        = 5 * time.Second
	connLife         = time.Hour
	connLifeJitter   = 5 * time.Minute
	connIdle         = 10 * time.Minute
	healthCheckEvery = 30 * time.Second
)

// Options of a pool.
type Options struct {
	MaxConns   int32                 // 0: 20
	Registerer prometheus.Registerer // nil: no pool metrics
	Tracer     pgx.QueryTracer       // nil: none; telemetry.PostgresTracer measures durations
	Owner      bool                  // keep the login's own rights instead of AppRole's
}

var errURL = errors.New("the database URL cannot be read: postgres://user:password@host:port/database is its shape")

// New makes a pool that is bounded in connections and in the time that each step may
// take, and whose connections have no rights but AppRole's where they can. It connects when it is used: a database that is away fails the queries, not
// New. Its error never names the password.
func New(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	config.MaxConns = o.MaxConns
	if config.MaxConns <= 0 {
		config.MaxConns = defaultMaxConns
	}
	config.MaxConnLifetime = connLife
	config.MaxConnLifetimeJitter = connLifeJitter
	config.MaxConnIdleTime = connIdle
	config.HealthCheckPeriod = healthCheckEvery
	prepare(config.ConnConfig)
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		describe(conn.TypeMap())
		if o.Owner {
			return nil
		}
		return takeRole(ctx, conn)
	}
	if o.Tracer != nil {
		config.ConnConfig.Tracer = o.Tracer
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(poolCollector{pool}); err != nil {
			pool.Close()
			return nil, fmt.Errorf("register the pool's metrics: %w", err)
		}
	}
	return pool, nil
}

// describe says what pgx is to make of types that it would have to ask the server
// about. In the mode that goes through PgBouncer it does not ask.
func describe(types *pgtype.Map) {
	types.RegisterDefaultPgType(map[string]string(nil), "jsonb")
	types.RegisterDefaultPgType(map[string]any(nil), "jsonb")
}

// Open is New for those who would rather fail at once: it returns when the database
// has answered.
func Open(ctx context.Context, url string, o Options) (*pgxpool.Pool, error) {
	pool, err := New(ctx, url, o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectIn)
	defer cancel()
	if err := pool.Ping(ctx); err != nil {
		if o.Registerer != nil {
			o.Registerer.Unregister(poolCollector{pool}) // so that a second try can register
		}
		pool.Close()
		return nil, fmt.Errorf("reach the database: %w", err)
	}
	return pool, nil
}

// parseURL hides pgx's own message, which quotes the URL.
func parseURL(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errURL
	}
	prepare(config)
	return config, nil
}

// prepare bounds the connecting and names us in pg_stat_activity. Time limits
// for statements are the callers' contexts and the role's settings: as startup
// parameters PgBouncer would refuse them. Behind PgBouncer the URL ends in
// ?default_query_exec_mode=exec, which pgx reads by itself.
func prepare(config *pgx.ConnConfig) {
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectIn {
		config.ConnectTimeout = connectIn
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "kikuai"
	}
}
