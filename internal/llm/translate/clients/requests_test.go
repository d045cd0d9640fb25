package clients_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"

	"github.com/kikuai/kikuai/internal/testenv/cases"
)

// beyondNumbers stands in schemas that the clients, which read numbers as floats, cannot hold.
const beyondNumbers = "1e400"

// TestRequests holds translated requests against the official clients' parameters: read
// into them and written again, nothing may be lost, for what they do not know they drop.
func TestRequests(t *testing.T) {
	for _, file := range []string{"chat_to_messages.txt", "responses_to_messages.txt"} {
		eachOut(t, file, func(t *testing.T, _ *cases.Case, out string) { survives[anthropic.MessageNewParams](t, out) })
	}
	for _, file := range []string{"messages_to_chat.txt", "responses_to_chat.txt"} {
		eachOut(t, file, func(t *testing.T, _ *cases.Case, out string) { survives[openai.ChatCompletionNewParams](t, out) })
	}
}

func survives[T any](t *testing.T, request string) {
	t.Helper()
	if strings.Contains(request, beyondNumbers) {
		return
	}
	var params T
	if err := json.Unmarshal([]byte(request), &params); err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	written, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	_, messages := any(params).(anthropic.MessageNewParams)
	if diff := cmp.Diff(normal(t, request, messages), normal(t, string(written), messages)); diff != "" {
		t.Errorf("the official client loses (-) or adds (+)\n%s", diff)
	}
}

// normal is a request without what the clients write otherwise than it was: stream is
// no parameter of theirs, null is left out, OpenAI's cannot read a named tool_choice,
// and those of Messages write every text as blocks.
func normal(t *testing.T, request string, messages bool) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(request), &v); err != nil {
		t.Fatal(err)
	}
	delete(v, "stream")
	if choice, named := v["tool_choice"].(map[string]any); named && !messages {
		delete(choice, "function")
	}
	for _, m := range v["messages"].([]any) {
		if message := m.(map[string]any); message["content"] == nil {
			delete(message, "content")
		}
	}
	if messages {
		blocks(v, "system")
		for _, m := range v["messages"].([]any) {
			message := m.(map[string]any)
			blocks(message, "content")
			for _, b := range message["content"].([]any) {
				blocks(b.(map[string]any), "content")
			}
		}
	}
	return v
}

func blocks(v map[string]any, field string) {
	if text, is := v[field].(string); is {
		v[field] = []any{map[string]any{"type": "text", "text": text}}
	}
}
