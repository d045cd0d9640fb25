package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
)

// manage makes a request to manage keys, and sees to it that nobody keeps the answer.
func (r *rig) manage(method, path, key, body string, headers ...string) answer {
	r.t.Helper()
	a := r.do(method, "/api/v1/keys"+path, key, body, headers...)
	if a.header.Get("Cache-Control") != "no-store" {
		r.t.Errorf("%s %s may be kept: %v", method, path, a.header)
	}
	return a
}

const wholeKey = `{"name":"ci","models":["word","gpt-4o*","word"],"allowed_ips":["127.0.0.0/8","2001:db8::1"],"expires_at":"%s",
	"limits":{"rpm":60,"tpm":100000,"concurrency":4,"per_second":"2.5","burst":10},"budget":{"day_usd":"1.50","month_usd":"20"}}`

// A key is made, shown once, listed without itself, changed member by member and revoked.
func TestManageKeys(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	account, key := r.account(10 * dollar)
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	made := r.manage("POST", "", key, fmt.Sprintf(wholeKey, end.Format(time.RFC3339))).want(t, 201)
	token, id := made.get("key").Str, made.get("id").Int()
	if !strings.HasPrefix(token, fmt.Sprintf("kk_%d_", account)) || made.get("notice").Str == "" || made.get("prefix").Str == "" || strings.Contains(made.get("prefix").Str, token) {
		t.Fatalf("made %s", made.body)
	}
	want := map[string]string{
		"name": `"ci"`, "status": `"active"`, "models": `["gpt-4o*","word"]`, "allowed_ips": `["127.0.0.0/8","2001:db8::1/128"]`,
		"expires_at": `"` + end.Format(time.RFC3339) + `"`, "limits": `{"rpm":60,"tpm":100000,"concurrency":4,"per_second":"2.5","burst":10}`,
		"budget": `{"day_usd":"1.50","month_usd":"20.00"}`, "spent": `{"month_usd":"0.00","month_nano_usd":0}`, "last_used_at": "null", "revoked_at": "null",
	}
	hold := func(got gjson.Result) {
		t.Helper()
		for name, raw := range want {
			if got.Get(name).Raw != raw {
				t.Errorf("%s is %s, want %s", name, got.Get(name).Raw, raw)
			}
		}
	}
	hold(gjson.Parse(made.body))
	r.chat(token, "paid").wantError(t, 403, "key_model_not_allowed")
	spent := r.chat(token, "word").want(t, 200).get("usage.cost").Raw
	r.ledger(account, 1)
	listed := r.manage("GET", "", key, "").want(t, 200)
	if n := listed.get("keys.#").Int(); n != 2 || listed.get("next_cursor").Raw != "null" || strings.Contains(listed.body, token) {
		t.Fatalf("listed %s", listed.body)
	}
	delete(want, "last_used_at")
	want["spent"] = fmt.Sprintf(`{"month_usd":"%s","month_nano_usd":%d}`, spent, nano(t, spent))
	hold(listed.get("keys.0"))
	if at := listed.get("keys.0.last_used_at").Time(); time.Since(at) > time.Minute {
		t.Errorf("last used %s", at)
	}

	// What is not sent stays, null takes away.
	a := r.manage("PATCH", fmt.Sprintf("/%d", id), key, `{"models":null,"limits":{"rpm":7,"burst":null,"per_second":null},"budget":{"day_usd":null},"name":"cd"}`).want(t, 200)
	want["models"], want["limits"] = "null", `{"rpm":7,"tpm":100000,"concurrency":4,"per_second":null,"burst":null}`
	want["budget"], want["name"] = `{"day_usd":null,"month_usd":"20.00"}`, `"cd"`
	hold(gjson.Parse(a.body))
	r.chat(token, "paid").want(t, 200)
	a = r.manage("PATCH", fmt.Sprintf("/%d", id), key, `{"allowed_ips":["203.0.113.7"],"expires_at":null,"limits":null,"budget":null}`).want(t, 200)
	want["allowed_ips"], want["expires_at"], want["budget"] = `["203.0.113.7/32"]`, "null", `{"day_usd":null,"month_usd":null}`
	want["limits"] = `{"rpm":null,"tpm":null,"concurrency":null,"per_second":null,"burst":null}`
	delete(want, "spent")
	hold(gjson.Parse(a.body))
	if a := r.chat(token, "paid").want(t, 403); a.get("error.code").Str != "key_address_not_allowed" {
		t.Errorf("refused with %s", a.body)
	}

	for range 2 {
		if a := r.manage("DELETE", fmt.Sprintf("/%d", id), key, "").want(t, 200); a.body != fmt.Sprintf(`{"id":%d,"revoked":true}`, id) {
			t.Errorf("revoked: %s", a.body)
		}
	}
	r.chat(token, "paid").wantError(t, 401, "invalid_api_key")
	r.manage("PATCH", fmt.Sprintf("/%d", id), key, `{"name":"x"}`).wantPlain(t, 404, "key_not_found", "")
	if n := r.manage("GET", "", key, "").get("keys.#").Int(); n != 1 {
		t.Errorf("%d keys are listed after the revocation", n)
	}
	if a := r.manage("GET", "?include_revoked=true", key, ""); a.get("keys.0.status").Str != "revoked" {
		t.Errorf("with the revoked ones: %s", a.body)
	}
	var actions string
	r.must(r.pool.QueryRow(ctx, `select string_agg(action, ' ' order by id) from audit_log where key_id = $1 and actor like 'account:%/key:%'`, id).Scan(&actions))
	if actions != "key.created key.renamed key.limits key.budget key.restrictions key.limits key.budget key.restrictions key.revoked" {
		t.Errorf("the audit log has %s", actions)
	}
}

// Pages follow each other without a gap.
func TestManageKeysPages(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	for range 6 {
		_, _, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account})
		r.must(err)
	}
	var ids []int64
	for cursor := ""; ; {
		a := r.manage("GET", "?limit=3"+cursor, key, "").want(t, 200)
		for _, id := range a.get("keys.#.id").Array() {
			ids = append(ids, id.Int())
		}
		if a.get("next_cursor").Type == gjson.Null {
			break
		}
		cursor = "&cursor=" + a.get("next_cursor").Str
	}
	if len(ids) != 7 {
		t.Fatalf("pages of %v", ids)
	}
	for i := 1; i < len(ids); i++ {
		if ids[i] >= ids[i-1] {
			t.Errorf("pages of %v", ids)
		}
	}
}

// An idempotency key makes one key, whoever sends it how often, and the key itself is not
// shown a second time.
func TestManageKeysOnce(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	_, stranger := r.account(dollar)
	var secrets sync.Map
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			a := r.manage("POST", "", key, `{"name":"one"}`, headerIdempotencyKey, "k-1")
			switch {
			case a.status == 201 && a.get("key").Str != "":
				secrets.Store(a.get("key").Str, a.get("id").Int())
			case a.status == 200 && a.get("key").Raw == "null" && a.header.Get(headerReplayed) == "true" &&
				strings.Contains(a.get("notice").Str, "cannot be shown again") && a.get("name").Str == "one":
			default:
				t.Errorf("answered %d %s", a.status, a.body)
			}
		})
	}
	running.Wait()
	n := 0
	secrets.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Fatalf("%d keys were shown", n)
	}
	r.manage("POST", "", key, `{"name":"two"}`, headerIdempotencyKey, "k-1").wantPlain(t, 409, "idempotency_conflict", "another key")
	r.manage("POST", "", stranger, `{"name":"one"}`, headerIdempotencyKey, "k-1").want(t, 201)
	r.manage("POST", "", key, `{}`, headerIdempotencyKey, strings.Repeat("x", 201)).wantPlain(t, 400, "invalid_request", "Idempotency-Key")
	keys, err := r.desk.Keys.List(t.Context(), account)
	r.must(err)
	if len(keys) != 2 {
		t.Errorf("the account has %d keys", len(keys))
	}
}

// A key that is bound in any way manages no keys: it could free itself.
func TestRestrictedKeyManagesNone(t *testing.T) {
	r := newRig(t)
	account, _ := r.account(dollar)
	hour := time.Now().Add(time.Hour)
	for name, spec := range map[string]billing.KeySpec{
		"models":  {Restrictions: billing.Restrictions{Models: []string{"word"}}},
		"address": {Restrictions: billing.Restrictions{Networks: []netip.Prefix{network(t, "127.0.0.1")}}},
		"end":     {Restrictions: billing.Restrictions{ExpiresAt: hour}},
		"day":     {BudgetDay: dollar}, "month": {BudgetMonth: dollar},
		"limit": {Limits: billing.Limits{RequestsPerMinute: 100}}, "calls": {Limits: billing.Limits{Concurrency: 9}},
	} {
		spec.AccountID = account
		key, token, err := r.desk.Keys.Create(t.Context(), spec)
		r.must(err)
		own := fmt.Sprintf("/%d", key.ID)
		for _, a := range []answer{
			r.manage("GET", "", token, ""), r.manage("POST", "", token, `{}`),
			r.manage("PATCH", own, token, `{"models":null,"allowed_ips":null,"expires_at":null,"limits":null,"budget":null}`), r.manage("DELETE", own, token, ""),
		} {
			if t.Run(name, func(t *testing.T) { a.wantPlain(t, 403, "key_may_not_manage", "") }); t.Failed() {
				return
			}
		}
	}
	keys, err := r.desk.Keys.List(t.Context(), account)
	r.must(err)
	if len(keys) != 8 {
		t.Errorf("there are %d keys", len(keys))
	}
}

// Nobody sees or changes another account's keys, whatever they send.
func TestManageKeysOfOthers(t *testing.T) {
	r := newRig(t)
	mine, key := r.account(dollar)
	theirs, other := r.account(dollar)
	keys, err := r.desk.Keys.List(t.Context(), theirs)
	r.must(err)
	id := fmt.Sprintf("/%d", keys[0].ID)
	r.manage("PATCH", id, key, `{"name":"mine"}`).wantPlain(t, 404, "key_not_found", "")
	r.manage("PATCH", id, key, `{}`).wantPlain(t, 404, "key_not_found", "")
	r.manage("DELETE", id, key, "").wantPlain(t, 404, "key_not_found", "")
	for _, nobody := range []string{"/0", "/-1", "/999999", "/x", "/1e3", "/99999999999999999999"} {
		r.manage("DELETE", nobody, key, "").wantPlain(t, 404, "key_not_found", "")
	}
	if a := r.manage("GET", fmt.Sprintf("?cursor=%d&include_revoked=true", keys[0].ID+1), key, ""); strings.Contains(a.body, keys[0].Hint) {
		t.Errorf("another's key is listed: %s", a.body)
	}
	r.do("GET", "/api/v1/balance", other, "").want(t, 200)
	now, err := r.desk.Keys.List(t.Context(), theirs)
	r.must(err)
	if len(now) != 1 || now[0].Name != keys[0].Name || !now[0].RevokedAt.IsZero() {
		t.Errorf("another's key has become %+v", now)
	}
	r.manage("GET", "", "", "").wantPlain(t, 401, "invalid_api_key", "")
	after, err := r.desk.Keys.List(t.Context(), mine)
	r.must(err)
	if len(after) != 1 {
		t.Errorf("%d keys", len(after))
	}
	_, err = r.pool.Exec(t.Context(), `update accounts set status = 'suspended' where id = $1`, mine)
	r.must(err)
	r.client.HSet(t.Context(), billing.AcctKey(mine), "status", "suspended")
	r.manage("POST", "", key, `{}`).wantPlain(t, 403, "account_inactive", "")
	r.manage("GET", "", key, "").want(t, 200)
}

// What is wrong is named, with what would be right, and nothing is made.
func TestManageKeysBadInput(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	past, far := time.Now().Add(-time.Second).Format(time.RFC3339Nano), time.Now().AddDate(11, 0, 0).Format(time.RFC3339)
	for body, says := range map[string]string{
		``: "not a JSON object", `[]`: "not a JSON object", `null`: "not a JSON object", `{}{}`: "not a JSON object", `{"name":`: "not a JSON object",
		`{"model":["a"]}`: `"model"`, `{"key":"kk_1"}`: `"key"`, `{"name":7}`: `"name"`, `{"name":"` + strings.Repeat("ö", 65) + `"}`: "64 characters",
		`{"models":"word"}`: "array", `{"models":["*"]}`: "every model", `{"models":["a b"]}`: "GET /v1/models", `{"models":["*a"]}`: "GET /v1/models",
		`{"models":["a,b"]}`: "GET /v1/models", `{"models":["a|b"]}`: "GET /v1/models", `{"models":[""]}`: "GET /v1/models", `{"models":[null]}`: "GET /v1/models",
		`{"models":["` + strings.Repeat("m", 130) + `"]}`: "GET /v1/models", `{"models":[` + strings.TrimSuffix(strings.Repeat(`"a",`, 65), ",") + `]}`: "65 entries",
		`{"allowed_ips":"127.0.0.1"}`: "array", `{"allowed_ips":["localhost"]}`: "203.0.113.7", `{"allowed_ips":["10.0.0.1/8"]}`: "10.0.0.0/8",
		`{"allowed_ips":["10.0.0.0/33"]}`: "0 to 32", `{"allowed_ips":["10.0.0.0/08"]}`: "0 to 32", `{"allowed_ips":["fe80::1%eth0"]}`: "zone",
		`{"allowed_ips":["::ffff:0.0.0.0/64"]}`: "IPv4", `{"allowed_ips":["1.2.3.4/"]}`: "0 to 32", `{"allowed_ips":["010.0.0.1"]}`: "no IP address",
		`{"expires_at":"tomorrow"}`: "2027", `{"expires_at":1800000000}`: "2027", `{"expires_at":"` + past + `"}`: "is over", `{"expires_at":"` + far + `"}`: "ten years",
		`{"limits":{"rpm":-1}}`: `"rpm"`, `{"limits":{"rpm":1.5}}`: `"rpm"`, `{"limits":{"rpm":2147483648}}`: `"rpm"`, `{"limits":{"rpm":"60"}}`: `"rpm"`, `{"limits":{"requests":1}}`: `"requests"`,
		`{"limits":{"per_second":"0.0001","burst":1}}`: `"per_second"`, `{"limits":{"burst":1}}`: "together", `{"limits":[]}`: "object",
		`{"budget":{"day_usd":1.5}}`: `"day_usd"`, `{"budget":{"day_usd":"-1"}}`: `"day_usd"`, `{"budget":{"day_usd":"0"}}`: `"day_usd"`, `{"budget":{"month_usd":"1e3"}}`: `"month_usd"`,
		`{"budget":{"month_usd":"99999999999"}}`: `"month_usd"`, `{"budget":5}`: "object",
	} {
		r.manage("POST", "", key, body).wantPlain(t, 400, "invalid_request", says)
	}
	r.manage("POST", "", key, `{"name":"`+strings.Repeat("x", keyBody)+`"}`).wantPlain(t, 413, "request_too_large", "")
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=x", "?cursor=0", "?cursor=-1", "?cursor=x", "?include_revoked=yes"} {
		r.manage("GET", query, key, "").wantPlain(t, 400, "invalid_request", "")
	}
	keys, err := r.desk.Keys.List(t.Context(), account)
	r.must(err)
	if len(keys) != 1 {
		t.Errorf("%d keys were made", len(keys)-1)
	}
	for i := len(keys); i < billing.MaxKeys; i++ {
		_, _, err := r.desk.Keys.Create(context.Background(), billing.KeySpec{AccountID: account})
		r.must(err)
	}
	r.manage("POST", "", key, `{}`).wantPlain(t, 409, "key_limit_reached", "Revoke one with DELETE")
}
