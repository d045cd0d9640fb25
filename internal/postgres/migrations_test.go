package postgres_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMigrateAgainAndAtTheSameTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url := testenv.EmptyPostgresURL(t)
	const instances = 3
	done := make(chan error, instances)
	for range instances {
		go func() { done <- postgres.Migrate(ctx, url) }()
	}
	for range instances {
		if err := <-done; err != nil {
			t.Errorf("at the same time as others: %v", err)
		}
	}
	if err := postgres.Migrate(ctx, url); err != nil {
		t.Errorf("again: %v", err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if pending, err := postgres.Pending(ctx, conn); err != nil || pending != 0 {
		t.Errorf("%d migrations pending, %v", pending, err)
	}
	var twice int
	err = conn.QueryRow(ctx, "select count(*) from (select version_id from goose_db_version group by 1 having count(*) > 1) as repeated").Scan(&twice)
	if err != nil || twice != 0 {
		t.Errorf("%d migrations ran twice, %v", twice, err)
	}
}

// TestMigrateRunsEachOnce uses a migration slow enough for every instance to
// see that it has not run yet, were they not kept apart.
func TestMigrateRunsEachOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	files := fstest.MapFS{
		"00001_log.sql":  {Data: []byte("-- +goose Up\ncreate table log (n int);\n")},
		"00002_slow.sql": {Data: []byte("-- +goose Up\ninsert into log values (1); select pg_sleep(0.3);\n")},
	}
	url := testenv.EmptyPostgresURL(t)
	const instances = 3
	done := make(chan error, instances)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	defer db.Close()
	first := fstest.MapFS{"00001_log.sql": files["00001_log.sql"]}
	if err := postgres.MigrateWith(ctx, db, first); err != nil {
		t.Fatal(err)
	}
	for range instances {
		go func() { done <- postgres.MigrateWith(ctx, db, files) }()
	}
	for range instances {
		if err := <-done; err != nil {
			t.Errorf("at the same time as others: %v", err)
		}
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var ran int
	if err := conn.QueryRow(ctx, "select count(*) from log").Scan(&ran); err != nil || ran != 1 {
		t.Errorf("a migration ran %d times, %v", ran, err)
	}
}

func TestPendingCountsWhatIsMissing(t *testing.T) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, testenv.EmptyPostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	pending, err := postgres.Pending(ctx, conn)
	if err != nil || pending == 0 {
		t.Errorf("an empty database lacks %d migrations, %v", pending, err)
	}
}

// TestMigrationsSayWhatTheyAre: the first comment of a migration says whether it expands,
// so that the servers of the release before go on, or contracts what they may still use.
func TestMigrationsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		said := saysWhatItIs.FindStringSubmatch(string(raw))
		takes := takesAway(string(raw))
		switch {
		case said == nil:
			t.Errorf(`%s: its first line is neither "-- Expands" nor "-- Contracts"`, file)
		case said[1] == "Expands" && len(takes) > 0:
			t.Errorf("%s says that it expands, and takes away what the release before may use: %q", file, takes)
		case said[1] == "Contracts" && len(takes) == 0:
			t.Errorf("%s says that it contracts, and takes nothing away", file)
		}
	}
	for up, takes := range map[string]int{
		"create table a (b int); alter table a rename b to c; drop index i;":               0,
		"alter table a drop constraint c, add constraint c check (b > 0); -- drop table a": 0,
		"drop table a;": 1, "alter table a drop column b;": 1, "alter table a\n\tadd c int, drop b;": 1,
		"alter table a rename b to c;": 1, "alter table a alter b set not null;": 1, "alter table a alter b type text;": 1,
	} {
		if got := takesAway("-- +goose Up\n" + up + "\n-- +goose Down\ndrop table z;"); len(got) != takes {
			t.Errorf("%q takes away %q", up, got)
		}
	}
}

var (
	saysWhatItIs = regexp.MustCompile(`\A-- (Expands|Contracts)[.:]`)
	sqlComment   = regexp.MustCompile(`--[^\n]*`)
	created      = regexp.MustCompile(`create table (\w+)`)
	taken        = regexp.MustCompile(`^drop (?:table|view|function|aggregate|type|sequence)\b`)
	altered      = regexp.MustCompile(`(?s)^alter table (?:only )?(\w+)(.*)`)
	takenOf      = regexp.MustCompile(`\brename\b|\bset not null\b|\balter (?:column )?\w+ (?:set data )?type\b|\bdrop (?:column )?(\w+)`)
)

// takesAway are the statements of a migration's way up that remove, rename or narrow what
// it has not made itself. Indexes, triggers and constraints are not what servers name.
func takesAway(text string) (statements []string) {
	up, _, _ := strings.Cut(text, "-- +goose Down")
	up = sqlComment.ReplaceAllString(up, "")
	made := map[string]bool{}
	for _, found := range created.FindAllStringSubmatch(up, -1) {
		made[found[1]] = true
	}
	for statement := range strings.SplitSeq(up, ";") {
		statement = strings.TrimSpace(statement)
		if taken.MatchString(statement) {
			statements = append(statements, statement)
		}
		of := altered.FindStringSubmatch(statement)
		if of == nil || made[of[1]] {
			continue
		}
		for _, found := range takenOf.FindAllStringSubmatch(of[2], -1) {
			if found[1] != "constraint" && found[1] != "default" {
				statements = append(statements, statement)
			}
		}
	}
	return statements
}
