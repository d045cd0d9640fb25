package billing

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// Every change has its line in the audit log, once, under the name of who made it.
func TestAudit(t *testing.T) {
	r := newRig(t, testenv.Redis(t), func(c *Config) { c.WelcomeCredit = 700 })
	ctx, ada := t.Context(), Operator("ada")
	account, _, err := r.desk.Accounts.Register(ctx, 4242, ada)
	r.must(err)
	owner := OfAccount(account.ID)
	credit := Credit{AccountID: account.ID, AmountNano: 50, Kind: CreditAdjustment, IdempotencyKey: "k", By: ada}
	given, err := r.desk.Accounts.Credit(ctx, credit)
	r.must(err)
	key, token, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account.ID, Name: "mine", Limits: Limits{RequestsPerMinute: 9}, By: owner})
	r.must(err)
	r.must(r.desk.Keys.Revoke(ctx, account.ID, key.ID, owner))

	// Repetitions, refusals and what follows from a rule leave no line.
	credit.By = Operator("grace")
	again, err := r.desk.Accounts.Credit(ctx, credit)
	if err != nil || !again.Replayed {
		t.Fatalf("another operator's repetition: %+v, %v", again, err)
	}
	_, _, err = r.desk.Accounts.Register(ctx, 4242, ada)
	r.must(err)
	_, _, err = r.desk.Accounts.Open(ctx, Profile{TelegramID: 4242, Name: "Ada"})
	r.must(err)
	r.must(r.desk.Keys.Revoke(ctx, account.ID, key.ID, ada))
	if err := r.desk.Keys.Revoke(ctx, account.ID, key.ID+1, ada); !errors.Is(err, ErrKeyUnknown) {
		t.Fatalf("revoked what is not there: %v", err)
	}
	_, err = r.desk.Accounts.Credit(ctx, Credit{AccountID: account.ID, AmountNano: 1, Kind: CreditStars, IdempotencyKey: "stars"})
	r.must(err)

	want := []Entry{
		{Actor: "operator:ada", Action: "account.registered", AccountID: account.ID, Details: map[string]any{}},
		{Actor: "operator:ada", Action: "account.credited", AccountID: account.ID, Details: map[string]any{
			"kind": "adjustment", "amount_nano_usd": 50.0, "transaction_id": float64(given.TransactionID), "idempotency_key": "k"}},
		{Actor: owner, Action: "key.created", AccountID: account.ID, KeyID: key.ID, Details: map[string]any{
			"requests_per_minute": 9.0, "tokens_per_minute": 0.0, "concurrency": 0.0, "refill_milli": 0.0, "burst": 0.0, "day_nano_usd": 0.0, "month_nano_usd": 0.0}},
		{Actor: owner, Action: "key.revoked", AccountID: account.ID, KeyID: key.ID, Details: map[string]any{}},
	}
	got := r.audited()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the audit log (-want +got):\n%s", diff)
	}
	if raw, err := json.Marshal(got); err != nil || strings.Contains(string(raw), token) {
		t.Errorf("the key is in the audit log: %s, %v", raw, err)
	}
}

// A change that fails leaves no line, and a line that fails leaves no change.
func TestAuditGoesWithItsChange(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(0)
	failure := errors.New("of the change")
	err := postgres.InTx(ctx, r.pool, func(tx pgx.Tx) error {
		if err := audit(ctx, tx, Entry{Action: "test"}); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) || len(r.audited()) != 0 {
		t.Fatalf("%v; the log has %v", err, r.audited())
	}
	_, err = r.owner().Exec(ctx, `alter table audit_log add check (action <> 'key.created')`)
	r.must(err)
	if _, _, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account}); err == nil {
		t.Fatal("a key was made behind the log's back")
	}
	if n := r.count(`select count(*) from api_keys`); n != 0 {
		t.Fatalf("%d keys", n)
	}
}

func TestActors(t *testing.T) {
	for actor, want := range map[Actor]Actor{
		Operator("ada"):                    "operator:ada",
		Operator(""):                       "operator:unknown",
		Operator("a\x00b"):                 "operator:ab",
		Operator(strings.Repeat("я", 200)): Actor("operator:" + strings.Repeat("я", 80)),
		OfAccount(7):                       "account:7",
		House:                              "house",
	} {
		if actor != want {
			t.Errorf("%q instead of %q", actor, want)
		}
	}
}

// audited is the audit log, oldest first.
func (r *rig) audited() []Entry {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), `
		select actor, action, coalesce(account_id, 0), coalesce(key_id, 0), details from audit_log order by id`)
	r.must(err)
	entries, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Entry])
	r.must(err)
	return entries
}
