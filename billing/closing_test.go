package billing

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestClosedAccount(t *testing.T) {
	r := newRig(t, testenv.Redis(t), func(c *Config) { c.WelcomeCredit = 500 })
	ctx := t.Context()
	const person = 4242
	account, created, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: person, Name: "Grace Hopper", Language: "en"})
	if err != nil || !created {
		t.Fatal(created, err)
	}
	_, token, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account.ID, Name: "Grace's laptop", IdempotencyKey: "Grace-1",
		Restrictions: Restrictions{Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.77/32")}}})
	r.must(err)
	presented, err := r.desk.Keys.Parse(token)
	r.must(err)
	record := KeyKey(account.ID, presented.Locator[0])
	for range 2 {
		r.must(r.desk.Accounts.Close(ctx, account.ID, OfAccount(account.ID)))
	}
	if n := r.redis.Exists(ctx, record).Val(); n != 0 {
		t.Error("the key is still usable")
	}
	if _, err := r.desk.Holds.Reserve(ctx, reservation(account.ID, "after", 5)); !errors.Is(err, ErrAccountInactive) {
		t.Errorf("a closed account spends: %v", err)
	}
	if _, _, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account.ID}); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("a closed account makes a key: %v", err)
	}
	for _, table := range []string{"accounts", "api_keys", "audit_log", "credits", "ledger_transactions"} {
		if n := r.count(`select count(*) from `+table+` x where x::text ~ 'Grace|Hopper|laptop|203[.]0[.]113'
			or $1 in (coalesce(to_jsonb(x)->>'telegram_id', ''))`, "4242"); n != 0 {
			t.Errorf("%s still tells of the person", table)
		}
	}
	if name := r.redis.HGet(ctx, AcctKey(account.ID), AccountFieldName).Val(); name != "" {
		t.Errorf("Redis remembers %q", name)
	}
	if sum, err := r.desk.Ledger.Sum(ctx, account.ID); err != nil || sum != 500 {
		t.Errorf("the ledger says %d, %v", sum, err)
	}
	if _, err := r.desk.Accounts.ByTelegram(ctx, person); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("found by the person's id: %v", err)
	}
	if n := r.count(`select count(*) from audit_log where account_id = $1 and action in ('account.closed', 'key.revoked')`, account.ID); n != 2 {
		t.Errorf("%d lines in the audit log", n)
	}

	again, created, err := r.desk.Accounts.Open(ctx, Profile{TelegramID: person})
	if err != nil || !created || again.ID == account.ID {
		t.Fatalf("coming back: %+v, %v, %v", again, created, err)
	}
	r.wantBalance(again.ID, 0, 0) // welcomed once
	if found, err := r.desk.Accounts.ByTelegram(ctx, person); err != nil || found.ID != again.ID {
		t.Errorf("found %+v, %v", found, err)
	}
	r.wantBooks(ctx)
}

// TestClosedWhileRedisSlept: nobody told Redis, and the map of Telegram ids is stale.
func TestClosedWhileRedisSlept(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(100)
	person := r.person(account)
	asleep, cancel := context.WithCancel(t.Context())
	cancel()
	_, keys, err := func() (int64, []keyRecord, error) {
		tx, err := r.pool.Begin(t.Context())
		r.must(err)
		defer func() { r.must(tx.Commit(t.Context())) }()
		return r.desk.Accounts.leave(t.Context(), tx, account, House)
	}()
	r.must(err)
	if err := r.desk.Accounts.shut(asleep, account, person, keys); err == nil {
		t.Fatal("Redis was told")
	}
	r.wantBalance(account, 100, 0)
	_, err = r.pool.Exec(t.Context(), `update accounts set projected_at = projected_at - interval '6 s' where id = $1`, account)
	r.must(err)
	r.must(r.owners[shardOf(account)].relay(t.Context()))
	if _, err := r.desk.Holds.Reserve(t.Context(), reservation(account, "after", 5)); !errors.Is(err, ErrAccountInactive) {
		t.Errorf("a closed account spends: %v", err)
	}
	if _, err := r.desk.Accounts.ByTelegram(t.Context(), person); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("the map leads to the closed account: %v", err)
	}
}
