package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

func responseBody(model string, more ...string) string {
	return "{" + strings.Join(append([]string{fmt.Sprintf(`"model":%q`, model), `"input":"Say something."`}, more...), ",") + "}"
}

func (r *rig) respond(key, model string, more ...string) answer {
	r.t.Helper()
	return r.do("POST", "/v1/responses", key, responseBody(model, more...))
}

// TestResponses: of a provider that has them, of one that has chat completions, and of one
// that has Anthropic's messages.
func TestResponses(t *testing.T) {
	r := newRig(t, withClaude(newClaude(t)))
	for _, model := range []string{"native", "paid", "claude"} {
		t.Run(model, func(t *testing.T) {
			id, key := r.account(dollar)
			a := r.respond(key, model, `"max_output_tokens":100`).want(t, 200)
			if a.get("object").Str != "response" || a.get("status").Str != "completed" || a.get("output.0.content.0.text").Str == "" {
				t.Errorf("answered %s", a.body)
			}
			cost := a.get("usage.input_tokens").Int()*2000 + a.get("usage.output_tokens").Int()*8000
			r.wantCost(a, id, cost)
			if cost == 0 || r.estimated(id) {
				t.Errorf("cost %d", cost)
			}
		})
		t.Run(model+", streamed", func(t *testing.T) {
			id, key := r.account(dollar)
			a := r.respond(key, model, `"stream":true`).want(t, 200)
			events := streamed(t, a.body)
			var text strings.Builder
			for i, e := range events {
				if n := gjson.Get(e, "sequence_number").Int(); n != int64(i) {
					t.Errorf("event %d has the number %d", i, n)
				}
				if gjson.Get(e, "type").Str == "response.output_text.delta" {
					text.WriteString(gjson.Get(e, "delta").Str)
				}
			}
			last := answer{body: events[len(events)-1]}
			if gjson.Get(events[0], "type").Str != "response.created" || last.get("type").Str != "response.completed" || !strings.Contains(a.body, "event: response.completed\n") {
				t.Errorf("events %s", a.body)
			}
			if said := last.get("response.output.0.content.0.text").Str; said == "" || said != text.String() {
				t.Errorf("said %q in the end, %q on the way", said, text.String())
			}
			usage := last.get("response.usage")
			cost := usage.Get("input_tokens").Int()*2000 + usage.Get("output_tokens").Int()*8000
			if spent := r.spent(id); spent != cost || cost == 0 || nano(t, usage.Get("cost").Raw) != cost {
				t.Errorf("spent %d, the usage is %s", spent, usage.Raw)
			}
		})
	}
}

// TestResponsesPassedOn: what a provider with Responses gets and sends is what its client
// sent and gets, but for what is ours.
func TestResponsesPassedOn(t *testing.T) {
	r, provider := newMediaRig(t)
	const answered = `{"id":"resp_1", "object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[],"usage":{"input_tokens":3,"output_tokens":5,"total_tokens":8},"odd":1.0}`
	t.Run("whole", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends(jsonKind, answered))
		a := r.do("POST", "/v1/responses", key, `{"model": "own", "input":[{"role":"user","content":"a"}], "store":null,"odd" : 1.0, "cache_max_age":5}`).want(t, 200)
		path, body, _ := provider.asked()
		if want := `{"max_output_tokens":4000,"model": "x", "input":[{"role":"user","content":"a"}], "store":false,"odd" : 1.0}`; path != "/responses" || body != want {
			t.Errorf("asked %s\n%s\n%s", path, body, want)
		}
		if want := strings.Replace(answered, `8}`, `8,"cost":0.000046}`, 1); a.body != want {
			t.Errorf("answered\n%s\n%s", a.body, want)
		}
		r.wantCost(a, id, 3*2000+5*8000)
	})
	t.Run("streamed", func(t *testing.T) {
		id, key := r.account(dollar)
		const first = "event: response.odd\r\ndata: {\"type\":\"response.odd\",\"sequence_number\":0}\r\n\r\n"
		const last = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"usage\":{\"input_tokens\":3,\"output_tokens\":5%s}},\"sequence_number\":1}\n\n"
		provider.says(sends("text/event-stream", first+fmt.Sprintf(last, "")))
		a := r.respond(key, "own", `"stream":true`).want(t, 200)
		if want := first + fmt.Sprintf(last, `,"cost":0.000046`); a.body != want {
			t.Errorf("answered\n%q\n%q", a.body, want)
		}
		if spent := r.spent(id); spent != 3*2000+5*8000 {
			t.Errorf("spent %d", spent)
		}
	})
	t.Run("failed", func(t *testing.T) {
		id, key := r.account(dollar)
		const said = `data: {"type":"response.output_text.delta","delta":"one two","sequence_number":0}` + "\n\n"
		provider.says(sends("text/event-stream", said+`data: {"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":"server_error","message":"in org-secret1 it broke"},"usage":null},"sequence_number":1}`+"\n\n"))
		a := r.respond(key, "own", `"stream":true`).want(t, 200)
		events := streamed(t, a.body)
		last := answer{body: events[len(events)-1]}
		if last.get("type").Str != "response.failed" || last.get("response.id").Str != "resp_1" || last.get("response.error.message").Str == "" || strings.Contains(a.body, "secret") {
			t.Errorf("ends in %s", last.body)
		}
		if spent := r.spent(id); spent%2000 != 0 || spent < 2*8000 || !r.estimated(id) {
			t.Errorf("spent %d", spent)
		}
		provider.says(sends(jsonKind, `{"status":"failed","error":{"code":"server_error","message":"x"},"output":[]}`))
		r.respond(key, "own").wantError(t, 502, "provider_error")
	})
}

// TestResponsesFailed: a response that failed says why in the words that its protocol has
// for it.
func TestResponsesFailed(t *testing.T) {
	r, provider := newMediaRig(t)
	const said = `data: {"type":"response.output_text.delta","delta":"one two","sequence_number":0}` + "\n\n"
	for told, want := range map[string]string{
		"server_error":            "server_error",
		"rate_limit_exceeded":     "rate_limit_exceeded",
		"429":                     "rate_limit_exceeded",
		"invalid_prompt":          "invalid_prompt",
		"image_too_large":         "image_too_large",
		"bio_policy":              "bio_policy",
		"context_length_exceeded": "context_length_exceeded",
		"400":                     "invalid_prompt",
		"invalid_api_key":         "server_error",
		"vector_store_timeout":    "server_error",
		"":                        "server_error",
	} {
		t.Run(told, func(t *testing.T) {
			_, key := r.account(dollar)
			provider.says(sends("text/event-stream", said+fmt.Sprintf(`data: {"type":"response.failed","response":{"id":"resp_1","status":"failed","error":{"code":%q,"message":"it said"},"usage":null},"sequence_number":1}`, told)+"\n\n"))
			events := streamed(t, r.respond(key, "own", `"stream":true`).want(t, 200).body)
			last := answer{body: events[len(events)-1]}
			if got := last.get("response.error.code").Str; got != want || last.get("response.error.message").Str == "" {
				t.Errorf("%q is told as %s", told, last.body)
			}
		})
	}
}

// TestResponsesOfClientsTools: tools that the client runs, and what becomes of them, reach a
// provider that has Responses as they are; others have no such tools, which is said by name.
func TestResponsesOfClientsTools(t *testing.T) {
	r, provider := newMediaRig(t, withClaude(newClaude(t)))
	const (
		call = `{"type":"tool_search_call","id":"tsc_1","call_id":"call_1","execution":"client","status":"completed","arguments":{"goal":"weather"}}`
		done = `{"id":"resp_1","object":"response","status":"completed","output":[` + call + `],"usage":{"input_tokens":3,"output_tokens":5,"total_tokens":8}}`
	)
	provider.says(sends(jsonKind, done))
	weather := `{"type":"function","name":"get_weather","defer_loading":true,"parameters":{"type":"object"}}`
	click := `{"type":"computer_call","id":"cu_1","call_id":"call_1","status":"completed","pending_safety_checks":[],"actions":[{"type":"click","button":"left","x":1,"y":2},{"type":"type","text":"a"}]}`
	for more, param := range map[string]string{ // what the others say
		`"input":"a","tools":[{"type":"computer"}]`: "tools[0].type",
		`"input":"a","tools":[{"display_height":768,"display_width":1024,"environment":"browser","type":"computer_use_preview"}]`:                                                                                   "tools[0].type",
		`"input":"a","tools":[{"execution":"client","type":"tool_search","parameters":{"type":"object"},"description":"d"},` + weather + `]`:                                                                        "tools[0].type",
		`"input":[{"role":"user","content":"a"},` + call + `,{"type":"tool_search_output","call_id":"call_1","execution":"client","status":"completed","tools":[` + weather + `]}]`:                                 "input[1].type",
		`"input":[{"type":"additional_tools","role":"developer","tools":[` + weather + `,{"type":"namespace","name":"n","description":"d","tools":[{"type":"custom","name":"x"}]}]},{"role":"user","content":"a"}]`: "input[0].type",
		`"input":[{"role":"user","content":"a"},` + click + `,{"type":"computer_call_output","call_id":"call_1","output":{"type":"computer_screenshot","image_url":"data:image/png;base64,AAAA"}}]`:                 "input[1].type",
	} {
		id, key := r.account(dollar)
		a := r.do("POST", "/v1/responses", key, `{"model":"own",`+more+`}`).want(t, 200)
		if path, body, _ := provider.asked(); path != "/responses" || body != `{"max_output_tokens":4000,"store":false,"model":"x",`+more+`}` {
			t.Errorf("asked %s\n%s\n%s", path, body, more)
		}
		r.wantCost(a, id, 3*2000+5*8000)
		for _, model := range []string{"paid", "claude"} {
			a := r.do("POST", "/v1/responses", key, `{"model":"`+model+`",`+more+`}`)
			if said := a.get("error.message").Str; a.status != 400 || a.get("error.param").Str != param || strings.Contains(said, "run by the provider") {
				t.Errorf("%s %s: %d %s", model, more, a.status, a.body)
			}
		}
	}
	// Where the provider tells no usage, what the model has called counts.
	t.Run("counted", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends(jsonKind, `{"status":"completed","output":[`+click+`]}`))
		r.respond(key, "own").want(t, 200)
		if r.settled(id); r.completion(id) < 10 {
			t.Errorf("billed for %d tokens", r.completion(id))
		}
		for _, item := range []string{click, call} {
			id, key := r.account(dollar)
			provider.says(sends("text/event-stream", `data: {"type":"response.output_item.done","output_index":0,"item":`+item+`}`+"\n\n"))
			r.respond(key, "own", `"stream":true`).want(t, 200)
			if r.settled(id); r.completion(id) < 4 {
				t.Errorf("%s: billed for %d tokens", item, r.completion(id))
			}
		}
	})
}

func TestResponsesEnd(t *testing.T) {
	r := newRig(t, quickPings, func(s *setup) {
		s.timeouts = llm.Timeouts{FirstByte: 300 * time.Millisecond, Stall: 300 * time.Millisecond, Total: 20 * time.Second}
	})
	r.sim.Assign("sim-tokens-500", llmsim.Script{Tokens: 5000, Cadence: 2 * time.Millisecond})
	for _, c := range []struct {
		model, code string
		billed      bool
	}{
		{"native-cut", "provider_error", true},
		{"native-cut-early", "provider_error", false},
		{"native-stall", "provider_timeout", true},
		{"native-silent", "provider_timeout", false},
		{"native-error-stream", "provider_error", true},
		{"sim-cut", "provider_error", true},
		{"sim-stall", "provider_timeout", true},
	} {
		t.Run(c.model, func(t *testing.T) {
			id, key := r.account(dollar)
			a := r.respond(key, c.model, `"stream":true`).want(t, 200)
			events := streamed(t, a.body)
			last := answer{body: events[len(events)-1]}
			if last.get("type").Str != "error" || last.get("code").Str != c.code || last.get("message").Str == "" || strings.Contains(a.body, "llmsim") {
				t.Errorf("ends in %s", last.body)
			}
			if spent := r.spent(id); (spent > 0) != c.billed {
				t.Errorf("spent %d, billed is %v", spent, c.billed)
			}
			if c.billed && r.completion(id) < 4 {
				t.Errorf("billed for %d tokens", r.completion(id))
			}
		})
	}
	t.Run("usage absent", func(t *testing.T) {
		id, key := r.account(dollar)
		a := r.respond(key, "native-no-usage").want(t, 200)
		if a.get("usage.output_tokens").Int() == 0 || !a.get("usage.estimated").Bool() || !r.estimated(id) {
			t.Errorf("answered %s", a.body)
		}
	})
	t.Run("the client leaves", func(t *testing.T) {
		id, key := r.account(dollar)
		w := r.sendTo("/v1/responses", key, responseBody("native-tokens-500", `"stream":true`))
		w.readHeader()
		w.await(`"delta":" five"`)
		w.leave(true)
		r.settled(id)
		if tokens := r.completion(id); tokens < 4 || tokens > 4000 || !r.estimated(id) {
			t.Errorf("billed for %d tokens", tokens)
		}
	})
	testenv.Until(r.t, "no call is under way", func() bool { return r.meter.flight.count() == 0 })
}

// TestResponsesRefused: nothing that reads or leaves anything at the provider, or costs
// beside its tokens, gets there.
func TestResponsesRefused(t *testing.T) {
	r, provider := newMediaRig(t)
	provider.says(sends(jsonKind, `{}`))
	id, key := r.account(dollar)
	for more, param := range map[string]string{
		`"store":true`:                     "store",
		`"store":"yes"`:                    "store",
		`"background":true`:                "background",
		`"previous_response_id":"resp_1"`:  "previous_response_id",
		`"Previous_Response_ID":"resp_1"`:  "previous_response_id",
		`"conversation":"conv_1"`:          "conversation",
		`"conversation":{"id":"conv_1"}`:   "conversation",
		`"prompt":{"id":"pmpt_1"}`:         "prompt",
		`"context_management":[{}]`:        "context_management",
		`"service_tier":"priority"`:        "service_tier",
		`"max_output_tokens":1000000`:      "max_output_tokens",
		`"max_output_tokens":-1`:           "max_output_tokens",
		`"input":"twice"`:                  "input",
		`"tools":{}`:                       "tools",
		`"tools":[{}]`:                     "tools[0].type",
		`"tools":[{"type":"web_search"}]`:  "tools[0].type",
		`"tools":[{"type":"file_search"}]`: "tools[0].type",
		`"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]`:                "tools[0].type",
		`"tools":[{"type":"tool_search"}]`:                                                 "tools[0].execution",
		`"tools":[{"type":"tool_search","execution":"server"}]`:                            "tools[0].execution",
		`"tools":[{"type":"tool_search","execution":"client","Execution":"server"}]`:       "tools[0].execution",
		`"tools":[{"type":"function","name":"f","environment":"browser"}]`:                 "tools[0].environment",
		`"tools":[{"type":"programmatic_tool_calling"}]`:                                   "tools[0].type",
		`"tools":[{"type":"image_generation"}]`:                                            "tools[0].type",
		`"tools":[{"type":"function","name":"f"},{"type":"mcp","server_url":"https://x"}]`: "tools[1].type",
		`"tools":[{"type":"function","name":"f","type":"mcp"}]`:                            "tools[0].type",
		`"tools":[{"type":"function","TYPE":"mcp"}]`:                                       "tools[0].type",
		`"tools":[{"type":"namespace","name":"n","tools":[{"type":"web_search"}]}]`:        "tools[0].tools[0].type",
		`"tools":[{"type":"shell","environment":{"type":"container_auto"}}]`:               "tools[0].environment",
	} {
		if a := r.respond(key, "own", more); a.status != 400 || a.get("error.param").Str != param {
			t.Errorf("%s: %d %s", more, a.status, a.body)
		}
	}
	for input, param := range map[string]string{
		`5`:                 "input",
		`[]`:                "input",
		`["a"]`:             "input[0]",
		`[{"content":"a"}]`: "input[0].type",
		`[{"type":"item_reference","id":"msg_1"}]`:                                                              "input[0]",
		`[{"role":"user","content":"a"},{"type":"message","type":"item_reference","id":"msg_1"}]`:               "input[1]",
		`[{"type":"web_search_call","id":"ws_1"}]`:                                                              "input[0].type",
		`[{"type":"mcp_approval_response"}]`:                                                                    "input[0].type",
		`[{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","file_id":"f"}}]`: "input[0].file_id",
		`[{"type":"additional_tools","role":"developer","tools":[{"type":"web_search"}]}]`:                      "input[0].tools[0].type",
		`[{"type":"additional_tools","role":"developer","Tools":[{"type":"web_search"}]}]`:                      "input[0].tools[0].type",
		`[{"type":"tool_search_output","call_id":"c","execution":"client","tools":[{"type":"mcp"}]}]`:           "input[0].tools[0].type",
		`[{"type":"tool_search_output","call_id":"c","tools":{}}]`:                                              "input[0].tools",
		`[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]`:                                "input[0].file_id",
		`[{"role":"user","content":[{"type":"input_image","File_ID":"file-1"}]}]`:                               "input[0].file_id",
		`[{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","file_id":"file-1"}]}]`:  "input[0].file_id",
		`[{"role":"user","content":[{"type":"input_image","image_url":"gs://bucket/a.png"}]}]`:                  "input[0].image_url",
	} {
		if a := r.do("POST", "/v1/responses", key, `{"model":"own","input":`+input+`}`); a.status != 400 || a.get("error.param").Str != param {
			t.Errorf("%s: %d %s", input, a.status, a.body)
		}
	}
	if path, body, _ := provider.asked(); path != "" {
		t.Errorf("the provider was asked %s %s", path, body)
	}
	r.wantBalance(id, dollar)
	r.do("POST", "/v1/responses", key, `{"model":"voice","input":"a"}`).want(t, 400)
}
