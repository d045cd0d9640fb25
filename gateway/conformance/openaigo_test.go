package conformance_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/tidwall/gjson"
)

func client(url, key string) *openai.Client {
	c := openai.NewClient(option.WithBaseURL(url), option.WithAPIKey(key), option.WithMaxRetries(0))
	return &c
}

func ask(model string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{
		Model:    model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("Say something, bitte: „größer“ 漢字 🙂")},
	}
}

func askUsage(model string) openai.ChatCompletionNewParams {
	p := ask(model)
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	return p
}

// gather reads a stream to its end.
func gather(ctx context.Context, c *openai.Client, p openai.ChatCompletionNewParams) (openai.ChatCompletionAccumulator, string, error) {
	stream := c.Chat.Completions.NewStreaming(ctx, p)
	defer stream.Close()
	var all openai.ChatCompletionAccumulator
	cost := ""
	for stream.Next() {
		chunk := stream.Current()
		all.AddChunk(chunk)
		if chunk.JSON.Usage.Valid() {
			cost = gjson.Get(chunk.RawJSON(), "usage.cost").Raw
		}
	}
	return all, cost, stream.Err()
}

func TestOpenAIGo(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	id, key := s.account(dollar, 0)
	c := client(s.url, key)
	var said int64

	var response *http.Response
	whole, err := c.Chat.Completions.New(ctx, ask("sim-fast"), option.WithResponseInto(&response))
	s.must(err)
	cost := gjson.Get(whole.RawJSON(), "usage.cost").Raw
	said += nano(t, cost)
	if nano(t, response.Header.Get("X-Cost-USD")) != nano(t, cost) || whole.Choices[0].FinishReason != "stop" {
		t.Errorf("answer %s", whole.RawJSON())
	}
	for _, model := range []string{"sim-fast", "sim-torn"} {
		all, cost, err := gather(ctx, c, askUsage(model))
		s.must(err)
		said += nano(t, cost)
		if text := all.Choices[0].Message.Content; text != whole.Choices[0].Message.Content || !strings.Contains(text, "„größer“ 漢字 🙂") {
			t.Errorf("%s streamed %q", model, text)
		}
		if all.Usage.TotalTokens != whole.Usage.TotalTokens {
			t.Errorf("%s streamed usage %+v, whole %+v", model, all.Usage, whole.Usage)
		}
	}
	s.wantLedger(id, dollar, said, 3, 0)
	if _, _, err := gather(ctx, c, ask("sim-error-stream")); err == nil || !strings.Contains(err.Error(), "provider_error") {
		t.Errorf("an error inside the stream: %v", err)
	}
	s.wantLedger(id, dollar, said, 4, 1)

	var models []string
	pager := c.Models.ListAutoPaging(ctx)
	for pager.Next() {
		models = append(models, pager.Current().ID)
	}
	s.must(pager.Err())
	one, err := c.Models.Get(ctx, "sim-torn")
	s.must(err)
	if !slices.Contains(models, "sim-fast") || one.ID != "sim-torn" {
		t.Errorf("models %v, %+v", models, one)
	}
}

func TestOpenAIGoErrors(t *testing.T) {
	s := open(t)
	id, key := s.account(dollar, 0)
	_, poor := s.account(1, 0)
	_, limited := s.account(dollar, 1)
	_, err := client(s.url, limited).Models.List(t.Context())
	s.must(err)
	empty := openai.ChatCompletionNewParams{Model: "sim-fast", Messages: []openai.ChatCompletionMessageParamUnion{}}
	for _, c := range []struct {
		name, key string
		params    openai.ChatCompletionNewParams
		status    int
		code      string
	}{
		{"bad key", "kk_1_nonsense", ask("sim-fast"), 401, "invalid_api_key"},
		{"unknown model", key, ask("nothing"), 404, "model_not_found"},
		{"bad request", key, empty, 400, "invalid_request"},
		{"no balance", poor, ask("sim-fast"), 402, "insufficient_balance"},
		{"limited", limited, ask("sim-fast"), 429, "rate_limit_exceeded"},
		{"provider busy", key, ask("sim-429"), 429, "provider_rate_limited"},
		{"provider broken", key, ask("sim-error-500"), 502, "provider_error"},
	} {
		_, err := client(s.url, c.key).Chat.Completions.New(t.Context(), c.params)
		_, _, streamed := gather(t.Context(), client(s.url, c.key), c.params)
		for _, err := range []error{err, streamed} {
			var refused *openai.Error
			if !errors.As(err, &refused) || refused.StatusCode != c.status || refused.Code != c.code || refused.Message == "" {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	balance, err := s.desk.Accounts.Balance(t.Context(), id)
	s.must(err)
	if balance.Available != dollar || balance.Held != 0 {
		t.Errorf("errors cost %+v", balance)
	}
}

// TestSameAsDirect: through the gateway and from the provider itself, answers and
// chunks are the same but for their ids, and the cost.
func TestSameAsDirect(t *testing.T) {
	s := open(t)
	_, key := s.account(dollar, 0)
	shape := func(raw string) any {
		value := gjson.Parse(raw).Value().(map[string]any)
		for _, own := range []string{"id", "created"} {
			delete(value, own)
		}
		if usage, ok := value["usage"].(map[string]any); ok {
			delete(usage, "cost")
		}
		return value
	}
	through, direct := client(s.url, key), client(s.provider, simKey)
	p := ask("sim-fast")
	p.N, p.Seed, p.MaxCompletionTokens = openai.Int(2), openai.Int(7), openai.Int(9)
	a, err := through.Chat.Completions.New(t.Context(), p)
	s.must(err)
	b, err := direct.Chat.Completions.New(t.Context(), p)
	s.must(err)
	if diff := cmp.Diff(shape(b.RawJSON()), shape(a.RawJSON())); diff != "" {
		t.Errorf("answers (-direct +through):\n%s", diff)
	}
	chunks := func(c *openai.Client) (all []any) {
		stream := c.Chat.Completions.NewStreaming(t.Context(), askUsage("sim-fast"))
		defer stream.Close()
		for stream.Next() {
			chunk := stream.Current()
			all = append(all, shape(chunk.RawJSON()))
		}
		s.must(stream.Err())
		return all
	}
	if diff := cmp.Diff(chunks(direct), chunks(through)); diff != "" {
		t.Errorf("chunks (-direct +through):\n%s", diff)
	}
	_, errThrough := through.Chat.Completions.New(t.Context(), ask("sim-error-400"))
	_, errDirect := direct.Chat.Completions.New(t.Context(), ask("sim-error-400"))
	var e1, e2 *openai.Error
	if !errors.As(errThrough, &e1) || !errors.As(errDirect, &e2) || e1.Message != e2.Message || e1.Type != e2.Type || e1.Code != e2.Code || e1.Param != e2.Param {
		t.Errorf("a refusal through: %v, direct: %v", errThrough, errDirect)
	}
}

// TestOpenAIGoAsksAgain: the official client asks for an answer that was given before, in
// a header or in the body, streamed or whole, and reads it like any other.
func TestOpenAIGoAsksAgain(t *testing.T) {
	s := open(t)
	id, key := s.account(dollar, 0)
	c := client(s.url, key)
	params := ask("sim-fast")
	params.Temperature = openai.Float(0)
	var said int64
	for _, way := range []option.RequestOption{
		option.WithHeader("Cache-Control", "max-age=600"),
		option.WithJSONSet("cache_max_age", 600),
	} {
		var texts []string
		for _, state := range []string{"miss", "hit"} {
			var response *http.Response
			whole, err := c.Chat.Completions.New(t.Context(), params, way, option.WithResponseInto(&response))
			s.must(err)
			cost := nano(t, gjson.Get(whole.RawJSON(), "usage.cost").Raw)
			if got := response.Header.Get("X-Cache"); got != state || (cost == 0) != (state == "hit") || whole.Usage.TotalTokens == 0 {
				t.Errorf("X-Cache %q, want %q: %s", got, state, whole.RawJSON())
			}
			said += cost
			texts = append(texts, whole.Choices[0].Message.Content)
		}
		if texts[0] != texts[1] || texts[0] == "" {
			t.Errorf("answered %q", texts)
		}
		streaming := params
		streaming.StreamOptions.IncludeUsage = openai.Bool(true)
		var all [2]openai.ChatCompletionAccumulator
		for i := range all {
			stream := c.Chat.Completions.NewStreaming(t.Context(), streaming, way)
			for stream.Next() {
				chunk := stream.Current()
				all[i].AddChunk(chunk)
				if chunk.JSON.Usage.Valid() {
					cost := nano(t, gjson.Get(chunk.RawJSON(), "usage.cost").Raw)
					if said += cost; (cost == 0) != (i == 1) {
						t.Errorf("stream %d costs %d", i, cost)
					}
				}
			}
			s.must(stream.Err())
			s.must(stream.Close())
		}
		if all[0].Choices[0].Message.Content != texts[0] || all[1].Choices[0].Message.Content != texts[0] || all[1].Usage.TotalTokens != all[0].Usage.TotalTokens {
			t.Errorf("streamed %+v, then %+v", all[0].Usage, all[1].Usage)
		}
	}
	s.wantLedger(id, dollar, said, 4, 0)
}
