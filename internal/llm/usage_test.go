package llm

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

func TestReadUsage(t *testing.T) {
	known := func(u Usage) Reported { return Reported{Usage: u, PromptKnown: true, CompletionKnown: true} }
	faulty := func(u Usage, fault string) Reported {
		return Reported{Usage: u, PromptKnown: true, CompletionKnown: true, Fault: fault}
	}
	for json, want := range map[string]Reported{
		// Chat completions.
		`{"prompt_tokens":10,"completion_tokens":5}`:                                                    known(Usage{Prompt: 10, Completion: 5}),
		`{"prompt_tokens":10.0,"completion_tokens":5e0,"prompt_tokens_details":null}`:                   known(Usage{Prompt: 10, Completion: 5}),
		`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4,"x":1}}`:  known(Usage{Prompt: 10, Cached: 4, Completion: 5}),
		`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":40}}`:       faulty(Usage{Prompt: 10, Cached: 10, Completion: 5}, UsageParts),
		`{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-4}}`:       faulty(Usage{Prompt: 10, Completion: 5}, UsageNegative),
		`{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":3}}`: known(Usage{Prompt: 10, Completion: 5, Reasoning: 3}),
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
		`{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":20,"audio_tokens":60},"completion_tokens_details":{"reasoning_tokens":10,"audio_tokens":30,"accepted_prediction_tokens":0}}`: known(Usage{Prompt: 100, Cached: 20, InputAudio: 60, Completion: 50, Reasoning: 10, OutputAudio: 30}),
		`{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":50,"audio_tokens":60,"cached_tokens_details":{"audio_tokens":30}}}`:                                                                              known(Usage{Prompt: 100, Cached: 20, CachedInputAudio: 30, InputAudio: 30, Completion: 5}),
		`{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":50,"audio_tokens":60}}`:                                                                                                                          known(Usage{Prompt: 100, Cached: 40, CachedInputAudio: 10, InputAudio: 50, Completion: 5}),
		`{"prompt_tokens":100,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":30,"cache_write_tokens":20}}`:                                                                                                                    known(Usage{Prompt: 100, Cached: 30, CacheWrite: 20, Completion: 5}),
		`{"prompt_tokens":100,"completion_tokens":50,"completion_tokens_details":{"reasoning_tokens":10,"audio_tokens":41}}`:                                                                                                                  faulty(Usage{Prompt: 100, Completion: 50, Reasoning: 10, OutputAudio: 40}, UsageParts),
		// DeepSeek.
		`{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}`: known(Usage{Prompt: 100, Cached: 64, Completion: 5}),
		// A server that tells Anthropic's counts beside OpenAI's, which hold them already.
		`{"prompt_tokens":100,"completion_tokens":5,"cache_read_input_tokens":64,"cache_creation_input_tokens":0}`: known(Usage{Prompt: 100, Cached: 64, Completion: 5}),
		// xAI and Gemini count reasoning beside the completion.
		`{"prompt_tokens":12,"completion_tokens":1,"total_tokens":99,"completion_tokens_details":{"reasoning_tokens":86}}`: known(Usage{Prompt: 12, Completion: 87, Reasoning: 86}),
		`{"prompt_tokens":12,"completion_tokens":9,"total_tokens":91}`:                                                     known(Usage{Prompt: 12, Completion: 79, Reasoning: 70}),
		`{"prompt_tokens":12,"completion_tokens":9,"total_tokens":9999999}`:                                                known(Usage{Prompt: 12, Completion: 100, Reasoning: 91}),
		`{"prompt_tokens":12,"completion_tokens":9,"total_tokens":5}`:                                                      known(Usage{Prompt: 12, Completion: 9}),
		`{"prompt_tokens":12,"completion_tokens":9,"total_tokens":"99"}`:                                                   known(Usage{Prompt: 12, Completion: 9}),
		// Responses, images, transcriptions.
		`{"input_tokens":75,"input_tokens_details":{"cached_tokens":32},"output_tokens":40,"output_tokens_details":{"reasoning_tokens":30},"total_tokens":115}`:             known(Usage{Prompt: 75, Cached: 32, Completion: 40, Reasoning: 30}),
		`{"input_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40},"output_tokens":90,"output_tokens_details":{"image_tokens":90},"total_tokens":140}`: known(Usage{Prompt: 50, InputImage: 40, Completion: 90, OutputImage: 90}),
		`{"input_tokens":50,"input_tokens_details":{"image_tokens":40,"cached_tokens":30,"cached_tokens_details":{"image_tokens":30}},"output_tokens":90}`:                  known(Usage{Prompt: 50, Cached: 30, InputImage: 10, Completion: 90}),
		`{"input_tokens":50,"input_tokens_details":{"image_tokens":40,"cached_tokens":30},"output_tokens":90}`:                                                              known(Usage{Prompt: 50, Cached: 30, InputImage: 20, Completion: 90}),
		`{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":0,"audio_tokens":14},"output_tokens":45,"total_tokens":59}`:                                known(Usage{Prompt: 14, InputAudio: 14, Completion: 45}),
		`{"type":"duration","seconds":12}`:      known(Usage{AudioMS: 12_000}),
		`{"type":"duration","seconds":0.8765}`:  known(Usage{AudioMS: 877}),
		`{"type":"duration","seconds":-1}`:      {Fault: UsageNegative},
		`{"type":"duration","seconds":1e300}`:   {Fault: UsageHuge},
		`{"type":"duration","seconds":"12"}`:    {Fault: UsageType},
		`{"type":"duration","seconds":1000000}`: {Fault: UsageHuge},
		// Anthropic.
		`{"input_tokens":10,"output_tokens":5}`: known(Usage{Prompt: 10, Completion: 5}),
		`{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":200,"cache_creation":{"ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":100},"output_tokens":5,"service_tier":"standard"}`: known(Usage{Prompt: 510, Cached: 200, CacheWrite: 200, CacheWrite1h: 100, Completion: 5}),
		`{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":null,"cache_creation":null,"output_tokens":5}`:                                                                                       known(Usage{Prompt: 310, CacheWrite: 300, Completion: 5}),
		`{"input_tokens":10,"cache_creation":{"ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":100},"output_tokens":5}`:                                                                                           known(Usage{Prompt: 310, CacheWrite: 200, CacheWrite1h: 100, Completion: 5}),
		`{"input_tokens":10,"cache_creation_input_tokens":30,"cache_creation":{"ephemeral_1h_input_tokens":100},"output_tokens":5}`:                                                                                          faulty(Usage{Prompt: 40, CacheWrite1h: 30, Completion: 5}, UsageParts),
		`{"input_tokens":10,"cache_read_input_tokens":991,"output_tokens":5}`:                                                                                                                                                {Usage: Usage{Completion: 5}, CompletionKnown: true, Fault: UsageHuge},
		`{"input_tokens":10,"cache_read_input_tokens":-1,"output_tokens":5}`:                                                                                                                                                 {Usage: Usage{Completion: 5}, CompletionKnown: true, Fault: UsageNegative},
		`{"cache_read_input_tokens":10,"output_tokens":5}`:                                                                                                                                                                   {Usage: Usage{Completion: 5}, CompletionKnown: true, Fault: UsageAbsent},
	} {
		if got := ReadUsage(gjson.Parse(json), 1000, 100); got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", json, got, want)
		}
	}
	if got := ReadUsage(gjson.Result{}, 1, 1); got.Fault != UsageAbsent {
		t.Errorf("no usage: %+v", got)
	}
	// Embeddings bring nothing out.
	if got := ReadUsage(gjson.Parse(`{"prompt_tokens":8,"total_tokens":8}`), 1000, 0); got != known(Usage{Prompt: 8}) {
		t.Errorf("embeddings: %+v", got)
	}
	if got := ReadUsage(gjson.Parse(`{"prompt_tokens":8,"total_tokens":80}`), 1000, 0); got != known(Usage{Prompt: 8}) {
		t.Errorf("embeddings with a greater total: %+v", got)
	}
}

func TestMergeUsage(t *testing.T) {
	start := `{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":200,"cache_creation":{"ephemeral_1h_input_tokens":100},"output_tokens":1}`
	for _, c := range []struct{ first, last, want string }{
		{start, `{"output_tokens":50}`, `{"output_tokens":50,"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":200,"cache_creation":{"ephemeral_1h_input_tokens":100}}`},
		{start, `{"input_tokens":12,"cache_read_input_tokens":null,"output_tokens":50}`, `{"input_tokens":12,"output_tokens":50,"cache_creation_input_tokens":300,"cache_read_input_tokens":200,"cache_creation":{"ephemeral_1h_input_tokens":100}}`},
		{start, ``, start},
		{`null`, `{"output_tokens":50}`, `{"output_tokens":50}`},
		{`{}`, `{}`, `{}`},
	} {
		if got := MergeUsage(gjson.Parse(c.first), gjson.Parse(c.last)); got.Raw != c.want {
			t.Errorf("%s and %s:\n got %s\nwant %s", c.first, c.last, got.Raw, c.want)
		}
	}
}

// FuzzReadUsage: whatever a provider tells, what is believed is within the bounds,
// and its parts are within their wholes.
func FuzzReadUsage(f *testing.F) {
	f.Add(`{"prompt_tokens":100,"completion_tokens":50,"total_tokens":1e9,"prompt_tokens_details":{"cached_tokens":90,"audio_tokens":60,"image_tokens":70,"cache_write_tokens":1},"completion_tokens_details":{"reasoning_tokens":40,"audio_tokens":30}}`, int64(1000), int64(100))
	f.Add(`{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":200,"cache_creation":{"ephemeral_1h_input_tokens":1e18},"output_tokens":5}`, int64(1000), int64(0))
	f.Add(`{"seconds":1e-9}`, int64(0), int64(0))
	f.Fuzz(func(t *testing.T, json string, mostPrompt, mostCompletion int64) {
		mostPrompt, mostCompletion = max(0, mostPrompt), max(0, mostCompletion)
		if !gjson.Valid(json) {
			return
		}
		r := ReadUsage(gjson.Parse(json), mostPrompt, mostCompletion)
		in := []int64{r.Cached, r.CachedInputAudio, r.CacheWrite, r.CacheWrite1h, r.InputAudio, r.InputImage}
		out := []int64{r.Reasoning, r.OutputAudio, r.OutputImage}
		for _, side := range []struct {
			parts             []int64
			whole, most, left int64
		}{{in, r.Prompt, mostPrompt, r.Prompt}, {out, r.Completion, mostCompletion, r.Completion}} {
			for _, n := range side.parts {
				if n < 0 || n > side.left {
					t.Fatalf("%s: %+v", json, r)
				}
				side.left -= n
			}
			if side.whole < 0 || side.whole > side.most {
				t.Fatalf("%s: %+v", json, r)
			}
		}
		if r.AudioMS < 0 || r.AudioMS > mostSeconds*1000 || !r.PromptKnown && r.Prompt != 0 || !r.CompletionKnown && r.Completion != 0 {
			t.Fatalf("%s: %+v", json, r)
		}
	})
}

func BenchmarkReadUsage(b *testing.B) {
	usage := gjson.Parse(`{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":20,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":10,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`)
	b.ReportAllocs()
	for b.Loop() {
		if r := ReadUsage(usage, 1000, 100); !r.Known() {
			b.Fatal(r)
		}
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
	answer := &chatAnswer{heard: heard{text: tr}}
	add := func(data string) Chunk {
		t.Helper()
		c, err := answer.event([]byte(data))
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		return c
	}
	if c := add(`{"id":"c1","model":"big","created":7,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}`); c.Text || answer.told.IsObject() || answer.apart || tr.Any() {
		t.Errorf("a role is not text: %+v", c)
	}
	if c := add(`{"choices":[{"index":1,"delta":{"content":"two"}},{"index":0,"delta":{"content":"hello"}}]}`); c.Content != "hello" || !c.Text {
		t.Errorf("the first choice: %+v", c)
	}
	add(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_aaaaaaaaaaaaaa","type":"function","function":{"name":"look","arguments":" world"}}]}}]}`)
	if c := add(`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`); answer.finish != FinishTools || !answer.ended {
		t.Errorf("finish: %+v", c)
	}
	if got, want := tr.Tokens(), counter.Count("twohellolook world"); got != want {
		t.Errorf("%d tokens, want %d", got, want)
	}
	if answer.id != "c1" || answer.answers != "big" || answer.created != 7 {
		t.Errorf("%+v", answer)
	}
	if _, err := answer.event([]byte(`{"error":{"message":"x"}}`)); !errors.Is(err, ErrReported) {
		t.Errorf("an error event: %v", err)
	}
	for _, data := range []string{``, `{`, `[1]`, `"x"`, `{"choices":[{]}`, "{\"a\":1}}"} {
		if _, err := answer.event([]byte(data)); !errors.Is(err, ErrBrokenEvent) {
			t.Errorf("accepted %q", data)
		}
	}
	long := NewTranscript(&counter)
	answer = &chatAnswer{heard: heard{text: long}}
	for range 3 * maxTranscript / 1000 {
		if _, err := answer.event([]byte(`{"choices":[{"delta":{"content":"` + strings.Repeat("word ", 200) + `"}}]}`)); err != nil {
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
	answer := &chatAnswer{heard: heard{text: tr}}
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
		if _, err := answer.event(data); err != nil {
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
