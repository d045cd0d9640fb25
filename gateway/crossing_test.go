package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestMessagesOfChatProvider: a client of Anthropic's reaches a model of OpenAI's protocol.
func TestMessagesOfChatProvider(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	a := r.messages(key, "sim-tokens-10", `"cache_max_age":60`).want(t, 200)
	if a.get("type").Str != "message" || a.get("role").Str != "assistant" || a.get("content.0.text").Str == "" || a.get("stop_reason").Str != "end_turn" || !a.get("id").Exists() {
		t.Errorf("%s", a.body)
	}
	cost := 2_000*a.get("usage.input_tokens").Int() + 8_000*10
	if a.get("usage.output_tokens").Int() != 10 || nano(t, a.get("usage.cost").Raw) != cost || nano(t, a.header.Get("X-Cost-USD")) != cost {
		t.Errorf("cost %d: %s", cost, a.body)
	}
	r.wantBalance(id, dollar-cost)

	id, key = r.account(dollar)
	b := r.messages(key, "sim-tokens-10", `"stream":true`).want(t, 200)
	var text, kinds string
	for _, event := range streamed(t, b.body) {
		kind := gjson.Get(event, "type").Str
		if kind == "content_block_delta" {
			text += gjson.Get(event, "delta.text").Str
		} else {
			kinds += " " + kind
		}
		if kind == "message_delta" && (nano(t, gjson.Get(event, "usage.cost").Raw) != cost || gjson.Get(event, "usage.output_tokens").Int() != 10) {
			t.Errorf("cost %d: %s", cost, event)
		}
	}
	begun := gjson.Get(streamed(t, b.body)[0], "message.usage.input_tokens").Int()
	if told := a.get("usage.input_tokens").Int(); begun < told/2 || begun > told*2 {
		t.Errorf("a prompt of %d tokens is told as %d at the beginning", told, begun)
	}
	if text != a.get("content.0.text").Str || kinds != " message_start content_block_start content_block_stop message_delta message_stop" {
		t.Errorf("%q in%s", text, kinds)
	}
	if r.wantBalance(id, dollar-cost); r.estimated(id) {
		t.Error("an estimate")
	}
	refused := r.messages(key, "paid", `"top_k":5`)
	if refused.wantAnthropicError(t, 400, "invalid_request_error"); !strings.Contains(refused.get("error.message").Str, "top_k") {
		t.Errorf("%s", refused.body)
	}
	r.messages(key, "sim-error-400").wantAnthropicError(t, 400, "invalid_request_error")
	r.messages(key, "sim-429", `"stream":true`).wantAnthropicError(t, 429, "rate_limit_error")
	r.wantBalance(id, dollar-cost)
}

// TestChatOfMessagesProvider: a client of OpenAI's reaches a model of Anthropic's protocol.
func TestChatOfMessagesProvider(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c))
	const cost = 15*2_000 + 8*8_000
	id, key := r.account(dollar)
	a := r.chat(key, "claude").want(t, 200)
	if a.get("object").Str != "chat.completion" || a.get("choices.0.message.content").Str != strings.Join(claudeWords, "") || a.get("choices.0.finish_reason").Str != "stop" {
		t.Errorf("%s", a.body)
	}
	if a.get("usage.prompt_tokens").Int() != 15 || a.get("usage.prompt_tokens_details.cached_tokens").Int() != 5 || a.get("usage.cost").Raw != "0.000094" {
		t.Errorf("%s", a.body)
	}
	r.wantBalance(id, dollar-cost)
	asked := c.requests()[0]
	if asked.path != "/v1/messages" || gjson.Get(asked.body, "max_tokens").Int() != 4000 || asked.header.Get("Anthropic-Version") != "2023-06-01" {
		t.Errorf("asked %+v", asked)
	}
	for _, usage := range []string{"true", "false"} {
		id, key = r.account(dollar)
		b := r.chat(key, "claude", `"stream":true`, `"stream_options":{"include_usage":`+usage+`}`).want(t, 200)
		events := streamed(t, b.body)
		var text string
		for _, event := range events {
			text += gjson.Get(event, "choices.0.delta.content").Str
		}
		if text != strings.Join(claudeWords, "") || events[len(events)-1] != "[DONE]" || strings.Contains(b.body, `"cost":0.000094`) != (usage == "true") {
			t.Errorf("%s", b.body)
		}
		r.wantBalance(id, dollar-cost)
	}
	tool := r.chat(key, "claude-tool", `"tools":[{"type":"function","function":{"name":"look","parameters":{"type":"object"}}}]`).want(t, 200)
	if tool.get("choices.0.message.tool_calls.0.function.name").Str != "look" || tool.get("choices.0.finish_reason").Str != "tool_calls" {
		t.Errorf("%s", tool.body)
	}
	before := r.settled(id)
	refused := r.chat(key, "claude", `"logit_bias":{"1":2}`)
	if refused.wantError(t, 400, "invalid_request"); refused.get("error.param").Str != "logit_bias" {
		t.Errorf("%s", refused.body)
	}
	r.chat(key, "claude-529").wantError(t, 429, "provider_rate_limited")
	r.chat(key, "claude-error-200").wantError(t, 502, "provider_error")
	r.wantBalance(id, before)
}

// TestEndingsAcross: streams that are translated end as those that are not.
func TestEndingsAcross(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c), shortTimeouts)
	for _, q := range []struct {
		ending, code, kind string
		billed             bool
	}{
		{"stall", "provider_timeout", "timeout_error", true},
		{"silent", "provider_timeout", "timeout_error", false},
		{"cut", "provider_error", "api_error", true},
		{"cut-early", "provider_error", "api_error", false},
		{"error-stream", "provider_error", "api_error", true},
	} {
		t.Run(q.ending+", chat", func(t *testing.T) {
			id, key := r.account(dollar)
			a := r.chat(key, "claude-"+q.ending, `"stream":true`, `"stream_options":{"include_usage":true}`).want(t, 200)
			events := streamed(t, a.body)
			if last := events[len(events)-1]; gjson.Get(last, "error.code").Str != q.code || strings.Contains(a.body, "[DONE]") || strings.Contains(a.body, `"cost"`) {
				t.Errorf("the stream ends in %s", a.body)
			}
			r.wantFailed(id, q.billed, 5)
		})
		t.Run(q.ending+", messages", func(t *testing.T) {
			id, key := r.account(dollar)
			a := r.messages(key, "sim-"+q.ending, `"stream":true`).want(t, 200)
			events := streamed(t, a.body)
			answer{status: 200, header: a.header, body: events[len(events)-1]}.wantAnthropicError(t, 200, q.kind)
			if strings.Contains(a.body, "message_stop") || strings.Contains(a.body, `"cost"`) {
				t.Errorf("the stream ends in %s", a.body)
			}
			spent := dollar - r.settled(id)
			if (spent > 0) != q.billed {
				t.Errorf("spent %d, billed is %v", spent, q.billed)
			}
			if q.billed && (r.ledger(id, 1) != spent || r.completion(id) < 4 || !r.estimated(id)) {
				t.Errorf("recorded %d tokens", r.completion(id))
			}
		})
	}
}

// TestClientLeavesAcross: who leaves a translated stream pays for what came, whatever the
// protocols.
func TestClientLeavesAcross(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c), quickPings)
	for _, q := range []struct {
		name, path, body, until string
		billed                  bool
	}{
		{"chat, in a stall", "/v1/chat/completions", chatBody("claude-stall", `"stream":true`), `" five"`, true},
		{"chat, while it flows", "/v1/chat/completions", chatBody("claude-slow", `"stream":true`), `" more"`, true},
		{"chat, before the first byte", "/v1/chat/completions", chatBody("claude-silent", `"stream":true`), ": ping", false},
		{"messages, in a stall", "/v1/messages", messagesBody("sim-stall", `"stream":true`), "event: ping", true},
		{"messages, before the first byte", "/v1/messages", messagesBody("sim-silent", `"stream":true`), "event: ping", false},
	} {
		t.Run(q.name, func(t *testing.T) {
			id, key := r.account(dollar)
			w := r.sendTo(q.path, key, q.body)
			w.readHeader()
			w.await(q.until)
			w.leave(true)
			spent := dollar - r.settled(id)
			if (spent > 0) != q.billed {
				t.Errorf("spent %d, billed is %v", spent, q.billed)
			}
			if q.billed && (!r.estimated(id) || r.ledger(id, 1) != spent || r.completion(id) < 4) {
				t.Errorf("recorded %d tokens", r.completion(id))
			}
		})
	}
	testenv.Until(r.t, "no call is under way", func() bool { return r.meter.flight.count() == 0 })
}

func TestShutdownAcross(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c))
	id, key := r.account(dollar)
	other, otherKey := r.account(dollar)
	chat := r.sendTo("/v1/chat/completions", key, chatBody("claude-stall", `"stream":true`))
	chat.readHeader()
	chat.await(`" five"`)
	messages := r.sendTo("/v1/messages", otherKey, messagesBody("sim-stall", `"stream":true`))
	messages.readHeader()
	messages.await("content_block_delta")
	r.stop(50 * time.Millisecond)
	chat.await(`"code":"restarting"`)
	messages.await(`"overloaded_error"`)
	r.wantFailed(id, true, 5)
	if spent := dollar - r.settled(other); spent <= 0 || r.ledger(other, 1) != spent {
		t.Errorf("spent %d", spent)
	}
}

// TestCompleteAcross: the chat in Telegram reaches a model of Anthropic's protocol.
func TestCompleteAcross(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c))
	id, _ := r.account(dollar)
	var frames []string
	a, err := r.meter.Complete(t.Context(), r.call(id, "tg-1", "claude"), func(text string) error {
		frames = append(frames, text)
		return nil
	})
	r.must(err)
	if len(frames) != len(claudeWords) || a.Text != strings.Join(claudeWords, "") || a.Finish != "stop" || a.Estimated || a.CostNano != 15*2_000+8*8_000 {
		t.Errorf("%d frames, answer %+v", len(frames), a)
	}
	r.wantBalance(id, dollar-a.CostNano)
}

// TestAnswersAcross: a kept answer in translation costs nothing the second time.
func TestAnswersAcross(t *testing.T) {
	c := newClaude(t)
	r, _ := answering(t, withClaude(c))
	id, key := r.account(dollar)
	for _, q := range []struct{ path, body string }{
		{"/v1/chat/completions", chatBody("claude", still, `"stream":true`, `"stream_options":{"include_usage":true}`)},
		{"/v1/messages", messagesBody("sim-tokens-10", still, `"stream":true`)},
		{"/v1/messages", messagesBody("sim-tokens-10", still)},
	} {
		ask := func() answer { return r.do("POST", q.path, key, q.body, "Cache-Control", old) }
		first := ask().want(t, 200)
		before := r.settled(id)
		again := ask()
		testenv.Until(r.t, "the answer is kept", func() bool { again = ask(); return again.header.Get("X-Cache") == "hit" })
		spent := before - r.settled(id)
		cost := func(body string) string {
			_, rest, _ := strings.Cut(body, `"cost":`)
			return rest[:strings.IndexAny(rest, ",}")]
		}
		same := strings.Replace(first.body, `"cost":`+cost(first.body), `"cost":0`, 1) == strings.Replace(again.body, `"cost":`+cost(again.body), `"cost":0`, 1)
		if nano(t, cost(again.body)) != 0 || nano(t, cost(first.body)) <= 0 || spent%nano(t, cost(first.body)) != 0 || !same {
			t.Errorf("first %s\nthen %s, spent %d", first.body, again.body, spent)
		}
	}
}
