package gateway

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
)

const dollar = billing.NanoPerUSD

func TestAnswer(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	a := r.do("POST", "/v1/chat/completions", key, `{"metadata":{"z":1.50},"model":"paid","messages":[{"role":"user","content":"Say something."}],"n":2,"max_tokens":7}`)
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	prompt, completion := a.get("usage.prompt_tokens").Int(), a.get("usage.completion_tokens").Int()
	if prompt == 0 || completion != 14 || a.get("choices.#").Int() != 2 || a.get("choices.1.finish_reason").Str != "length" {
		t.Errorf("answer %s", a.body)
	}
	cost := 2_000*prompt + 8_000*completion
	if got := nano(t, a.get("usage.cost").Raw); got != cost || nano(t, a.header.Get("X-Cost-USD")) != cost {
		t.Errorf("cost %d and %s, want %d", got, a.header.Get("X-Cost-USD"), cost)
	}
	if !json.Valid([]byte(a.body)) || a.header.Get("RateLimit") == "" || a.header.Get("X-Ratelimit-Limit-Requests") != "1000000" {
		t.Errorf("headers %v", a.header)
	}
	r.wantBalance(id, dollar-cost)
	if spent := r.ledger(id, 1); spent != cost {
		t.Errorf("the ledger has %d, want %d", spent, cost)
	}
	sent := r.sim.Requests()[0]
	if want := `{"metadata":{"z":1.50},"model":"sim-fast","messages":[{"role":"user","content":"Say something."}],"n":2,"max_tokens":7}`; string(sent.Body) != want {
		t.Errorf("the provider got %s", sent.Body)
	}
	if h := sent.Header; h.Get("Authorization") != "" || strings.Contains(fmt.Sprint(h), key) {
		t.Errorf("the provider got headers %v", h)
	}
}

func TestStream(t *testing.T) {
	r := newRig(t)
	for _, asked := range []bool{false, true} {
		for _, model := range []string{"paid", "sim-torn", "sim-instant", "sim-no-usage", "sim-usage-null", "sim-usage-negative", "sim-usage-string", "sim-usage-huge", "sim-reasoning", "sim-empty"} {
			t.Run(fmt.Sprintf("%s,%v", model, asked), func(t *testing.T) {
				id, key := r.account(dollar)
				more := []string{`"stream":true`}
				if asked {
					more = append(more, `"stream_options":{"include_usage":true}`)
				}
				a := r.chat(key, model, more...)
				if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") || a.header.Get("X-Accel-Buffering") != "no" {
					t.Fatalf("%d %v", a.status, a.header)
				}
				events := streamed(t, a.body)
				if len(events) == 0 || events[len(events)-1] != "[DONE]" || strings.Contains(a.body, `"error"`) {
					t.Fatalf("events %q", events)
				}
				spent := dollar - r.settled(id)
				usages := 0
				for _, e := range events[:len(events)-1] {
					if !gjson.Valid(e) {
						t.Errorf("not JSON: %s", e)
					}
					if usage := gjson.Get(e, "usage"); usage.IsObject() {
						usages++
						if cost := nano(t, usage.Get("cost").Raw); cost != spent {
							t.Errorf("cost %d, spent %d", cost, spent)
						}
					}
				}
				if want := map[bool]int{false: 0, true: 1}[asked]; usages != want {
					t.Errorf("%d usages, want %d: %q", usages, want, events[len(events)-2])
				}
				if ledger := r.ledger(id, 1); ledger != spent || spent <= 0 {
					t.Errorf("spent %d, ledger %d", spent, ledger)
				}
			})
		}
	}
}

// TestUsageThatCannotBeBelieved: what a provider claims is either believed as a
// whole or counted here, and then said to be an estimate.
func TestUsageThatCannotBeBelieved(t *testing.T) {
	r := newRig(t)
	for _, model := range []string{"sim-no-usage", "sim-usage-null", "sim-usage-negative", "sim-usage-string", "sim-usage-huge"} {
		id, key := r.account(dollar)
		a := r.chat(key, model)
		usage := a.get("usage")
		if a.status != 200 || !usage.Get("estimated").Bool() {
			t.Errorf("%s: %d %s", model, a.status, a.body)
			continue
		}
		cost := 2_000*usage.Get("prompt_tokens").Int() + 8_000*usage.Get("completion_tokens").Int()
		if usage.Get("completion_tokens").Int() < 10 || usage.Get("prompt_tokens").Int() < 5 || usage.Get("prompt_tokens").Int() > 40 || nano(t, usage.Get("cost").Raw) != cost {
			t.Errorf("%s: usage %s", model, usage.Raw)
		}
		r.wantBalance(id, dollar-cost)
	}
	// Words that were delivered are not free because a provider says so.
	r.sim.Assign("sim-fast", llmsim.Script{Tokens: 50, Usage: `{"prompt_tokens":9,"completion_tokens":0}`})
	for _, stream := range []string{"true", "false"} {
		id, key := r.account(dollar)
		r.chat(key, "paid", `"stream":`+stream)
		if r.settled(id); r.completion(id) < 40 {
			t.Errorf("stream %s: %d tokens billed", stream, r.completion(id))
		}
	}
	id, key := r.account(dollar)
	a := r.chat(key, "sim-ignores-max", `"max_tokens":2`)
	held := 2_000*r.promptBound(chatBody("sim-ignores-max", `"max_tokens":2`)) + 8_000*2
	if captured := nano(t, a.header.Get("X-Cost-USD")); captured > held {
		t.Errorf("captured %d of %d held", captured, held)
	}
	r.settled(id)
}

// promptBound is what the worst case counts for a body's prompt.
func (r *rig) promptBound(body string) int64 {
	r.t.Helper()
	request, err := llm.ParseChat([]byte(body))
	r.must(err)
	return request.PromptBound(r.meter.offers["paid"].Model)
}

func TestErrors(t *testing.T) {
	r := newRig(t, func(s *setup) { s.server.BodyLimit = 100_000 })
	id, key := r.account(dollar)
	_, poor := r.account(1)
	other := r.otherKey()
	for _, c := range []struct {
		name   string
		got    answer
		status int
		code   string
	}{
		{"no key", r.chat("", "paid"), 401, "invalid_api_key"},
		{"malformed key", r.chat("sk-something", "paid"), 401, "invalid_api_key"},
		{"mistyped key", r.chat(key[:len(key)-1]+"!", "paid"), 401, "invalid_api_key"},
		{"unknown key", r.chat(other, "paid"), 401, "invalid_api_key"},
		{"another scheme", r.do("POST", "/v1/chat/completions", "", chatBody("paid"), "Authorization", "Basic "+key), 401, "invalid_api_key"},
		{"unknown key, bad request", r.do("POST", "/v1/chat/completions", other, `{`), 401, "invalid_api_key"},
		{"unknown key, unknown model", r.chat(other, "nothing"), 401, "invalid_api_key"},
		{"unknown key, large body", r.do("POST", "/v1/chat/completions", other, strings.Repeat(" ", 100_001)), 401, "invalid_api_key"},
		{"not JSON", r.do("POST", "/v1/chat/completions", key, `{"model":`), 400, "invalid_request"},
		{"empty", r.do("POST", "/v1/chat/completions", key, ``), 400, "invalid_request"},
		{"no messages", r.do("POST", "/v1/chat/completions", key, `{"model":"paid"}`), 400, "invalid_request"},
		{"too long an answer", r.chat(key, "paid", `"max_tokens":4001`), 400, "invalid_request"},
		{"too large", r.do("POST", "/v1/chat/completions", key, strings.Repeat(" ", 100_001)), 413, "request_too_large"},
		{"encoded", r.do("POST", "/v1/chat/completions", key, chatBody("paid"), "Content-Encoding", "gzip"), 415, "unsupported_encoding"},
		{"unknown model", r.chat(key, "nothing"), 404, "model_not_found"},
		{"unknown model's object", r.do("GET", "/v1/models/nothing", key, ""), 404, "model_not_found"},
		{"no balance", r.chat(poor, "paid"), 402, "insufficient_balance"},
		{"provider's 400", r.chat(key, "sim-error-400"), 400, "invalid_request_error"},
		{"provider's 401", r.chat(key, "sim-error-401"), 502, "provider_error"},
		{"provider's 404", r.chat(key, "sim-unknown"), 502, "provider_error"},
		{"provider's 429", r.chat(key, "sim-429"), 429, "provider_rate_limited"},
		{"provider's 500", r.chat(key, "sim-error-500"), 502, "provider_error"},
		{"provider's 500, streamed", r.chat(key, "sim-error-500", `"stream":true`), 502, "provider_error"},
		{"provider's HTML", r.chat(key, "sim-html"), 502, "provider_error"},
		{"provider's HTML with 200", r.chat(key, "sim-html-200"), 502, "provider_error"},
		{"provider's HTML with 200, streamed", r.chat(key, "sim-html-200", `"stream":true`), 502, "provider_error"},
		{"provider's error with 200", r.chat(key, "sim-error-200"), 502, "provider_error"},
		{"provider cut", r.chat(key, "sim-cut"), 502, "provider_error"},
		{"provider away", r.chat(key, "gone"), 502, "provider_error"},
		{"nothing there", r.do("GET", "/v1/nothing", key, ""), 404, "not_found"},
		{"wrong method", r.do("GET", "/v1/chat/completions", key, ""), 405, "method_not_allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "provider's 400" {
				c.code = c.got.get("error.code").Str // the provider's own
			}
			c.got.wantError(t, c.status, c.code)
			if c.status == 429 && c.got.header.Get("Retry-After") != "2" {
				t.Errorf("Retry-After %q", c.got.header.Get("Retry-After"))
			}
		})
	}
	if a := r.chat(key, "sim-error-400"); a.get("error.message").Str == "" || a.header.Get("X-Ratelimit-Remaining-Requests") == "" {
		t.Errorf("a provider's refusal: %s %v", a.body, a.header)
	}
	r.wantBalance(id, dollar)
	if n := r.client.ZCard(t.Context(), billing.ExpKey(id)).Val(); n != 0 {
		t.Errorf("%d holds are left", n)
	}
	if a := r.do("GET", "/api/v1/nothing", key, ""); a.status != 404 || a.get("error.code").Str != "not_found" || a.get("error.request_id").Str != a.header.Get("X-Request-Id") {
		t.Errorf("our own shape: %d %s", a.status, a.body)
	}
}

// otherKey is a well-formed key that nobody has.
func (r *rig) otherKey() string {
	r.t.Helper()
	id, _ := r.account(0)
	key, token, err := r.desk.Keys.Create(r.t.Context(), billing.KeySpec{AccountID: id})
	r.must(err)
	r.must(r.desk.Keys.Revoke(r.t.Context(), id, key.ID, billing.House))
	return token
}

func TestRequestIDs(t *testing.T) {
	r := newRig(t)
	for sent, kept := range map[string]bool{"abc-1.2_3": true, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false, "a b": false, "": false, "é": false} {
		got := r.do("GET", "/health", "", "", "X-Request-Id", sent).header.Get("X-Request-Id")
		if (got == sent) != kept || !kept && len(got) != 32 {
			t.Errorf("%q became %q", sent, got)
		}
	}
}

// TestUnaffordable: a stated length that is too dear is refused with what would
// be affordable; an open one shrinks to it and is enforced.
func TestUnaffordable(t *testing.T) {
	r := newRig(t)
	body := chatBody("paid", `"max_tokens":500`)
	prompt := 2_000 * r.promptBound(body)
	id, key := r.account(prompt + 8_000*100)
	a := r.do("POST", "/v1/chat/completions", key, body)
	a.wantError(t, 402, "insufficient_balance")
	if message := a.get("error.message").Str; !strings.Contains(message, "at most 100 output tokens") {
		t.Errorf("message %q", message)
	}
	r.wantBalance(id, prompt+8_000*100)
	// Each of several answers may be that long.
	r.chat(key, "paid", `"max_tokens":90`, `"n":2`).wantError(t, 402, "insufficient_balance")
	if n := r.sim.Count(); n != 0 {
		t.Errorf("the provider was asked %d times", n)
	}

	a = r.chat(key, "paid")
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	open := 2_000 * r.promptBound(chatBody("paid"))
	enforced := (prompt + 8_000*100 - open) / 8_000
	if sent := gjson.GetBytes(r.sim.Requests()[0].Body, "max_tokens").Int(); sent != enforced {
		t.Errorf("enforced %d, want %d", sent, enforced)
	}
	r.settled(id)
}

// TestExactlyAsManyAsAffordable: 200 workers, money for exactly 100 calls.
func TestExactlyAsManyAsAffordable(t *testing.T) {
	r := newRig(t)
	const calls, workers, cost = 100, 200, 10 * 1_000 // ten tokens of "word"
	id, key := r.account(calls * cost)
	var ok, refused, other, summed atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			a := r.persist(func() answer { return r.chat(key, "word", `"max_tokens":10`) })
			switch a.status {
			case 200:
				ok.Add(1)
				summed.Add(nano(t, a.header.Get("X-Cost-USD")))
			case 402:
				refused.Add(1)
			default:
				other.Add(1)
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if ok.Load() != calls || refused.Load() != workers-calls {
		t.Errorf("%d succeeded, %d refused", ok.Load(), refused.Load())
	}
	r.wantBalance(id, 0)
	if spent := r.ledger(id, calls); spent != calls*cost || summed.Load() != spent {
		t.Errorf("the ledger has %d, the answers %d, want %d", spent, summed.Load(), calls*cost)
	}
	if n := int64(len(r.sim.Requests())); n != calls {
		t.Errorf("the provider was called %d times", n)
	}
}

func TestRequestLimit(t *testing.T) {
	r := newRig(t, func(s *setup) { s.meter.Limits.RequestsPerMinute = 3 })
	id, key := r.account(dollar)
	for i := range 3 {
		if a := r.chat(key, "free"); a.status != 200 || a.header.Get("X-Ratelimit-Remaining-Requests") != fmt.Sprint(2-i) {
			t.Fatalf("%d %s", a.status, a.header.Get("X-Ratelimit-Remaining-Requests"))
		}
	}
	for _, a := range []answer{r.chat(key, "paid"), r.do("GET", "/v1/models", key, ""), r.do("POST", "/v1/chat/completions", key, "{")} {
		a.wantError(t, 429, "rate_limit_exceeded")
		if after := a.header.Get("Retry-After"); after != "60" && after != "59" || a.header.Get("X-Ratelimit-Remaining-Requests") != "0" {
			t.Errorf("Retry-After %q, %v", after, a.header)
		}
	}
	r.wantBalance(id, dollar)
	_, own := r.account(dollar, 5)
	for i := range 6 {
		if a := r.chat(own, "free"); (a.status == 200) != (i < 5) {
			t.Errorf("call %d of a key with its own limit: %d", i+1, a.status)
		}
	}
	_, broke := r.account(0) // a call denied by money does not consume the limit
	for range 5 {
		r.chat(broke, "paid").wantError(t, 402, "insufficient_balance")
	}
	if a := r.chat(broke, "free"); a.header.Get("X-Ratelimit-Remaining-Requests") != "2" {
		t.Errorf("after refusals %s remain", a.header.Get("X-Ratelimit-Remaining-Requests"))
	}
}

func TestInactiveAccount(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	r.must(r.client.HSet(t.Context(), billing.AcctKey(id), billing.AccountFieldStatus, "suspended").Err())
	r.chat(key, "paid").wantError(t, 403, "account_inactive")
}

// TestPeppers: a key made under an older pepper works as long as that is configured.
func TestPeppers(t *testing.T) {
	old, young := "an old pepper, long enough", "a young pepper, long enough"
	r := newRig(t, func(s *setup) { s.peppers = []string{old} })
	id, key := r.account(dollar)
	both, err := billing.New(billing.Config{Redis: r.client, Postgres: r.pool, Log: r.server.log, Peppers: []string{young, old}})
	r.must(err)
	r.server.keys = both.Keys
	if a := r.chat(key, "paid"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	only, err := billing.New(billing.Config{Redis: r.client, Postgres: r.pool, Log: r.server.log, Peppers: []string{young}})
	r.must(err)
	r.server.keys = only.Keys
	r.chat(key, "paid").wantError(t, 401, "invalid_api_key")

	// A record with another mac is not the key's, and what was held is given back.
	r.server.keys = r.desk.Keys
	r.settled(id)
	before := r.balance(id)
	presented, err := r.desk.Keys.Parse(key)
	r.must(err)
	r.must(r.client.HSet(t.Context(), billing.KeyKey(id, presented.Locator[0]), billing.KeyFieldMAC, strings.Repeat("0", 32)).Err())
	r.chat(key, "paid").wantError(t, 401, "invalid_api_key")
	r.wantBalance(id, before.Available)
}

func TestReads(t *testing.T) {
	r := newRig(t)
	id, key := r.account(1_500_000_000)
	a := r.do("GET", "/api/v1/balance", "", "", "X-Api-Key", key)
	if want := fmt.Sprintf(`{"account_id":%d,"available_nano_usd":1500000000,"held_nano_usd":0,"available_usd":"1.50","currency":"USD"}`, id); a.status != 200 || a.body != want {
		t.Errorf("balance %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/api/v1/balance", "", ""); a.status != 401 || a.get("error.code").Str != "invalid_api_key" || a.get("error.request_id").Str == "" {
		t.Errorf("balance without a key: %d %s", a.status, a.body)
	}
	a = r.do("GET", "/v1/models", key, "")
	if a.status != 200 || a.get("object").Str != "list" || a.get("data.0.id").Str != "paid" || a.get("data.0.object").Str != "model" || a.get("data.0.owned_by").Str != "sim" {
		t.Errorf("models %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/v1/models/paid", key, ""); a.status != 200 || a.get("id").Str != "paid" {
		t.Errorf("model %d %s", a.status, a.body)
	}
	r.do("GET", "/v1/models", "", "").wantError(t, 401, "invalid_api_key")
}

func TestManyTokens(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	r.sim.Assign("sim-fast", llmsim.Script{Tokens: 3000})
	a := r.chat(key, "paid", `"stream":true`)
	if n := len(streamed(t, a.body)); n < 3000 {
		t.Errorf("%d events", n)
	}
	if spent := dollar - r.settled(id); spent < 3000*8_000 {
		t.Errorf("spent %d", spent)
	}
}
