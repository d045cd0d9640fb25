package doctor

import (
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

func pool(t *testing.T, address string, o postgres.Options, parameters ...string) *pgxpool.Pool {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	for i := 0; i < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	u.RawQuery, o.MaxConns = query.Encode(), 2
	p, err := postgres.New(t.Context(), u.String(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	address := testenv.PostgresURL(t)
	owner := pool(t, address, postgres.Options{Owner: true})
	do := func(statement string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	checks := Postgres{Pool: pool(t, address, postgres.Options{})}.Checks()
	for name, want := range map[string]string{
		"answers": "ok: Postgres 1", "writes": "ok: takes writes", "schema": "ok: this release's", "role": "ok: not change it",
		"months": "ok: made ahead", "pooler": "ok: Postgres itself", "connections": "ok: connections are in use",
	} {
		expect(t, checks, "postgres."+name, want)
	}

	expect(t, Postgres{Pool: owner}.Checks(), "postgres.role", "warning: may change what is in the ledger")
	readOnly := Postgres{Pool: pool(t, address, postgres.Options{}, "default_transaction_read_only", "on")}.Checks()
	expect(t, readOnly, "postgres.writes", "fault: only reads")

	do(`insert into goose_db_version (version_id, is_applied) values (99999, true)`)
	expect(t, checks, "postgres.schema", "warning: 1 migrations ahead")
	do(`delete from goose_db_version where version_id in (99999, (select max(version_id) from goose_db_version where version_id < 99999))`)
	expect(t, checks, "postgres.schema", "fault: lacks 1 of this release's migrations")

	do(`do $$ begin execute 'drop table usage' || to_char(now() at time zone 'UTC' + interval '1 month', '_YYYY_MM'); end $$`)
	expect(t, checks, "postgres.months", "fault: usage has no partition")
	do(`select * from ledger_partitions()`)
	expect(t, checks, "postgres.months", "ok: made ahead")

	empty := Postgres{Pool: pool(t, testenv.EmptyPostgresURL(t), postgres.Options{})}.Checks()
	expect(t, empty, "postgres.schema", "fault: lacks")

	away := Postgres{Pool: pool(t, "postgres://somebody:hidden-word@127.0.0.1:1/none", postgres.Options{})}
	away.Replica = away.Pool
	expect(t, away.Checks(), "postgres.answers", "fault: cannot be reached")
	for _, quiet := range []string{"writes", "schema", "role", "months", "pooler", "connections"} {
		expect(t, away.Checks(), "postgres."+quiet)
	}
	expect(t, away.Checks(), "postgres.replica", "warning: replica cannot be reached")
	expect(t, Postgres{Pool: owner, Replica: owner}.Checks(), "postgres.replica", "warning: is no replica")
}

func TestPooler(t *testing.T) {
	t.Parallel()
	through := testenv.PgBouncer(t, testenv.PostgresURL(t))
	expect(t, Postgres{Pool: pool(t, through, postgres.Options{})}.Checks(), "postgres.pooler", "ok: A pooler stands before Postgres")
	prepared := Postgres{Pool: pool(t, through, postgres.Options{}, "default_query_exec_mode", "cache_statement")}
	expect(t, prepared.Checks(), "postgres.pooler", "warning: prepared statements are used")
}
