package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// AppRole is the database role with what the program needs to do and no more: it may
// add to the ledger and never change it. Migrate makes it where it may.
const AppRole = "kikuai_app"

// takeRoleSQL does nothing where the role does not exist or the login is no member.
const takeRoleSQL = `
	select set_config('role', rolname, false) from pg_roles
	where rolname = '` + AppRole + `' and pg_has_role(session_user, oid,
		case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end)`

// takeRole gives up the login's own rights for AppRole's. Behind PgBouncer in
// transaction mode that is as good as nothing: each transaction may run on another
// connection. There the program logs in as a user who is a member of AppRole and
// nothing else.
func takeRole(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.PgConn().Exec(ctx, takeRoleSQL).ReadAll(); err != nil {
		return fmt.Errorf("take the role %s: %w", AppRole, err)
	}
	return nil
}

// keepRights takes the login's own rights, whatever a pooler or the login's settings
// left behind.
func keepRights(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "set role none")
	return err
}

// MayRewrite reports whether the connection could change what is in the ledger, as the
// owner of its tables can: then triggers alone keep it from that.
func MayRewrite(ctx context.Context, db querier) (bool, error) {
	var may bool
	err := db.QueryRow(ctx, `select bool_or(has_table_privilege(name, 'update') or has_table_privilege(name, 'delete')
		or has_table_privilege(name, 'truncate'))
		from unnest('{ledger_transactions,ledger_entries,usage,audit_log}'::text[]) name`).Scan(&may)
	if err != nil {
		return false, fmt.Errorf("read the rights on the ledger: %w", err)
	}
	return may, nil
}

// Writable reports whether the database takes writes: it is no standby, and neither the
// server nor the login makes its transactions read-only.
func Writable(ctx context.Context, db querier) (bool, error) {
	var writable bool
	err := db.QueryRow(ctx, `select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'`).Scan(&writable)
	if err != nil {
		return false, fmt.Errorf("ask whether the database takes writes: %w", err)
	}
	return writable, nil
}

// LastBackup is when the newest base backup of the database was finished (deploy/postgres
// notes each); the zero time: none ever was.
func LastBackup(ctx context.Context, db querier) (time.Time, error) {
	var at *time.Time
	if err := db.QueryRow(ctx, `select max(finished_at) from backups`).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("read when the last backup was finished: %w", err)
	}
	if at == nil {
		return time.Time{}, nil
	}
	return *at, nil
}
