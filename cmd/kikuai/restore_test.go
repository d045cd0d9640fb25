package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

// archive is where a hosting's backups go, and who receives the log.
type archive struct {
	*hosting
	backups string
	env     []string
	as      *syscall.Credential
	wal     *child.Process
}

// archived begins to receive Postgres' log.
func archived(h *hosting) *archive {
	h.t.Helper()
	a := &archive{hosting: h, backups: filepath.Join(h.dir, "backups"), as: h.postgresUser()}
	password := h.copySecret("backup_password", a.backups)
	if a.as != nil {
		h.must(os.Chown(a.backups, int(a.as.Uid), int(a.as.Gid)))
		h.must(os.Chown(password, int(a.as.Uid), int(a.as.Gid)))
	}
	host, port, _ := strings.Cut(h.address(h.postgres), ":")
	a.env = []string{"BACKUP_DIR=" + a.backups, "PGHOST=" + host, "PGPORT=" + port, "PASSWORD_FILE=" + password, "BACKUP_KEEP=1"}
	a.wal = h.launch(a.env, a.as, filepath.Join(h.dir, "postgres/wal.sh"))
	return a
}

func (a *archive) backup() string {
	a.t.Helper()
	return a.script(a.env, a.as, filepath.Join(a.dir, "postgres/backup.sh"))
}

// received waits until all that Postgres has written is in the archive.
func (a *archive) received() {
	a.t.Helper()
	conn, err := pgx.Connect(a.t.Context(), a.postgres.URL("postgres"))
	a.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	a.until(time.Minute, "received", func() bool {
		var all bool
		err := conn.QueryRow(a.t.Context(), `select coalesce(bool_or(flush_lsn >= pg_current_wal_lsn()), false)
			from pg_stat_replication where application_name = 'kikuai_wal'`).Scan(&all)
		return err == nil && all
	})
}

// restore makes a new Postgres of the archive, takes it into use and returns what the
// script said.
func (a *archive) restore(name string, options ...string) string {
	a.t.Helper()
	place := filepath.Join(a.dir, name)
	a.must(os.Mkdir(place, 0o755))
	if a.as != nil {
		a.must(os.Chown(place, int(a.as.Uid), int(a.as.Gid)))
	}
	said := a.script(a.env, a.as, filepath.Join(a.dir, "postgres/restore.sh"), append(options, a.backups, filepath.Join(place, "data"))...)
	// The cluster's users are in the backup, its superuser too.
	raw, err := os.ReadFile(filepath.Join(a.dir, "books/password"))
	a.must(err)
	a.must(os.WriteFile(filepath.Join(place, "password"), raw, 0o600))
	a.postgres = a.startPostgres(name)
	a.startBouncer()
	return said
}

// refuses expects a restore to end with that sentence and to leave nothing behind.
func (a *archive) refuses(sentence string, args ...string) {
	a.t.Helper()
	out, err := a.tryScript(a.env, a.as, filepath.Join(a.dir, "postgres/restore.sh"), args...)
	if err == nil || !strings.Contains(out, sentence) {
		a.t.Errorf("restore.sh %s: %v %s, want %q", strings.Join(args, " "), err, out, sentence)
	}
}

// booked waits until the ledger has all that Redis has decided.
func (h *hosting) booked() {
	h.t.Helper()
	h.until(time.Minute, "booked", func() bool {
		answer, code := h.reconcile()
		return code == 0 && answer.Checked.Events == 0
	})
}

// wantMoney holds an account's balance to an amount.
func (h *hosting) wantMoney(when, key string, nano int64) {
	h.t.Helper()
	if available, held := h.balance(key); available != nano || held != 0 {
		h.t.Errorf("%s: available %d, held %d, want %d", when, available, held, nano)
	}
}

const restoredNano = 100_000_000 // what each account of the test begins with

// TestE2ERestore: the host of deploy/, its database lost with its disk, and made again from
// the last backup and the log received since. Nothing that was booked is missing, calls of
// the outage are booked afterwards, Redis and the ledger agree. That the books can be taken
// back to a moment is shown by make prove-restore.
func TestE2ERestore(t *testing.T) {
	t.Parallel()
	restored(t, func(*rewind) {})
}

// rewind is what the books can be taken back for, to a moment before somebody's mistake.
type rewind struct {
	*archive
	mark                string // the moment
	early, later, after string // keys: of before the backup, of behind it, of behind the mark
}

// restored loses a host's database and makes it again; what follows that is done before the
// restore's refusals are looked at.
func restored(t *testing.T, then func(*rewind)) {
	t.Helper()
	h := newHosting(t)
	h.roles()
	a := archived(h)
	serve := h.serve()

	early := h.key(personID, "0.1")
	h.paidFor(early, 20)
	first := a.backup()
	if again := a.backup(); !strings.Contains(first, "kept: 1\n") || !strings.Contains(again, "kept: 1\n") {
		t.Errorf("backups say %s and %s", first, again)
	}
	bases, err := filepath.Glob(filepath.Join(a.backups, "base-*"))
	if err != nil || len(bases) != 1 {
		t.Fatalf("of two backups one is kept: %v, %v", bases, err)
	}
	if n := h.noted(); n != 2 {
		t.Errorf("of two backups %d are noted", n)
	}
	// What no base backup has.
	later := h.key(personID+1, "0.1")
	h.paidFor(early, 20)
	h.paidFor(later, 20)
	h.booked()
	mark := h.now()
	var credited accountAnswer
	mistake := []string{"credit", "--telegram-id", fmt.Sprint(personID + 1), "--usd", "9", "--idempotency-key", "mistake"}
	h.admin(&credited, mistake...)
	after := h.key(personID+2, "0.1")
	h.paidFor(after, 5)
	h.booked()
	a.received()

	h.crash()
	h.paidFor(early, 10) // Redis goes on alone
	serve.kill()
	h.must(a.wal.Stop(syscall.SIGINT, hostingIn))
	said := a.restore("restored")
	if !strings.Contains(said, "kikuai admin rebuild") {
		t.Errorf("restore.sh does not say what comes next: %s", said)
	}
	if out := string(h.command("admin", "rebuild")); !strings.HasPrefix(out, "All 16 shards are closed") {
		t.Errorf("rebuild says %q", out)
	}
	serve = h.serve()
	h.opened(h.store)
	h.booked()
	h.wantMoney("restored, with the calls of the outage", early, restoredNano-50*callNano)
	h.wantMoney("restored", later, restoredNano-20*callNano+9_000_000_000)
	h.wantMoney("restored, made after the backup", after, restoredNano-5*callNano)
	h.paidFor(after, 5)
	h.reconciled()
	if out := string(h.command("admin", "verify")); !strings.HasPrefix(out, "All chains hold") {
		t.Errorf("verify says %q", out)
	}
	serve.stop()

	then(&rewind{a, mark, early, later, after})
	a.refusals(bases[0], mark)
}

// paidFor makes calls that the account can pay.
func (h *hosting) paidFor(key string, calls int) {
	h.t.Helper()
	if paid, refused := h.rush(key, calls, h.site); paid != int64(calls) || refused != 0 {
		h.t.Fatalf("of %d calls %d were paid", calls, paid)
	}
}

// noted is how many backups the database knows of.
func (h *hosting) noted() (n int) {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.postgres.URL("kikuai"))
	h.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	h.must(conn.QueryRow(h.t.Context(), "select count(*) from backups").Scan(&n))
	return n
}

// now is Postgres' time, as restore.sh reads one.
func (h *hosting) now() (text string) {
	h.t.Helper()
	conn, err := pgx.Connect(h.t.Context(), h.postgres.URL("postgres"))
	h.must(err)
	defer func() { _ = conn.Close(context.Background()) }()
	h.must(conn.QueryRow(h.t.Context(), "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || ' UTC'").Scan(&text))
	return text
}

// roles: each login may do its part and nothing else.
func (h *hosting) roles() {
	h.t.Helper()
	h.createDatabase() // again
	h.until(hostingIn, "keeping no more of the log than the disk bears", func() bool {
		return h.attempt(h.postgres.URL("postgres"), "select 1 / (current_setting('max_slot_wal_keep_size') = '8GB')::int") == nil
	})
	h.psql(h.login("owner"), "reader.sql")
	for _, row := range []struct {
		role, statement string
		may             bool
	}{
		{"server", "select count(*) from accounts", true},
		{"server", "update ledger_entries set amount_nano = 0", false},
		{"server", "delete from ledger_transactions", false},
		{"server", "drop table usage", false},
		{"server", "create table mine ()", false},
		{"reader", "select sum(amount_nano) from ledger_entries", true},
		{"reader", "select id, balance_nano from accounts", true},
		{"reader", "select name from accounts", false},
		{"reader", "select * from api_keys", false},
		{"reader", "select * from outbox", false},
		{"reader", "delete from usage_hourly", false},
		{"backup", "select count(*) from accounts", false},
		{"backup", "select count(*) from backups", false},
		{"backup", "insert into backups (bytes) values (1)", false},
		{"server", "select note_backup(1)", false},
	} {
		if err := h.attempt(h.login(row.role), row.statement); (err == nil) != row.may {
			h.t.Errorf("%s may %q: %v", row.role, row.statement, err)
		}
	}
}

// refusals: what a restore will not do, in words, leaving all as it is.
func (a *archive) refusals(base, mark string) {
	a.t.Helper()
	there := filepath.Join(a.dir, "restored", "data")
	away := filepath.Join(a.dir, "restored", "elsewhere")
	a.refuses("is not empty", a.backups, there)
	a.refuses("there is no folder", a.backups+"/nowhere", away)
	a.refuses("there is no backup", "--base", "base-20010101T000000Z", a.backups, away)
	a.refuses("was finished before", "--at", "2001-01-01 00:00:00 UTC", a.backups, away)
	a.refuses("is no moment", "--at", "yesterdayish", a.backups, away)
	a.refuses("usage", a.backups)
	damaged := filepath.Join(base, "base.tar.gz")
	raw, err := os.ReadFile(damaged)
	a.must(err)
	raw = slices.Clone(raw)
	raw[len(raw)/2] ^= 1
	a.must(os.WriteFile(damaged, raw, 0o600))
	a.refuses("is damaged", "--at", mark, a.backups, away)
	if _, err := os.Stat(away); !os.IsNotExist(err) {
		a.t.Errorf("a refused restore left %s: %v", away, err)
	}
}
