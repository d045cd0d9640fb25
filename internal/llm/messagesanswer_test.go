package llm

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestMessagesEvents(t *testing.T) {
	var counter Counter
	tr := NewTranscript(&counter)
	a := &messagesAnswer{heard: heard{text: tr}}
	r := Rendition{a, a}
	see := func(data string) Chunk {
		t.Helper()
		c, err := r.Event(Event{Raw: []byte("event: x\ndata: " + data + "\n\n"), Data: []byte(data)})
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return c
	}
	if c := see(`{"type":"message_start","message":{"content":[],"usage":{"input_tokens":10,"cache_read_input_tokens":3,"output_tokens":1}}}`); c.Text || tr.Any() || len(c.Raw) == 0 {
		t.Errorf("a beginning is not text: %+v", c)
	}
	if u := r.Reported(100, 100); !u.PromptKnown || u.Prompt != 13 || u.Cached != 3 || u.CompletionKnown {
		t.Errorf("at the beginning %+v", u)
	}
	for _, data := range []string{
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"` + strings.Repeat("x", 500) + `"}}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}`,
		`{"type":"ping"}`, `{"type":"content_block_stop","index":1}`, `{"type":"what may come one day"}`,
	} {
		if c := see(data); c.Text || len(c.Raw) == 0 {
			t.Errorf("%s brought text: %+v", data, c)
		}
	}
	for _, data := range []string{
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hello"}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":" world"}}`,
		`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_0000000000000000","name":"look","input":{}}}`,
		`{"type":"content_block_start","index":3,"content_block":{"type":"redacted_thinking","data":"` + strings.Repeat("ab ", 16) + `"}}`,
	} {
		if c := see(data); !c.Text || c.Content != "" {
			t.Errorf("%s: %+v", data, c)
		}
	}
	if c := see(`{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"!"}}`); c.Content != "!" {
		t.Errorf("the words: %+v", c)
	}
	if got, want := tr.Tokens(), counter.Count("hello worldlook"+strings.Repeat("ab ", 4)+"!"); got != want {
		t.Errorf("%d tokens, want %d", got, want)
	}
	if r.Ended() {
		t.Error("ended")
	}
	if c := see(`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":11,"output_tokens":20}}`); len(c.Raw) != 0 || !r.Ended() || r.Finish() != FinishTools {
		t.Errorf("the end: %+v", c)
	}
	if u := r.Reported(100, 100); !u.Known() || u.Prompt != 14 || u.Cached != 3 || u.Completion != 20 {
		t.Errorf("at the end %+v", u)
	}
	if c := see(`{"type":"message_stop"}`); !c.Over {
		t.Errorf("%+v", c)
	}
	for _, cost := range []string{"0.5", "0"} { // it may be closed again
		got := string(r.Close([]byte("x"), Final{Cost: cost}))
		want := "xevent: message_delta\ndata: " + `{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":11,"output_tokens":20,"cost":` + cost + "}}\n\n" +
			"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
		if got != want {
			t.Errorf("closed by %s", got)
		}
	}
	if _, err := r.Event(Event{Data: []byte(`{"type":"error","error":{"type":"overloaded_error"}}`)}); !errors.Is(err, ErrReported) {
		t.Errorf("an error: %v", err)
	}
	for _, data := range []string{``, `{`, `[1]`, `[DONE]`} {
		if _, err := r.Event(Event{Data: []byte(data)}); !errors.Is(err, ErrBrokenEvent) {
			t.Errorf("%q: %v", data, err)
		}
	}
}

func TestFinishOf(t *testing.T) {
	for reason, want := range map[string]string{
		"end_turn": FinishStop, "stop_sequence": FinishStop, "max_tokens": FinishLength, "model_context_window_exceeded": FinishLength,
		"tool_use": FinishTools, "refusal": FinishFilter, "pause_turn": "pause_turn", "": "",
	} {
		if got := finishOf(reason); got != want {
			t.Errorf("%s is %s", reason, got)
		}
	}
}

// TestCostInAnswers: white space around an answer, and a usage in odd places, do not
// displace the cost.
func TestCostInAnswers(t *testing.T) {
	f := Final{Usage: Usage{Prompt: 9, Completion: 4, Cached: 2}, Cost: "0.25"}
	estimated := f
	estimated.Estimated = true
	for _, q := range []struct {
		body string
		f    Final
		want string
	}{
		{body: "\n {\"type\":\"message\",\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":4}}\n", f: f, want: `"usage":{"input_tokens":9,"output_tokens":4,"cost":0.25}`},
		{body: `{"type":"message","content":[],"usage":{ }}`, f: f, want: `"usage":{ "cost":0.25}`},
		{body: `{"type":"message","content":[]}`, f: estimated, want: `"usage":{"input_tokens":7,"output_tokens":4,"estimated":true,"cost":0.25}`},
		{body: `{"type":"message","content":[],"usage":{"cost":7,"output_tokens":4}}`, f: f, want: `"usage":{"cost":0.25,"output_tokens":4}`},
	} {
		a := &messagesAnswer{body: gjson.Parse(q.body)}
		a.told = gjson.Get(a.body.Raw, "usage")
		got, kind := a.answer(nil, q.f)
		if !strings.Contains(string(got), q.want) || !gjson.ValidBytes(got) || kind != contentJSON {
			t.Errorf("%s is answered as %s", q.body, got)
		}
	}
}

// TestNoPrompt: a prompt of no tokens is none that a provider has counted.
func TestNoPrompt(t *testing.T) {
	chat := &chatAnswer{told: gjson.Parse(`{"prompt_tokens":0,"completion_tokens":4}`)}
	messages := &messagesAnswer{began: gjson.Parse(`{"input_tokens":0,"output_tokens":0}`), told: gjson.Parse(`{"output_tokens":4}`)}
	for _, r := range []reading{chat, messages} {
		if u := r.usage(100, 100); u.PromptKnown || !u.CompletionKnown || u.Completion != 4 || u.Fault != UsageAbsent {
			t.Errorf("%+v", u)
		}
	}
	messages.began = gjson.Parse(`{"input_tokens":0,"cache_read_input_tokens":9}`)
	if u := messages.usage(100, 100); !u.PromptKnown || u.Prompt != 9 || u.Cached != 9 {
		t.Errorf("all of it cached: %+v", u)
	}
}
