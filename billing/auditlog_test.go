package billing

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestAuditLogRead(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account, other := r.account(0), r.account(0)
	r.forge(`truncate audit_log restart identity`)
	tx, err := r.pool.Begin(t.Context())
	r.must(err)
	write := func(e Entry) { t.Helper(); r.must(audit(t.Context(), tx, e)) }
	write(Entry{Actor: Operator("ada"), Action: "one", AccountID: account, Details: map[string]any{"name": "x", "amount_nano_usd": 7}})
	write(Entry{Actor: Operator("ada"), Action: "two", AccountID: other, KeyID: 5, Details: map[string]any{"name": "7"}})
	write(Entry{Actor: OfAccount(account), Action: "one", AccountID: account, Details: map[string]any{"deep": map[string]any{"name": "x"}}})
	write(Entry{Action: "three"})
	r.must(tx.Commit(t.Context()))
	r.forge(`update audit_log set created_at = '2020-01-01' where id = 1`)

	log := NewAuditLog(r.pool)
	for name, c := range map[string]struct {
		query AuditQuery
		want  []int64
		next  int64
	}{
		"all":                 {AuditQuery{Limit: 10}, []int64{4, 3, 2, 1}, 0},
		"a page":              {AuditQuery{Limit: 2}, []int64{4, 3}, 3},
		"the next page":       {AuditQuery{Limit: 2, Before: 3}, []int64{2, 1}, 0},
		"no limit is one":     {AuditQuery{}, []int64{4}, 4},
		"of an account":       {AuditQuery{AccountID: account, Limit: 10}, []int64{3, 1}, 0},
		"of an actor":         {AuditQuery{Actor: Operator("ada"), Limit: 10}, []int64{2, 1}, 0},
		"of the house":        {AuditQuery{Actor: House, Limit: 10}, []int64{4}, 0},
		"an action":           {AuditQuery{Action: "one", Limit: 10}, []int64{3, 1}, 0},
		"since":               {AuditQuery{Since: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC), Limit: 10}, []int64{4, 3, 2}, 0},
		"a detail":            {AuditQuery{Details: map[string]string{"name": "x"}, Limit: 10}, []int64{1}, 0},
		"a number in a text":  {AuditQuery{Details: map[string]string{"name": "7"}, Limit: 10}, []int64{2}, 0},
		"a number":            {AuditQuery{Details: map[string]string{"amount_nano_usd": "7"}, Limit: 10}, []int64{1}, 0},
		"two details":         {AuditQuery{Details: map[string]string{"amount_nano_usd": "7", "name": "x"}, Limit: 10}, []int64{1}, 0},
		"two that are not":    {AuditQuery{Details: map[string]string{"amount_nano_usd": "7", "name": "7"}, Limit: 10}, nil, 0},
		"a detail like a “'”": {AuditQuery{Details: map[string]string{`na"me`: `'; drop table x --`}, Limit: 10}, nil, 0},
	} {
		lines, next, err := log.Read(t.Context(), c.query)
		var got []int64
		for _, l := range lines {
			got = append(got, l.ID)
		}
		if err != nil || next != c.next || !cmp.Equal(got, c.want) {
			t.Errorf("%s: %d and then %d, %v, want %d and then %d", name, got, next, err, c.want, c.next)
		}
	}
	lines, _, err := log.Read(t.Context(), AuditQuery{Action: "two", Limit: 1})
	r.must(err)
	if l := lines[0]; l.AccountID != other || l.KeyID != 5 || l.Actor != "operator:ada" || fmt.Sprint(l.Details) != "map[name:7]" || time.Since(l.At) > time.Minute {
		t.Errorf("%+v", l)
	}
}
