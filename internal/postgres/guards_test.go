package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

const (
	noRight   = "42501" // insufficient_privilege
	refused   = "23000" // integrity_constraint_violation
	unbalance = "23514" // check_violation
)

// books is a database with one ledger transaction of account 1.
type books struct {
	t          *testing.T
	app, owner *pgxpool.Pool
}

func newBooks(t *testing.T) *books {
	app := testenv.Postgres(t)
	b := &books{t: t, app: app, owner: testenv.Owner(t, app)}
	b.must(b.in(app, transactionSQL("old"), entriesSQL("old", -5, 5)))
	b.must(b.in(app, `insert into usage select id, 'h', account_id, 0, 'm', 'd', 'api', 0, 0, 0, 0, 0, 5, 5, 0, false, 0, 0, created_at
		from ledger_transactions`))
	b.must(b.in(app, `insert into audit_log (actor, action) values ('house', 'test')`))
	return b
}

func transactionSQL(reference string) string {
	return fmt.Sprintf(`insert into ledger_transactions (kind, account_id, account_seq, reference, hash, created_at)
		values ('test', 1, (select coalesce(max(account_seq), 0) + 1 from ledger_transactions), '%s', sha256(''), now())`, reference)
}

// entriesSQL is a statement that adds entries to a transaction after those it has.
func entriesSQL(reference string, amounts ...int) string {
	values := strings.Trim(strings.ReplaceAll(fmt.Sprint(amounts), " ", ","), "[]")
	return fmt.Sprintf(`insert into ledger_entries select t.id, position + (select count(*) from ledger_entries where transaction_id = t.id),
		t.account_id, 'revenue', amount, t.created_at
		from ledger_transactions t, unnest('{%s}'::bigint[]) with ordinality v (amount, position) where reference = '%s'`, values, reference)
}

func (b *books) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// in runs the statements in one transaction.
func (b *books) in(pool *pgxpool.Pool, statements ...string) error {
	return pgx.BeginFunc(b.t.Context(), pool, func(tx pgx.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(b.t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *books) text(query string, args ...any) (text string) {
	b.t.Helper()
	b.must(b.owner.QueryRow(b.t.Context(), query, args...).Scan(&text))
	return text
}

// holdings is a digest of all that may never change.
func (b *books) holdings() string {
	b.t.Helper()
	return b.text(`select concat((select jsonb_agg(t order by t) from ledger_transactions t), (select jsonb_agg(e order by e) from ledger_entries e),
		(select jsonb_agg(u order by u) from usage u), (select jsonb_agg(a order by a) from audit_log a))`)
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != code {
		t.Errorf("%v, want code %s", err, code)
	}
}

// Nobody changes, deletes or truncates what is in the books: the program has no right
// to, and the owner of the tables is refused too, by way of partitions as well.
func TestAppendOnly(t *testing.T) {
	b := newBooks(t)
	before := b.holdings()
	month := time.Now().UTC().Format("_2006_01")
	for table, column := range map[string]string{
		"ledger_transactions":         "memo = '{}'",
		"audit_log":                   "actor = 'x'",
		"ledger_entries":              "amount_nano = 7",
		"ledger_entries" + month:      "amount_nano = 7",
		"ledger_entries_default":      "amount_nano = 7",
		"usage":                       "estimated = true",
		"usage" + month:               "estimated = true",
		"usage_default":               "estimated = true",
		"only ledger_entries" + month: "book = 'card'",
	} {
		statements := []string{"update " + table + " set " + column, "delete from " + table, "truncate " + table + " cascade"}
		if strings.HasPrefix(table, "only ") {
			statements = statements[:2]
		}
		for _, statement := range statements {
			t.Run(statement, func(t *testing.T) {
				wantCode(t, b.in(b.app, statement), noRight)
				err := b.in(b.owner, statement)
				if strings.HasSuffix(table, "_default") && !strings.HasPrefix(statement, "truncate") {
					b.must(err) // it is empty: nothing to refuse
					return
				}
				wantCode(t, err, refused)
			})
		}
	}
	wantCode(t, b.in(b.owner, `insert into audit_log (id, actor, action) select id, 'x', 'y' from audit_log on conflict (id) do update set actor = 'x'`), refused)
	wantCode(t, b.in(b.app, `insert into ledger_entries`+month+` select * from ledger_entries where false`), noRight)
	wantCode(t, b.in(b.app, `alter table ledger_entries disable trigger all`), noRight)
	wantCode(t, b.in(b.app, `set session_replication_role = replica`), noRight)
	if after := b.holdings(); after != before {
		t.Errorf("the books changed:\n%s\n%s", before, after)
	}
}

// Entries sum to zero at the commit, whichever way they come, and none comes later.
func TestZeroSum(t *testing.T) {
	b := newBooks(t)
	before := b.holdings()
	month := time.Now().UTC().Format("_2006_01")
	const now = "set constraints all immediate"
	// Another statement for the same, around the parent's trigger.
	direct := func(sql string) string {
		return strings.Replace(sql, "insert into ledger_entries ", "insert into ledger_entries"+month+" ", 1)
	}
	for _, c := range []struct {
		name       string
		statements []string
		code       string
	}{
		{"one side", []string{transactionSQL("n"), entriesSQL("n", 5)}, unbalance},
		{"not enough", []string{transactionSQL("n"), entriesSQL("n", 5, -4)}, unbalance},
		{"one side of two transactions", []string{transactionSQL("n"), transactionSQL("m"), entriesSQL("n", 5), entriesSQL("m", -5)}, unbalance},
		{"balanced, then more", []string{transactionSQL("n"), entriesSQL("n", 5, -5), entriesSQL("n", 1)}, unbalance},
		{"checked, then more", []string{transactionSQL("n"), entriesSQL("n", 5, -5), now, entriesSQL("n", 1)}, unbalance},
		{"checked at once", []string{now, transactionSQL("n"), entriesSQL("n", 1)}, unbalance},
		{"an old transaction", []string{entriesSQL("old", 5, -5)}, refused},
		{"an old transaction, beside a new one", []string{transactionSQL("n"), entriesSQL("n", 5, -5), entriesSQL("old", 5, -5)}, refused},
		{"no transaction", []string{`insert into ledger_entries select 99, n, 1, 'card', n * 2 - 3, now() from generate_series(1, 2) n`}, refused},
		{"another account", []string{transactionSQL("n"), strings.Replace(entriesSQL("n", 5, -5), "t.account_id", "2", 1)}, refused},
		{"another time", []string{transactionSQL("n"), strings.Replace(entriesSQL("n", 5, -5), "t.created_at", "'2001-01-01'", 1)}, refused},
		{"a false database transaction", []string{strings.Replace(strings.Replace(transactionSQL("n"), "created_at)", "created_at, xact)", 1),
			"now())", "now(), (pg_current_xact_id()::text::bigint + 1)::text::xid8)", 1)}, refused},
		{"a table that stands in", []string{`create temporary table ledger_transactions as select id, pg_current_xact_id() as xact, account_id, created_at,
			reference from ledger_transactions`, entriesSQL("old", 5, -5)}, refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantCode(t, b.in(b.app, c.statements...), c.code)
			wantCode(t, b.in(b.owner, c.statements...), c.code)
			through := make([]string, len(c.statements))
			for i, s := range c.statements {
				through[i] = direct(s)
			}
			if c.name == "another time" {
				c.code = unbalance // not this partition's time: refused before it is added
			}
			wantCode(t, b.in(b.owner, through...), c.code)
		})
	}
	if after := b.holdings(); after != before {
		t.Errorf("the books changed:\n%s\n%s", before, after)
	}
	for name, statements := range map[string][]string{
		"at once":           {transactionSQL("a"), entriesSQL("a", 5, -3, -2)},
		"bit by bit":        {transactionSQL("b"), entriesSQL("b", 5), entriesSQL("b", -3), entriesSQL("b", -2)},
		"in savepoints":     {"savepoint x", transactionSQL("c"), "savepoint y", entriesSQL("c", 5), "savepoint z", entriesSQL("c", -5)},
		"after a roll back": {transactionSQL("d"), "savepoint x", entriesSQL("d", 5), "rollback to x", entriesSQL("d", 7, -7)},
		"without entries":   {transactionSQL("e")},
		"by partition":      {transactionSQL("f"), direct(entriesSQL("f", 1)), entriesSQL("f", -1)},
	} {
		if err := b.in(b.owner, statements...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := b.text(`select count(*)::text from ledger_unbalanced`); left != "0" {
		t.Errorf("%s are noted as unbalanced", left)
	}
}

// months calls ledger_partitions as the program does and returns what it says.
func (b *books) months(ahead int, at string) string {
	b.t.Helper()
	rows, err := b.app.Query(b.t.Context(), `select partition || ' ' || state from ledger_partitions($1, $2::text::timestamptz) order by 1`, ahead, at)
	b.must(err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	b.must(err)
	return strings.Join(lines, ", ")
}

// at adds a transaction of that time and says which partition its entries are in.
func (b *books) at(when string) string {
	b.t.Helper()
	reference := "at " + when
	b.must(b.in(b.app, strings.Replace(transactionSQL(reference), "now()", "'"+when+"'", 1), entriesSQL(reference, 9, -9)))
	return b.text(`select string_agg(distinct tableoid::regclass::text, ' ') from ledger_entries
		where transaction_id = (select id from ledger_transactions where reference = $1)`, reference)
}

// A month's partition is there before its first entry is, by whatever clock; entries
// that no month was made for find a place, too, and never stand in the way.
func TestMonths(t *testing.T) {
	b := newBooks(t)
	if made := b.months(3, "now"); made != "" {
		t.Errorf("after migrating there were to make: %s", made)
	}
	if in, want := b.at("now"), "ledger_entries"+time.Now().UTC().Format("_2006_01"); in != want {
		t.Errorf("now is in %s, not %s", in, want)
	}
	const year = "ledger_entries_2033_11 made, ledger_entries_2033_12 made, ledger_entries_2034_01 made, usage_2033_11 made, usage_2033_12 made, usage_2034_01 made"
	if made := b.months(1, "2033-12-31 23:59:59+00"); made != year {
		t.Errorf("made: %s", made)
	}
	if made := b.months(1, "2034-01-01 00:00:00+00"); made != "ledger_entries_2034_02 made, usage_2034_02 made" {
		t.Errorf("made a moment later: %s", made)
	}
	for when, want := range map[string]string{
		"2033-12-31 23:59:59.999999+00": "ledger_entries_2033_12",
		"2034-01-01 00:00:00+00":        "ledger_entries_2034_01",
		"2034-02-28 18:00:00-06":        "ledger_entries_default", // is March in UTC
		"9999-12-31 23:59:59+00":        "ledger_entries_default",
		"1970-01-01 00:00:00+00":        "ledger_entries_default",
	} {
		if in := b.at(when); in != want {
			t.Errorf("%s is in %s, not %s", when, in, want)
		}
	}
	// March has entries in the default partition, which stay; April has none.
	if made := b.months(2, "2034-02-10"); made != "ledger_entries_2034_03 in default, ledger_entries_2034_04 made, usage_2034_03 made, usage_2034_04 made" {
		t.Errorf("made: %s", made)
	}
	if in := b.at("2034-03-15"); in != "ledger_entries_default" {
		t.Errorf("March is in %s", in)
	}
	// What is made later is guarded as what was there.
	for _, statement := range []string{"update ledger_entries_2034_01 set book = 'card'", "delete from ledger_entries_2034_01",
		"truncate ledger_entries_2034_01", "truncate usage_2034_01",
		"insert into ledger_entries_2034_01 select transaction_id, position + 2, account_id, book, amount_nano, created_at from ledger_entries_2034_01"} {
		wantCode(t, b.in(b.owner, statement), refused)
	}
}

// Someone who reads for long delays a new month, and nobody waits behind it.
func TestMonthsWaitForNobody(t *testing.T) {
	b := newBooks(t)
	ctx := t.Context()
	reader, err := b.owner.Begin(ctx)
	b.must(err)
	defer reader.Rollback(context.WithoutCancel(ctx)) // it read only
	_, err = reader.Exec(ctx, `select count(*) from ledger_entries`)
	b.must(err)
	if made := b.months(1, "2040-02-01"); !strings.HasPrefix(made, "ledger_entries_2040_01 busy, ledger_entries_2040_02 busy") ||
		!strings.HasSuffix(made, "usage_2040_03 made") {
		t.Errorf("made beside a reader: %s", made)
	}
	if in := b.at("2040-02-02"); in != "ledger_entries_default" {
		t.Errorf("meanwhile: %s", in)
	}
	b.must(reader.Rollback(ctx))
	if made := b.months(1, "2040-02-01"); made != "ledger_entries_2040_01 made, ledger_entries_2040_02 in default, ledger_entries_2040_03 made" {
		t.Errorf("made afterwards: %s", made)
	}
}

// Several instances may make the months, and migrate, at the same time.
func TestMonthsAtTheSameTime(t *testing.T) {
	b := newBooks(t)
	const instances = 4
	done := make(chan error, 2*instances)
	url := b.owner.Config().ConnString()
	for range instances {
		go func() {
			_, err := b.app.Exec(t.Context(), `select ledger_partitions(12, '2050-01-01')`)
			done <- err
		}()
		go func() { done <- postgres.Migrate(t.Context(), url) }()
	}
	for range 2 * instances {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := b.text(`select count(*)::text from pg_inherits join pg_class c on c.oid = inhrelid where relkind = 'r' and relname ~ '_20(49|50|51)_'`); n != "28" {
		t.Errorf("%s months of 14 and 14", n)
	}
}
