package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/tidwall/gjson"
)

// expandSQL does to the schema what the first half of a release may do: every table has a
// column more, and there is a table more, which the program may write.
const expandSQL = `
do $$
declare name text;
begin
	for name in select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'goose_db_version'
	loop
		execute format('alter table %I add column of_later text', name);
	end loop;
end $$;
create table later (n int);
grant insert on later to kikuai_app; -- which this release gives nobody
insert into goose_db_version (version_id, is_applied) values (99990, true)`

// TestE2EReleases: a program works on the schema of the next release, whose migration ran
// before it was replaced, and takes nothing away from that; on one of the release before it
// says what to do instead of serving.
func TestE2EReleases(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	conn, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	do := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do(expandSQL)
	if out := string(s.command("migrate")); !strings.Contains(out, "of a later release, by 1 migrations") {
		t.Errorf("migrate of the release before says %q", out)
	}
	if s.one(`select has_table_privilege('kikuai_app', 'later', 'insert')::int`) != 1 {
		t.Error("the release before took rights of the later one away")
	}
	serve := s.serve()
	s.until(startIn, "said", func() bool { return strings.Contains(serve.log.String(), "schema is of a later release") })
	s.command("webhook", "set")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	person := s.telegram.User(personID, "Ada").ID
	if _, err := s.telegram.Say(person, "the quick brown fox"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.telegram.WaitSent(ctx, person, said(`^the quick brown fox`)); err != nil {
		t.Fatal(err)
	}
	key := s.key(personID, "1")
	s.wantCall(200, "", "POST", chatPath, key, chatOf("exact"))
	s.wantCall(201, "", "POST", "/api/v1/keys", key, `{"name":"another"}`)
	s.wantCall(200, "", "PATCH", "/api/v1/settings", key, `{"time_zone":"Asia/Kolkata"}`)
	s.until(30*time.Second, "both calls are told", func() bool {
		return gjson.Get(s.asked(key, "/api/v1/usage"), "total.calls").Int() == 2
	})
	for _, path := range []string{"/api/v1/keys", "/api/v1/transactions", "/api/v1/usage/calls", "/api/v1/usage/export", "/api/v1/settings"} {
		s.asked(key, path)
	}
	s.command("admin", "audit")
	serve.stop()
	s.reconciled()

	do(`delete from goose_db_version where version_id in (select max(version_id) from goose_db_version where version_id < 99990)`)
	behind := s.spawn("serve")
	s.until(startIn, "said", func() bool { return strings.Contains(behind.log.String(), "run kikuai migrate") })
	if status, body := s.get("/readyz", ""); status != http.StatusServiceUnavailable || gjson.Get(body, "checks.postgres").Str != "failing" {
		t.Errorf("on an older schema: %d %s", status, body)
	}
	behind.stop()
}
