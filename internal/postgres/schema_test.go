package postgres_test

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/pgserver"
)

var update = flag.Bool("update", false, "rewrite schema.sql from the migrations")

const schemaFile = "schema.sql"

// TestSchema compares what the migrations make with schema.sql, so that a
// change of the schema is seen as one, in review.
func TestSchema(t *testing.T) {
	got := dump(t, testenv.PostgresURL(t))
	if *update {
		if err := os.WriteFile(schemaFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the migrations and %s differ; if this is meant, run go test ./internal/postgres -run TestSchema -update\n%s", schemaFile, diff)
	}
}

func dump(t *testing.T, url string) string {
	t.Helper()
	bin, err := pgserver.System()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "pg_dump"), "--schema-only", "--no-owner",
		"--exclude-table=goose_db_version*",
		"--exclude-table=*_[0-9][0-9][0-9][0-9]_[0-9][0-9]", // months, which come and go
		"--dbname", url)
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_dump (apt-get install postgresql): %v", err)
	}
	return normalise(string(raw))
}

// setting is one of the dump's opening lines, not the SET of a function's body.
var setting = regexp.MustCompile(`^SET [a-z_]+ = [^;]+;$`)

// normalise takes out what depends on the version of pg_dump and of the
// server, and leaves one statement after another.
func normalise(sql string) string {
	var b strings.Builder
	blank := true
	b.WriteString("-- What the migrations make. Written by go test ./internal/postgres -run TestSchema -update.\n")
	for line := range strings.SplitSeq(sql, "\n") {
		line = strings.TrimRight(line, " \t")
		switch {
		case strings.HasPrefix(line, "--"), strings.HasPrefix(line, `\`), // psql's \restrict
			setting.MatchString(line), strings.HasPrefix(line, "SELECT pg_catalog.set_config("):
			continue
		case line == "":
			blank = true
			continue
		}
		if blank {
			b.WriteByte('\n')
			blank = false
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
