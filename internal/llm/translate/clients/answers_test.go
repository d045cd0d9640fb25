package clients_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/kikuai/kikuai/internal/llm/translate"
	"github.com/kikuai/kikuai/internal/testenv/cases"
)

// eachOut visits what is to come out in every case of a file of package translate's.
func eachOut(t *testing.T, file string, visit func(t *testing.T, c *cases.Case, out string)) {
	table := cases.Read(t, "../testdata/"+file)
	for i := range table {
		c := &table[i]
		if out := c.Get("out"); out != "" {
			t.Run(c.Name, func(t *testing.T) { visit(t, c, out) })
		}
	}
}

// TestAnswers holds whole answers against the official clients.
func TestAnswers(t *testing.T) {
	eachOut(t, "messages_answer_to_chat.txt", func(t *testing.T, _ *cases.Case, out string) { decode[openai.ChatCompletion](t, []byte(out)) })
	eachOut(t, "chat_answer_to_messages.txt", func(t *testing.T, _ *cases.Case, out string) { decode[anthropic.Message](t, []byte(out)) })
	eachOut(t, "chat_answer_to_responses.txt", func(t *testing.T, _ *cases.Case, out string) { decode[responses.Response](t, []byte(out)) })
}

// TestKeptStreams holds the kept streams against the official clients.
func TestKeptStreams(t *testing.T) {
	eachOut(t, "streams.txt", func(t *testing.T, c *cases.Case, out string) {
		out = strings.TrimSpace(out) + "\n\n"
		switch strings.TrimSpace(c.Get("stream")) {
		case "chat":
			accumulateChat(t, out)
		case "messages":
			accumulateMessage(t, out)
		default:
			lastResponse(t, out)
		}
	})
}

func TestMessagesAnswerToResponses(t *testing.T) {
	answer := `{"id":"msg_1","type":"message","role":"assistant","model":"c","stop_reason":"max_tokens","content":[
		{"type":"thinking","thinking":"hm","signature":"c2ln"},{"type":"text","text":"a"},{"type":"tool_use","id":"toolu_1","name":"f","input":{"x":1}}],
		"usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":5}}`
	a := called
	a.Final.Cost = "0.5"
	out, err := translate.MessagesAnswerToResponses([]byte(answer), a)
	if err != nil {
		t.Fatal(err)
	}
	r := decode[responses.Response](t, out)
	if r.ID != "resp_1" || r.Status != "incomplete" || r.IncompleteDetails.Reason != "max_output_tokens" || len(r.Output) != 3 ||
		r.Output[0].EncryptedContent == "" || r.OutputText() != "a" || r.Output[2].Arguments.OfString != `{"x":1}` || r.Usage.InputTokens != 7 {
		t.Errorf("%s", out)
	}
	if _, err := translate.MessagesAnswerToResponses([]byte(`{"type":"error","error":{"type":"api_error","message":"x"}}`), a); !errors.As(err, new(*translate.ProviderError)) {
		t.Errorf("an error is %v", err)
	}
}
