package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/kikuai/kikuai/billing"
)

// drawer keeps what a cache would.
type drawer struct {
	mu    sync.Mutex
	kept  map[string][]byte
	loads int
}

func (d *drawer) Fetch(ctx context.Context, key string, load func(context.Context) ([]byte, error)) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if value, is := d.kept[key]; is {
		return value, nil
	}
	d.loads++
	value, err := load(ctx)
	if err == nil {
		d.keep(key, value)
	}
	return value, err
}

func (d *drawer) Put(_ context.Context, key string, value []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(key, value)
	return nil
}

func (d *drawer) keep(key string, value []byte) {
	if d.kept == nil {
		d.kept = map[string][]byte{}
	}
	d.kept[key] = value
}

// counted is a book of keys that counts how often it is asked.
type counted struct {
	keyBook

	mu   sync.Mutex
	used int
}

func (b *counted) Used(ctx context.Context, q billing.KeyQuery) ([]billing.KeyUse, error) {
	b.mu.Lock()
	b.used++
	b.mu.Unlock()
	return b.keyBook.Used(ctx, q)
}

// query asks and returns the answer, which is 200 whatever is wrong with the query.
func (r *rig) query(key, text string, variables map[string]any, more ...string) answer {
	r.t.Helper()
	body := map[string]any{"query": text, "variables": variables}
	for i := 0; i+1 < len(more); i += 2 {
		body[more[i]] = json.RawMessage(more[i+1])
	}
	raw, err := json.Marshal(body)
	r.must(err)
	return r.do("POST", "/graphql", key, string(raw)).want(r.t, 200)
}

// The graph tells what the pages tell, cut to what is asked for.
func TestGraph(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	id := r.keyID(key)
	calls := spring(id, 30)
	r.past(account, calls)
	book := &counted{keyBook: r.server.keyBook}
	r.server.keyBook = book
	a := r.query(key, `
		query home($first: Int!, $deep: Boolean = false) {
			account { ...money id: account_id __typename
				usage(from: "2026-03-26", to: "2026-04-01", tz: "Asia/Kolkata", group_by: [day, key]) { total { calls cost_nano_usd } rows { start cost_nano_usd key { name } } }
				calls(first: $first, from: "2026-03-26", to: "2026-04-01") { calls { id model key { id name } source @skip(if: true) } next_cursor }
				transactions(first: 5, calls: false) { transactions { type amount_usd method } }
				settings { show_cost persona } organisation { name @include(if: $deep) }
			}
			products { default_model models { id prices { input } } }
		}
		fragment money on Account { available_usd ... on Account { held_nano_usd } }`, map[string]any{"first": 7})
	if a.get("errors").Exists() {
		t.Fatalf("answered %s", a.body)
	}
	page := r.do("GET", "/api/v1/usage?from=2026-03-26&to=2026-04-01&tz=Asia/Kolkata&group_by=day,key", key, "")
	sum := int64(0)
	for _, row := range a.get("data.account.usage.rows").Array() {
		sum += row.Get("cost_nano_usd").Int()
	}
	if sum != page.get("total.cost_nano_usd").Int() || a.get("data.account.usage.rows.#").Int() != page.get("rows.#").Int() {
		t.Errorf("rows sum up to %d: %s", sum, page.body)
	}
	for path, want := range map[string]string{
		"account.id": fmt.Sprint(account), "account.__typename": `"Account"`, "account.available_usd": `"1.00"`, "account.held_nano_usd": "0",
		"account.calls.calls.#": "7", "account.calls.calls.0.source": "", "account.transactions.transactions": `[{"type":"adjustment","amount_usd":"1.00","method":null}]`,
		"account.settings": `{"show_cost":true,"persona":null}`, "account.organisation": "null", "products.default_model": `"paid"`,
		`products.models.#(id=="paid").prices`: `{"input":"2"}`,
	} {
		if got := a.get("data." + path).Raw; got != want && !(strings.HasSuffix(path, "#") && a.get("data."+path).String() == want) {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	named := 0
	for _, call := range a.get("data.account.calls.calls").Array() {
		if k := call.Get("key"); k.Get("id").Int() == id && k.Get("name").Str == "test" {
			named++
		}
	}
	if named == 0 || book.used != 1 {
		t.Errorf("%d calls have their key, and keys were read %d times", named, book.used)
	}
	next := a.get("data.account.calls.next_cursor").Str
	second := r.query(key, `query($after: String) { account { calls(first: 7, after: $after, from: "2026-03-26", to: "2026-04-01") { calls { id } } } }`, map[string]any{"after": next})
	if first := a.get("data.account.calls.calls.6.id").Int(); second.get("data.account.calls.calls.0.id").Int() == first || second.get("data.account.calls.calls.#").Int() != 7 {
		t.Errorf("the second page is %s", second.body)
	}
}

// What is too deep, too dear or not to be asked is refused before anything is read.
func TestGraphRefuses(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	_, strange := r.account(dollar)
	r.past(account, spring(0, 10))
	bomb := "{ account { ...f0 } } fragment f20 on Account { account_id }" // a million fields
	for i := range 20 {
		bomb += fmt.Sprintf(" fragment f%d on Account { ...f%d ...f%[2]d }", i, i+1)
	}
	const asked = "{ account { account_id } } "
	aside := strings.Replace(bomb, "{ account { ...f0 } }", asked, 1)           // the same, of which nothing is asked
	alike := "{ account { " + strings.Repeat("account_id ", graphSpread) + "}}" // each is compared with each
	many := strings.Repeat("query { account { account_id } } ", graphSpread/3+1)
	for text, code := range map[string]string{
		`{`: "GRAPHQL_PARSE_FAILED", ``: "BAD_USER_INPUT", `{ account { nonesuch } }`: "GRAPHQL_VALIDATION_FAILED",
		`{ account { ...a } } fragment a on Account { ...a }`: "QUERY_TOO_COMPLEX", `mutation { x }`: "GRAPHQL_VALIDATION_FAILED",
		`{ __schema { types { name } } }`: "INTROSPECTION_DISABLED", `{ account { account_id } x: __type(name: "Key") { name } }`: "INTROSPECTION_DISABLED",
		`{ account { calls(first: 500) { calls { id at model } } } }`: "QUERY_TOO_COMPLEX", bomb: "QUERY_TOO_COMPLEX",
		aside: "QUERY_TOO_COMPLEX", alike: "QUERY_TOO_COMPLEX", many: "QUERY_TOO_COMPLEX", asked + strings.Repeat("#", graphText): "QUERY_TOO_COMPLEX",
		`{ account { calls(first: 0) { calls { id } } } }`: "invalid_request", `{ account { keys(first: -5) { id } } }`: "invalid_request",
		`query a { account { account_id } } query b { account { account_id } }`: "BAD_USER_INPUT",
		`query($n: Int!) { account { keys(first: $n) { id } } }`:                "BAD_USER_INPUT",
		`{ account { usage(tz: "Mars") { tz } } }`:                              "invalid_request", `{ account { calls(after: "x") { calls { id } } } }`: "invalid_cursor",
		"{" + strings.Repeat(" x", graphTokens): "GRAPHQL_PARSE_FAILED",
	} {
		a := r.query(key, text, nil)
		if a.get("errors.0.extensions.code").Str != code || a.get("data").Raw != "null" || a.get("errors.0.message").Str == "" {
			t.Errorf("%.100s: %.300s, want %s", text, a.body, code)
		}
	}
	g, err := newGraph()
	r.must(err)
	g.schema.Types["Settings"].Fields = append(g.schema.Types["Settings"].Fields, g.schema.Types["Query"].Fields.ForName("account"))
	deep := "account_id"
	for range 6 {
		deep = "settings { account { " + deep + " } }"
	}
	if _, fault := g.parse("{ account { "+deep+" } }", "", nil); fault == nil || fault.Extensions["code"] != "QUERY_TOO_DEEP" {
		t.Errorf("14 levels: %+v", fault)
	}
	r.do("POST", "/graphql", "", `{"query":"{account{account_id}}"}`).want(t, 401)
	r.do("POST", "/graphql", key, `[]`).want(t, 400)
	cursor := r.query(key, `{ account { calls(first: 2, from: "2026-03-26", to: "2026-04-01") { calls { id } next_cursor } } }`, nil).get("data.account.calls.next_cursor").Str
	a := r.query(strange, `query($c: String) { account { calls(first: 2, after: $c, from: "2026-03-26", to: "2026-04-01") { calls { id } } } }`, map[string]any{"c": cursor})
	if cursor == "" || a.get("errors.0.extensions.code").Str != "invalid_cursor" {
		t.Errorf("somebody else's cursor: %s", a.body)
	}
	_, bound, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account, BudgetMonth: dollar})
	r.must(err)
	for _, field := range []string{"transactions { next_cursor }", "keys { id }", "settings { persona }", "organisation { id }"} {
		if a := r.query(bound, "{ account { "+field+" } }", nil); a.get("errors.0.extensions.code").Str != "key_restricted" {
			t.Errorf("a restricted key sees %s", a.body)
		}
	}
	if a := r.query(bound, `{ account { usage(from: "2026-03-26", to: "2026-04-01") { total { calls } } } }`, nil); a.get("data.account.usage.total.calls").Raw != "0" {
		t.Errorf("a restricted key sees %s", a.body)
	}
}

// A query is known by its hash once it was sent with it; the same question is summed up
// once, for each viewer.
func TestGraphKeeps(t *testing.T) {
	r := newRig(t)
	spent, queries := &drawer{}, &drawer{}
	r.server.account.Spent, r.server.account.Queries = spent, queries
	account, key := r.account(dollar)
	r.past(account, spring(0, 10))
	_, strange := r.account(dollar)
	const text = `{ account { usage(from: "2026-03-26", to: "2026-04-01") { total { calls } } } }`
	saved := func(hash string) string { return fmt.Sprintf(`{"persistedQuery":{"version":1,"sha256Hash":%q}}`, hash) }
	if a := r.query(key, "", nil, "extensions", saved(hashOf(text))); a.get("errors.0.message").Str != "PersistedQueryNotFound" {
		t.Errorf("at first: %s", a.body)
	}
	if a := r.query(key, text, nil, "extensions", saved(hashOf("another"))); a.get("errors.0.extensions.code").Str != "BAD_USER_INPUT" || len(queries.kept) != 0 {
		t.Errorf("under another's hash: %s", a.body)
	}
	if a := r.query(key, `{ nonesuch }`, nil, "extensions", saved(hashOf(`{ nonesuch }`))); !a.get("errors").Exists() || len(queries.kept) != 0 {
		t.Errorf("a query that is none is kept: %s", a.body)
	}
	for _, sent := range []string{text, "", ""} {
		a := r.query(key, sent, nil, "extensions", saved(hashOf(text)))
		if a.get("data.account.usage.total.calls").Int() != 10 {
			t.Errorf("sent %q: %s", sent, a.body)
		}
	}
	if spent.loads != 1 {
		t.Errorf("it was summed up %d times", spent.loads)
	}
	if a := r.query(strange, "", nil, "extensions", saved(hashOf(text))); a.get("data.account.usage.total.calls").Raw != "0" {
		t.Errorf("somebody else is told %s", a.body)
	}
	r.server.account.Queries = nil
	if a := r.query(key, "", nil, "extensions", saved(hashOf(text))); a.get("errors.0.message").Str != "PersistedQueryNotSupported" {
		t.Errorf("without a cache: %s", a.body)
	}
	schema := r.do("GET", "/graphql/schema", "", "").want(t, 200)
	if !strings.Contains(schema.body, "type Query") || schema.header.Get("Etag") == "" {
		t.Errorf("the schema is %.100s", schema.body)
	}
}
