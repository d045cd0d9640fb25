package billing

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// Everything that is money works through PgBouncer in transaction mode, where a
// statement cannot count on the connection of the one before.
func TestBehindPgBouncer(t *testing.T) {
	r := newRig(t, testenv.Redis(t), func(c *Config) {
		direct := c.Postgres.Config().ConnString()
		pool, err := postgres.Open(t.Context(), testenv.PgBouncer(t, direct), postgres.Options{MaxConns: 8})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		c.Postgres, c.WelcomeCredit, c.LowBalance = pool, 700, 100
	})
	r.pool = r.config.Postgres
	ctx := t.Context()
	account := r.storied()
	key, _, err := r.desk.Keys.Create(ctx, KeySpec{AccountID: account, Name: "mine", Limits: Limits{RequestsPerMinute: 9}, By: OfAccount(account), IdempotencyKey: "mine",
		Restrictions: Restrictions{Models: []string{"a*", "b"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, ExpiresAt: time.Now().Add(time.Hour)}})
	r.must(err)
	_, err = r.desk.Keys.Change(ctx, key.AccountID, key.ID, KeyChange{Limits: LimitChange{TokensPerMinute: number(7)}}, House)
	r.must(err)
	used, err := r.desk.Keys.Used(ctx, KeyQuery{AccountID: account})
	r.must(err)
	if got := used[0]; len(got.Models) != 2 || len(got.Networks) != 1 || got.ExpiresAt.IsZero() || got.Limits.TokensPerMinute != 7 {
		t.Errorf("through PgBouncer a key is %+v", got)
	}
	_, err = r.desk.Tiers.Set(ctx, "gold", LimitChange{Concurrency: number(4)}, House)
	r.must(err)
	r.must(r.desk.Tiers.Assign(ctx, account, "gold", House))
	org := r.organisation(Budget{DayNano: 5000}, account)
	_, err = r.desk.Organisations.Set(ctx, org.org.ID, OrganisationChange{BudgetMonth: number(9000)}, House)
	r.must(err)
	org.call(account, "left-behind", 50, false)
	for i := range 20 {
		r.spend(account, fmt.Sprintf("b-%d", i), 10)
	}
	r.drainAll()
	for _, o := range r.owners {
		r.must(o.relay(ctx))
	}
	org.due()
	r.must(r.steward(org.org.ID).look(ctx))
	org.wantSpent(50)
	r.must(r.desk.Keys.Revoke(ctx, account, key.ID, Operator("ada")))
	_, err = r.desk.Ledger.MakeMonths(ctx)
	r.must(err)
	_, _, err = r.desk.Ledger.Transactions(ctx, account, 0, 10)
	r.must(err)
	r.wantBooks(ctx)
	if breaks := r.verify(); len(breaks) > 0 {
		t.Errorf("%+v", breaks)
	}
	r.wantDifferences()
	var balance int64
	r.must(r.pool.QueryRow(ctx, `select balance_nano from accounts where id = $1`, account).Scan(&balance))
	if balance != 700+1320-200-50 {
		t.Errorf("balance %d", balance)
	}
}
