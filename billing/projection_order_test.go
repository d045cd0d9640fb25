package billing

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// Of two words about an account's or a key's budget Redis hears the later one, though
// the earlier come last, as from a relay that read it before the change.
func TestProjectionOrder(t *testing.T) { onBoth(t, testProjectionOrder) }

func testProjectionOrder(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	b := r.budgeted(1000, KeySpec{BudgetDay: 100})
	owner := r.owners[shardOf(b.account)]
	r.must(owner.relay(ctx))
	r.must(r.desk.Accounts.SetBudget(ctx, b.account, Budget{DayNano: 200}, House))
	r.must(r.desk.Keys.SetBudget(ctx, b.account, b.key.ID, Budget{DayNano: 300}, House))
	oldAccounts, _, oldKeys, err := owner.pending(ctx)
	r.must(err)
	if len(oldAccounts) != 1 || len(oldKeys) > 1 {
		t.Fatalf("to be told: %+v, %+v", oldAccounts, oldKeys)
	}
	rows, err := r.pool.Query(ctx, `select `+budgetedFields+` from accounts a where id = $1`, b.account)
	r.must(err)
	old, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[accountBudgeted])
	r.must(err)
	rows, err = r.pool.Query(ctx, `select `+keyFields+` from api_keys k where id = $1`, b.key.ID)
	r.must(err)
	oldKey, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[keyRecord])
	r.must(err)

	// There and back: the value alone would not tell the words apart.
	for _, day := range []int64{400, 200, 500} {
		r.must(r.desk.Accounts.SetBudget(ctx, b.account, Budget{DayNano: day}, House))
	}
	r.unprojected(func(desk *Desk) {
		_ = desk.Keys.SetBudget(ctx, b.account, b.key.ID, Budget{DayNano: 600}, House)
	})
	r.must(r.engine.projector.budget(ctx, old))
	r.must(r.engine.projector.key(ctx, oldKey))
	r.must(r.engine.projector.note(ctx, "accounts", noteRead, []int64{oldAccounts[0].ID}, []int64{oldAccounts[0].Seq}))
	wantBudget := func(key, want string) {
		t.Helper()
		if got := client.HGet(ctx, key, AccountFieldBudget).Val(); got != want {
			t.Errorf("%s: budget %s, want %s", key, got, want)
		}
	}
	wantBudget(AcctKey(b.account), "500|0")
	if n := r.count(`select count(*) from accounts where id = $1 and projected_at is null`, b.account); n != 1 {
		t.Error("the account is noted by a word that was read before its change")
	}
	if n := r.count(`select count(*) from api_keys where id = $1 and projected_at is null`, b.key.ID); n != 1 {
		t.Error("the key is noted by a word that was read before its change")
	}
	r.must(owner.relay(ctx))
	wantBudget(KeyKey(b.account, oldKey.Locator), "600|0")
	r.must(r.engine.projector.key(ctx, oldKey))
	wantBudget(KeyKey(b.account, oldKey.Locator), "600|0")

	// A rebuilt shard knows the order, too.
	r.redis.Del(ctx, EpochKey(b.account))
	r.must(owner.open(ctx))
	r.must(r.engine.projector.budget(ctx, old))
	r.must(r.engine.projector.key(ctx, oldKey))
	wantBudget(AcctKey(b.account), "500|0")
	wantBudget(KeyKey(b.account, oldKey.Locator), "600|0")
}
