package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/kikuai/kikuai/internal/testenv"
)

func messagesBody(model string, more ...string) string {
	return chatBody(model, append([]string{`"max_tokens":1000`}, more...)...)
}

// messages asks as Anthropic's clients do.
func (r *rig) messages(key, model string, more ...string) answer {
	r.t.Helper()
	return r.do("POST", "/v1/messages", "", messagesBody(model, more...), "X-Api-Key", key)
}

// direct asks the provider itself.
func (r *rig) direct(c *claude, body string) string {
	r.t.Helper()
	gateway := r.url
	r.url = c.url
	defer func() { r.url = gateway }()
	return r.do("POST", "/v1/messages", "", body).body
}

// wantAnthropicError checks an error's status and that it has Anthropic's form.
func (a answer) wantAnthropicError(t testing.TB, status int, kind string) {
	t.Helper()
	if a.status != status || a.get("type").Str != "error" || a.get("error.type").Str != kind || a.get("error.message").Str == "" {
		t.Errorf("answered %d %s, want %d %s", a.status, a.body, status, kind)
	}
	if id := a.header.Get("Request-Id"); id == "" || id != a.header.Get("X-Request-Id") || id != a.get("request_id").Str {
		t.Errorf("ids %q: %v %s", id, a.header, a.body)
	}
	for _, internal := range []string{"gateway:", "billing:", "llm:", "redis", "127.0.0.1", "dial", "inside", "12345678"} {
		if strings.Contains(a.body, internal) {
			t.Errorf("the answer tells of the inside: %s", a.body)
		}
	}
}

func TestMessages(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c))
	id, key := r.account(dollar, 100)
	a := r.messages(key, "claude").want(t, 200)
	const cost = 15*2_000 + 8*8_000
	if got := nano(t, a.header.Get("X-Cost-USD")); got != cost || a.get("usage.cost").Raw != "0.000094" {
		t.Errorf("cost %d in %s", got, a.body)
	}
	bare, _ := sjson.Delete(a.body, "usage.cost")
	if want := r.direct(c, messagesBody("claude")); bare != want {
		t.Errorf("answered %s\nand directly %s", bare, want)
	}
	if a.header.Get("Request-Id") == "" || a.header.Get("Request-Id") != a.header.Get("X-Request-Id") || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", a.header)
	}
	reset, err := time.Parse(time.RFC3339, a.header.Get("Anthropic-Ratelimit-Requests-Reset"))
	if err != nil || a.header.Get("Anthropic-Ratelimit-Requests-Limit") != "100" || a.header.Get("Anthropic-Ratelimit-Requests-Remaining") != "99" {
		t.Errorf("%s, %v: %v", reset, err, a.header)
	}
	asked := c.requests()[0]
	if asked.path != "/v1/messages" || asked.body != messagesBody("claude") || asked.header.Get("Anthropic-Version") != "2023-06-01" ||
		asked.header.Get("X-Api-Key") != "" || asked.header.Get("Authorization") != "" {
		t.Errorf("asked %+v", asked)
	}
	r.wantBalance(id, dollar-cost)
	if spent := r.ledger(id, 1); spent != cost || r.estimated(id) {
		t.Errorf("ledger %d", spent)
	}
	r.do("POST", "/v1/messages", key, messagesBody("claude"), "Anthropic-Version", "2024-01-01", "Anthropic-Beta", "one-2025-01-01, two").want(t, 200)
	if asked := c.requests()[2]; asked.header.Get("Anthropic-Version") != "2024-01-01" || asked.header.Get("Anthropic-Beta") != "one-2025-01-01, two" {
		t.Errorf("asked with %v", asked.header)
	}
}

func TestMessagesStream(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c))
	for _, model := range []string{"claude", "claude-length", "claude-no-stop"} {
		id, key := r.account(dollar)
		a := r.messages(key, model, `"stream":true`).want(t, 200)
		r.wantBalance(id, dollar-15*2_000-8*8_000)
		want := r.direct(c, messagesBody(model, `"stream":true`))
		if model == "claude-no-stop" {
			want += "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
		}
		if got := strings.Replace(a.body, `,"cost":0.000094`, "", 1); got != want || got == a.body {
			t.Errorf("%s: streamed\n%s\nand directly\n%s", model, a.body, want)
		}
		if r.estimated(id) || a.header.Get("Request-Id") == "" {
			t.Errorf("%s: %v", model, a.header)
		}
	}
	id, key := r.account(dollar)
	a := r.messages(key, "claude-two-deltas", `"stream":true`)
	if n := strings.Count(a.body, "event: message_delta"); n != 2 || strings.Count(a.body, `"cost"`) != 1 {
		t.Errorf("%d deltas: %s", n, a.body)
	}
	r.settled(id)
	if got := r.completion(id); got != 8 {
		t.Errorf("%d tokens", got)
	}
}

// TestMessagesUsage: what the provider does not say is counted and marked; what it reads
// from its cache is part of the prompt.
func TestMessagesUsage(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c))
	for _, model := range []string{"claude-no-usage", "claude-usage-string", "claude-no-delta"} {
		for _, stream := range []string{"false", "true"} {
			if model == "claude-no-delta" && stream == "false" {
				continue
			}
			id, key := r.account(dollar)
			a := r.messages(key, model, `"stream":`+stream).want(t, 200)
			spent := dollar - r.settled(id)
			if !r.estimated(id) || r.completion(id) != 8 || r.ledger(id, 1) != spent || spent <= 8*8_000 {
				t.Errorf("%s, %s: %d tokens for %d", model, stream, r.completion(id), spent)
			}
			usage := a.get("usage")
			if stream == "true" {
				events := streamed(t, a.body)
				usage = gjson.Get(events[len(events)-2], "usage")
			}
			if !usage.Get("estimated").Bool() || usage.Get("output_tokens").Raw != "8" || nano(t, usage.Get("cost").Raw) != spent {
				t.Errorf("%s, %s: told %s", model, stream, usage.Raw)
			}
		}
	}
	id, key := r.account(dollar)
	r.messages(key, "claude-cached").want(t, 200)
	r.wantBalance(id, dollar-1110*2_000-8*8_000)
	var prompt, cached, written int64
	r.ledger(id, 1)
	r.must(r.pool.QueryRow(t.Context(), `select prompt_tokens, cached_tokens, cache_write_tokens from usage where account_id = $1`, id).Scan(&prompt, &cached, &written))
	if prompt != 1110 || cached != 1000 || written != 100 {
		t.Errorf("recorded %d, of these %d cached and %d written", prompt, cached, written)
	}
}

// TestMessagesOfNoAnswer: a request of no tokens fills the provider's prompt cache. Its
// prompt alone is held and billed, whole and streamed.
func TestMessagesOfNoAnswer(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c))
	for _, stream := range []string{"false", "true"} {
		// Less than any answer of this model would be held for.
		id, key := r.account(2_000_000)
		body := chatBody("claude", `"max_tokens":0`, `"stream":`+stream)
		a := r.do("POST", "/v1/messages", key, body).want(t, 200)
		asked := c.requests()
		if sent := asked[len(asked)-1].body; sent != body {
			t.Errorf("asked %s", sent)
		}
		const cost = 30 * 2_000
		if !strings.Contains(a.body, `"stop_reason":"max_tokens"`) || !strings.Contains(a.body, `"content":[]`) || !strings.Contains(a.body, `"cost":0.00006`) {
			t.Errorf("answered %s", a.body)
		}
		r.wantBalance(id, 2_000_000-cost)
		if spent := r.ledger(id, 1); spent != cost || r.estimated(id) || r.completion(id) != 0 {
			t.Errorf("billed %d for %d tokens", spent, r.completion(id))
		}
	}
	id, key := r.account(dollar)
	r.do("POST", "/v1/messages", key, chatBody("paid", `"max_tokens":0`)).wantAnthropicError(t, 400, "invalid_request_error")
	r.wantBalance(id, dollar)
}

func TestMessagesErrors(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c), func(s *setup) { s.server.BodyLimit = 100_000 })
	id, key := r.account(dollar)
	_, poor := r.account(1)
	_, limited := r.account(dollar, 1)
	r.messages(limited, "claude").want(t, 200)
	ask := func(body string, headers ...string) answer {
		return r.do("POST", "/v1/messages", key, body, headers...)
	}
	for _, q := range []struct {
		name   string
		got    answer
		status int
		kind   string
	}{
		{"no key", r.do("POST", "/v1/messages", "", messagesBody("claude")), 401, "authentication_error"},
		{"a wrong key", r.messages(r.otherKey(), "claude"), 401, "authentication_error"},
		{"no money", r.messages(poor, "claude"), 402, "billing_error"},
		{"no such model", r.messages(key, "nothing"), 404, "not_found_error"},
		{"too large", r.messages(key, "claude", `"x":"`+strings.Repeat("x", 100_000)+`"`), 413, "request_too_large"},
		{"not JSON", ask("{"), 400, "invalid_request_error"},
		{"no max_tokens", ask(chatBody("claude")), 400, "invalid_request_error"},
		{"a long answer", ask(chatBody("claude", `"max_tokens":5000`)), 400, "invalid_request_error"},
		{"a longer context", ask(messagesBody("claude"), "Anthropic-Beta", "context-1m-2025-08-07"), 400, "invalid_request_error"},
		{"a profile at the provider", ask(messagesBody("claude"), "Anthropic-User-Profile-Id", "p"), 400, "invalid_request_error"},
		{"the provider's tool", ask(messagesBody("claude", `"tools":[{"type":"web_search_20250305","name":"web_search"}]`)), 400, "invalid_request_error"},
		{"refused", r.messages(key, "claude-400"), 400, "invalid_request_error"},
		{"our key there", r.messages(key, "claude-401"), 502, "api_error"},
		{"our account there", r.messages(key, "claude-poor"), 502, "api_error"},
		{"busy", r.messages(key, "claude-429"), 429, "rate_limit_error"},
		{"overloaded", r.messages(key, "claude-529"), 429, "rate_limit_error"},
		{"broken", r.messages(key, "claude-500"), 502, "api_error"},
		{"HTML", r.messages(key, "claude-html-200"), 502, "api_error"},
		{"an error with 200", r.messages(key, "claude-error-200"), 502, "api_error"},
		{"limit", r.messages(limited, "claude"), 429, "rate_limit_error"},
		{"no such address", r.do("GET", "/v1/messages/batches", key, ""), 404, "not_found_error"},
	} {
		t.Run(q.name, func(t *testing.T) { q.got.wantAnthropicError(t, q.status, q.kind) })
	}
	if a := r.messages(limited, "claude"); a.header.Get("Retry-After") == "" || a.header.Get("Anthropic-Ratelimit-Requests-Remaining") != "0" {
		t.Errorf("headers %v", a.header)
	}
	r.wantBalance(id, dollar)
}

func TestCountTokens(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c), shortTimeouts)
	id, key := r.account(dollar, 5)
	count := func(body string) answer { return r.do("POST", "/v1/messages/count_tokens", key, body) }
	if a := count(chatBody("claude")).want(t, 200); a.body != `{"input_tokens":77}` || a.header.Get("Anthropic-Ratelimit-Requests-Remaining") != "4" {
		t.Errorf("%s %v", a.body, a.header)
	}
	if asked := c.requests()[0]; asked.path != "/v1/messages/count_tokens" || asked.body != chatBody("claude") {
		t.Errorf("asked %+v", asked)
	}
	own := count(chatBody("paid", `"system":"Be brief."`)).want(t, 200)
	if n := own.get("input_tokens").Int(); n < 8 || n > 20 || len(c.requests()) != 1 {
		t.Errorf("counted %s", own.body)
	}
	count(chatBody("nothing")).wantAnthropicError(t, 404, "not_found_error")
	count(chatBody("claude-hang")).wantAnthropicError(t, 504, "timeout_error")
	count(`{"model":"claude"}`).wantAnthropicError(t, 400, "invalid_request_error")
	count(chatBody("claude")).wantAnthropicError(t, 429, "rate_limit_error")
	r.do("POST", "/v1/messages/count_tokens", r.otherKey(), chatBody("claude")).wantAnthropicError(t, 401, "authentication_error")
	r.wantBalance(id, dollar)
}

// TestModelsForAnthropic: the list has the form that its clients page through.
func TestModelsForAnthropic(t *testing.T) {
	r := newRig(t)
	_, key := r.account(0)
	get := func(path string) answer {
		return r.do("GET", path, "", "", "X-Api-Key", key, "Anthropic-Version", "2023-06-01")
	}
	var ids []string
	for path := "/v1/models?limit=7"; path != ""; {
		a := get(path).want(t, 200)
		for _, m := range a.get("data").Array() {
			ids = append(ids, m.Get("id").Str)
			if _, err := time.Parse(time.RFC3339, m.Get("created_at").Str); err != nil || m.Get("type").Str != "model" || m.Get("display_name").Str == "" {
				t.Errorf("%s", m.Raw)
			}
		}
		if a.get("first_id").Str != a.get("data.0.id").Str {
			t.Errorf("%s", a.body)
		}
		path = ""
		if a.get("has_more").Bool() {
			path = "/v1/models?limit=7&after_id=" + a.get("last_id").Str
		}
	}
	models := r.meter.catalogue.Models()
	if len(ids) != len(models) || ids[0] != models[0].ID || ids[len(ids)-1] != models[len(models)-1].ID {
		t.Errorf("listed %v", ids)
	}
	if a := get("/v1/models?limit=2&before_id="+ids[3]).want(t, 200); a.get("data.0.id").Str != ids[1] || a.get("last_id").Str != ids[2] || !a.get("has_more").Bool() {
		t.Errorf("%s", a.body)
	}
	if a := get("/v1/models").want(t, 200); len(a.get("data").Array()) != 20 {
		t.Errorf("%s", a.body)
	}
	if a := get("/v1/models/paid").want(t, 200); a.get("id").Str != "paid" || a.get("type").Str != "model" {
		t.Errorf("%s", a.body)
	}
	get("/v1/models/nothing").wantAnthropicError(t, 404, "not_found_error")
	get("/v1/models?after_id=nothing").wantAnthropicError(t, 400, "invalid_request_error")
	get("/v1/models?after_id=paid&before_id=paid").wantAnthropicError(t, 400, "invalid_request_error")
	get("/v1/models?limit=0").wantAnthropicError(t, 400, "invalid_request_error")
	if a := r.do("GET", "/v1/models", key, ""); a.get("object").Str != "list" || a.header.Get("Request-Id") != "" {
		t.Errorf("others see %s", a.body)
	}
}

// TestMessagesAgain: a kept answer is given in the protocol it was made in, and costs
// nothing.
func TestMessagesAgain(t *testing.T) {
	c := newClaude(t)
	r, _ := answering(t, withClaude(c))
	id, key := r.account(dollar)
	for _, stream := range []string{"false", "true"} {
		ask := func() answer {
			return r.do("POST", "/v1/messages", key, messagesBody("claude", `"temperature":0`, `"stream":`+stream), "Cache-Control", "max-age=60")
		}
		before, asked := r.settled(id), len(c.requests())
		first := ask().want(t, 200)
		r.settled(id)
		var again answer
		testenv.Until(r.t, "the answer is kept", func() bool { again = ask(); return again.header.Get("X-Cache") == "hit" })
		if first.header.Get("X-Cache") != "miss" || strings.Replace(first.body, `"cost":0.000094`, `"cost":0`, 1) != strings.Replace(again.body, `"cost":0.00`, `"cost":0`, 1) || first.body == again.body {
			t.Errorf("first %s\nthen %s", first.body, again.body)
		}
		spent := int64(len(c.requests())-asked) * (15*2_000 + 8*8_000)
		r.wantBalance(id, before-spent)
	}
	// The same bytes in another protocol are another request.
	if a := r.do("POST", "/v1/chat/completions", key, messagesBody("claude", `"temperature":0`, `"stream":false`), "Cache-Control", "max-age=60"); a.header.Get("X-Cache") == "hit" {
		t.Errorf("%s", a.body)
	}
}
