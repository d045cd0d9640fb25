package translate_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tidwall/gjson"
	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/llm/translate"
)

// object is JSON that is written as it stands.
type object map[string]any

func words(t *rapid.T, label string) string {
	return rapid.StringOfN(rapid.SampledFrom([]rune("aé\"\\\n\t<&😀\u2028 {}")), 1, 12, -1).Draw(t, label)
}

// conversation draws a chat request that can be translated: all roles, texts, images,
// parallel calls with their results in any order, the words after them, and instructions
// at the end of a turn.
func conversation(t *rapid.T) object {
	var messages []any
	for range rapid.IntRange(0, 2).Draw(t, "prompts") {
		messages = append(messages, object{"role": rapid.SampledFrom([]string{"system", "developer"}).Draw(t, "role"), "content": words(t, "prompt")})
	}
	messages = append(messages, object{"role": "user", "content": words(t, "first")})
	for turn := range rapid.IntRange(0, 4).Draw(t, "turns") {
		answer := object{"role": "assistant", "content": words(t, "answer")}
		var ids []string
		var calls []any
		for i := range rapid.IntRange(0, 3).Draw(t, "calls") {
			id := fmt.Sprintf("call_%d_%d", turn, i)
			if rapid.Bool().Draw(t, "odd") {
				id += strings.Repeat(":x", 20)
			}
			arguments, _ := json.Marshal(object{words(t, "key"): rapid.Float64().Draw(t, "value")})
			ids = append(ids, id)
			calls = append(calls, object{"id": id, "type": "function", "function": object{"name": fmt.Sprintf("f%d", i), "arguments": string(arguments)}})
		}
		if len(calls) > 0 {
			answer["tool_calls"] = calls
			if rapid.Bool().Draw(t, "silent") {
				answer["content"] = nil
			}
		}
		messages = append(messages, answer)
		for _, id := range rapid.Permutation(ids).Draw(t, "order") {
			messages = append(messages, object{"role": "tool", "tool_call_id": id, "content": words(t, "result")})
		}
		if len(ids) == 0 || rapid.Bool().Draw(t, "asks on") {
			messages = append(messages, object{"role": "user", "content": []any{
				object{"type": "text", "text": words(t, "text")},
				object{"type": "image_url", "image_url": object{"url": rapid.SampledFrom([]string{"https://a/b.png", "data:image/png;base64,iVBORw0KGgo="}).Draw(t, "image")}},
				object{"type": "text", "text": words(t, "text")},
			}})
		}
		if rapid.Bool().Draw(t, "instructs") {
			messages = append(messages, object{"role": "developer", "content": words(t, "instruction")})
		}
	}
	return object{"model": "claude-opus-5", "max_tokens": 10, "messages": messages}
}

// TestRoundTrip: what becomes a request of Messages and comes back says the same, and
// its images are the same.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body, err := json.Marshal(conversation(t))
		if err != nil {
			t.Fatal(err)
		}
		messages, err := translate.ChatToMessages(body, translate.Out{})
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		back, err := translate.MessagesToChat(messages, translate.Out{})
		if err != nil {
			t.Fatalf("%s: %v", messages, err)
		}
		if diff := cmp.Diff(gist(string(body)), gist(string(back))); diff != "" {
			t.Fatalf("%s\n%s\n%s", diff, body, back)
		}
		if !slices.Equal(urls(body), urls(back)) {
			t.Fatalf("the images of %s became those of %s", body, back)
		}
	})
}

func urls(body []byte) (found []string) {
	gjson.GetBytes(body, "messages").ForEach(func(_, m gjson.Result) bool {
		m.Get("content").ForEach(func(_, part gjson.Result) bool {
			if url := part.Get("image_url.url"); url.Exists() {
				found = append(found, url.Str)
			}
			return true
		})
		return true
	})
	return found
}

// TestStreamRoundTrip: an answer's chunks, however they are cut and their calls mixed,
// become events of Messages that become chunks again: with the same words, and the same
// calls with the same arguments. A Responses client is told the same.
func TestStreamRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		thought, said := words(t, "thought"), words(t, "said")
		calls := make([]string, rapid.IntRange(0, 3).Draw(t, "calls"))
		var chunks []string
		chunk := func(delta object) {
			text, _ := json.Marshal(object{"id": "chatcmpl-1", "model": "m", "choices": []any{object{"index": 0, "delta": delta}}})
			chunks = append(chunks, string(text))
		}
		for _, piece := range cut(t, thought) {
			chunk(object{"reasoning_content": piece})
		}
		for _, piece := range cut(t, said) {
			chunk(object{"content": piece})
		}
		rest := make([][]string, len(calls))
		for i := range calls {
			arguments, _ := json.Marshal(object{words(t, "key"): words(t, "value")})
			calls[i] = string(arguments)
			rest[i] = cut(t, calls[i])
			chunk(object{"tool_calls": []any{object{"index": i, "id": fmt.Sprint("call_", i), "type": "function", "function": object{"name": fmt.Sprint("f", i), "arguments": ""}}}})
		}
		for slices.ContainsFunc(rest, func(r []string) bool { return len(r) > 0 }) {
			i := rapid.IntRange(0, len(rest)-1).Draw(t, "which")
			if len(rest[i]) > 0 {
				chunk(object{"tool_calls": []any{object{"index": i, "function": object{"arguments": rest[i][0]}}}})
				rest[i] = rest[i][1:]
			}
		}
		chunks = append(chunks, `{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
		messages := lead(t, translate.NewMessagesStream(called), chunks)
		back := lead(t, translate.NewChatStream(called, true), messages)
		gotThought, gotSaid, gotCalls := heard(back)
		if gotThought != thought || gotSaid != said || !slices.Equal(gotCalls, calls) {
			t.Fatalf("%q\nbecame\n%q\nand then\n%q", chunks, messages, back)
		}
		told := lead(t, translate.NewResponsesStream(called), chunks)
		var spoken, arguments []string
		gjson.Get(told[len(told)-1], "response.output").ForEach(func(_, item gjson.Result) bool {
			switch item.Get("type").Str {
			case "function_call":
				arguments = append(arguments, item.Get("arguments").Str)
			default:
				spoken = append(spoken, item.Get("summary.0.text").Str+item.Get("content.0.text").Str)
			}
			return true
		})
		if !slices.Equal(spoken, []string{thought, said}) || !slices.Equal(arguments, calls) {
			t.Fatalf("%q\nbecame\n%q", chunks, told)
		}
	})
}

// cut cuts a text between its characters.
func cut(t *rapid.T, text string) (pieces []string) {
	piece := ""
	for _, r := range text {
		piece += string(r)
		if rapid.IntRange(0, 2).Draw(t, "cut") == 0 {
			pieces, piece = append(pieces, piece), ""
		}
	}
	return append(pieces, piece)
}

// lead leads events through a stream and returns the data of what comes out.
func lead(t *rapid.T, s stream, events []string) (data []string) {
	var out []byte
	var err error
	for _, e := range events {
		if out, err = s.Event(out, []byte(e)); err != nil {
			t.Fatalf("%s: %v", e, err)
		}
	}
	for part := range strings.SplitSeq(string(s.Close(out, translate.Final{})), "\n\n") {
		if _, line, is := strings.Cut("\n"+part, "\ndata: "); is && line != "[DONE]" {
			data = append(data, line)
		}
	}
	return data
}

// heard is what a client of chat completions hears.
func heard(chunks []string) (thought, said string, calls []string) {
	for _, c := range chunks {
		delta := gjson.Get(c, "choices.0.delta")
		thought += delta.Get("reasoning_content").Str
		said += delta.Get("content").Str
		delta.Get("tool_calls").ForEach(func(_, v gjson.Result) bool {
			i := int(v.Get("index").Int())
			if i == len(calls) {
				calls = append(calls, "")
			}
			calls[i] += v.Get("function.arguments").Str
			return true
		})
	}
	return thought, said, calls
}
