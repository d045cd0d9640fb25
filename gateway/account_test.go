package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// reportTray takes files in the bot's place.
type reportTray struct {
	mu    sync.Mutex
	files map[string]Report
}

func (t *reportTray) SendUsage(_ context.Context, r Report) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, twice := t.files[r.Name]; twice {
		if !bytes.Equal(known.Wish, r.Wish) {
			return false, billing.ErrIdempotencyConflict
		}
		return false, nil
	}
	if t.files == nil {
		t.files = map[string]Report{}
	}
	t.files[r.Name] = r
	return true, nil
}

// pastCall is a call at a moment of the test's own.
type pastCall struct {
	at    time.Time
	model string
	key   int64
	nano  int64
}

// past has the ledger know calls of an account, by events such as Redis writes. They are
// told in the order of their times.
func (r *rig) past(account int64, calls []pastCall) {
	r.t.Helper()
	ctx := r.t.Context()
	shard := stream.ShardOf(account)
	epoch := r.client.Get(ctx, shard.Key("epoch")).Val()
	pipe := r.client.Pipeline()
	for i, call := range calls {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: shard.Key("ev"), ID: fmt.Sprintf("%d-%d", call.at.UnixMilli(), i+1), Values: []any{
			"t", "settle", "e", epoch, "h", fmt.Sprintf("past-%d-%d", account, i), "a", account, "k", call.key, "c", call.nano, "w", 0,
			"d", fmt.Sprintf(`{"p":10,"o":%d,"m":%q,"d":"home","s":"api"}`, i%7, call.model)}})
	}
	_, err := pipe.Exec(ctx)
	r.must(err)
	r.ledger(account, int64(len(calls)))
}

// spring are calls around a change of clocks, one for each few minutes.
func spring(key int64, n int) (calls []pastCall) {
	dice := rand.New(rand.NewPCG(5, 6))
	from := time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC)
	for i := range n {
		at := from.Add(time.Duration(i) * 4 * 24 * time.Hour / time.Duration(n))
		calls = append(calls, pastCall{at, fmt.Sprintf("model-%d", dice.IntN(3)), key * dice.Int64N(2), 1 + dice.Int64N(10_000)})
	}
	return calls
}

func (r *rig) keyID(token string) int64 {
	r.t.Helper()
	key, err := r.desk.Keys.FindToken(r.t.Context(), token)
	r.must(err)
	return key.ID
}

// The sum of the rows is the sum, and the ledger's, in every zone, also where days begin in
// the midst of an hour and on the day on which clocks are turned.
func TestUsageAddsUp(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	id := r.keyID(key)
	calls := spring(id, 600)
	r.past(account, calls)
	other, strange := r.account(dollar)
	var whole int64
	for _, call := range calls {
		whole += call.nano
	}
	for _, name := range []string{"UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		r.must(err)
		for _, by := range []string{"day", "hour", "day,model", "key", "model,key,hour"} {
			a := r.do("GET", "/api/v1/usage?from=2026-03-26&to=2026-04-01&group_by="+by+"&tz="+url.QueryEscape(name), key, "").want(t, 200)
			got := int64(0)
			for _, row := range a.get("rows").Array() {
				got += row.Get("cost_nano_usd").Int()
				if start, end := row.Get("start").Time(), row.Get("end").Time(); strings.Contains(by, "day") && start.In(zone).Format("15:04") != "00:00" || start.After(end) {
					t.Errorf("%s: a day from %s to %s", name, start, end)
				}
			}
			if total := a.get("total.cost_nano_usd").Int(); got != whole || total != whole || a.get("total.calls").Int() != int64(len(calls)) {
				t.Errorf("%s by %s: rows are %d, the sum is %d, want %d", name, by, got, total, whole)
			}
		}
		days := map[string]int64{}
		for _, call := range calls {
			days[call.at.In(zone).Format(time.DateOnly)] += call.nano
		}
		a := r.do("GET", "/api/v1/usage?from=2026-03-26&to=2026-04-01&include_details=true&tz="+url.QueryEscape(name), key, "")
		for _, row := range a.get("rows").Array() {
			day := row.Get("start").Str[:10]
			if row.Get("cost_nano_usd").Int() != days[day] {
				t.Errorf("%s, %s: %d, want %d", name, day, row.Get("cost_nano_usd").Int(), days[day])
			}
			delete(days, day)
		}
		if len(days) > 0 {
			t.Errorf("%s: days without a row: %v", name, days)
		}
	}
	if a := r.do("GET", "/api/v1/usage?from=2026-03-26&to=2026-04-01", strange, "").want(t, 200); a.get("total.calls").Int() != 0 || a.get("rows").Exists() {
		t.Errorf("account %d sees %s", other, a.body)
	}
}

// Filters, and what a request may not ask for.
func TestUsageQuestions(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	id := r.keyID(key)
	calls := spring(id, 40)
	r.past(account, calls)
	const spanned = "from=2026-03-26&to=2026-04-01"
	count := func(more string) int64 {
		t.Helper()
		return r.do("GET", "/api/v1/usage?"+spanned+more, key, "").want(t, 200).get("total.calls").Int()
	}
	ofModel, ofKey := int64(0), int64(0)
	for _, call := range calls {
		if call.model == "model-1" {
			ofModel++
		}
		if call.key == id {
			ofKey++
		}
	}
	if a, b, c := count("&model=model-1"), count(fmt.Sprintf("&key_id=%d", id)), count("&key_id=0"); a != ofModel || b != ofKey || c != 40-ofKey {
		t.Errorf("%d of the model, %d of the key, %d of chats; want %d, %d", a, b, c, ofModel, ofKey)
	}
	_, err := r.desk.Settings.Change(t.Context(), account, func(s *billing.Settings) { s.Zone = "Asia/Kolkata" })
	r.must(err)
	if a := r.do("GET", "/api/v1/usage?from=2026-03-28&to=2026-03-28", key, "").want(t, 200); a.get("from").Str != "2026-03-28T00:00:00+05:30" || a.get("tz").Str != "Asia/Kolkata" {
		t.Errorf("in the zone of the settings: %s", a.body)
	}
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	r.must(err)
	asked := time.Now().In(kolkata)
	a := r.do("GET", "/api/v1/usage", key, "").want(t, 200)
	from, to := a.get("from").Time(), a.get("to").Time()
	if day := asked.AddDate(0, 0, 1).Format("2006-01-02") + "T00:00:00+05:30"; a.get("to").Str != day && time.Now().In(kolkata).Day() == asked.Day() || to.Sub(from) != 30*24*time.Hour {
		t.Errorf("without an end, thirty days that end with today, %s: %s", day, a.body)
	}
	if a := r.do("GET", "/api/v1/usage?from=2026-03-28T00:00:00+02:00&to=2026-03-28T12:00:00Z&tz=UTC", key, "").want(t, 200); a.get("from").Str != "2026-03-27T22:00:00Z" {
		t.Errorf("from a moment: %s", a.body)
	}
	for query, param := range map[string]string{
		"from=2026-03-26&to=2016-03-26": "from", "from=2016-01-01&to=2026-01-01": "400", "from=yesterday": "from", "to=2026-02-30": "to",
		"from=0001-01-01": "from", "tz=Local": "tz", "tz=Mars/Olympus": "tz", "key_id=-1": "key_id", "key_id=x": "key_id", "group_by=week": "group_by",
		"group_by=day,hour": "group_by", "group_by=day,day": "group_by", "group_by=hour&from=2026-01-01&to=2026-03-01": "31", "include_details=yes": "include_details",
		"from=2999-01-01": "from", "model=" + strings.Repeat("m", 200): "model",
	} {
		a := r.do("GET", "/api/v1/usage?"+query, key, "").want(t, 400)
		if !strings.Contains(a.get("error.message").Str, param) {
			t.Errorf("%s: %s", query, a.body)
		}
	}

	// A restricted key sees what was spent with itself.
	bound, token, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account, BudgetMonth: dollar})
	r.must(err)
	r.past2(account, bound.ID)
	for query, want := range map[string]int64{"": 1, "&key_id=0": 0, fmt.Sprintf("&key_id=%d", bound.ID): 1, fmt.Sprintf("&key_id=%d", id): 0} {
		if a := r.do("GET", "/api/v1/usage?from=2026-03-26&to=2026-04-08"+query, token, "").want(t, 200); a.get("total.calls").Int() != want {
			t.Errorf("a restricted key sees at %q: %s", query, a.body)
		}
	}
	for _, route := range []string{"GET /api/v1/transactions", "GET /api/v1/settings", "PATCH /api/v1/settings", "GET /api/v1/organisation", "POST /api/v1/usage/export/chat"} {
		method, path, _ := strings.Cut(route, " ")
		if a := r.do(method, path, token, "{}").want(t, 403); a.get("error.code").Str != "key_restricted" {
			t.Errorf("%s with a restricted key: %s", route, a.body)
		}
	}
}

// past2 adds one call of a key after those of spring.
func (r *rig) past2(account, key int64) {
	r.t.Helper()
	ctx, shard := r.t.Context(), stream.ShardOf(account)
	r.must(r.client.XAdd(ctx, &redis.XAddArgs{Stream: shard.Key("ev"), ID: fmt.Sprintf("%d-1", time.Date(2026, 4, 5, 0, 0, 0, 0, time.UTC).UnixMilli()), Values: []any{
		"t", "settle", "e", r.client.Get(ctx, shard.Key("epoch")).Val(), "h", fmt.Sprintf("one-of-%d", key), "a", account, "k", key, "c", 5, "w", 0, "d", `{"m":"m","d":"d","s":"api"}`}}).Err())
	testenv.Until(r.t, "the ledger has it", func() bool {
		var n int
		r.must(r.pool.QueryRow(ctx, `select count(*) from usage where key_id = $1`, key).Scan(&n))
		return n == 1
	})
}

// Lists go on where they ended, for the same account and question alone.
func TestPages(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	_, strange := r.account(dollar)
	r.past(account, spring(r.keyID(key), 25))
	for _, list := range []struct{ path, items, other string }{
		{"/api/v1/usage/calls?from=2026-03-26&to=2026-04-01&limit=10", "calls", "&model=model-1"},
		{"/api/v1/transactions?limit=10", "transactions", "&calls=false"},
	} {
		seen := map[int64]bool{}
		cursor, pages := "", 0
		for {
			a := r.do("GET", list.path+cursor, key, "").want(t, 200)
			for _, item := range a.get(list.items).Array() {
				seen[item.Get("id").Int()] = true
			}
			pages++
			next := a.get("next_cursor")
			if next.Str == "" {
				break
			}
			cursor = "&cursor=" + next.Str
			for what, bad := range map[string]answer{
				"another account's": r.do("GET", list.path+cursor, strange, ""),
				"another list's":    r.do("GET", list.path+list.other+cursor, key, ""),
				"a made up one":     r.do("GET", list.path+"&cursor=1.00000000000000000000000000000000", key, ""),
				"a changed one":     r.do("GET", list.path+"&cursor=1"+next.Str, key, ""),
			} {
				if bad.want(t, 400).get("error.code").Str != "invalid_cursor" {
					t.Errorf("%s cursor: %s", what, bad.body)
				}
			}
		}
		want := 25
		if list.items == "transactions" {
			want++ // the credit
		}
		if len(seen) != want || pages != 3 {
			t.Errorf("%s: %d of %d on %d pages", list.path, len(seen), want, pages)
		}
	}
	a := r.do("GET", "/api/v1/transactions?calls=false", key, "").want(t, 200)
	if n := a.get("transactions.#").Int(); n != 1 || a.get("transactions.0.type").Str != "adjustment" {
		t.Errorf("without calls: %s", a.body)
	}
}

// An export is all calls, a line each, however many pages they are.
func TestExport(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	calls := spring(r.keyID(key), exportPage*2+1)
	r.past(account, calls)
	a := r.do("GET", "/api/v1/usage/export?from=2026-03-26&to=2026-04-01&tz=UTC", key, "", "Accept-Encoding", "gzip").want(t, 200)
	if a.header.Get("Content-Type") != "application/x-ndjson" || a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Encoding") != "" {
		t.Errorf("headers %v", a.header)
	}
	lines := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
	if len(lines) != len(calls) {
		t.Fatalf("%d lines of %d calls", len(lines), len(calls))
	}
	for i, line := range lines {
		var call callAnswer
		r.must(json.Unmarshal([]byte(line), &call))
		if call.CostNano != calls[i].nano || call.Model != calls[i].model || call.KeyID != calls[i].key || !call.At.Equal(calls[i].at.Truncate(time.Millisecond)) {
			t.Fatalf("line %d is %s, want %+v", i, line, calls[i])
		}
	}
	if a := r.do("GET", "/api/v1/usage/export?from=2020-03-26&to=2020-04-01", key, "").want(t, 200); a.body != "" {
		t.Errorf("of nothing: %q", a.body)
	}
	for range exportsAtOnce { // others are at it
		r.server.exports <- struct{}{}
	}
	if a := r.do("GET", "/api/v1/usage/export", key, "").want(t, 503); a.header.Get("Retry-After") == "" {
		t.Errorf("without a place: %s", a.body)
	}
	for range exportsAtOnce {
		<-r.server.exports
	}
}

// A client that goes away leaves nothing behind, and does not keep a shutdown waiting.
func TestExportLeft(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	r.past(account, spring(r.keyID(key), exportPage*3))
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/api/v1/usage/export?from=2026-03-26&to=2026-04-01", nil)
	r.must(err)
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	r.must(err)
	_, err = io.ReadFull(response.Body, make([]byte, 100))
	r.must(err)
	leave()
	_ = response.Body.Close()
	testenv.Until(r.t, "its place is free", func() bool { return len(r.server.exports) == 0 })
}

// A file is what the calls are, in the owner's zone, once for each Idempotency-Key.
func TestUsageFile(t *testing.T) {
	guard := &quota{left: 5}
	r := newRig(t, func(s *setup) { s.reportGuard = guard })
	account, key := r.account(dollar)
	id := r.keyID(key)
	calls := spring(id, 30)
	calls[3].model = "=1+1" // what a spreadsheet would count
	r.past(account, calls)
	send := func(body string, headers ...string) answer {
		t.Helper()
		return r.do("POST", "/api/v1/usage/export/chat", key, body, headers...)
	}
	body := `{"from":"2026-03-26","to":"2026-04-01","tz":"Asia/Kolkata","model":null}`
	a := send(body, "Idempotency-Key", "once").want(t, 202)
	if !a.get("queued").Bool() || a.get("rows").Int() != 30 || a.get("file").Str != "usage-2026-03-26-2026-04-01.csv" {
		t.Errorf("answered %s", a.body)
	}
	again := `{"rows":"calls","tz":"Asia/Kolkata","to":"2026-04-01","from":"2026-03-26","model":null}`
	if a := send(again, "Idempotency-Key", "once").want(t, 202); a.get("queued").Bool() {
		t.Errorf("twice: %s", a.body)
	}
	if a := send(`{"from":"2026-03-26"}`, "Idempotency-Key", "once").want(t, 409); a.get("error.code").Str != "idempotency_conflict" {
		t.Errorf("another wish under the same key: %s", a.body)
	}
	send(`{"from":"2026-03-26","to":"2026-04-01","tz":"Asia/Kolkata","rows":"days"}`).want(t, 202)
	if len(r.reports.files) != 2 {
		t.Fatalf("%d files", len(r.reports.files))
	}
	var whole int64
	for _, call := range calls {
		whole += call.nano
	}
	for name, file := range r.reports.files {
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(file.Content), byteOrder))).ReadAll()
		r.must(err)
		sum, costs := int64(0), len(rows[0])-1
		if rows[0][0] == "time (Asia/Kolkata)" {
			costs = 12
			if rows[1][0] != calls[0].at.In(file.From.Location()).Format(reportTime) || rows[4][1] != "'=1+1" {
				t.Errorf("rows %q, %q", rows[1], rows[4])
			}
		}
		for _, row := range rows[1:] {
			sum += nano(t, row[costs])
		}
		if sum != whole || file.Nano != whole || file.AccountID != account {
			t.Errorf("%s of account %d sums up to %d and says %d, want %d", name, file.AccountID, sum, file.Nano, whole)
		}
	}
	for body, code := range map[string]string{
		`[]`: "invalid_request", `{"rows":"weeks"}`: "invalid_request", `{"until":"2026-01-01"}`: "invalid_request", `{"from":7}`: "invalid_request",
		`{"key_id":"x"}`: "invalid_request", `{"from":"2016-01-01","to":"2026-01-01"}`: "invalid_request",
	} {
		if a := send(body).want(t, 400); a.get("error.code").Str != code {
			t.Errorf("%s: %s", body, a.body)
		}
	}
	send(`{}`).want(t, 202)
	if a := send(`{}`).want(t, 429); a.get("error.code").Str != "report_limit_exceeded" || a.header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s", a.body)
	}
}

// quota allows so many.
type quota struct {
	mu   sync.Mutex
	left int
}

func (q *quota) Take(context.Context, int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left--; q.left < 0 {
		return &ratelimit.ExceededError{RetryAfter: time.Minute}
	}
	return nil
}

// Settings are read and changed member by member; null is the default.
func TestAccountSettings(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	const defaults = `{"language":null,"model":null,"favourites":[],"persona":null,"time_zone":null,"show_cost":true,"notify_low_balance":true,"notify_news":true,"long_answers_as_file":false,"rich_messages":false,"forget_after_seconds":null}`
	if a := r.do("GET", "/api/v1/settings", key, "").want(t, 200); a.body != defaults {
		t.Errorf("at first %s", a.body)
	}
	a := r.do("PATCH", "/api/v1/settings", key, `{"language":"ru","model":"paid","favourites":["word","free"],"persona":"Be brief.","time_zone":"Asia/Kolkata","show_cost":false,
		"notify_low_balance":false,"notify_news":false,"long_answers_as_file":true,"rich_messages":true,"forget_after_seconds":3600}`).want(t, 200)
	const changed = `{"language":"ru","model":"paid","favourites":["word","free"],"persona":"Be brief.","time_zone":"Asia/Kolkata","show_cost":false,"notify_low_balance":false,"notify_news":false,"long_answers_as_file":true,"rich_messages":true,"forget_after_seconds":3600}`
	if a.body != changed {
		t.Errorf("changed to %s", a.body)
	}
	for body, name := range map[string]string{
		`{"model":"nonesuch"}`: "model", `{"favourites":["nonesuch"]}`: "favourites", `{"time_zone":"Mars"}`: "time_zone", `{"show_cost":"no"}`: "show_cost",
		`{"forget_after_seconds":-1}`: "forget_after_seconds", `{"forget_after_seconds":1e9}`: "forget_after_seconds", `{"colour":"red"}`: "colour", `[]`: "object",
		`{"persona":"` + strings.Repeat("x", billing.MaxPersona+1) + `"}`: "persona", `{"language":7}`: "language",
	} {
		if a := r.do("PATCH", "/api/v1/settings", key, body).want(t, 400); !strings.Contains(a.get("error.message").Str, name) {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	if a := r.do("GET", "/api/v1/settings", key, ""); a.body != changed {
		t.Errorf("after what was refused %s", a.body)
	}
	all := `{"language":null,"model":null,"favourites":null,"persona":null,"time_zone":null,"show_cost":null,"notify_low_balance":null,"notify_news":null,"long_answers_as_file":null,"rich_messages":null,"forget_after_seconds":null}`
	if a := r.do("PATCH", "/api/v1/settings", key, all).want(t, 200); a.body != defaults {
		t.Errorf("back to %s", a.body)
	}
	_, err := r.pool.Exec(t.Context(), `update accounts set status = 'suspended' where id = $1`, account)
	r.must(err)
}

// An account's organisation is told to it, and to nobody else.
func TestOrganisationIsTold(t *testing.T) {
	r := newRig(t)
	account, key := r.account(dollar)
	_, strange := r.account(dollar)
	if a := r.do("GET", "/api/v1/organisation", key, "").want(t, 200); a.body != `{"organisation":null}` {
		t.Errorf("without one: %s", a.body)
	}
	month, rpm := int64(20*dollar), int64(60)
	o, err := r.desk.Organisations.Create(t.Context(), "Kiku & Co", billing.OrganisationChange{BudgetMonth: &month, Limits: billing.LimitChange{RequestsPerMinute: &rpm}}, billing.Operator("test"))
	r.must(err)
	r.must(r.desk.Organisations.Add(t.Context(), o.ID, account, billing.Operator("test")))
	a := r.do("GET", "/api/v1/organisation", key, "").want(t, 200)
	if got := a.get("organisation"); got.Get("name").Str != "Kiku & Co" || got.Get("budget.month_usd").Str != "20.00" || got.Get("limits.rpm").Int() != 60 || got.Get("accounts").Int() != 1 || got.Get("spent.month_nano_usd").Raw != "0" {
		t.Errorf("told %s", a.body)
	}
	if a := r.do("GET", "/api/v1/organisation", strange, ""); a.body != `{"organisation":null}` {
		t.Errorf("somebody else is told %s", a.body)
	}
}

// Products are what the key may ask, with prices; who has them already is told so.
func TestProducts(t *testing.T) {
	r := newRig(t, func(s *setup) { s.starNano = 13_000_000 })
	account, key := r.account(dollar)
	a := r.do("GET", "/api/v1/products", key, "").want(t, 200)
	if a.get(`models.#(id=="paid").prices.input`).Str != "2" || a.get("default_model").Str != "paid" || a.get("top_up.stars").Raw != "null" {
		t.Errorf("answered %s", a.body)
	}
	tag := a.header.Get("Etag")
	if !strings.HasPrefix(tag, `W/"`) || a.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("headers %v", a.header)
	}
	for _, known := range []string{tag, strings.TrimPrefix(tag, "W/"), `"x", ` + tag, "*"} {
		if a := r.do("GET", "/api/v1/products", key, "", "If-None-Match", known).want(t, 304); a.body != "" || a.header.Get("Etag") != tag {
			t.Errorf("%s: %q, %v", known, a.body, a.header)
		}
	}
	_, bound, err := r.desk.Keys.Create(t.Context(), billing.KeySpec{AccountID: account, Restrictions: billing.Restrictions{Models: []string{"word"}}})
	r.must(err)
	if a := r.do("GET", "/api/v1/products", bound, "", "If-None-Match", tag).want(t, 200); a.get("models.#").Int() != 1 || a.get("default_model").Raw != "null" {
		t.Errorf("for one model: %s", a.body)
	}
}

// What is large enough and no stream is compressed as its client likes, and is the same.
func TestSqueezed(t *testing.T) {
	r := newRig(t)
	_, key := r.account(dollar)
	plain := r.do("GET", "/api/v1/products", key, "", "Accept-Encoding", "identity").want(t, 200)
	for accepts, want := range map[string]string{"gzip, deflate, br": "br", "gzip": "gzip", "gzip;q=1.0, br;q=0": "gzip", "br;q=0.0, gzip; q=0.000": "", "deflate": "", "": ""} {
		a := r.do("GET", "/api/v1/products", key, "", "Accept-Encoding", accepts)
		var text []byte
		var err error
		switch want {
		case "br":
			text, err = fasthttp.AppendUnbrotliBytes(nil, []byte(a.body))
		case "gzip":
			var z *gzip.Reader
			z, err = gzip.NewReader(strings.NewReader(a.body))
			r.must(err)
			text, err = io.ReadAll(z)
		default:
			text = []byte(a.body)
		}
		if a.header.Get("Content-Encoding") != want || err != nil || string(text) != plain.body || a.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %v, %v, %d bytes", accepts, a.header, err, len(text))
		}
		if length := a.header.Get("Content-Length"); length != strconv.Itoa(len(a.body)) {
			t.Errorf("%q: Content-Length %s of %d", accepts, length, len(a.body))
		}
	}
	if a := r.do("GET", "/api/v1/balance", key, "", "Accept-Encoding", "br"); a.header.Get("Content-Encoding") != "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a small one: %v", a.header)
	}
}
