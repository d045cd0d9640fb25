package llmsim

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a simulator and a client that the test closes.
func start(t *testing.T, o Options) (*Server, *http.Client) {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	if o.Cadence == 0 {
		o.Cadence, o.FirstToken = -1, -1
	}
	sim, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return sim, client
}

func post(t *testing.T, sim *Server, client *http.Client, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sim.URL()+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("POST %s: %v", body, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func ask(model, text, more string) string {
	return fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":%q}]%s}`, model, text, more)
}

type completion struct {
	ID                string `json:"id"`
	Object            string `json:"object"`
	Created           int64  `json:"created"`
	SystemFingerprint string `json:"system_fingerprint"`
	Choices           []struct {
		Index   int `json:"index"`
		Message struct {
			Content string `json:"content"`
		} `json:"message"`
		Delta struct {
			Content string `json:"content"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt     int64 `json:"prompt_tokens"`
		Completion int64 `json:"completion_tokens"`
		Total      int64 `json:"total_tokens"`
		Details    struct {
			Cached int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
}

func read(t *testing.T, res *http.Response) completion {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var c completion
	if err := json.Unmarshal(raw, &c); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d, body %s: %v", res.StatusCode, raw, err)
	}
	return c
}

// events reads a stream to its end: the data lines, and how the body ended.
func events(res *http.Response) (data []string, err error) {
	scanner := bufio.NewScanner(res.Body)
	for scanner.Scan() {
		if line, ok := strings.CutPrefix(scanner.Text(), "data: "); ok {
			data = append(data, line)
		}
	}
	return data, scanner.Err()
}

func TestDefaultAnswer(t *testing.T) {
	sim, client := start(t, Options{})
	body := `{"model":"anything","messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hello there"},` +
		`{"role":"assistant","content":"Hi."},{"role":"user","content":[{"type":"text","text":"And how are you?"}]}]}`
	first, again := read(t, post(t, sim, client, body)), read(t, post(t, sim, client, body))
	text := first.Choices[0].Message.Content
	for _, want := range []string{"“And how are you?”", "turn 2", "“Hello there”", "“Be kind.”"} {
		if !strings.Contains(text, want) {
			t.Errorf("answer %q does not mention %q", text, want)
		}
	}
	if again.Choices[0].Message.Content != text {
		t.Errorf("two equal conversations were answered differently")
	}
	if first.ID == again.ID || !strings.HasPrefix(first.ID, "chatcmpl-") || first.Created == 0 || first.SystemFingerprint == "" || first.Object != "chat.completion" {
		t.Errorf("identity of the answers: %+v, %+v", first, again)
	}
	if want := int64(CountTokens(text)); first.Usage.Completion != want || first.Usage.Total != want+first.Usage.Prompt {
		t.Errorf("usage %+v for %d tokens", first.Usage, want)
	}
	if first.Choices[0].FinishReason != "stop" {
		t.Errorf("finish reason %q", first.Choices[0].FinishReason)
	}
}

func TestStreamEqualsWhole(t *testing.T) {
	sim, client := start(t, Options{})
	for _, model := range []string{"sim", "sim-torn", "sim-reasoning", "sim-empty", "sim-tokens-400"} {
		whole := read(t, post(t, sim, client, ask(model, "Tell me", "")))
		res := post(t, sim, client, ask(model, "Tell me", `,"stream":true,"stream_options":{"include_usage":true}`))
		data, err := events(res)
		if err != nil || len(data) < 4 || data[len(data)-1] != "[DONE]" {
			t.Fatalf("%s: stream %q ended with %v", model, data, err)
		}
		var text, finish string
		var last completion
		tokens := 0
		for _, line := range data[:len(data)-1] {
			last = completion{}
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatalf("%s: event %q: %v", model, line, err)
			}
			for _, choice := range last.Choices {
				text += choice.Delta.Content
				finish += choice.FinishReason
				if choice.Delta.Content != "" {
					tokens++
				}
			}
		}
		if text != whole.Choices[0].Message.Content || finish != "stop" {
			t.Errorf("%s: streamed %q (%s), whole %q", model, text, finish, whole.Choices[0].Message.Content)
		}
		if last.Usage == nil || *last.Usage != *whole.Usage || len(last.Choices) != 0 {
			t.Errorf("%s: usage streamed %+v, whole %+v", model, last.Usage, whole.Usage)
		}
		if model != "sim-reasoning" && int64(tokens) != whole.Usage.Completion {
			t.Errorf("%s: %d events carried %d tokens", model, tokens, whole.Usage.Completion)
		}
	}
}

func TestUsageOnlyWhenAsked(t *testing.T) {
	sim, client := start(t, Options{})
	data, err := events(post(t, sim, client, ask("sim", "x", `,"stream":true`)))
	if err != nil || strings.Contains(strings.Join(data, ""), `"usage":`) {
		t.Errorf("usage in a stream that did not ask for it: %q, %v", data, err)
	}
}

func TestLimits(t *testing.T) {
	sim, client := start(t, Options{})
	tests := []struct {
		name, model, more  string
		text, finish       string
		completion, chosen int
	}{
		{"max_tokens", "sim-tokens-9", `,"max_tokens":3`, "one two three", "length", 3, 1},
		{"max_completion_tokens", "sim-tokens-9", `,"max_completion_tokens":2`, "one two", "length", 2, 1},
		{"exactly enough", "sim-tokens-3", `,"max_tokens":3`, "one two three", "stop", 3, 1},
		{"stop", "sim-tokens-9", `,"stop":" three"`, "one two", "stop", 2, 1},
		{"stops", "sim-tokens-9", `,"stop":["four"," two"]`, "one", "stop", 1, 1},
		{"n", "sim-tokens-4", `,"n":3`, "one two three four", "stop", 12, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := read(t, post(t, sim, client, ask(tt.model, "x", tt.more)))
			if len(c.Choices) != tt.chosen || c.Usage.Completion != int64(tt.completion) {
				t.Fatalf("choices and usage: %+v", c)
			}
			for _, choice := range c.Choices {
				if choice.Message.Content != tt.text || choice.FinishReason != tt.finish {
					t.Errorf("choice %+v, want %q (%s)", choice, tt.text, tt.finish)
				}
			}
		})
	}
	over := read(t, post(t, sim, client, ask("sim-ignores-max", "x", `,"max_tokens":1`)))
	if over.Usage.Completion < 2 {
		t.Errorf("sim-ignores-max kept to the limit: %+v", over.Usage)
	}
}

func TestCachedTokens(t *testing.T) {
	sim, client := start(t, Options{})
	long := strings.Repeat("word ", 2000)
	c := read(t, post(t, sim, client, fmt.Sprintf(`{"model":"sim-fast","messages":[{"role":"user","content":%q},{"role":"user","content":"x"}]}`, long)))
	if cached := c.Usage.Details.Cached; cached < 1900 || cached%128 != 0 || cached > c.Usage.Prompt {
		t.Errorf("cached tokens %d of %d", cached, c.Usage.Prompt)
	}
	if c := read(t, post(t, sim, client, ask("sim-fast", "short", ""))); c.Usage.Details.Cached != 0 {
		t.Errorf("cached tokens of a short prompt: %+v", c.Usage)
	}
}

func TestRefusals(t *testing.T) {
	sim, client := start(t, Options{})
	tests := []struct {
		name, body string
		status     int
		says       string
	}{
		{"not JSON", `{"model":`, 400, "could not parse"},
		{"no model", `{"messages":[{"role":"user","content":"x"}]}`, 400, "model"},
		{"no messages", `{"model":"sim"}`, 400, "Missing required parameter: 'messages'."},
		{"wrong messages", `{"model":"sim","messages":"hello"}`, 400, "Invalid type for 'messages'"},
		{"wrong content", `{"model":"sim","messages":[{"role":"user","content":7}]}`, 400, "messages[0].content"},
		{"no content", `{"model":"sim","messages":[{"role":"user"}]}`, 400, "got null"},
		{"wrong role", `{"model":"sim","messages":[{"role":"boss","content":"x"}]}`, 400, "messages[0].role"},
		{"both limits", ask("sim", "x", `,"max_tokens":1,"max_completion_tokens":1`), 400, "same time"},
		{"limit zero", ask("sim", "x", `,"max_tokens":0`), 400, "below minimum"},
		{"n zero", ask("sim", "x", `,"n":0`), 400, "'n'"},
		{"stream options alone", ask("sim", "x", `,"stream_options":{"include_usage":true}`), 400, "stream_options"},
		{"too many stops", ask("sim", "x", `,"stop":["a","b","c","d","e"]`), 400, "stop"},
		{"too hot", ask("sim", "x", `,"temperature":3`), 400, "temperature"},
		{"unknown model", ask("sim-unknown", "x", ""), 404, "does not exist"},
		{"status by name", ask("sim-error-503", "x", ""), 503, "server_error"},
		{"rate limited", ask("sim-429", "x", ""), 429, "rate_limit_exceeded"},
		{"error in 200", ask("sim-error-200", "x", ""), 200, `"error"`},
		{"HTML", ask("sim-html", "x", ""), 502, "<html>"},
		{"HTML in 200", ask("sim-html-200", "x", ""), 200, "<html>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := post(t, sim, client, tt.body)
			raw, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tt.status || !strings.Contains(string(raw), tt.says) {
				t.Fatalf("status %d, body %s, %v", res.StatusCode, raw, err)
			}
			if strings.Contains(tt.says, "<") {
				return
			}
			var fault struct {
				Error struct{ Message, Type string }
			}
			if err := json.Unmarshal(raw, &fault); err != nil || fault.Error.Message == "" || fault.Error.Type == "" {
				t.Errorf("not an error of OpenAI's shape: %s, %v", raw, err)
			}
			if tt.status == 429 && res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
}

func TestKeyAndModels(t *testing.T) {
	sim, client := start(t, Options{Key: "sk-right", Models: []string{"mine"}})
	for _, key := range []string{"", "Bearer sk-wrong", "sk-right", "Bearer sk-right"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, sim.URL()+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", key)
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		right := key == "Bearer sk-right"
		if err != nil || (res.StatusCode == http.StatusOK) != right || strings.Contains(string(raw), `"id":"mine"`) != right {
			t.Errorf("key %q: status %d, body %s, %v", key, res.StatusCode, raw, err)
		}
	}
	if res := post(t, sim, client, ask("sim", "x", "")); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("chat without a key: %d", res.StatusCode)
	}
	if sim.Count() != 0 {
		t.Errorf("refused requests were counted")
	}
}

func TestUsages(t *testing.T) {
	sim, client := start(t, Options{})
	for model, want := range map[string]string{
		"sim-usage-negative": UsageNegative, "sim-usage-huge": UsageHuge,
		"sim-usage-string": UsageString, "sim-usage-null": `"usage":null}`, "sim-no-usage": "",
	} {
		for _, more := range []string{"", `,"stream":true,"stream_options":{"include_usage":true}`} {
			raw, err := io.ReadAll(post(t, sim, client, ask(model, "x", more)).Body)
			if err != nil || !strings.Contains(string(raw), want) || want == "" && strings.Contains(string(raw), `"usage":`) {
				t.Errorf("%s%s: %s, %v", model, more, raw, err)
			}
		}
	}
}

func TestStreamFaults(t *testing.T) {
	sim, client := start(t, Options{})
	stream := `,"stream":true,"stream_options":{"include_usage":true}`
	for _, tt := range []struct {
		model  string
		tokens int
		broken bool
	}{
		{"sim-cut", 5, true}, {"sim-cut-early", 0, true}, {"sim-error-stream", 5, false}, {"sim-no-done", 5, false},
	} {
		data, err := events(post(t, sim, client, ask(tt.model, "x", stream)))
		all := strings.Join(data, "\n")
		if (err != nil) != tt.broken || strings.Contains(all, "[DONE]") || strings.Contains(all, `"finish_reason":"stop"`) {
			t.Errorf("%s: %q, %v", tt.model, data, err)
		}
		if strings.Contains(all, `"error"`) != (tt.model == "sim-error-stream") {
			t.Errorf("%s: error event: %q", tt.model, data)
		}
		got := await(t, sim, func(r Request) bool { return r.Model == tt.model && r.Done })
		if got.Sent != tt.tokens || got.Cancelled || !got.Stream {
			t.Errorf("%s: remembered %+v", tt.model, got)
		}
	}
}

// A client that leaves is seen at once, whatever the simulator waits for.
func TestCancel(t *testing.T) {
	sim, client := start(t, Options{})
	sim.Assign("endless", Script{Tokens: 1000, Cadence: time.Hour})
	sim.Assign("late", Script{FirstToken: time.Hour})
	for model, sent := range map[string]int{"sim-stall": 5, "sim-silent": 0, "sim-hang": 0, "endless": 1, "late": 0} {
		for more, want := range map[string]int{"": 0, `,"stream":true`: sent} {
			ctx, cancel := context.WithCancel(t.Context())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, sim.URL()+"/v1/chat/completions", strings.NewReader(ask(model, "x", more)))
			if err != nil {
				t.Fatal(err)
			}
			left := make(chan error, 1)
			go func() {
				res, err := client.Do(req)
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				left <- err
			}()
			same := func(r Request) bool { return r.Model == model && r.Stream == (more != "") && r.Sent == want }
			await(t, sim, same)
			cancel()
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: client ended with %v", model, err)
			}
			if got := await(t, sim, func(r Request) bool { return same(r) && r.Done }); !got.Cancelled {
				t.Errorf("%s%s: remembered %+v", model, more, got)
			}
			sim.journal.reset()
		}
	}
}

// await waits for a request, for at most a minute.
func await(t *testing.T, sim *Server, want func(Request) bool) Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := sim.Await(ctx, want)
	if err != nil {
		t.Fatalf("no such request: %v; have %+v", err, sim.Requests())
	}
	return got
}

// Close does not wait for a stalled answer's client.
func TestCloseEndsStalls(t *testing.T) {
	sim, err := New(Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(context.Background()) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	res := post(t, sim, client, ask("sim-stall", "x", `,"stream":true`))
	await(t, sim, func(r Request) bool { return r.Sent == 5 })
	began := time.Now()
	if err := sim.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(began); took > closeTimeout {
		t.Errorf("Close took %v", took)
	}
	_, _ = io.Copy(io.Discard, res.Body) // ends, in order or not
	unused, err := New(Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	started, err := Start(Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if res := post(t, started, client, ask("sim-fast", "x", "")); res.StatusCode != http.StatusOK {
		t.Errorf("started server: %d", res.StatusCode)
	}
	if err := errors.Join(sim.Close(), unused.Close(), started.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestScriptsInOrder(t *testing.T) {
	sim, client := start(t, Options{Remember: 2})
	sim.Assign("", Script{Text: "for all"})
	sim.Assign("mine", Script{Text: "for mine"})
	sim.Enqueue(Script{Text: "first"}, Script{Status: 500})
	if got := read(t, post(t, sim, client, ask("mine", "x", ""))).Choices[0].Message.Content; got != "first" {
		t.Errorf("first: %q", got)
	}
	if res := post(t, sim, client, ask("mine", "x", "")); res.StatusCode != http.StatusInternalServerError {
		t.Errorf("second: %d", res.StatusCode)
	}
	for model, want := range map[string]string{"mine": "for mine", "other": "for all", "sim-error-500": "for all"} {
		if got := read(t, post(t, sim, client, ask(model, "x", ""))).Choices[0].Message.Content; got != want {
			t.Errorf("%s: %q, want %q", model, got, want)
		}
	}
	if all := sim.Requests(); len(all) != 2 || sim.Count() != 5 || !strings.Contains(string(all[1].Body), "messages") {
		t.Errorf("remembered %d of %d", len(all), sim.Count())
	}
	sim.Reset()
	if got := read(t, post(t, sim, client, ask("sim-echo", "word for word", ""))).Choices[0].Message.Content; got != "word for word" || sim.Count() != 1 {
		t.Errorf("after Reset: %q, %d", got, sim.Count())
	}
}

func TestInstant(t *testing.T) {
	sim, client := start(t, Options{})
	c := read(t, post(t, sim, client, ask("sim-instant", "x", "")))
	text := c.Choices[0].Message.Content
	if CountTokens(text) != InstantCompletionTokens || c.Usage.Completion != InstantCompletionTokens || c.Usage.Prompt != InstantPromptTokens {
		t.Errorf("instant answer %+v", c)
	}
	data, err := events(post(t, sim, client, ask("sim-instant", "x", `,"stream":true`)))
	if err != nil || len(data) != 4 || data[3] != "[DONE]" || !strings.Contains(data[0], text) {
		t.Fatalf("instant stream %q, %v", data, err)
	}
	for _, line := range data[:3] {
		if !json.Valid([]byte(line)) {
			t.Errorf("not JSON: %s", line)
		}
	}
	if sim.Count() != 2 || len(sim.Requests()) != 0 {
		t.Errorf("counted %d, remembered %d", sim.Count(), len(sim.Requests()))
	}
}

func TestUnknownPath(t *testing.T) {
	sim, client := start(t, Options{})
	res, err := client.Get(sim.URL() + "/v2/chat")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("status %d", res.StatusCode)
	}
}

func BenchmarkInstant(b *testing.B) {
	sim, err := New(Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- sim.Run(context.Background()) }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	body := ask("sim-instant", "Hello", "")
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Post(sim.URL()+"/v1/chat/completions", "application/json", strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})
	client.CloseIdleConnections()
	if err := errors.Join(sim.Close(), <-ended); err != nil {
		b.Error(err)
	}
}
