package translate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/llm/translate"
	"github.com/kikuai/kikuai/internal/testenv/cases"
)

// read decodes a case's section, which is JSON; one that is missing leaves v alone.
func read(t *testing.T, c *cases.Case, name string, v any) {
	t.Helper()
	if text := c.Get(name); text != "" {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			t.Fatal(err)
		}
	}
}

// called is what the tests' callers say.
var called = translate.Answer{ID: "chatcmpl-here", Model: "asked", Created: 1700000000}

func answerOf(t *testing.T, c *cases.Case) translate.Answer {
	a := called
	read(t, c, "final", &a.Final)
	a.Request = []byte(c.Get("request"))
	return a
}

func TestMessagesAnswerToChat(t *testing.T) {
	runCases(t, "messages_answer_to_chat.txt", func(c *cases.Case) ([]byte, error) {
		return translate.MessagesAnswerToChat([]byte(c.Get("in")), answerOf(t, c))
	})
}

func TestChatAnswerToMessages(t *testing.T) {
	runCases(t, "chat_answer_to_messages.txt", func(c *cases.Case) ([]byte, error) {
		return translate.ChatAnswerToMessages([]byte(c.Get("in")), answerOf(t, c))
	})
}

func TestChatAnswerToResponses(t *testing.T) {
	runCases(t, "chat_answer_to_responses.txt", func(c *cases.Case) ([]byte, error) {
		return translate.ChatAnswerToResponses([]byte(c.Get("in")), answerOf(t, c))
	})
}

// TestStreams leads events through each stream. What comes out is compared with what is
// kept, read strictly by the official client, and must come out again by a second Close.
func TestStreams(t *testing.T) {
	table := cases.Read(t, "testdata/streams.txt")
	for i := range table {
		c := &table[i]
		t.Run(c.Name, func(t *testing.T) {
			name, out := runStream(t, c)
			if *update {
				c.Set(name, out)
				return
			}
			if want := strings.TrimSpace(c.Get(name)); strings.TrimSpace(out) != want {
				t.Errorf("%s:\n%s\nwant:\n%s", name, out, want)
			}
		})
	}
	if *update {
		cases.Write(t, "testdata/streams.txt", table)
	}
}

func runStream(t *testing.T, c *cases.Case) (section, out string) {
	t.Helper()
	kind := strings.TrimSpace(c.Get("stream"))
	s := map[string]func() stream{
		"chat":      func() stream { return translate.NewChatStream(called, true) },
		"messages":  func() stream { return translate.NewMessagesStream(called) },
		"responses": func() stream { return translate.NewResponsesStream(called) },
		"chain":     func() stream { return translate.NewChain(called) },
	}[kind]()
	var text []byte
	for line := range strings.Lines(c.Get("events")) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		var err error
		if text, err = s.Event(text, []byte(line)); err != nil {
			readEvents(t, string(text))
			return "error", err.Error()
		}
	}
	var final translate.Final
	read(t, c, "final", &final)
	before := len(text)
	first := s.Close(text, final)
	again := s.Close(text[:before:before], final)
	if string(first) != string(again) {
		t.Errorf("closing again wrote %q after %q", again, first)
	}
	readEvents(t, string(first))
	if _, err := s.Event(nil, []byte("{}")); err == nil {
		t.Error("a closed stream took an event")
	}
	return "out", string(first)
}
