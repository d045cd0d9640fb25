package billing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

func (r *rig) reconciler() *Reconciler {
	return NewReconciler(ReconcilerOptions{Redis: r.redis, Postgres: r.pool})
}

// differences are what a reconciliation finds, each as one line.
func (r *rig) differences(scope Scope) []string {
	r.t.Helper()
	var lines []string
	_, err := r.reconciler().Run(r.t.Context(), scope, func(d Discrepancy) { lines = append(lines, line(d)) })
	r.must(err)
	return lines
}

func line(d Discrepancy) string {
	var b strings.Builder
	b.WriteString(d.What)
	for _, part := range []struct {
		name string
		n    int64
	}{{"account", d.AccountID}, {"key", d.KeyID}, {"transaction", d.TransactionID}} {
		if part.n != 0 {
			fmt.Fprintf(&b, " %s %d", part.name, part.n)
		}
	}
	if d.Subject != "" {
		fmt.Fprintf(&b, " (%s)", d.Subject)
	}
	if d.Expected != "" {
		fmt.Fprintf(&b, ": %s, found %s", d.Expected, d.Found)
	}
	if d.Nano() != 0 {
		fmt.Fprintf(&b, ": %d, found %d", d.ExpectedNano, d.FoundNano)
	}
	return b.String()
}

func (r *rig) wantDifferences(want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.differences(Scope{})); diff != "" {
		r.t.Fatalf("differences (-want +got):\n%s", diff)
	}
}

// forge changes a row as only a superuser can.
func (r *rig) forge(query string, args ...any) {
	r.t.Helper()
	tx, err := r.owner().Begin(r.t.Context())
	r.must(err)
	_, err = tx.Exec(r.t.Context(), `set local session_replication_role = replica`)
	r.must(err)
	_, err = tx.Exec(r.t.Context(), query, args...)
	r.must(err)
	r.must(tx.Commit(r.t.Context()))
}

// busy is a rig with money in every state: held, released, settled and drained, settled
// and not drained, credited and not told.
func busy(t *testing.T, client *redis.Client) (r *rig, account, keyID int64) {
	r = newRig(t, client)
	account = r.account(1000)
	other := r.account(500)
	key, _, err := r.desk.Keys.Create(t.Context(), KeySpec{AccountID: account, Name: "one", Limits: Limits{RequestsPerMinute: 60}})
	r.must(err)
	gone, _, err := r.desk.Keys.Create(t.Context(), KeySpec{AccountID: account, Name: "two"})
	r.must(err)
	r.must(r.desk.Keys.Revoke(t.Context(), account, gone.ID, House))
	r.spend(account, "drained", 100)
	r.spend(other, "drained-too", 10)
	r.drainAll()
	r.spend(account, "undrained", 50)
	r.spend(account, "undrained-too", 25)
	r.reserve(account, "live", 200)
	r.reserve(other, "given-back", 5)
	r.must(r.desk.Holds.Release(t.Context(), other, "given-back"))
	return r, account, key.ID
}

func TestReconcileFindsNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, client *redis.Client) {
		r, account, _ := busy(t, client)
		r.wantDifferences()
		var checked Checked
		var err error
		checked, err = r.reconciler().Run(t.Context(), Scope{}, func(Discrepancy) {})
		r.must(err)
		want := Checked{Transactions: 4, Entries: 8, Usage: 2, Shards: stream.Shards, Accounts: 2, Events: 2, Holds: 1, Keys: 1}
		if diff := cmp.Diff(want, checked); diff != "" {
			t.Errorf("checked (-want +got):\n%s", diff)
		}
		// Neither is an account that Redis has not been told of.
		_, err = r.pool.Exec(t.Context(), `insert into accounts (telegram_id) values (77)`)
		r.must(err)
		r.wantDifferences()
		// Credits that Redis has not been told are no difference, in any number.
		for i := range 3 {
			r.must(postgres.InTx(t.Context(), r.pool, func(tx pgx.Tx) error {
				_, err := grant(t.Context(), tx, Credit{AccountID: account, AmountNano: 7, Kind: CreditAdjustment,
					IdempotencyKey: fmt.Sprintf("untold-%d", i)})
				return err
			}))
		}
		r.wantDifferences()
		r.drainAll()
		r.wantDifferences()
		for _, o := range r.owners {
			r.must(o.relay(t.Context()))
		}
		r.wantDifferences()
		r.settle(account, "live", 300)
		r.wantDifferences()
	})
}

// More live holds of a shard than one look may add up: they alone are left out, it is
// said so, and all else is compared.
func TestReconcileManyHolds(t *testing.T) {
	r, account, _ := busy(t, testenv.Redis(t))
	r.reserve(account, "live-too", 20)
	r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, 3)
	reconciler := r.reconciler()
	reconciler.live = 1
	var found []Discrepancy
	checked, err := reconciler.Run(t.Context(), Scope{}, func(d Discrepancy) { found = append(found, d) })
	if err == nil || strings.Count(err.Error(), "has 2 live holds") != 1 || !strings.Contains(err.Error(), shardOf(account).String()) {
		t.Errorf("two holds where one may be added up: %v", err)
	}
	if len(found) != 1 || found[0].What != AboutBalance || found[0].Nano() != 3 || checked.Accounts != 2 || checked.Shards != stream.Shards || checked.Keys != 1 {
		t.Errorf("compared %+v, found %+v", checked, found)
	}
}

// Behind a pooler statements are not prepared.
func TestReconcileWithoutPreparing(t *testing.T) {
	r, account, key := busy(t, testenv.Redis(t))
	config := r.pool.Config()
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	r.must(err)
	defer pool.Close()
	r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, 3).Err())
	r.must(r.redis.Del(t.Context(), r.keyName(key)).Err())
	var got []string
	_, err = NewReconciler(ReconcilerOptions{Redis: r.redis, Postgres: pool}).
		Run(t.Context(), Scope{}, func(d Discrepancy) { got = append(got, d.What) })
	if err != nil || !slices.Equal(got, []string{AboutBalance, AboutKey}) {
		t.Errorf("%q, %v", got, err)
	}
	lines, _, err := NewAuditLog(pool).Read(t.Context(), AuditQuery{AccountID: account, Details: map[string]string{"amount_nano_usd": "1000"}, Limit: 5})
	if err != nil || len(lines) != 1 {
		t.Errorf("%+v, %v", lines, err)
	}
}

// Each kind of fault, made on purpose, is found, told exactly, and nothing else is.
func TestReconcileFindsFaults(t *testing.T) {
	for _, fault := range []struct {
		name string
		make func(t *testing.T, r *rig, account, key int64)
		want func(r *rig, account, key int64) []string
	}{
		{"balance changed in Redis", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, 3).Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("balance account %d: 825, found 828", account)}
		}},
		{"held changed in Redis", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldHeld, -1).Err())
			r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, 1).Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("held account %d: 200, found 199", account)}
		}},
		{"balance changed in Postgres", func(_ *testing.T, r *rig, account, _ int64) {
			r.forge(`update accounts set balance_nano = balance_nano + 40 where id = $1`, account)
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("ledger balance account %d: 900, found 940", account), fmt.Sprintf("balance account %d: 865, found 825", account)}
		}},
		{"entry changed", func(_ *testing.T, r *rig, account, _ int64) {
			r.forge(`update ledger_entries set amount_nano = -99 where account_id = $1 and amount_nano = -100`, account)
		}, func(r *rig, account, _ int64) []string {
			id := r.count(`select id from ledger_transactions where reference = 'hold:drained'`)
			return []string{fmt.Sprintf("ledger balance account %d: 901, found 900", account),
				fmt.Sprintf("ledger usage account %d transaction %d (another account, time or cost): 99, found 100", account, id),
				fmt.Sprintf("ledger zero-sum account %d transaction %d: 0, found 1", account, id)}
		}},
		{"event removed", func(t *testing.T, r *rig, account, _ int64) {
			all, err := r.redis.XRange(t.Context(), evKey(shardOf(account)), "-", "+").Result()
			r.must(err)
			r.must(r.redis.XDel(t.Context(), evKey(shardOf(account)), all[1].ID).Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("balance account %d: 875, found 825", account)}
		}},
		{"events removed that are the last", func(t *testing.T, r *rig, account, _ int64) {
			all, err := r.redis.XRange(t.Context(), evKey(shardOf(account)), "-", "+").Result()
			r.must(err)
			r.must(r.redis.XDel(t.Context(), evKey(shardOf(account)), all[2].ID).Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("balance account %d: 850, found 825", account)}
		}},
		{"last applied event removed", func(t *testing.T, r *rig, account, _ int64) {
			all, err := r.redis.XRange(t.Context(), evKey(shardOf(account)), "-", "+").Result()
			r.must(err)
			r.must(r.redis.XDel(t.Context(), evKey(shardOf(account)), all[0].ID).Err())
		}, func(r *rig, account, _ int64) []string {
			at, err := r.engine.readPosition(r.t.Context(), shardOf(account))
			r.must(err)
			return []string{fmt.Sprintf("stream (%s): the event in the stream, found none", at.last)}
		}},
		{"stream gone", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.Del(t.Context(), evKey(shardOf(account))).Err())
		}, func(r *rig, account, _ int64) []string {
			at, err := r.engine.readPosition(r.t.Context(), shardOf(account))
			r.must(err)
			return []string{fmt.Sprintf("stream (%s): the event in the stream, found none", at.last),
				fmt.Sprintf("balance account %d: 900, found 825", account)}
		}},
		{"event of another epoch", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: evKey(shardOf(account)), ID: "9999999999999-0",
				Values: []any{"t", "settle", "e", "77", "a", account, "c", "1"}}).Err())
		}, func(*rig, int64, int64) []string {
			return []string{`stream (9999999999999-0): an event of epoch 1, found of epoch "77"`}
		}},
		{"hold string removed", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.Del(t.Context(), HoldKey(account, "live")).Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{"hold (live): a live hold, found none", fmt.Sprintf("held account %d: 0, found 200", account)}
		}},
		{"hold missing from the index", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.ZRem(t.Context(), ExpKey(account), "live").Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("held account %d: 0, found 200", account)}
		}},
		{"hash gone", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.Del(t.Context(), AcctKey(account)).Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("account account %d: a hash in Redis, found none: 825, found 0", account),
				fmt.Sprintf(`held account %d: held 200, found "": 200, found 0`, account)}
		}},
		{"hash unreadable", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.HSet(t.Context(), AcctKey(account), AccountFieldAvailable, "1e3").Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf(`account account %d: numbers, found available "1e3": 825, found 0`, account)}
		}},
		{"credit number ahead", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.HSet(t.Context(), AcctKey(account), AccountFieldCreditSeq, "5").Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("credits account %d: 1 credits, found 5 told and 0 to tell", account)}
		}},
		{"status changed in Redis", func(t *testing.T, r *rig, account, _ int64) {
			r.forge(`update accounts set confirmed = true where id = $1`, account)
			r.must(r.redis.HSet(t.Context(), AcctKey(account), AccountFieldStatus, "suspended").Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("status account %d: active, found suspended", account)}
		}},
		{"budget changed in Redis", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.desk.Accounts.SetBudget(t.Context(), account, Budget{DayNano: 900, MonthNano: 5000}, House))
			r.forge(`update accounts set confirmed = true where id = $1`, account)
			r.wantDifferences()
			r.must(r.redis.HSet(t.Context(), AcctKey(account), AccountFieldBudget, "9000|5000").Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("budget account %d: 900|5000, found 9000|5000", account)}
		}},
		{"key's budget gone from Redis", func(t *testing.T, r *rig, account, key int64) {
			r.must(r.desk.Keys.SetBudget(t.Context(), account, key, Budget{MonthNano: 5000}, House))
			r.forge(`update api_keys set confirmed = true where id = $1`, key)
			r.wantDifferences()
			r.must(r.redis.HDel(t.Context(), r.keyName(key), KeyFieldBudget).Err())
		}, func(r *rig, account, key int64) []string {
			return []string{fmt.Sprintf(`key account %d key %d (%s): budget 0|5000, found "0|0"`, account, key, r.keyName(key))}
		}},
		{"hash of nobody", func(t *testing.T, r *rig, _, _ int64) {
			r.must(r.redis.HSet(t.Context(), AcctKey(1<<40), AccountFieldAvailable, "9").Err())
		}, func(*rig, int64, int64) []string {
			return []string{"account account 1099511627776 (acct:{s00}:1099511627776): nothing: Postgres has no such account, found a hash"}
		}},
		{"hash on another shard", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.HSet(t.Context(), stream.Shard(9).Key("acct", decimal(account)), AccountFieldAvailable, "9").Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("account account %d (acct:{s09}:%[1]d): nothing: Postgres has no such account, found a hash", account)}
		}},
		{"key record changed", func(t *testing.T, r *rig, account, key int64) {
			r.must(r.redis.HSet(t.Context(), r.keyName(key), KeyFieldLimits, "61|0|0|0|0").Err())
		}, func(r *rig, account, key int64) []string {
			return []string{fmt.Sprintf(`key account %d key %d (%s): limits 60|0|0|0|0, found "61|0|0|0|0"`, account, key, r.keyName(key))}
		}},
		{"tier of an account changed in Redis", func(t *testing.T, r *rig, account, _ int64) {
			_, err := r.desk.Tiers.Set(t.Context(), "gold", LimitChange{}, House)
			r.must(err)
			r.must(r.desk.Tiers.Assign(t.Context(), account, "gold", House))
			r.forge(`update accounts set confirmed = true where id = $1`, account)
			r.wantDifferences()
			r.must(r.redis.HDel(t.Context(), AcctKey(account), AccountFieldTier).Err())
			r.must(r.redis.HSet(t.Context(), AcctKey(account), AccountFieldOrg, 8).Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("tier account %d: gold, found none", account), fmt.Sprintf("organisation account %d: none, found 8", account)}
		}},
		{"tier gone from a shard", func(t *testing.T, r *rig, account, _ int64) {
			_, err := r.desk.Tiers.Set(t.Context(), "gold", LimitChange{Concurrency: number(4)}, House)
			r.must(err)
			r.wantDifferences()
			r.must(r.redis.Del(t.Context(), TierKey(7, "gold")).Err())
		}, func(*rig, int64, int64) []string {
			return []string{`tier (tier:{s07}:gold): 0|0|4|0|0, found ""`}
		}},
		{"organisation changed in Redis", func(t *testing.T, r *rig, account, _ int64) {
			o := r.organisation(Budget{DayNano: 70}, account)
			r.forge(`update accounts set confirmed = true where id = $1`, account)
			r.wantDifferences()
			r.must(r.redis.HSet(t.Context(), OrganisationKey(o.org.ID), "budget", "700|0").Err())
		}, func(*rig, int64, int64) []string {
			return []string{`organisation (org:{s01}:1): budget 70|0, found "700|0"`}
		}},
		{"organisation that spent more than Redis counts", func(t *testing.T, r *rig, account, _ int64) {
			o := r.organisation(Budget{DayNano: 70}, account)
			r.forge(`update accounts set confirmed = true where id = $1`, account)
			o.call(account, "counted", 20, true)
			r.drainAll()
			r.wantDifferences()
			day := time.Now().Unix() / secondsOfDay
			r.must(r.redis.HSet(t.Context(), OrganisationKey(o.org.ID), "spent", fmt.Sprintf("%d|19|0|0", day)).Err())
		}, func(*rig, int64, int64) []string {
			return []string{"organisation (org:{s01}:1): 20, found 19"}
		}},
		{"key record of another mac", func(t *testing.T, r *rig, account, key int64) {
			r.must(r.redis.HSet(t.Context(), r.keyName(key), KeyFieldMAC, strings.Repeat("0", 32)).Err())
		}, func(r *rig, account, key int64) []string {
			return []string{fmt.Sprintf(`key account %d key %d (%s): the key's mac, found another`, account, key, r.keyName(key))}
		}},
		{"key record gone", func(t *testing.T, r *rig, account, key int64) {
			r.must(r.redis.Del(t.Context(), r.keyName(key)).Err())
		}, func(r *rig, account, key int64) []string {
			return []string{fmt.Sprintf(`key account %d key %d (%s): account %[1]d, found ""`, account, key, r.keyName(key))}
		}},
		{"key record without a key", func(t *testing.T, r *rig, account, _ int64) {
			r.must(r.redis.HSet(t.Context(), KeyKey(account, "feed"), KeyFieldAccount, account).Err())
		}, func(_ *rig, account, _ int64) []string {
			return []string{fmt.Sprintf("key (%s): nothing: Postgres has no such key, found a usable record", KeyKey(account, "feed"))}
		}},
		{"revoked key usable", func(t *testing.T, r *rig, account, key int64) {
			name := r.keyName(key + 1)
			r.must(r.redis.HSet(t.Context(), name, KeyFieldAccount, account).Err())
		}, func(r *rig, account, key int64) []string {
			return []string{fmt.Sprintf("key account %d key %d (%s): nothing: the key is revoked, found a usable record", account, key+1, r.keyName(key+1))}
		}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			r, account, key := busy(t, testenv.Redis(t))
			fault.make(t, r, account, key)
			r.wantDifferences(fault.want(r, account, key)...)
		})
	}
}

func (r *rig) keyName(id int64) string {
	r.t.Helper()
	var account int64
	var locator string
	r.must(r.pool.QueryRow(r.t.Context(), `select account_id, locator from api_keys where id = $1`, id).Scan(&account, &locator))
	return KeyKey(account, locator)
}
