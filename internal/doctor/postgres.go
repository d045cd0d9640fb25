package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
)

const (
	oldestPostgres = 140000 // as server_version_num
	testedPostgres = 150000
	lagWorth       = 10 * time.Second // a word
	lagMost        = 5 * time.Minute
	monthsWanted   = 1 // beyond this one
)

// Postgres is the books. Replica is nil where there is none.
type Postgres struct {
	Pool    *pgxpool.Pool
	Replica *pgxpool.Pool
}

// Checks of the Postgres.
func (p Postgres) Checks() []Check {
	checks := []Check{
		{"postgres.answers", p.answers}, {"postgres.writes", p.writes}, {"postgres.schema", p.schema},
		{"postgres.role", p.role}, {"postgres.months", p.months}, {"postgres.pooler", p.pooler}, {"postgres.connections", p.connections},
	}
	if p.Replica != nil {
		checks = append(checks, Check{"postgres.replica", p.replica})
	}
	return checks
}

// away says that nothing more can be told; who tells it is answers.
func (p Postgres) away(ctx context.Context) bool { return p.Pool.Ping(ctx) != nil }

func (p Postgres) answers(ctx context.Context) []Finding {
	var number int
	var version, zone string
	err := p.Pool.QueryRow(ctx, `select current_setting('server_version_num')::int, current_setting('server_version'), current_setting('timezone')`).
		Scan(&number, &version, &zone)
	switch {
	case err != nil:
		return []Finding{fault("start Postgres, or correct DATABASE_URL", "Postgres cannot be reached: %s.", reason(err))}
	case number < oldestPostgres:
		return []Finding{fault("update it to Postgres 15 or newer", "Postgres is version %s, which lacks what the schema uses.", version)}
	case number < testedPostgres:
		return []Finding{warning("update it to Postgres 15 or newer", "Postgres is version %s, with which nothing was tested.", version)}
	}
	return []Finding{well("Postgres %s answers; its time zone is %s, on which nothing depends.", version, zone)}
}

func (p Postgres) writes(ctx context.Context) []Finding {
	writable, err := postgres.Writable(ctx, p.Pool)
	switch {
	case err != nil:
		return nil
	case !writable:
		return []Finding{fault("let DATABASE_URL lead to the primary, promote this one, or take default_transaction_read_only back",
			"Postgres only reads: it is a standby, or read-only by its settings. Calls go on for LEDGER_MAX_LAG and then stop.")}
	}
	return []Finding{well("Postgres takes writes.")}
}

// schema is whether migrations are missing, or are those of a newer release.
func (p Postgres) schema(ctx context.Context) []Finding {
	pending, err := postgres.Pending(ctx, p.Pool)
	ahead := 0
	if err == nil {
		ahead, err = postgres.Ahead(ctx, p.Pool)
	}
	switch {
	case err != nil && p.away(ctx):
		return nil
	case err != nil:
		return []Finding{fault("see to it that the login may read goose_db_version", "The schema's version cannot be read: %s.", reason(err))}
	case pending > 0:
		return []Finding{fault("run kikuai migrate", "The schema lacks %d of this release's migrations.", pending)}
	case ahead > 0:
		return []Finding{warning("update this program too; older and newer may run side by side meanwhile", "The schema is %d migrations ahead of this release.", ahead)}
	}
	return []Finding{well("The schema is this release's.")}
}

// role is whether the program could rewrite the books if it tried.
func (p Postgres) role(ctx context.Context) []Finding {
	var exists bool
	err := p.Pool.QueryRow(ctx, `select exists (select from pg_roles where rolname = $1) and to_regclass('ledger_entries') is not null`, postgres.AppRole).Scan(&exists)
	if err != nil {
		return nil
	}
	may, err := postgres.MayRewrite(ctx, p.Pool)
	switch {
	case err != nil:
		return nil // no tables yet, which schema tells
	case !exists:
		return []Finding{warning("as a superuser: create role "+postgres.AppRole+", grant it to the login, and run kikuai migrate again",
			"There is no role %s: triggers alone keep this login from changing the ledger.", postgres.AppRole)}
	case may:
		return []Finding{warning("grant "+postgres.AppRole+" to the login and run kikuai migrate again, or let the program log in as a member of that role alone",
			"The login of DATABASE_URL may change what is in the ledger: triggers alone keep it from that.")}
	}
	return []Finding{well("The program may add to the ledger and not change it.")}
}

// months are the partitions ahead. Without one, rows go to the default partition, from
// which they cannot be moved while anybody reads it.
func (p Postgres) months(ctx context.Context) (found []Finding) {
	for _, parent := range []string{"ledger_entries", "usage"} {
		var ahead int
		err := p.Pool.QueryRow(ctx, `select count(*) from generate_series(0, $2::int) as n
			where to_regclass($1 || to_char((date_trunc('month', now() at time zone 'UTC') + n * interval '1 month'), '_YYYY_MM')) is not null`,
			parent, monthsWanted).Scan(&ahead)
		if err != nil {
			return nil
		}
		if ahead <= monthsWanted {
			found = append(found, fault("run kikuai migrate; servers make months too, so look for their warning about it",
				"%s has no partition for this month or the next: its rows would go to the default partition.", parent))
		}
		var strays bool
		err = p.Pool.QueryRow(ctx, `select exists (select from `+pgx.Identifier{parent + "_default"}.Sanitize()+`)`).Scan(&strays)
		if err == nil && strays {
			found = append(found, warning("move them when no server runs: detach the default partition, make the month, insert its rows there",
				"The default partition of %s holds rows: a clock was wrong, or a month was missing.", parent))
		}
	}
	if len(found) == 0 {
		found = append(found, well("The ledger's months are made ahead."))
	}
	return found
}

// pooler tells whether something stands between: then the server's process is another
// than the connection was told.
func (p Postgres) pooler(ctx context.Context) []Finding {
	conn, err := p.Pool.Acquire(ctx)
	if err != nil {
		return nil
	}
	defer conn.Release()
	var pid uint32
	if err := conn.QueryRow(ctx, `select pg_backend_pid()`).Scan(&pid); err != nil {
		return nil
	}
	pooled := pid != conn.Conn().PgConn().PID()
	mode := conn.Conn().Config().DefaultQueryExecMode
	switch {
	case pooled && mode != pgx.QueryExecModeExec && mode != pgx.QueryExecModeSimpleProtocol:
		return []Finding{warning("add ?default_query_exec_mode=exec to DATABASE_URL",
			"A pooler such as PgBouncer stands before Postgres, and prepared statements are used, which get lost in transaction mode.")}
	case pooled:
		return []Finding{well("A pooler stands before Postgres, and nothing that needs a session is asked through it.")}
	}
	return []Finding{well("The connection leads to Postgres itself.")}
}

// connections is whether a pool fits what the server gives.
func (p Postgres) connections(ctx context.Context) []Finding {
	var most, used int32
	err := p.Pool.QueryRow(ctx, `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
		(select coalesce(sum(numbackends), 0)::int from pg_stat_database)`).Scan(&most, &used)
	if err != nil {
		return nil
	}
	says := fmt.Sprintf("%d of Postgres' %d connections are in use.", used, most)
	if float64(used) > 0.9*float64(most) {
		return []Finding{warning("raise max_connections, lower POSTGRES_MAX_CONNS of the instances, or put PgBouncer between", "%s", says)}
	}
	return []Finding{well("%s", says)}
}

// replica is whether reads can go there, and how old what it shows is.
func (p Postgres) replica(ctx context.Context) []Finding {
	var standby bool
	var lag float64 // seconds; 0 where it has replayed all that it got
	err := p.Replica.QueryRow(ctx, `select pg_is_in_recovery(), case when not pg_is_in_recovery()
		or pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
		else coalesce(extract(epoch from now() - pg_last_xact_replay_timestamp()), 0) end::float8`).Scan(&standby, &lag)
	behind := time.Duration(lag * float64(time.Second)).Round(time.Second)
	switch {
	case err != nil:
		return []Finding{warning("start it, or correct DATABASE_REPLICA_URL; meanwhile reads go to the primary", "The replica cannot be reached: %s.", reason(err))}
	case !standby:
		return []Finding{warning("let DATABASE_REPLICA_URL lead to a standby, or unset it", "The server of DATABASE_REPLICA_URL is no replica: it was promoted, or is another database.")}
	case behind > lagMost:
		return []Finding{fault("look at its log, and at pg_stat_replication on the primary", "The replica is %s behind.", behind)}
	case behind > lagWorth:
		return []Finding{warning("look at its log, and at pg_stat_replication on the primary", "The replica is %s behind.", behind)}
	}
	return []Finding{well("The replica is at most %s behind.", max(behind, time.Second))}
}
