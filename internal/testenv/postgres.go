package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv/pgserver"
)

// PostgresVariable names the environment variable with a superuser's URL of a
// cluster that may be used instead of starting one, as `make test` does to
// share one among all packages.
const PostgresVariable = pgserver.SharedVariable

const (
	clusterIn = 2 * time.Minute
	dropIn    = 30 * time.Second
	// poolMost are the connections of a test's pool. Each is a process of Postgres that
	// starts with empty caches; as many as the program takes would cost a test more than
	// all that it asks for.
	poolMost = 6
	// templateLock serialises the making of templates among the test binaries
	// of one cluster.
	templateLock = 0x6b696b75
)

// cluster is the Postgres of this test binary, started by the first test that
// needs it. It is the one piece of shared state here: a cluster takes seconds
// to make and go test gives a binary's tests no other place to share it.
var cluster struct {
	once     sync.Once
	server   *pgserver.Server // nil where the cluster is not ours
	url      string           // the superuser's, database postgres
	template string
	copying  string // how a database is made from the template: what follows its name
	err      error
}

// Postgres opens a pool on a fresh database with the newest schema, with the
// rights that the program has in production (postgres.AppRole). Pool and
// database go with the test.
func Postgres(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, PostgresURL(t), postgres.Options{MaxConns: poolMost})
}

// Owner opens a second pool on the database of a pool, with a superuser's
// rights: for a test that does what the program may not.
func Owner(t testing.TB, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	return open(t, pool.Config().ConnString(), postgres.Options{Owner: true})
}

// PostgresURL makes a fresh database with the newest schema and returns the
// superuser's URL of it. The database is dropped at the test's end, with force.
func PostgresURL(t testing.TB) string {
	t.Helper()
	admin, template := ensureCluster(t)
	return createDatabase(t, admin, template)
}

// EmptyPostgresURL is PostgresURL without any schema.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	admin, _ := ensureCluster(t)
	return createDatabase(t, admin, "template0")
}

// PostgresHandle is a private Postgres that a test may stop, freeze and start
// again. It costs a second or two to make; tests that do not disturb the
// server use Postgres.
type PostgresHandle struct {
	t      testing.TB
	server *pgserver.Server
}

// PostgresServer starts a private Postgres with one migrated database.
func PostgresServer(t testing.TB) *PostgresHandle {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clusterIn)
	defer cancel()
	return startPostgres(ctx, t, pgserver.Options{})
}

func startPostgres(ctx context.Context, t testing.TB, o pgserver.Options) *PostgresHandle {
	t.Helper()
	server, err := pgserver.Start(ctx, o)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	closeWith(t, server)
	h := &PostgresHandle{t: t, server: server}
	h.must("migrate", postgres.Migrate(ctx, h.URL()))
	return h
}

// closeWith ends a server with the test.
func closeWith(t testing.TB, server *pgserver.Server) {
	t.Helper()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("testenv: end Postgres: %v", err)
		}
	})
}

// URL is the superuser's URL of the migrated database.
func (h *PostgresHandle) URL() string { return h.server.URL("postgres") }

// Pool opens a pool on the migrated database, closed at the test's end.
func (h *PostgresHandle) Pool() *pgxpool.Pool {
	h.t.Helper()
	return open(h.t, h.URL(), postgres.Options{})
}

// Stop ends the server; clients are refused until Start.
func (h *PostgresHandle) Stop() {
	h.t.Helper()
	h.must("stop", h.server.Stop())
}

// Start runs the stopped server again on the same port, with its data.
func (h *PostgresHandle) Start() {
	h.t.Helper()
	h.must("start", h.server.Restart(context.Background()))
}

// Pause freezes the server: connections stay open and nothing answers.
func (h *PostgresHandle) Pause() {
	h.t.Helper()
	h.must("pause", h.server.Pause())
}

// Resume lets a paused server go on.
func (h *PostgresHandle) Resume() {
	h.t.Helper()
	h.must("resume", h.server.Resume())
}

func (h *PostgresHandle) must(step string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("testenv: %s Postgres: %v", step, err)
	}
}

func open(t testing.TB, url string, o postgres.Options) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(context.Background(), url, o)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func ensureCluster(t testing.TB) (admin, template string) {
	t.Helper()
	cluster.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), clusterIn)
		defer cancel()
		cluster.err = startCluster(ctx)
	})
	if cluster.err != nil {
		t.Fatalf("testenv: %v", cluster.err)
	}
	return cluster.url, cluster.template
}

func startCluster(ctx context.Context) error {
	cluster.url = os.Getenv(PostgresVariable)
	if cluster.url == "" {
		server, err := pgserver.Start(ctx, pgserver.Options{})
		if err != nil {
			return err
		}
		cluster.server, cluster.url = server, server.URL("postgres")
	}
	fingerprint, err := postgres.Fingerprint()
	if err != nil {
		return err
	}
	cluster.template = "kikuai_template_" + fingerprint
	return makeTemplate(ctx, cluster.url, cluster.template)
}

func closeCluster() error {
	if cluster.server == nil {
		return nil
	}
	return cluster.server.Close()
}

// fileCopyFrom is the version of Postgres, as server_version_num, that copies a template
// page by page through its log unless it is told otherwise.
const fileCopyFrom = 150_000

// copying asks for files to be copied where that is not the only way: it takes a third of
// the processor time, and a database is made for each of hundreds of tests.
func copying(ctx context.Context, conn *pgx.Conn) (string, error) {
	var version int
	err := conn.QueryRow(ctx, "select current_setting('server_version_num')::int").Scan(&version)
	if err != nil || version < fileCopyFrom {
		return "", err
	}
	return " strategy file_copy", nil
}

// makeTemplate migrates a database under a passing name and renames it when it
// is whole, once per cluster and set of migrations.
func makeTemplate(ctx context.Context, admin, template string) (err error) {
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		return fmt.Errorf("connect to the test cluster: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if cluster.copying, err = copying(ctx, conn); err != nil {
		return err
	}
	// The lock goes with the connection.
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", templateLock); err != nil {
		return err
	}
	var exists bool
	err = conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", template).Scan(&exists)
	if err != nil || exists {
		return err
	}
	unfinished := template + "_unfinished"
	if _, err := conn.Exec(ctx, "drop database if exists "+unfinished+" with (force)"); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "create database "+unfinished+" template template0"); err != nil {
		return err
	}
	target, err := withDatabase(admin, unfinished)
	if err != nil {
		return err
	}
	if err := postgres.Migrate(ctx, target); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "alter database "+unfinished+" rename to "+template)
	return err
}

func createDatabase(t testing.TB, admin, template string) string {
	t.Helper()
	name := "kikuai_test_" + strings.ToLower(rand.Text()[:16])
	execAdmin(t, admin, "create database "+name+" template "+template+cluster.copying)
	t.Cleanup(func() { execAdmin(t, admin, "drop database if exists "+name+" with (force)") })
	target, err := withDatabase(admin, name)
	if err != nil {
		t.Fatalf("testenv: %v", err)
	}
	return target
}

func execAdmin(t testing.TB, admin, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), dropIn)
	defer cancel()
	conn, err := pgx.Connect(ctx, admin)
	if err != nil {
		t.Fatalf("testenv: connect to the test cluster: %v", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatalf("testenv: %s: %v", statement, err)
	}
}

func withDatabase(admin, name string) (string, error) {
	u, err := url.Parse(admin)
	if err != nil || u.Scheme == "" {
		return "", fmt.Errorf("%s must be a URL: postgres://user:password@host:port/postgres", PostgresVariable)
	}
	u.Path = "/" + name
	return u.String(), nil
}
