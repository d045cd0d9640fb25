package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// reconciled fails the test when Redis and the ledger differ in anything; servers may
// run meanwhile.
func (s *site) reconciled() {
	s.t.Helper()
	answer, code := s.reconcile()
	for end := time.Now().Add(time.Minute); code == 2 && time.Now().Before(end); { // a store was late
		time.Sleep(100 * time.Millisecond)
		answer, code = s.reconcile()
	}
	if code != 0 || len(answer.Differences) > 0 {
		s.t.Fatalf("admin reconcile ended with %d: %+v", code, answer)
	}
}

// reconcile runs the command in this process and returns what it found and its exit code.
func (s *site) reconcile(args ...string) (answer reconcileAnswer, code int) {
	s.t.Helper()
	code, out, errs := s.here(append([]string{"admin", "reconcile", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		s.t.Fatalf("admin reconcile: %v\n%s%s", err, out, errs)
	}
	return answer, code
}

// TestE2EReconcile: nothing is found where nothing is wrong, with and without a server;
// what is wrong is told, and what cannot be compared is never called right.
func TestE2EReconcile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.reconciled() // before the first server
	serve := s.serve()
	key := s.key(personID, "0.010000007")
	if paid, _ := s.rush(key, 50, s); paid != 50 {
		t.Fatalf("paid %d", paid)
	}
	s.reconciled()
	out := string(s.command("admin", "reconcile"))
	if !strings.HasPrefix(out, "No differences: 1 account, 0 live holds and 1 key on 16 shards; ") || strings.Count(out, "\n") != 1 {
		t.Errorf("without a difference it says %q", out)
	}
	if status, body := s.metrics(); status != http.StatusOK || !strings.Contains(body, "\nledger_drift_nano_usd 0\n") {
		t.Errorf("no drift of nought in the metrics: %d", status)
	}
	serve.stop()
	s.reconciled()

	r, account := s.redis.Client(), int64(1)
	if err := r.HIncrBy(t.Context(), billing.AcctKey(account), billing.AccountFieldAvailable, -2_500_000_000).Err(); err != nil {
		t.Fatal(err)
	}
	answer, code := s.reconcile()
	left := int64(10_000_007 - 50*100_000)
	want := differenceAnswer{
		What: "balance", Shard: "s01", AccountID: account, Expected: "$0.005000007", Found: "$-2.494999993",
		ExpectedNanoUSD: left, FoundNanoUSD: left - 2_500_000_000, DifferenceNanoUSD: -2_500_000_000, DifferenceUSD: "-2.50",
	}
	if code != 1 || len(answer.Differences) != 1 || answer.Differences[0] != want {
		t.Errorf("exit %d, %+v, want %+v", code, answer.Differences, want)
	}
	table, errs, err := s.try("admin", "reconcile")
	if err == nil || !strings.Contains(string(errs), "1 difference\n") {
		t.Errorf("the table's command: %v %s", err, errs)
	}
	for _, column := range []string{"balance", "account 1", "$0.005000007", "$-2.494999993", "$-2.50", "-2500000000"} {
		if !strings.Contains(string(table), column) {
			t.Errorf("no %q in\n%s", column, table)
		}
	}
	for args, want := range map[string]int{"--account=1": 1, "--shard=s01": 1, "--account=2": 2, "--shard=s02": 0} {
		if _, code := s.reconcile(args); code != want {
			t.Errorf("%s: exit %d, want %d", args, code, want)
		}
	}
	for _, args := range []string{"--shard=s16", "--shard=x", "--account=-1"} {
		if out, _, err := s.try("admin", "reconcile", args); err == nil {
			t.Errorf("%s passes: %s", args, out)
		}
	}
	r.FlushAll(t.Context())
	began := time.Now()
	answer, code = s.reconcile()
	for i, d := range answer.Differences {
		if d.What != billing.AboutShard || d.Shard != stream.Shard(i).String() || d.Expected != "epoch 1" || d.Found != "closed" {
			t.Errorf("%+v", d)
		}
	}
	if took := time.Since(began); code != 1 || len(answer.Differences) != stream.Shards || took > 30*time.Second {
		t.Errorf("closed shards: exit %d, %d differences after %s", code, len(answer.Differences), took)
	}
}

// metrics are what the operations listener tells.
func (s *site) metrics() (int, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.env["OPS_ADDR"]+"/metrics", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// TestE2EReconcileInTheDark: with a store away nothing is said to be right.
func TestE2EReconcileInTheDark(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	database := testenv.PostgresServer(t)
	s.env["DATABASE_URL"], s.database = database.URL(), database.URL()
	s.command("migrate")
	for name, outage := range map[string]struct {
		begin, end func()
		says       string
	}{
		"Redis":    {s.redis.Stop, s.redis.Start, "Redis does not answer"},
		"Postgres": {database.Stop, database.Start, "reach the database"},
	} {
		outage.begin()
		for _, args := range [][]string{{}, {"--json"}} {
			out, errs, err := s.try(append([]string{"admin", "reconcile"}, args...)...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 || strings.Contains(string(out), "No differences") {
				t.Errorf("%s away %v: %v, %s%s", name, args, err, out, errs)
			}
			if said := fmt.Sprintf("not everything could be compared: %s", outage.says); !strings.Contains(string(errs), said) {
				t.Errorf("%s away %v: no %q in %q", name, args, said, errs)
			}
		}
		outage.end()
		s.reconciled()
	}
}

// TestE2EVerifyAndAudit: whole chains are said to hold and a forged link is told; what
// operators did can be read again, page by page.
func TestE2EVerifyAndAudit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	key := s.key(personID, "0.010000007")
	if paid, _ := s.rush(key, 5, s); paid != 5 {
		t.Fatalf("paid %d", paid)
	}
	s.until(time.Minute, "drained", func() bool {
		answer, code := s.reconcile()
		return code == 0 && answer.Checked.Events == 0
	})
	serve.stop()
	if out := string(s.command("admin", "verify")); out != "All chains hold: 6 transactions of 1 account.\n" {
		t.Errorf("verify says %q", out)
	}
	s.command("admin", "verify", "--account", "1")
	var posted transactionsAnswer
	s.admin(&posted, "transactions", "--telegram-id", fmt.Sprint(personID), "--limit", "4")
	if len(posted.Transactions) != 4 || posted.Transactions[0].Seq != 6 || posted.NextCursor != 3 || posted.Transactions[0].NanoUSD != -100000 {
		t.Errorf("transactions: %+v", posted)
	}
	posted = transactionsAnswer{}
	s.admin(&posted, "transactions", "--telegram-id", fmt.Sprint(personID), "--cursor", "3")
	if last := posted.Transactions[len(posted.Transactions)-1]; len(posted.Transactions) != 2 || posted.NextCursor != 0 ||
		last.Kind != "credit" || last.NanoUSD != 10000007 || fmt.Sprint(last.Entries) != "[{customer 10000007} {adjustment -10000007}]" {
		t.Errorf("transactions: %+v", posted)
	}
	if table := string(s.command("admin", "transactions", "--telegram-id", fmt.Sprint(personID))); strings.Count(table, "\n") != 7 {
		t.Errorf("the table says %s", table)
	}
	s.forge(`update ledger_entries set amount_nano = -99999 where amount_nano = -100000 and transaction_id = (select id from ledger_transactions where account_seq = 3)`)
	out, errs, err := s.try("admin", "verify", "--json")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(errs), "1 broken chain\n") {
		t.Errorf("a forged entry: %v %s", err, errs)
	}
	var verified verifyAnswer
	if err := json.Unmarshal(out, &verified); err != nil || len(verified.Breaks) != 1 || verified.Breaks[0].AccountID != 1 || verified.Breaks[0].Seq != 3 {
		t.Errorf("%v %s", err, out)
	}
	if _, _, err := s.try("admin", "verify", "--account", "2"); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("no such account: %v", err)
	}

	var page auditAnswer
	s.admin(&page, "audit", "--account", "1", "--limit", "2")
	if len(page.Entries) != 2 || page.Entries[0].Action != "key.created" || page.Entries[1].Action != "account.credited" || page.NextCursor == 0 {
		t.Fatalf("%+v", page)
	}
	if !strings.HasPrefix(page.Entries[0].Actor, "operator:") {
		t.Errorf("the actor is %q", page.Entries[0].Actor)
	}
	cursor := page.NextCursor
	page = auditAnswer{}
	s.admin(&page, "audit", "--account", "1", "--cursor", fmt.Sprint(cursor))
	if len(page.Entries) != 1 || page.Entries[0].Action != "account.registered" || page.NextCursor != 0 {
		t.Errorf("%+v", page)
	}
	page = auditAnswer{}
	s.admin(&page, "audit", "--detail", "idempotency_key=admin:site-5000001", "--detail", "amount_nano_usd=10000007", "--since", "1h")
	if len(page.Entries) != 1 {
		t.Errorf("%+v", page)
	}
	if table := string(s.command("admin", "audit")); strings.Count(table, "\n") != 4 || !strings.Contains(table, "key.created") || strings.Contains(table, key) {
		t.Errorf("the table says %s", table)
	}
	for _, args := range [][]string{{"--since", "yesterday"}, {"--limit", "0"}, {"--limit", "1001"}, {"--detail", "x"}} {
		if out, _, err := s.try(append([]string{"admin", "audit"}, args...)...); err == nil {
			t.Errorf("%q passes: %s", args, out)
		}
	}
}

// forge changes the database as only a superuser can.
func (s *site) forge(query string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, statement := range []string{"set session_replication_role = replica", query} {
		if _, err := conn.Exec(s.t.Context(), statement); err != nil {
			s.t.Fatal(err)
		}
	}
}

// TestE2EClusterReconcile: on a cluster every node is looked at.
func TestE2EClusterReconcile(t *testing.T) {
	t.Parallel()
	s, cluster := onCluster(t)
	serve := s.serve()
	for n := range stream.Shards {
		s.customer(personID+n, 1000)
	}
	serve.stop()
	s.reconciled()
	client, want := cluster.Client(), []string{}
	for _, account := range []int64{1, 6, 11, 16} {
		if err := client.HIncrBy(t.Context(), billing.AcctKey(account), billing.AccountFieldAvailable, account).Err(); err != nil {
			t.Fatal(err)
		}
		stray := billing.AcctKey(account + 1600)
		if err := client.HSet(t.Context(), stray, billing.AccountFieldAvailable, 1).Err(); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("balance %d: %d", account, account), fmt.Sprintf("account %d: 0", account+1600))
	}
	answer, code := s.reconcile()
	var got []string
	for _, d := range answer.Differences {
		got = append(got, fmt.Sprintf("%s %d: %d", d.What, d.AccountID, d.DifferenceNanoUSD))
	}
	slices.Sort(got)
	slices.Sort(want)
	if code != 1 || !slices.Equal(got, want) {
		t.Errorf("exit %d, %q, want %q", code, got, want)
	}
}
