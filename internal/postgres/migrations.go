package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// all: takes the directory even while it holds nothing but .gitkeep.
//
//go:embed all:migrations
var migrations embed.FS

const (
	lockEverySeconds = 1
	lockTries        = 600
)

func migrationFiles() (fs.FS, error) { return fs.Sub(migrations, "migrations") }

// Migrate brings the database to the newest of the embedded migrations, makes the
// ledger's months ahead and gives [AppRole] its rights. A database that a later release
// has migrated already is left as it is. It may run from several instances at once: a session lock lets one work while the
// others wait and then find nothing to do. The URL must lead to Postgres
// itself; behind a pooler in transaction mode a session lock holds nothing.
func Migrate(ctx context.Context, url string) (err error) {
	files, err := migrationFiles()
	if err != nil {
		return err
	}
	config, err := parseURL(url)
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(keepRights))
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := migrate(ctx, db, files); err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	ahead, err := Ahead(ctx, conn)
	if err != nil || ahead > 0 {
		return err // what follows the migrations of a later release is that one's to do
	}
	return afterwards(ctx, db)
}

// afterwardsSQL is what every run of Migrate does, new migrations or none.
//
//go:embed afterwards.sql
var afterwardsSQL string

func afterwards(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, afterwardsSQL); err != nil {
		return fmt.Errorf("migrate: what follows the migrations: %w", err)
	}
	return nil
}

func migrate(ctx context.Context, db *sql.DB, files fs.FS) error {
	// The lock is asked for again and again rather than waited for: a statement
	// that waits would hold up a CREATE INDEX CONCURRENTLY of the one at work.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockEverySeconds, lockTries))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// Pending says how many of the embedded migrations the database lacks.
func Pending(ctx context.Context, db querier) (int, error) {
	lacks, _, err := compare(ctx, db)
	return lacks, err
}

// Ahead says how many migrations of a later release the database has. This one works with
// it all the same: a release only adds to what the one before it uses.
func Ahead(ctx context.Context, db querier) (int, error) {
	_, ahead, err := compare(ctx, db)
	return ahead, err
}

// compare holds the database against the embedded migrations.
func compare(ctx context.Context, db querier) (lacks, ahead int, err error) {
	known, err := versions()
	if err != nil {
		return 0, 0, err
	}
	// A migration may have been taken back: the last word on it counts.
	err = db.QueryRow(ctx, `select count(*) filter (where k.version is not null and is_applied is not true),
			count(*) filter (where k.version is null and is_applied)
		from (select distinct on (version_id) version_id as version, is_applied from goose_db_version
			where version_id > 0 order by version_id, id desc) v
		full join unnest($1::bigint[]) k (version) using (version)`, known).Scan(&lacks, &ahead)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == undefinedTable {
		return len(known), 0, nil // nothing has ever been migrated here
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read the schema's version: %w", err)
	}
	return lacks, ahead, nil
}

const undefinedTable = "42P01"

// versions are the numbers of the embedded migrations.
func versions() ([]int64, error) {
	files, err := migrationFiles()
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	known := make([]int64, len(names))
	for i, name := range names {
		if known[i], err = goose.NumericComponent(name); err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
	}
	return known, nil
}

// querier is a pool, a connection or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Fingerprint names the set of embedded migrations, and what follows them: it
// changes when a file is added or edited. Twelve hexadecimal digits.
func Fingerprint() (string, error) {
	files, err := migrationFiles()
	if err != nil {
		return "", err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, name := range names {
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(raw), raw)
	}
	sum.Write([]byte(afterwardsSQL))
	return hex.EncodeToString(sum.Sum(nil)[:6]), nil
}
