package translate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llm/translate"
	"github.com/kikuai/kikuai/internal/testenv/cases"
	"github.com/kikuai/kikuai/internal/testenv/strict"
)

// seeds adds a section of all cases of a file.
func seeds(f *testing.F, file, section string) {
	f.Helper()
	for _, c := range cases.Read(f, filepath.Join("testdata", file)) {
		f.Add(c.Get(section))
	}
}

// sound wants what every translation gives: JSON in UTF-8, or an error that names what
// is wrong in a sentence.
func sound(t *testing.T, from string, out []byte, err error) bool {
	t.Helper()
	if err == nil {
		if !json.Valid(out) || !utf8.Valid(out) {
			t.Fatalf("%q became %q", from, out)
		}
		return true
	}
	var refused *translate.Error
	if errors.As(err, &refused) && (refused.Message == "" || !strings.HasSuffix(refused.Message, ".") || !strings.Contains(refused.Message, refused.Param) || !utf8.ValidString(refused.Message)) {
		t.Fatalf("%q is refused with %q, %q", from, refused.Param, refused.Message)
	}
	return false
}

// FuzzRequests: whatever is accepted becomes a request that the next translation
// accepts, and nobody panics.
func FuzzRequests(f *testing.F) {
	for _, file := range []string{"chat_to_messages.txt", "messages_to_chat.txt", "responses_to_chat.txt", "responses_to_messages.txt"} {
		seeds(f, file, "in")
	}
	out := translate.Out{Model: "other \"one\"", MaxTokens: 5000}
	f.Fuzz(func(t *testing.T, body string) {
		messages, err := translate.ChatToMessages([]byte(body), out)
		if sound(t, body, messages, err) && gjson.GetBytes(messages, "model").Str != out.Model {
			t.Fatalf("%q became %q", body, messages)
		}
		chat, err := translate.MessagesToChat([]byte(body), out)
		if sound(t, body, chat, err) && gjson.GetBytes(chat, "max_tokens").Int() != out.MaxTokens {
			t.Fatalf("%q became %q", body, chat)
		}
		chat, err = translate.ResponsesToChat([]byte(body), out)
		sound(t, body, chat, err)
		messages, err = translate.ResponsesToMessages([]byte(body), out)
		sound(t, body, messages, err)
	})
}

// FuzzRoundTrip: a chat request that became one of Messages becomes itself again, as far
// as roles, texts, calls, results and tools go.
func FuzzRoundTrip(f *testing.F) {
	seeds(f, "chat_to_messages.txt", "in")
	f.Fuzz(func(t *testing.T, body string) {
		messages, err := translate.ChatToMessages([]byte(body), translate.Out{MaxTokens: 5000})
		if err != nil || strings.Contains(string(messages), `"type":"text","media_type"`) { // a file of text becomes a text
			return
		}
		back, err := translate.MessagesToChat(messages, translate.Out{})
		if err != nil {
			last := gjson.GetBytes(messages, "messages.@reverse.0.role").Str
			var refused *translate.Error
			errors.As(err, &refused)
			switch { // what Messages has and chat has not
			case last == "assistant", strings.HasPrefix(refused.Param, "thinking"), refused.Param == "top_k", gjson.Get(body, "thinking").Exists():
				return
			}
			t.Fatalf("%q became %q, and that is refused: %v", body, messages, err)
		}
		if before, after := gist(body), gist(string(back)); !slices.Equal(before, after) {
			t.Fatalf("%q became %q and then %q:\n%q\n%q", body, messages, back, before, after)
		}
	})
}

// gist is what a chat request says, in the order in which Messages keeps it: the system
// prompt, then the turns; calls by their names and arguments, for ids may be renamed.
func gist(body string) []string {
	var system, turns []string
	root := gjson.Parse(body)
	root.Get("messages").ForEach(func(_, m gjson.Result) bool {
		role := m.Get("role").Str
		var said []string
		content := m.Get("content")
		if content.IsArray() {
			content.ForEach(func(_, part gjson.Result) bool {
				switch part.Get("type").Str {
				case "text":
					said = append(said, part.Get("text").Str)
				case "refusal":
					said = append(said, part.Get("refusal").Str)
				}
				return true
			})
		} else if content.Type == gjson.String {
			said = append(said, content.Str)
		}
		said = append(said, m.Get("refusal").Str)
		said = slices.DeleteFunc(said, func(s string) bool { return s == "" || strings.HasPrefix(s, "Returned by the tool call ") }) // what stands before what a tool showed
		switch role {                                                                                                                // several texts may become one
		case "assistant":
			said = []string{strings.Join(said, "")}
		case "user", "tool":
			said = []string{strings.Join(said, "\n")}
		}
		m.Get("tool_calls").ForEach(func(_, c gjson.Result) bool {
			arguments := c.Get("function.arguments").Str
			if text := gjson.Get(arguments, "INVALID_JSON"); text.Type == gjson.String && gjson.Valid(arguments) {
				arguments = text.Str
			} else if arguments == "" {
				arguments = "{}"
			}
			said = append(said, "call "+c.Get("function.name").Str+" "+arguments)
			return true
		})
		said = slices.DeleteFunc(said, func(s string) bool { return s == "" })
		switch role {
		case "system", "developer":
			system = append(system, said...)
			return true
		case "tool":
			for _, text := range said {
				turns = append(turns, "tool: "+text)
			}
			return true
		}
		for _, text := range said {
			turns = append(turns, role+": "+text)
		}
		return true
	})
	var tools []string
	root.Get("tools").ForEach(func(_, tool gjson.Result) bool {
		tools = append(tools, fmt.Sprintf("tool %s: %s", tool.Get("function.name").Str, tool.Get("function.description").Str))
		return true
	})
	return append(append(system, turns...), tools...)
}

// FuzzAnswers: whatever a provider answers becomes JSON or an error.
func FuzzAnswers(f *testing.F) {
	seeds(f, "messages_answer_to_chat.txt", "in")
	seeds(f, "chat_answer_to_messages.txt", "in")
	seeds(f, "chat_answer_to_responses.txt", "in")
	f.Fuzz(func(t *testing.T, body string) {
		for _, turn := range []func([]byte, translate.Answer) ([]byte, error){
			translate.MessagesAnswerToChat, translate.ChatAnswerToMessages, translate.ChatAnswerToResponses, translate.MessagesAnswerToResponses,
		} {
			out, err := turn([]byte(body), called)
			if sound(t, body, out, err) {
				notNegative(t, body, gjson.GetBytes(out, "usage"))
			}
		}
	})
}

// notNegative wants counts that are not negative, and parts within their wholes.
func notNegative(t *testing.T, from string, usage gjson.Result) {
	t.Helper()
	prompt, completion := usage.Get("prompt_tokens").Int(), usage.Get("completion_tokens").Int()
	if usage.Get("prompt_tokens").Exists() && (usage.Get("prompt_tokens_details.cached_tokens").Int()+usage.Get("prompt_tokens_details.cache_write_tokens").Int() > prompt ||
		usage.Get("completion_tokens_details.reasoning_tokens").Int() > completion) {
		t.Fatalf("%q tells of %s", from, usage.Raw)
	}
	usage.ForEach(func(_, v gjson.Result) bool {
		if v.IsObject() {
			notNegative(t, from, v)
		} else if v.Type == gjson.Number && strings.HasPrefix(v.Raw, "-") {
			t.Fatalf("%q tells of %s", from, usage.Raw)
		}
		return true
	})
}

// FuzzStreams: whatever events come, a client sees well-formed events in their order,
// and its end.
func FuzzStreams(f *testing.F) {
	seeds(f, "streams.txt", "events")
	f.Fuzz(func(t *testing.T, events string) {
		for i, s := range []stream{
			translate.NewChatStream(called, true), translate.NewMessagesStream(called),
			translate.NewResponsesStream(called), translate.NewChain(called),
		} {
			var out []byte
			failed := false
			for line := range strings.SplitSeq(events, "\n") {
				var err error
				if out, err = s.Event(out, []byte(line)); err != nil {
					failed = true
					break
				}
			}
			if !failed {
				out = s.Close(out, translate.Final{Cost: "0.1"})
			}
			checkOrder(t, i, events, readEvents(t, string(out)), failed)
		}
	})
}

// checkOrder wants what the official clients rely on.
func checkOrder(t *testing.T, kind int, from string, events []strict.Event, failed bool) {
	t.Helper()
	bad := func(what string, e strict.Event) {
		t.Fatalf("stream %d of %q: %s: %s %s", kind, from, what, e.Name, e.Data)
	}
	open, next := int64(-1), int64(0)
	for n, e := range events {
		root := gjson.Parse(e.Data)
		if !utf8.ValidString(e.Data) {
			bad("no UTF-8", e)
		}
		if kind == 0 {
			if e.Name != "" || e.Data == "[DONE]" != (n == len(events)-1 && !failed) {
				bad("out of order", e)
			}
			notNegative(t, from, root.Get("usage"))
			continue
		}
		if e.Name != root.Get("type").Str {
			bad("misnamed", e)
		}
		if kind > 1 && root.Get("sequence_number").Int() != int64(n) {
			bad("misnumbered", e)
		}
		at := root.Get("index").Int() + root.Get("output_index").Int()
		switch e.Name {
		case "content_block_start", "response.output_item.added":
			if open >= 0 || at != next {
				bad("begins too early", e)
			}
			open = at
		case "content_block_stop", "response.output_item.done":
			if at != open {
				bad("ends what is not open", e)
			}
			open, next = -1, next+1
		case "message_start", "response.created":
			if n != 0 {
				bad("begins again", e)
			}
		case "message_delta", "message_stop", "response.completed", "response.incomplete":
			if open >= 0 || failed {
				bad("ends too early", e)
			}
			notNegative(t, from, root.Get("usage"))
			notNegative(t, from, root.Get("response.usage"))
		case "response.in_progress":
		default:
			if at != open {
				bad("is about what is not open", e)
			}
		}
	}
}
