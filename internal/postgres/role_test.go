package postgres_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// login makes a user of the cluster, gone with the test, and returns the URL of the
// same database for it.
func login(t *testing.T, admin *pgxpool.Pool, options string) (name, as string) {
	t.Helper()
	name, password := "kikuai_test_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	do(t, admin, "create user "+name+" password '"+password+"' "+options)
	t.Cleanup(func() {
		do(t, admin, "reassign owned by "+name+" to current_user")
		do(t, admin, "drop owned by "+name)
		do(t, admin, "drop role "+name)
	})
	u, err := url.Parse(admin.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(name, password)
	return name, u.String()
}

func do(t *testing.T, pool *pgxpool.Pool, statement string) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func open(t *testing.T, url string, o postgres.Options) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func mayRewrite(t *testing.T, pool *pgxpool.Pool) bool {
	t.Helper()
	may, err := postgres.MayRewrite(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	return may
}

func roleOf(t *testing.T, pool *pgxpool.Pool) (role string) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `select current_user`).Scan(&role); err != nil {
		t.Fatal(err)
	}
	return role
}

// TestRights holds what the role may do against this list, table by table. A new table
// is granted in afterwards.sql and belongs here.
func TestRights(t *testing.T) {
	pool := testenv.Postgres(t)
	rows, err := pool.Query(t.Context(), `
		select c.relname || ': ' || array_to_string(array(
			select right_ || case when has_table_privilege($1, c.oid, right_) then ''
				else '(' || (select string_agg(attname, ' ' order by attname) from pg_attribute
					where attrelid = c.oid and attnum > 0 and has_column_privilege($1, c.oid, attnum, right_)) || ')' end
			from unnest('{insert,update,delete,truncate,references,trigger}'::text[]) right_
			where case when right_ in ('delete', 'truncate', 'trigger') then has_table_privilege($1, c.oid, right_)
				else has_any_column_privilege($1, c.oid, right_) end), ' ')
		from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
			and relname not like 'goose%' order by 1`, postgres.AppRole)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"accounts: insert update(balance_nano budget_day_nano budget_month_nano confirmed credit_seq known language ledger_hash" +
			" ledger_seq limits_seq low_balance_nano met_at name organisation_id projected_at settings status telegram_id tier)",
		"api_keys: insert update(allowed_ips budget_day_nano budget_month_nano burst chat_id concurrency confirmed expires_at idempotency_key last_used_at" +
			" models name projected_at refill_milli request_hash requests_per_minute revoked_at tokens_per_minute)",
		"audit_log: insert",
		"backups: ",
		"broadcasts: insert update delete",
		"card_refunds: insert update",
		"checkouts: insert update delete",
		"credits: insert update(confirmed projected_at)",
		"debits: insert update(posted_at)",
		"departed: insert update(left_at)",
		"gifts: insert update(credited_to expires_at settled_at transaction_id)",
		"jobs: insert update",
		"ledger_entries: insert",
		"ledger_transactions: insert",
		"ledger_unbalanced: ",
		"notices: insert update delete",
		"organisation_days: insert update",
		"organisations: insert update(budget_day_nano budget_month_nano burst concurrency refill_milli requests_per_minute" +
			" seq status tokens_per_minute)",
		"outbox: insert update delete",
		"payments: insert update(refund_asked_at refunded refunded_at refunds subscription_until)",
		"referrals: insert update(charge_id referred_nano referrer_nano settled_at)",
		"requests: insert delete",
		"settings: insert update delete",
		"stream_positions: update",
		"subscriptions: insert update delete",
		"tiers: insert update(burst concurrency refill_milli requests_per_minute seq tokens_per_minute)",
		"usage: insert",
		"usage_hourly: insert update",
		"usage_quarters: insert update",
	}
	for _, table := range slices.Concat(want, got) {
		if !slices.Contains(got, table) {
			t.Errorf("missing: %s", table)
		} else if !slices.Contains(want, table) {
			t.Errorf("not in the list: %s", table)
		}
	}
	var partitions int
	err = pool.QueryRow(t.Context(), `select count(*) from pg_class where relispartition and relkind = 'r'
		and has_any_column_privilege($1, oid, 'insert,update')`, postgres.AppRole).Scan(&partitions)
	if err != nil || partitions != 0 {
		t.Errorf("%d partitions may be written to by their own name, %v", partitions, err)
	}
}

// The owner's connections work with the role's rights alone; migrating does not.
func TestRoleIsTaken(t *testing.T) {
	pool := testenv.Postgres(t)
	owner := testenv.Owner(t, pool)
	if role := roleOf(t, pool); role != postgres.AppRole || mayRewrite(t, pool) {
		t.Errorf("the program works as %s", role)
	}
	if role := roleOf(t, owner); role == postgres.AppRole || !mayRewrite(t, owner) {
		t.Errorf("the owner works as %s", role)
	}

	// A login that has no rights but the role's, as behind PgBouncer.
	name, member := login(t, owner, "in role "+postgres.AppRole)
	if pool := open(t, member, postgres.Options{Owner: true}); roleOf(t, pool) != name || mayRewrite(t, pool) {
		t.Error("a member may rewrite the ledger")
	}
	if role := roleOf(t, open(t, member, postgres.Options{})); role != postgres.AppRole {
		t.Errorf("a member works as %s", role)
	}

	// A login whose settings take the role, and a connection on which a pooler left it.
	do(t, owner, "alter user "+name+" set role to "+postgres.AppRole)
	do(t, owner, "grant all on schema public to "+name)
	if err := postgres.Migrate(t.Context(), member); err == nil || strings.Contains(err.Error(), postgres.AppRole) {
		t.Errorf("migrated without owning the tables, or as the role: %v", err)
	}

	// A stranger to the role keeps what it has, which is nothing.
	stranger, alone := login(t, owner, "")
	if role := roleOf(t, open(t, alone, postgres.Options{})); role != stranger {
		t.Errorf("a stranger works as %s", role)
	}
}

// Where the owner may not make roles, everything works with the owner's rights, and the
// triggers alone guard the ledger. Who makes the role later has it taken from then on.
func TestRoleMissing(t *testing.T) {
	ctx := t.Context()
	server := testenv.PostgresServer(t)
	admin := open(t, server.URL(), postgres.Options{Owner: true})
	name, _ := login(t, admin, "createdb")
	do(t, admin, "drop owned by "+postgres.AppRole)
	do(t, admin, "drop role "+postgres.AppRole)
	do(t, admin, "alter user "+name+" password 'x'")
	do(t, admin, "create database apart owner "+name)
	t.Cleanup(func() { do(t, admin, "drop database apart with (force)") })
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Path, u.User = "/apart", url.UserPassword(name, "x")
	for range 2 {
		if err := postgres.Migrate(ctx, u.String()); err != nil {
			t.Fatal(err)
		}
	}
	if pool := open(t, u.String(), postgres.Options{}); roleOf(t, pool) != name || !mayRewrite(t, pool) {
		t.Error("the role was taken that is not there")
	}
	do(t, admin, "create role "+postgres.AppRole)
	if err := postgres.Migrate(ctx, u.String()); err != nil {
		t.Fatal(err)
	}
	if pool := open(t, u.String(), postgres.Options{}); roleOf(t, pool) != name {
		t.Error("the role was taken by who is no member")
	}
	do(t, admin, "grant "+postgres.AppRole+" to "+name)
	if pool := open(t, u.String(), postgres.Options{}); roleOf(t, pool) != postgres.AppRole || mayRewrite(t, pool) {
		t.Error("the role was not taken")
	}
}

// Behind PgBouncer a login that owns the tables may keep its rights, and works; one that
// is a member of the role and nothing else has the role's, whichever connection it gets.
func TestRoleBehindPgBouncer(t *testing.T) {
	owner := testenv.Owner(t, testenv.Postgres(t))
	const work = "insert into jobs (name) values (gen_random_uuid()::text)"
	do(t, open(t, testenv.PgBouncer(t, owner.Config().ConnString()), postgres.Options{MaxConns: 8}), work)
	name, member := login(t, owner, "in role "+postgres.AppRole)
	pool := open(t, testenv.PgBouncer(t, member), postgres.Options{MaxConns: 8})
	for range 20 {
		if mayRewrite(t, pool) {
			t.Fatalf("%s may rewrite the ledger", name)
		}
		do(t, pool, work)
	}
}
