package llm

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestReadUsage(t *testing.T) {
	for json, want := range map[string]Reported{
		`{"prompt_tokens":10,"completion_tokens":5}`:                                                    {Usage: Usage{Prompt: 10, Completion: 5}, PromptKnown: true, CompletionKnown: true},
		`{"prompt_tokens":10.0,"completion_tokens":5e0,"prompt_tokens_details":null}`:                   {Usage: Usage{Prompt: 10, Completion: 5}, PromptKnown: true, CompletionKnown: true},
		`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"x":1}}`:  {Usage: Usage{Prompt: 10, Cached: 4, Completion: 5}, PromptKnown: true, CompletionKnown: true},
		`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}`:       {Usage: Usage{Prompt: 10, Cached: 10, Completion: 5}, PromptKnown: true, CompletionKnown: true, Fault: UsageParts},
		`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-4}}`:       {Usage: Usage{Prompt: 10, Completion: 5}, PromptKnown: true, CompletionKnown: true, Fault: UsageNegative},
		`{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":3}}`: {Usage: Usage{Prompt: 10, Completion: 5, Reasoning: 3}, PromptKnown: true, CompletionKnown: true},
		`{"prompt_tokens":-1,"completion_tokens":5}`:                                                    {Usage: Usage{Completion: 5}, CompletionKnown: true, Fault: UsageNegative},
		`{"prompt_tokens":"10","completion_tokens":"5"}`:                                                {Fault: UsageType},
		`{"prompt_tokens":9223372036854775807,"completion_tokens":99999999999999999999999}`:             {Fault: UsageHuge},
		`{"prompt_tokens":1e999,"completion_tokens":-1e999}`:                                            {Fault: UsageHuge},
		`{"prompt_tokens":1001,"completion_tokens":101}`:                                                {Fault: UsageHuge},
		`{"prompt_tokens":1.5,"completion_tokens":5}`:                                                   {Usage: Usage{Completion: 5}, CompletionKnown: true, Fault: UsageType},
		`{"completion_tokens":5}`: {Usage: Usage{Completion: 5}, CompletionKnown: true, Fault: UsageAbsent},
		`{}`:                      {Fault: UsageAbsent},
		`null`:                    {Fault: UsageAbsent},
		`[1]`:                     {Fault: UsageAbsent},
		`7`:                       {Fault: UsageAbsent},
	} {
		if got := ReadUsage(gjson.Parse(json), 1000, 100); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", json, got, want)
		}
	}
	if got := ReadUsage(gjson.Result{}, 1, 1); got.Fault != UsageAbsent {
		t.Errorf("no usage: %+v", got)
	}
}

func TestCounter(t *testing.T) {
	var c Counter
	for text, want := range map[string]int64{"": 0, "hello world": 2, "Hello, world!": 4, "x": 1} {
		if got := c.Count(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	prose := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 200)
	if got := c.Count(prose); got < 1990 || got > 2110 { // 10 tokens each; cut where it is cheap
		t.Errorf("prose: %d", got)
	}
	started := time.Now()
	for _, hostile := range []string{
		strings.Repeat("a", 20<<20), strings.Repeat(" ", 20<<20), strings.Repeat("\xff", 1<<20), strings.Repeat("漢", 1<<20),
	} {
		if got := c.Count(hostile); got <= 0 || got > int64(len(hostile)) {
			t.Errorf("%d bytes: %d", len(hostile), got)
		}
	}
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("hostile texts took %s", took)
	}
}

func TestTranscript(t *testing.T) {
	var counter Counter
	tr := NewTranscript(&counter)
	add := func(data string) Chunk {
		t.Helper()
		c, err := tr.Add([]byte(data))
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return c
	}
	if c := add(`{"id":"c1","model":"big","created":7,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}`); c.Text || !c.Choices || c.Usage.IsObject() || tr.Any() {
		t.Errorf("a role is not text: %+v", c)
	}
	if c := add(`{"choices":[{"index":1,"delta":{"content":"two"}},{"index":0,"delta":{"content":"hello"}}]}`); c.Content != "hello" || !c.Text {
		t.Errorf("the first choice: %+v", c)
	}
	add(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_aaaaaaaaaaaaaa","type":"function","function":{"name":"look","arguments":" world"}}]}}]}`)
	if c := add(`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`); c.Finish != "tool_calls" || !tr.Finished {
		t.Errorf("finish: %+v", c)
	}
	if got, want := tr.Tokens(), counter.Count("twohellolook world"); got != want {
		t.Errorf("%d tokens, want %d", got, want)
	}
	if tr.ID != "c1" || tr.Model != "big" || tr.Created != 7 {
		t.Errorf("%+v", tr)
	}
	if c := add(`{"error":{"message":"x"}}`); !c.Error {
		t.Error("an error event")
	}
	for _, data := range []string{``, `{`, `[1]`, `"x"`, `{"choices":[{]}`, "{\"a\":1}}"} {
		if _, err := tr.Add([]byte(data)); err == nil {
			t.Errorf("accepted %q", data)
		}
	}
	long := NewTranscript(&counter)
	for range 3 * maxTranscript / 1000 {
		if _, err := long.Add([]byte(`{"choices":[{"delta":{"content":"` + strings.Repeat("word ", 200) + `"}}]}`)); err != nil {
			t.Fatal(err)
		}
		long.Sent()
	}
	if got := long.Tokens(); got < 150_000 || got > 170_000 || len(long.text) > maxTranscript {
		t.Errorf("a long answer: %d tokens, %d bytes kept", got, len(long.text))
	}
}

// A text counted while it grows comes to the same number as counted at once, at any
// length, and what was not passed on is left out.
func TestTranscriptGrows(t *testing.T) {
	var counter Counter
	tr := NewTranscript(&counter)
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{" lorem", " ipsum", "\n\n", "12345678", " привет", "漢字仮名", " the", "-----", " \U0001f600", "x"}
	var text, sent string
	for len(text) < maxCounted+2048 {
		word := words[random.IntN(len(words))]
		if random.IntN(50) == 0 {
			word = strings.Repeat(word, 1+random.IntN(200))
		}
		data, err := json.Marshal(map[string]any{"choices": []any{map[string]any{"delta": map[string]any{"content": word}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Add(data); err != nil {
			t.Fatal(err)
		}
		text += word
		if random.IntN(3) > 0 {
			if fresh := tr.Sent(); fresh != len(text)-len(sent) {
				t.Fatalf("%d bytes are fresh, want %d", fresh, len(text)-len(sent))
			}
			sent = text
		}
		boundary := len(text) > maxCounted-50 && len(text) < maxCounted+50
		if !boundary && random.IntN(200) > 0 {
			continue
		}
		if got, want := tr.SentTokens(), counter.Count(sent); got != want {
			t.Fatalf("%d bytes sent: %d tokens, want %d", len(sent), got, want)
		}
		if got, want := tr.Tokens(), counter.Count(text); got != want {
			t.Fatalf("%d bytes: %d tokens, want %d", len(text), got, want)
		}
	}
}
