package billing

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

var updateQueries = flag.Bool("update", false, "rewrite QUERIES.md from the queries and their plans")

const queriesFile = "QUERIES.md"

//go:embed testdata/many.sql
var manySQL string

// recorder notes the statements that pass a pool.
type recorder struct {
	mu    sync.Mutex
	found []statement
}

type statement struct {
	sql  string
	args []any
}

func (r *recorder) add(sql string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, statement{sql, args})
}

func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.add(data.SQL, data.Args)
	return ctx
}

func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (r *recorder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (r *recorder) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	r.add(data.SQL, data.Args)
}

func (r *recorder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// last is the newest statement that has all the parts.
func (r *recorder) last(parts ...string) (s statement, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.found) - 1; i >= 0; i-- {
		missing := false
		for _, part := range parts {
			missing = missing || !strings.Contains(r.found[i].sql, part)
		}
		if !missing {
			return r.found[i], true
		}
	}
	return s, false
}

// away is a provider that cannot be reached.
type away struct{}

func (away) Refund(context.Context, Payment) error { return errCrash }

// hotQuery is a statement that runs often, or over much.
type hotQuery struct {
	title   string
	when    string
	do      func() error // makes the program send it
	parts   []string     // of its text
	indexes []string     // that its plan uses
}

func hotQueries(r *rig, desk *Desk, o *owner) []hotQuery {
	ctx := r.t.Context()
	const account = 1605
	credit := func() error {
		_, err := desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 5, Kind: CreditStars, IdempotencyKey: "hot"})
		return err
	}
	settle := func() error {
		for i := range 100 {
			id := int64(16*i + 5)
			err := r.redis.XAdd(ctx, &redis.XAddArgs{Stream: evKey(o.shard), Values: []any{"t", "settle", "e", o.at.epoch,
				"h", fmt.Sprintf("hot-%d", i), "a", id, "k", id, "c", 1, "w", 0, "d", "{}"}}).Err()
			if err != nil {
				return err
			}
		}
		_, err := o.drain(ctx)
		return err
	}
	relay := func() error { _, _, _, err := o.pending(ctx); return err }
	none := func(_ any, err error) error { return err }
	audit := func(q AuditQuery) func() error {
		return func() error { _, _, err := NewAuditLog(desk.Ledger.postgres).Read(ctx, q); return err }
	}
	w := o.newSteward(o.shard)
	hot := []hotQuery{
		{"Posting events: the accounts", "For each batch of at most 1000 events, as all that is posted with `enable_seqscan` off; what is a row for each event is copied.",
			settle, []string{"select id, ledger_seq, ledger_hash", "for no key update"}, []string{"accounts_pkey"}},
		{"Posting events: was a reference used", "For each batch.", settle, []string{"select reference from ledger_transactions"},
			[]string{"ledger_transactions_reference_key"}},
		{"Posting events: the balances", "For each batch.", settle, []string{"update accounts a set balance_nano"}, []string{"accounts_pkey"}},
		{"Noting when API keys were used", "For each batch with calls of keys; each key's row is written once a minute at most.",
			settle, []string{"set last_used_at"}, []string{"api_keys_pkey"}},
		{"Crediting: was the key used", "For each credit.", credit, []string{"from credits where idempotency_key"}, []string{"credits_idempotency_key_key"}},
		{"Posting from Go: was the reference used", "For each credit and late cost.", credit,
			[]string{"select exists (select from ledger_transactions where reference"}, []string{"ledger_transactions_reference_key"}},
		{"Posting from Go", "For each credit and late cost.", credit, []string{"with next as"}, []string{"accounts_pkey"}},
		{"Accounts to tell Redis of", "Each second, for each shard.", relay, []string{"from accounts", "not confirmed"}, []string{"accounts_to_project"}},
		{"Credits to tell Redis of", "Each second, for each shard.", relay, []string{"from credits", "not confirmed"}, []string{"credits_to_project"}},
		{"Keys to tell Redis of", "Each second, for each shard.", relay, []string{"from api_keys", "not confirmed"}, []string{"api_keys_to_project", "usage_hourly_pkey"}},
		{"Debits to take", "Each second, for each shard.", func() error { return none(o.pendingDebits(ctx)) }, []string{"from debits"}, []string{"debits_to_take"}},
		{"Organisations that were changed", "Each second, for each shard.", func() error { return w.tellOrganisations(ctx) },
			[]string{"select id, seq from organisations"}, []string{"organisations_of_shard"}},
		{"What organisations spent", "For each organisation that was changed, and every ten seconds for all of a shard, a hundred at a time.",
			func() error { return w.tell(ctx, []int64{5, 21, 37}) },
			[]string{"from organisations o", "organisation_days"}, []string{"organisations_pkey", "organisation_days_pkey"}},
		{"What calls came to whose claims were left behind", "Each second, for each shard, where there are any.",
			func() error { _, _, err := o.readCaptured(ctx, []string{"hold:hot-1", "hold:hot-2"}); return err },
			[]string{"from ledger_transactions t left join"}, []string{"ledger_transactions_reference_key"}},
		{"Rebuilding accounts", "When a shard of Redis is lost.", func() error { return none(o.restoreAccounts(ctx, "t")) },
			[]string{"from accounts a", "order by id"}, []string{"usage_hourly_pkey"}},
		{"Accounts to reconcile", "`admin reconcile`, 500 after 500.", func() error {
			rec := NewReconciler(ReconcilerOptions{Redis: r.redis, Postgres: desk.Ledger.postgres})
			return none((&reconciliation{Reconciler: rec}).gather(ctx, o.shard, account))
		}, []string{"from accounts a", "a.id > $2"}, []string{"accounts_of_shard"}},
		{"Rebuilding keys", "When a shard of Redis is lost.", func() error { return none(o.restoreKeys(ctx, "t")) },
			[]string{"from api_keys k", "revoked_at is null order by id"}, []string{"api_keys_of_shard"}},
		{"Rebuilding the chats' holds", "When a shard of Redis is lost.", func() error { return none(o.restoreChats(ctx, "t")) },
			[]string{"select hold_id", "source = 'telegram'"}, []string{"usage_YYYY_MM_expr_created_at_idx"}},
		{"An account by Telegram id", "When Redis does not know it.", func() error { return none(desk.Accounts.Find(ctx, 700)) },
			[]string{"from accounts where telegram_id"}, []string{"accounts_telegram_id_key"}},
		{"An account's keys", "`/keys`.", func() error { return none(desk.Keys.List(ctx, account)) },
			[]string{"from api_keys where account_id = $1 order by id desc"}, []string{"api_keys_of_account"}},
		{"What keys spent", "`GET /api/v1/keys`.", func() error { return none(desk.Keys.Used(ctx, KeyQuery{AccountID: account, Revoked: true})) },
			[]string{"from usage_hourly", "key_id = any"}, []string{"usage_hourly_pkey"}},
		{"Who pays for a group", "For each question in a group, unless the cache has it.", func() error {
			if _, err := desk.Keys.GroupPayer(ctx, -7); !errors.Is(err, ErrGroupUnpaid) {
				return err
			}
			return nil
		}, []string{"join accounts a", "k.chat_id = $1"}, []string{"api_keys_chat_id_idx", "accounts_pkey"}},
		{"Whom an account pays for", "`/usage`.", func() error {
			return none(desk.Ledger.GroupSpending(ctx, account, time.Now().AddDate(0, 0, -7), time.Now()))
		}, []string{"chat_id is not null"}, []string{"api_keys_of_account"}},
		{"An account's transactions", "`admin transactions`, page by page, the newest first.", func() error {
			_, _, err := desk.Ledger.Transactions(ctx, account, 40, 20)
			return err
		}, []string{"order by t.account_seq desc"}, []string{"ledger_transactions_account_id_account_seq_key", "ledger_entries_YYYY_MM_pkey"}},
		{"An account's chain", "`admin verify --account`.", func() error { return none(desk.Ledger.Verify(ctx, account)) },
			[]string{"t.account_id = any($1)"}, []string{"ledger_transactions_account_id_account_seq_key", "ledger_entries_YYYY_MM_pkey"}},
		{"All chains", "`admin verify`: in the order of the index, without sorting.", func() error { return none(desk.Ledger.Verify(ctx)) },
			[]string{"created_at = t.created_at) e order by t.account_id"}, []string{"ledger_transactions_account_id_account_seq_key", "ledger_entries_YYYY_MM_pkey"}},
		{"A payment", "For each payment, refund and receipt.", func() error { return none(desk.Payments.Find(ctx, "charge-77")) },
			[]string{"from payments p join accounts"}, []string{"payments_pkey", "ledger_transactions_reference_key"}},
		{"An account's payments", "`/paysupport`.", func() error { return none(desk.Payments.Latest(ctx, account, 5)) },
			[]string{"from payments p join accounts", "order by p.paid_at desc"}, []string{"payments_of_account"}},
		{"Refunds to finish", "Each minute.", func() error { return desk.Payments.FinishRefunds(ctx, ProviderCard, away{}) },
			[]string{"from payments", "refund_asked_at <="}, []string{"payments_refunding"}},
		{"Notices to send", "Every five seconds.", func() error { return none(desk.Notices.Claim(ctx, 10)) }, []string{"update notices n set due_at"}, []string{"notices_to_send"}},
		{"Gifts to return", "Every minute.", func() error { return desk.Gifts.Return(ctx) }, []string{"from gifts where settled_at is null and expires_at <="},
			[]string{"gifts_expires_at_idx", "ledger_transactions_reference_key"}},
		{"What an account may give", "For each gift.", func() error {
			_, err := desk.Gifts.Give(ctx, Wish{AccountID: account, AmountNano: GiftLeast, Name: "hot"})
			var bound *GiftBoundError
			if errors.As(err, &bound) {
				return nil
			}
			return err
		}, []string{"from credits where account_id = $1 and kind in", "from gifts where credited_to"},
			[]string{"gifts_account_id_name_key", "gifts_credited_to_idx", "credits_account_id_seq_key", "payments_of_account"}},
		{"The audit log of an account", "`admin audit --account`.", audit(AuditQuery{AccountID: account, Limit: 20}),
			[]string{"from audit_log where account_id"}, []string{"audit_log_of_account"}},
		{"The audit log by a detail", "`admin audit --detail`.", audit(AuditQuery{Details: map[string]string{"idempotency_key": "k-1605"}, Limit: 20}),
			[]string{"details @>"}, []string{"audit_log_by_details"}},
		{"The newest of the audit log", "`admin audit`.", audit(AuditQuery{Limit: 20}), []string{"from audit_log order by id desc"}, []string{"audit_log_pkey"}},
	}
	return append(hot, accountQueries(r, desk, account)...)
}

// TestQueries looks at the plans of what is asked often, in a database with enough rows
// for a wrong plan to show: each uses its indexes, and none reads a whole table. The
// statements are those that the program sends; QUERIES.md shows them.
func TestQueries(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	r.forgeMany()
	seen := &recorder{}
	pool, err := postgres.Open(t.Context(), r.pool.Config().ConnString(), postgres.Options{Tracer: seen})
	r.must(err)
	t.Cleanup(pool.Close)
	config := r.config
	config.Postgres = pool
	desk, err := New(config)
	r.must(err)
	o := r.newOwner(5)
	o.Engine = newEngine(config, newScripts(), newMetrics(nil))
	r.must(o.open(t.Context()))

	written, err := os.ReadFile(queriesFile)
	if err != nil && !*updateQueries {
		t.Fatal(err)
	}
	var doc strings.Builder
	doc.WriteString(queriesHead)
	for _, q := range hotQueries(r, desk, o) {
		t.Run(q.title, func(t *testing.T) {
			fault := q.do()
			s, ok := seen.last(q.parts...)
			if !ok {
				t.Fatalf("nothing like it was sent: %v", fault)
			}
			plan := r.explain(s, strings.HasPrefix(q.title, "Posting events"))
			for _, index := range q.indexes {
				if !regexp.MustCompile(`Scan (Backward )?(using|on) ` + index + `\b`).MatchString(plan) {
					t.Errorf("it does not use %s:\n%s", index, plan)
				}
			}
			if strings.Contains(plan, "Seq Scan") {
				t.Errorf("it reads a whole table:\n%s", plan)
			}
			text := fmt.Sprintf("## %s\n\n%s Indexes: `%s`.\n\n%s\n", q.title, q.when, strings.Join(q.indexes, "`, `"), shown(s.sql))
			if !*updateQueries && !strings.Contains(string(written), text) {
				t.Errorf("%s does not have it; if this is meant, run go test ./billing -run TestQueries -update:\n%s", queriesFile, text)
			}
			fmt.Fprintf(&doc, "\n%s\n```\n%s```\n", text, plan)
		})
	}
	if *updateQueries && !t.Failed() {
		r.must(os.WriteFile(queriesFile, []byte(doc.String()), 0o644))
	}
}

const queriesHead = `# Queries

What is asked of Postgres often, or over much, each with its plan in a database with 20,000 accounts, 100,000 transactions in six months, and tables beside them to match. Written by ` + "`go test ./billing -run TestQueries -update`" + `; the test fails when a statement changes, does not use the indexes named here, or reads a whole table.
`

// forgeMany fills the database with what years would bring, without the triggers.
func (r *rig) forgeMany() {
	r.t.Helper()
	tx, err := r.owner().Begin(r.t.Context())
	r.must(err)
	_, err = tx.Exec(r.t.Context(), manySQL)
	r.must(err)
	r.must(tx.Commit(r.t.Context()))
	_, err = r.owner().Exec(r.t.Context(), `vacuum analyze`)
	r.must(err)
}

// explain is the plan of a statement, without what differs between days; in a posting's
// transaction, sequential scans are off.
func (r *rig) explain(s statement, posting bool) string {
	r.t.Helper()
	tx, err := r.owner().Begin(r.t.Context())
	r.must(err)
	defer tx.Rollback(context.WithoutCancel(r.t.Context())) // nothing was done
	if posting {
		_, err = tx.Exec(r.t.Context(), `set local enable_seqscan = off`)
		r.must(err)
	}
	rows, err := tx.Query(r.t.Context(), "explain (costs off) "+s.sql, s.args...)
	r.must(err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	r.must(err)
	plan := strings.Join(lines, "\n") + "\n"
	for _, same := range [][2]string{{`_20\d\d_\d\d_`, "_YYYY_MM_"}, {`_20\d\d_\d\d\b`, "_YYYY_MM"}, {`'\{[^']{60,}\}'`, "'{…}'"}, {`'20\d\d-\d\d-\d\d [^']*'`, "'…'"}} {
		plan = regexp.MustCompile(same[0]).ReplaceAllString(plan, same[1])
	}
	return plan
}

// shown is a statement as the document shows it: by its file, or itself without the
// indentation of the source.
func shown(sql string) string {
	switch sql {
	case postSQL:
		return "See [post.sql](post.sql)."
	}
	lines := strings.Split(strings.TrimSpace(sql), "\n")
	indent := ""
	for _, line := range lines[1:] {
		lead := line[:len(line)-len(strings.TrimLeft(line, "\t"))]
		if strings.TrimSpace(line) != "" && (indent == "" || len(lead) < len(indent)) {
			indent = lead
		}
	}
	for i, line := range lines {
		lines[i] = strings.TrimRight(strings.TrimPrefix(line, indent), " \t")
	}
	return "```sql\n" + strings.ReplaceAll(strings.Join(lines, "\n"), "\t", "    ") + "\n```"
}
