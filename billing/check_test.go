package billing

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/internal/testenv"
)

// Each rule of the books, broken on purpose, is told, exactly and alone.
func TestCheckFindsFaults(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	bystander := r.storied()
	r.wantBooks(t.Context())
	for _, c := range []struct {
		name    string
		queries []string
		want    func(account int64, id func(seq int) int64) []Difference
	}{
		{"balance", []string{`update accounts set balance_nano = balance_nano + 1 where id = $1`},
			func(account int64, _ func(int) int64) []Difference {
				return []Difference{{RuleBalance, account, 0, "", 1321, 1320}}
			}},
		{"an entry's amount", []string{`update ledger_entries set amount_nano = amount_nano + 5
			where account_id = $1 and book = 'revenue' and amount_nano = 70`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleZeroSum, account, id(4), "", 0, 5}}
			}},
		{"an entry's account", []string{`update ledger_entries set account_id = 999999
			where account_id = $1 and book = 'revenue' and amount_nano = 70`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleEntries, account, id(4), "of another account or time than their transaction", 0, -50}}
			}},
		{"an entry's time", []string{`update ledger_entries set created_at = '2001-01-01'
			where account_id = $1 and book = 'revenue' and amount_nano = 70`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleEntries, account, id(4), "of another account or time than their transaction", 0, -50}}
			}},
		{"entries of nothing", []string{`insert into ledger_entries select 987654321, n, $1, 'card', n * 2 - 3, now() from generate_series(1, 2) n`},
			func(account int64, _ func(int) int64) []Difference {
				return []Difference{{RuleEntries, account, 987654321, "of no transaction", 0, 0}}
			}},
		{"usage deleted, and its hour", []string{`delete from usage where account_id = $1 and captured_nano = 100`,
			`update usage_ROLLUP set calls = calls - 1, prompt_tokens = prompt_tokens - 10, cached_tokens = cached_tokens - 4,
				completion_tokens = completion_tokens - 7, reasoning_tokens = reasoning_tokens - 2,
				cost_nano = cost_nano - 100, captured_nano = captured_nano - 100 where account_id = $1 and model = 'small'`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleUsage, account, id(3), "missing", 0, 100}}
			}},
		{"usage of nothing", []string{`insert into usage select id, 'x', account_id, 0, '', '', '', 0, 0, 0, 0, 0, 0, 0, 0, false, 0, 0, created_at
				from ledger_transactions where account_id = $1 and account_seq = 6`,
			`update usage_ROLLUP set calls = calls + 1 where account_id = $1 and model = ''`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleUsage, account, id(6), "of no settled call", 0, 30}}
			}},
		{"usage twice", []string{`insert into usage select transaction_id, hold_id, account_id, key_id, model, deployment, source, prompt_tokens,
				cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, cost_nano, captured_nano, write_off_nano,
				estimated, duration_ms, first_token_ms, created_at + interval '1 microsecond'
				from usage where account_id = $1 and captured_nano = 0 and write_off_nano = 0`,
			`update usage_ROLLUP set calls = calls + 1, prompt_tokens = prompt_tokens + 10, cached_tokens = cached_tokens + 4,
				completion_tokens = completion_tokens + 7, reasoning_tokens = reasoning_tokens + 2 where account_id = $1 and model = 'small'`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleUsage, account, id(5), "another account, time or cost", 0, 0}}
			}},
		{"what a call cost", []string{`update usage set captured_nano = 99, write_off_nano = 1 where account_id = $1 and captured_nano = 100`,
			`update usage_ROLLUP set captured_nano = captured_nano - 1, write_off_nano = write_off_nano + 1 where account_id = $1 and model = 'small'`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleUsage, account, id(3), "another account, time or cost", 99, 100}}
			}},
		{"an hour's cost", []string{`update usage_hourly set cost_nano = cost_nano + 1 where account_id = $1 and model = 'small'`},
			func(account int64, _ func(int) int64) []Difference {
				return []Difference{{RuleUsageHourly, account, 0, r.hour(account), 171, 170}}
			}},
		{"an hour's tokens", []string{`update usage_hourly set reasoning_tokens = 0 where account_id = $1 and model = 'small'`},
			func(account int64, _ func(int) int64) []Difference {
				return []Difference{{RuleUsageHourly, account, 0, r.hour(account), 170, 170}}
			}},
		{"a quarter's cost", []string{`update usage_quarters set cost_nano = cost_nano + 1 where account_id = $1 and model = 'small'`},
			func(account int64, _ func(int) int64) []Difference {
				return []Difference{{RuleUsageQuarters, account, 0, r.quarter(account), 171, 170}}
			}},
		{"an organisation's day", []string{`insert into organisation_days values ($1, 20000, 3, 7)`},
			func(account int64, _ func(int) int64) []Difference {
				return []Difference{{RuleOrganisationDays, 0, 0, fmt.Sprintf("organisation %d, 2024-10-04, shard 3", account), 7, 0}}
			}},
		{"a credit's amount", []string{`update credits set amount_nano = 501 where account_id = $1 and amount_nano = 500`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleCredits, account, id(2), "another account or amount", 501, 500}}
			}},
		{"a credit deleted", []string{`delete from credits where account_id = $1 and amount_nano = 500`},
			func(account int64, id func(int) int64) []Difference {
				return []Difference{{RuleCredits, account, 0, "numbered 2, there are 1", 0, 0}, {RuleCredits, account, id(2), "missing", 0, 500}}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			account := r.storied()
			defer r.erase(account)
			want := c.want(account, func(seq int) int64 {
				return r.count(`select id from ledger_transactions where account_id = $1 and account_seq = $2`, account, seq)
			})
			for _, query := range c.queries {
				r.forge(strings.Replace(query, "ROLLUP", "hourly", 1), account)
				if strings.Contains(query, "ROLLUP") {
					r.forge(strings.Replace(query, "ROLLUP", "quarters", 1), account)
				}
			}
			got, err := r.desk.Ledger.Check(t.Context())
			r.must(err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
	if breaks := r.verify(bystander); len(breaks) > 0 {
		t.Errorf("%+v", breaks)
	}
	r.wantBooks(t.Context())
}

// hour is how a difference names the account's hour of the model small.
func (r *rig) hour(account int64) (name string) {
	r.t.Helper()
	r.must(r.pool.QueryRow(r.t.Context(), `select to_char(hour at time zone 'UTC', 'YYYY-MM-DD HH24') || 'h key 3 small'
		from usage_hourly where account_id = $1 and model = 'small'`, account).Scan(&name))
	return name
}

// quarter is how a difference names the account's quarter of an hour of the model small.
func (r *rig) quarter(account int64) (name string) {
	r.t.Helper()
	r.must(r.pool.QueryRow(r.t.Context(), `select to_char(quarter at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' key 3 small'
		from usage_quarters where account_id = $1 and model = 'small'`, account).Scan(&name))
	return name
}

// erase takes an account out of the books, as if it had never been.
func (r *rig) erase(account int64) {
	r.t.Helper()
	r.forge(`delete from ledger_entries where transaction_id = 987654321
		or transaction_id in (select id from ledger_transactions where account_id = $1)`, account)
	for _, table := range []string{"ledger_transactions", "usage", "usage_hourly", "usage_quarters", "credits", "accounts", "organisation_days"} {
		column := "account_id"
		switch table {
		case "accounts":
			column = "id"
		case "organisation_days":
			column = "organisation_id"
		}
		r.forge(fmt.Sprintf(`delete from %s where %s = $1`, table, column), account)
	}
	r.must(r.redis.Del(r.t.Context(), AcctKey(account)).Err())
}
