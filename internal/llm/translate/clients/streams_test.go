package clients_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/kikuai/kikuai/internal/llm/translate"
	"github.com/kikuai/kikuai/internal/testenv/strict"
)

// stream is what the package's streams have in common.
type stream interface {
	Event(to, data []byte) ([]byte, error)
	Close(to []byte, f translate.Final) []byte
}

var called = translate.Answer{ID: "chatcmpl-here", Model: "asked", Created: 1700000000}

// play leads events, one a line, through a stream, and ends it.
func play(t *testing.T, s stream, events string, f translate.Final) string {
	t.Helper()
	var out []byte
	var err error
	for line := range strings.Lines(events) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if out, err = s.Event(out, []byte(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	first := string(s.Close(out, f))
	if again := string(s.Close(out, f)); again != first {
		t.Errorf("closing again wrote %q after %q", again, first)
	}
	return first
}

// readEvents reads a stream as strictly as a client can.
func readEvents(t *testing.T, text string) []strict.Event {
	t.Helper()
	events, err := strict.Events(text)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// accumulateMessage reads events of Messages as the official client does, and insists
// on their order.
func accumulateMessage(t *testing.T, text string) anthropic.Message {
	t.Helper()
	var message anthropic.Message
	open, closed, begun, over := -1, -1, false, false
	for i, e := range readEvents(t, text) {
		decoded := decode[anthropic.MessageStreamEventUnion](t, []byte(e.Data))
		if decoded.Type != e.Name {
			t.Errorf("event %q holds %q", e.Name, decoded.Type)
		}
		if over || begun != (i > 0) {
			t.Fatalf("event %d (%s) stands out of order", i, e.Name)
		}
		switch index := int(decoded.Index); e.Name {
		case "message_start":
			begun = true
		case "content_block_start":
			if open >= 0 || index != closed+1 {
				t.Fatalf("block %d starts while %d is open and %d was the last", index, open, closed)
			}
			open = index
		case "content_block_delta":
			if index != open {
				t.Fatalf("a delta of block %d, and %d is open", index, open)
			}
		case "content_block_stop":
			if index != open {
				t.Fatalf("block %d stops, and %d is open", index, open)
			}
			open, closed = -1, index
		case "message_delta":
			if open >= 0 {
				t.Fatalf("the message ends while block %d is open", open)
			}
		case "message_stop":
			over = true
		}
		if err := message.Accumulate(decoded); err != nil {
			t.Fatal(err)
		}
	}
	if !over {
		t.Error("the message did not stop")
	}
	return message
}

// accumulateChat reads chunks as the official client does.
func accumulateChat(t *testing.T, text string) (openai.ChatCompletion, []openai.ChatCompletionChunk) {
	t.Helper()
	var acc openai.ChatCompletionAccumulator
	var chunks []openai.ChatCompletionChunk
	done := false
	for _, e := range readEvents(t, text) {
		if done || e.Name != "" {
			t.Fatalf("unexpected event %q", e)
		}
		if done = e.Data == "[DONE]"; done {
			continue
		}
		chunk := decode[openai.ChatCompletionChunk](t, []byte(e.Data))
		if !acc.AddChunk(chunk) {
			t.Fatalf("the client does not take %s", e.Data)
		}
		chunks = append(chunks, chunk)
	}
	if !done {
		t.Error("the stream has no [DONE]")
	}
	return acc.ChatCompletion, chunks
}

// lastResponse reads events of Responses as the official client does, and returns the
// response that the last one holds.
func lastResponse(t *testing.T, text string) (responses.Response, []string) {
	t.Helper()
	var names []string
	var last responses.Response
	said := map[string]string{} // by item: what its deltas make
	for i, e := range readEvents(t, text) {
		decoded := decode[responses.ResponseStreamEventUnion](t, []byte(e.Data))
		if decoded.Type != e.Name || decoded.SequenceNumber != int64(i) {
			t.Errorf("event %d %q holds %q, numbered %d", i, e.Name, decoded.Type, decoded.SequenceNumber)
		}
		names = append(names, e.Name)
		switch {
		case strings.HasSuffix(e.Name, ".delta"):
			said[decoded.ItemID] += decoded.Delta
		case e.Name == "response.output_text.done" && said[decoded.ItemID] != decoded.Text,
			e.Name == "response.reasoning_summary_text.done" && said[decoded.ItemID] != decoded.Text,
			e.Name == "response.function_call_arguments.done" && said[decoded.ItemID] != decoded.Arguments:
			t.Errorf("the deltas made %q, and the end says %s", said[decoded.ItemID], e.Data)
		case strings.HasPrefix(e.Name, "response.") && strings.Count(e.Name, ".") == 1:
			last = decoded.Response
		}
	}
	return last, names
}

const messageEvents = `
{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_1h_input_tokens":1},"output_tokens":1}}}
{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}
{"type":"ping"}
{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm, \"well\"…"}}
{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}
{"type":"content_block_stop","index":0}
{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüß \ud83d\ude00"}}
{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":" Gott\n"}}
{"type":"content_block_stop","index":1}
{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"sky","input":{}}}
{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}
{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"at\": "}}
{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1e400}"}}
{"type":"content_block_stop","index":2}
{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"now","input":{}}}
{"type":"content_block_stop","index":3}
{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":20,"output_tokens_details":{"thinking_tokens":7}}}
{"type":"message_stop"}
`

func TestChatStream(t *testing.T) {
	text := play(t, translate.NewChatStream(called, true), messageEvents, translate.Final{Cost: "0.000123"})
	answer, chunks := accumulateChat(t, text)
	choice := answer.Choices[0]
	if answer.ID != "chatcmpl-1" || answer.Model != "asked" || answer.Created != 1700000000 || choice.FinishReason != "tool_calls" {
		t.Errorf("%s", text)
	}
	if choice.Message.Content != "Grüß 😀 Gott\n" {
		t.Errorf("content %q", choice.Message.Content)
	}
	var calls []string
	for _, c := range choice.Message.ToolCalls {
		calls = append(calls, c.ID, c.Function.Name, c.Function.Arguments)
	}
	if diff := cmp.Diff([]string{"toolu_1", "sky", `{"at": 1e400}`, "toolu_2", "now", "{}"}, calls); diff != "" {
		t.Error(diff)
	}
	thought := ""
	for _, c := range chunks {
		for _, choice := range c.Choices {
			var words string
			if raw := choice.Delta.JSON.ExtraFields["reasoning_content"].Raw(); raw != "" {
				_ = json.Unmarshal([]byte(raw), &words)
			}
			thought += words
		}
	}
	if thought != `Hm, "well"…` || !strings.Contains(text, `"thinking_blocks":[{"type":"thinking","thinking":"Hm, \"well\"…","signature":"c2ln"}]`) {
		t.Errorf("thought %q in %s", thought, text)
	}
	sameJSON(t, chunks[len(chunks)-1].Usage.RawJSON(), `{"prompt_tokens":18,"completion_tokens":20,"total_tokens":38,
		"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":7},"cost":0.000123}`)
	if silent := play(t, translate.NewChatStream(called, false), messageEvents, translate.Final{}); strings.Contains(silent, "usage") {
		t.Errorf("usage, which nobody asked for: %s", silent)
	}
}

const chatEvents = `
{"id":"chatcmpl-9","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"reasoning_content":"Hm"}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"reasoning_content":"m"}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"content":"Grüß "}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"content":"😀"}}]}
{"id":"chatcmpl-9","choices":[{"index":1,"delta":{"content":"another choice"}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"sky","arguments":""}},{"index":1,"id":"call_b","type":"function","function":{"name":"sea","arguments":""}}]}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\"b\""}}]}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":":2}"}}]}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{"tool_calls":[{"index":2,"id":"call_c","function":{"name":"now"}}]}}]}
{"id":"chatcmpl-9","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
{"id":"chatcmpl-9","choices":[],"usage":{"prompt_tokens":30,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":12},"completion_tokens_details":{"reasoning_tokens":4}}}
[DONE]
`

func TestMessagesStream(t *testing.T) {
	text := play(t, translate.NewMessagesStream(called), chatEvents, translate.Final{Cost: "0.5"})
	message := accumulateMessage(t, text)
	if message.ID != "msg_9" || message.Model != "asked" || message.StopReason != "tool_use" {
		t.Errorf("%s", text)
	}
	var blocks []string
	for _, b := range message.Content {
		blocks = append(blocks, b.Type+" "+b.Thinking+b.Text+b.ID+b.Name+string(b.Input))
	}
	if diff := cmp.Diff([]string{"thinking Hmm", "text Grüß 😀", `tool_use call_asky{"a":1}`, `tool_use call_bsea{"b":2}`, "tool_use call_cnow{}"}, blocks); diff != "" {
		t.Error(diff)
	}
	usage := message.Usage
	if usage.InputTokens != 18 || usage.CacheReadInputTokens != 12 || usage.OutputTokens != 9 || usage.OutputTokensDetails.ThinkingTokens != 4 {
		t.Errorf("usage %s", usage.RawJSON())
	}
	if !strings.Contains(text, `"cost":0.5}`) {
		t.Error("the cost is missing")
	}
}

func TestResponsesStream(t *testing.T) {
	asked := called
	asked.Request = []byte(`{"model":"asked","input":"x","instructions":"Be\n kind.","temperature":0.5,"tools":[{"type":"function","name":"sky","parameters":{"type":"object"},
		"strict":true}]}`)
	text := play(t, translate.NewResponsesStream(asked), chatEvents, translate.Final{Cost: "0.5"})
	response, names := lastResponse(t, text)
	if response.ID != "resp_9" || response.Status != "completed" || response.Model != "asked" || response.Temperature != 0.5 || len(response.Tools) != 1 {
		t.Errorf("%s", response.RawJSON())
	}
	var items []string
	for _, item := range response.Output {
		words := ""
		for _, part := range item.Content {
			words += part.Text
		}
		for _, part := range item.Summary {
			words += part.Text
		}
		items = append(items, item.Type+" "+words+item.CallID+item.Name+item.Arguments.OfString)
	}
	if diff := cmp.Diff([]string{"reasoning Hmm", "message Grüß 😀", `function_call call_asky{"a":1}`, `function_call call_bsea{"b":2}`, "function_call call_cnow{}"}, items); diff != "" {
		t.Error(diff)
	}
	want := []string{
		"response.created", "response.in_progress",
		"response.output_item.added", "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta", "response.reasoning_summary_text.delta",
		"response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "response.output_item.done",
		"response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
		"response.output_text.done", "response.content_part.done", "response.output_item.done",
	}
	if diff := cmp.Diff(want, names[:len(want)]); diff != "" {
		t.Error(diff)
	}
	sameJSON(t, response.Usage.RawJSON(), `{"input_tokens":30,"input_tokens_details":{"cached_tokens":12,"cache_write_tokens":0},
		"output_tokens":9,"output_tokens_details":{"reasoning_tokens":4},"total_tokens":39,"cost":0.5}`)
}

func TestChain(t *testing.T) {
	text := play(t, translate.NewChain(called), messageEvents, translate.Final{Cost: "0.5"})
	response, _ := lastResponse(t, text)
	if response.ID != "resp_1" || response.OutputText() != "Grüß 😀 Gott\n" || len(response.Output) != 4 || response.Usage.InputTokens != 18 {
		t.Errorf("%s", response.RawJSON())
	}
	sealed := response.Output[0].EncryptedContent
	request := `{"model":"claude-opus-4-6","max_output_tokens":50,"input":[{"role":"user","content":"x"},{"type":"reasoning","id":"rs","summary":[],"encrypted_content":"` + sealed +
		`"},{"type":"function_call","call_id":"toolu_1","name":"sky","arguments":"{}"},{"type":"function_call_output","call_id":"toolu_1","output":"blue"}]}`
	back, err := translate.ResponsesToMessages([]byte(request), translate.Out{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(back), `{"role":"assistant","content":[{"type":"thinking","thinking":"Hm, \"well\"…","signature":"c2ln"},{"type":"tool_use"`) {
		t.Errorf("the signature did not come back: %s", back)
	}
}
