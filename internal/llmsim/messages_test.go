package llmsim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/testenv/strict"
)

func anthropicClient(sim *Server, client *http.Client, more ...option.RequestOption) anthropic.Client {
	return anthropic.NewClient(append([]option.RequestOption{
		option.WithBaseURL(sim.URL()), option.WithAPIKey("sk-ant-any"), option.WithHTTPClient(client), option.WithMaxRetries(0),
	}, more...)...)
}

func messageParams(model, text string) anthropic.MessageNewParams {
	return anthropic.MessageNewParams{
		Model: model, MaxTokens: 4096,
		Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock(text))},
	}
}

func weatherTool() anthropic.ToolUnionParam {
	return anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{
		Name: "get_weather", Description: anthropic.String("The weather of a city"),
		InputSchema: anthropic.ToolInputSchemaParam{
			Properties: map[string]any{"city": map[string]any{"type": "string"}, "days": map[string]any{"type": "integer", "minimum": 9}},
			Required:   []string{"city"},
		},
	}}
}

func clockTool() anthropic.ToolUnionParam {
	return anthropic.ToolUnionParam{OfTool: &anthropic.ToolParam{
		Name: "get_time", InputSchema: anthropic.ToolInputSchemaParam{Properties: map[string]any{"zone": map[string]any{"enum": []string{"UTC", "CET"}}}},
	}}
}

// gatherMessage reads a stream strictly, and what it adds up to.
func gatherMessage(ctx context.Context, t *testing.T, client anthropic.Client, params anthropic.MessageNewParams) (anthropic.Message, []string, error) {
	t.Helper()
	stream := client.Messages.NewStreaming(ctx, params)
	defer func() { _ = stream.Close() }()
	var message anthropic.Message
	var kinds []string
	for stream.Next() {
		event := stream.Current()
		kinds = append(kinds, event.Type)
		if event.Type != "ping" { // which the client drops before it comes here
			if faults := strict.Faults(event, ".citations"); len(faults) > 0 {
				t.Errorf("event %s: %v", event.RawJSON(), faults)
			}
		}
		if err := message.Accumulate(event); err != nil {
			t.Errorf("event %s: %v", event.RawJSON(), err)
		}
	}
	return message, kinds, stream.Err()
}

func TestMessagesStreamEqualsWhole(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := anthropicClient(sim, httpClient)
	thinking := messageParams("sim", "Think")
	thinking.Thinking = anthropic.ThinkingConfigParamOfEnabled(1024)
	tools := messageParams("sim", "Call get_weather and also get time, please.")
	tools.Tools = []anthropic.ToolUnionParam{weatherTool(), clockTool()}
	forced := tools
	forced.ToolChoice = anthropic.ToolChoiceParamOfTool("get_time")
	single := tools
	single.ToolChoice = anthropic.ToolChoiceUnionParam{OfAuto: &anthropic.ToolChoiceAutoParam{DisableParallelToolUse: anthropic.Bool(true)}}
	short := messageParams("sim-tokens-9", "x")
	short.MaxTokens = 3
	stopped := messageParams("sim-tokens-9", "x")
	stopped.StopSequences = []string{" four"}
	instructed := messageParams("sim", "Hello")
	instructed.System = []anthropic.TextBlockParam{{Text: "Be kind."}}
	for _, tt := range []struct {
		name   string
		params anthropic.MessageNewParams
		blocks string
		reason anthropic.StopReason
	}{
		{"text", messageParams("sim", "Tell me"), "text", "end_turn"},
		{"system", instructed, "text", "end_turn"},
		{"torn", messageParams("sim-torn", "Tell me: „größer“ 漢字 🙂"), "text", "end_turn"},
		{"torn runes", messageParams("sim-torn-runes", "Tell me: „größer“ 漢字 🙂"), "text", "end_turn"},
		{"CRLF", messageParams("sim-crlf", "Tell me"), "text", "end_turn"},
		{"thinking", thinking, "thinking text", "end_turn"},
		{"tools", tools, "tool_use tool_use", "tool_use"},
		{"one tool", forced, "tool_use", "tool_use"},
		{"no parallel tools", single, "tool_use", "tool_use"},
		{"limit", short, "text", "max_tokens"},
		{"stop sequence", stopped, "text", "stop_sequence"},
		{"refusal", messageParams("sim-refusal", "x"), "text", "refusal"},
		{"nothing", messageParams("sim-empty", "x"), "", "end_turn"},
		{"instant", messageParams("sim-instant", "x"), "text", "end_turn"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole, err := client.Messages.New(t.Context(), tt.params)
			if err != nil {
				t.Fatal(err)
			}
			streamed, kinds, err := gatherMessage(t.Context(), t, client, tt.params)
			if err != nil {
				t.Fatal(err)
			}
			if faults := strict.Faults(whole, ".citations"); len(faults) > 0 {
				t.Errorf("%s: %v", whole.RawJSON(), faults)
			}
			var blocks []string
			for _, b := range whole.Content {
				blocks = append(blocks, b.Type)
			}
			if got := strings.Join(blocks, " "); got != tt.blocks || whole.StopReason != tt.reason || streamed.StopReason != tt.reason {
				t.Errorf("blocks %q, ended by %s whole and %s streamed: %s", got, whole.StopReason, streamed.StopReason, whole.RawJSON())
			}
			if diff := cmp.Diff(contentOf(t, *whole), contentOf(t, streamed)); diff != "" {
				t.Errorf("content (-whole +streamed):\n%s", diff)
			}
			if w, s := whole.Usage, streamed.Usage; w.OutputTokens != s.OutputTokens || w.InputTokens != s.InputTokens || w.OutputTokensDetails.ThinkingTokens != s.OutputTokensDetails.ThinkingTokens {
				t.Errorf("usage %s whole, %s streamed", w.RawJSON(), s.RawJSON())
			}
			if kinds[0] != "message_start" || kinds[len(kinds)-1] != "message_stop" {
				t.Errorf("events %q", kinds)
			}
		})
	}
}

// contentOf is what a message says, without the ids of its calls.
func contentOf(t *testing.T, m anthropic.Message) []string {
	t.Helper()
	var out []string
	for _, b := range m.Content {
		var input bytes.Buffer
		if len(b.Input) > 0 {
			if err := json.Compact(&input, b.Input); err != nil {
				t.Errorf("input %s: %v", b.Input, err)
			}
		}
		out = append(out, strings.Join([]string{b.Type, b.Text, b.Thinking, b.Signature, b.Name, input.String()}, "|"))
	}
	return out
}

func TestMessagesToolRound(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := anthropicClient(sim, httpClient)
	params := messageParams("sim", "What says get_weather?")
	params.Tools = []anthropic.ToolUnionParam{weatherTool()}
	first, err := client.Messages.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(first.Content[0].Input); got != `{"city":"some city","days":9}` {
		t.Errorf("input %s", got)
	}
	params.Messages = append(params.Messages, first.ToParam(), anthropic.NewUserMessage(anthropic.NewToolResultBlock(first.Content[0].ID, "sunny, 21 degrees", false)))
	second, err := client.Messages.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	if second.StopReason != "end_turn" || !strings.Contains(second.Content[0].Text, "sunny, 21 degrees") {
		t.Errorf("answer %s", second.RawJSON())
	}
	count, err := client.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{
		Model: params.Model, Messages: params.Messages, Tools: []anthropic.MessageCountTokensToolUnionParam{{OfTool: params.Tools[0].OfTool}},
	})
	if err != nil || count.InputTokens != second.Usage.InputTokens || len(strict.Faults(count)) > 0 {
		t.Errorf("counted %v (%v), the answer's usage says %d", count, err, second.Usage.InputTokens)
	}
}

func TestMessagesStructured(t *testing.T) {
	sim, httpClient := start(t, Options{})
	params := messageParams("sim", "As JSON")
	params.OutputConfig.Format = anthropic.JSONOutputFormatParam{Schema: map[string]any{
		"type": "object", "additionalProperties": false, "required": []string{"ok"}, "properties": map[string]any{"ok": map[string]any{"type": "boolean"}},
	}}
	client := anthropicClient(sim, httpClient)
	message, err := client.Messages.New(t.Context(), params)
	if err != nil || message.Content[0].Text != `{"ok":true}` {
		t.Errorf("answered %v, %v", message, err)
	}
}

// What is marked before the newest message is read from the cache, and what is
// marked in it is written; neither is among the input tokens.
func TestMessagesCache(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := anthropicClient(sim, httpClient)
	long := strings.Repeat("word ", 1500)
	mark := anthropic.NewCacheControlEphemeralParam()
	hour := anthropic.NewCacheControlEphemeralParam()
	hour.TTL = anthropic.CacheControlEphemeralTTLTTL1h
	ask := func(system, last anthropic.CacheControlEphemeralParam, tail string) anthropic.Usage {
		t.Helper()
		params := messageParams("sim-fast", "x")
		params.System = []anthropic.TextBlockParam{{Text: long, CacheControl: system}}
		block := anthropic.NewTextBlock(tail)
		block.OfText.CacheControl = last
		params.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(block)}
		m, err := client.Messages.New(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		return m.Usage
	}
	none := anthropic.CacheControlEphemeralParam{}
	plain := ask(none, none, long)
	read := ask(mark, none, long)
	both := ask(mark, mark, long)
	hourly := ask(none, hour, long)
	short := ask(none, none, "x")
	if plain.CacheReadInputTokens+plain.CacheCreationInputTokens != 0 || plain.InputTokens < 3000 {
		t.Errorf("unmarked: %s", plain.RawJSON())
	}
	if read.CacheReadInputTokens < 1500 || read.CacheCreationInputTokens != 0 || read.InputTokens+read.CacheReadInputTokens != plain.InputTokens {
		t.Errorf("read: %s", read.RawJSON())
	}
	if both.CacheReadInputTokens != read.CacheReadInputTokens || both.CacheCreation.Ephemeral5mInputTokens < 1500 || both.InputTokens != 0 {
		t.Errorf("read and written: %s", both.RawJSON())
	}
	if hourly.CacheCreation.Ephemeral1hInputTokens != plain.InputTokens || hourly.CacheCreation.Ephemeral5mInputTokens != 0 {
		t.Errorf("written for an hour: %s", hourly.RawJSON())
	}
	if short.CacheReadInputTokens != 0 {
		t.Errorf("short: %s", short.RawJSON())
	}
}

func TestMessagesRefusals(t *testing.T) {
	sim, httpClient := start(t, Options{Key: "sk-ant-any"})
	user := `{"role":"user","content":"x"}`
	use := `{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]}`
	body := func(messages, more string) string {
		return fmt.Sprintf(`{"model":"sim-fast","max_tokens":2000,"messages":[%s]%s}`, messages, more)
	}
	for _, tt := range []struct {
		name, body string
		status     int
		kind, says string
	}{
		{"not JSON", `{"model":`, 400, "invalid_request_error", "not valid JSON"},
		{"no model", `{"max_tokens":1,"messages":[` + user + `]}`, 400, "invalid_request_error", "model: Field required"},
		{"no limit", `{"model":"sim-fast","messages":[` + user + `]}`, 400, "invalid_request_error", "max_tokens: Field required"},
		{"wrong type", `{"model":"sim-fast","max_tokens":"many","messages":[` + user + `]}`, 400, "invalid_request_error", "max_tokens"},
		{"no messages", body("", ""), 400, "invalid_request_error", "at least one message"},
		{"role", body(`{"role":"system","content":"x"}`, ""), 400, "invalid_request_error", "messages.0.role"},
		{"assistant first", body(`{"role":"assistant","content":"x"}`, ""), 400, "invalid_request_error", "first message"},
		{"empty text", body(`{"role":"user","content":[{"type":"text","text":""}]}`, ""), 400, "invalid_request_error", "non-empty"},
		{"block", body(`{"role":"user","content":[{"type":"smell"}]}`, ""), 400, "invalid_request_error", "'smell'"},
		{"image kind", body(`{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/tiff","data":"AA=="}}]}`, ""), 400, "invalid_request_error", "media_type"},
		{"no result", body(user+","+use+","+user, `,"tools":[]`), 400, "invalid_request_error", "without `tool_result` blocks"},
		{"no result at the end", body(user+","+use, ""), 400, "invalid_request_error", "without `tool_result` blocks"},
		{"result of nothing", body(`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_2","content":"x"}]}`, ""), 400, "invalid_request_error", "unexpected `tool_use_id`"},
		{"small thought", body(user, `,"thinking":{"type":"enabled","budget_tokens":1}`), 400, "invalid_request_error", "budget_tokens"},
		{"large thought", body(user, `,"thinking":{"type":"enabled","budget_tokens":2000}`), 400, "invalid_request_error", "greater than"},
		{"choice without tools", body(user, `,"tool_choice":{"type":"any"}`), 400, "invalid_request_error", "tool_choice"},
		{"too hot", body(user, `,"temperature":1.5`), 400, "invalid_request_error", "temperature"},
		{"unknown model", `{"model":"sim-unknown","max_tokens":1,"messages":[` + user + `]}`, 404, "not_found_error", "model: sim-unknown"},
		{"rate limited", `{"model":"sim-429","max_tokens":1,"messages":[` + user + `]}`, 429, "rate_limit_error", ""},
		{"overloaded", `{"model":"sim-overloaded","max_tokens":1,"messages":[` + user + `]}`, 529, "overloaded_error", ""},
		{"broken", `{"model":"sim-error-500","max_tokens":1,"messages":[` + user + `]}`, 500, "api_error", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := anthropicClient(sim, httpClient)
			var out json.RawMessage
			err := client.Post(t.Context(), "v1/messages", json.RawMessage(tt.body), &out)
			var refused *anthropic.Error
			if !errors.As(err, &refused) || refused.StatusCode != tt.status || refused.RequestID == "" {
				t.Fatalf("answered %s, %v", out, err)
			}
			raw := refused.RawJSON()
			if got := gjson.Get(raw, "error.type").Str; got != tt.kind || gjson.Get(raw, "type").Str != "error" ||
				gjson.Get(raw, "request_id").Str != refused.RequestID || !strings.Contains(gjson.Get(raw, "error.message").Str, tt.says) {
				t.Errorf("refused with %s", raw)
			}
			if (tt.status == 429 || tt.status == 529) && refused.Response.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	newest := option.WithHeader("anthropic-version", newestVersion)
	hot := messageParams("sim-fast", "x")
	hot.Temperature = anthropic.Float(0.5)
	cited := messageParams("sim-fast", "x")
	cited.Messages[0].Content[0].OfText.Citations = []anthropic.TextCitationParamUnion{{OfPageLocation: &anthropic.CitationPageLocationParam{CitedText: "x"}}}
	for says, params := range map[string]anthropic.MessageNewParams{"temperature": hot, "citations": cited} {
		client := anthropicClient(sim, httpClient)
		if _, err := client.Messages.New(t.Context(), params); err != nil {
			t.Errorf("%s in the former version: %v", says, err)
		}
		if _, err := client.Messages.New(t.Context(), params, newest); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s in the newest version: %v", says, err)
		}
	}
	bearer := anthropicClient(sim, httpClient, option.WithHeaderDel("x-api-key"), option.WithHeader("Authorization", "Bearer sk-ant-any"))
	if _, err := bearer.Messages.New(t.Context(), messageParams("sim-fast", "x"), newest); err != nil {
		t.Errorf("the key as a bearer: %v", err)
	}
	for name, more := range map[string]option.RequestOption{
		"invalid x-api-key": option.WithAPIKey("sk-ant-other"), "header is required": option.WithHeaderDel("anthropic-version"), "not a valid version": option.WithHeader("anthropic-version", "1999-01-01"),
	} {
		client := anthropicClient(sim, httpClient, more)
		if _, err := client.Messages.New(t.Context(), messageParams("sim-fast", "x")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMessagesFaults(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := anthropicClient(sim, httpClient)
	for model, says := range map[string]string{
		"sim-error-stream": "api_error", "sim-cut": "unexpected EOF", "sim-broken": "unexpected end of JSON", "sim-reset": "", "sim-no-done": "-",
	} {
		message, kinds, err := gatherMessage(t.Context(), t, client, messageParams(model, "x"))
		if says == "-" {
			if err != nil || message.StopReason != "" {
				t.Errorf("%s: %v, %s", model, err, message.RawJSON())
			}
		} else if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v after %q", model, err, kinds)
		}
		if got := await(t, sim, func(r Request) bool { return r.Model == model && r.Done }); got.Sent != faultAfter || got.Path != "/v1/messages" {
			t.Errorf("%s: remembered %+v", model, got)
		}
	}
	for model, want := range map[string]string{
		"sim-usage-negative": MessagesUsageNegative, "sim-usage-huge": MessagesUsageHuge, "sim-usage-string": MessagesUsageString, "sim-usage-null": "null", "sim-no-usage": "",
	} {
		var whole json.RawMessage
		if err := client.Post(t.Context(), "v1/messages", messageParams(model, "x"), &whole); err != nil || gjson.GetBytes(whole, "usage").Raw != want {
			t.Errorf("%s: %s, %v", model, whole, err)
		}
	}
}

func TestMessagesModels(t *testing.T) {
	sim, httpClient := start(t, Options{Models: []string{"mine"}})
	client := anthropicClient(sim, httpClient)
	page, err := client.Models.List(t.Context(), anthropic.ModelListParams{})
	if err != nil || page.Data[len(page.Data)-1].ID != "mine" || page.HasMore {
		t.Fatalf("listed %v, %v", page, err)
	}
	one, err := client.Models.Get(t.Context(), "mine", anthropic.ModelGetParams{})
	if err != nil || one.DisplayName != "mine" {
		t.Errorf("got %v, %v", one, err)
	}
	if _, err := client.Models.Get(t.Context(), "none", anthropic.ModelGetParams{}); err == nil || !strings.Contains(err.Error(), "not_found_error") {
		t.Errorf("an unknown model: %v", err)
	}
}
