package conformance_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"github.com/kikuai/kikuai/internal/llmsim"
)

// everything reads a stream of whatever events.
func everything[T interface{ RawJSON() string }](stream *ssestream.Stream[T]) (any, error) {
	var all []string
	for stream.Next() {
		event := stream.Current()
		all = append(all, event.RawJSON())
	}
	return parts(all), errors.Join(stream.Err(), stream.Close())
}

// refusal is the class of an error: the client's own type, and its status.
func refusal(err error) (any, error) {
	var refused *openai.Error
	if errors.As(err, &refused) {
		return []any{"openai.Error", refused.StatusCode}, nil
	}
	return nil, err
}

func goChat(model, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

func goChatTools(model string) openai.ChatCompletionNewParams {
	p := goChat(model, goCalls)
	p.Tools = []openai.ChatCompletionToolUnionParam{
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_weather", Parameters: goSchema()}),
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_time"}),
	}
	return p
}

// meaning is what a chat comes to, whoever answered.
func meaning(c openai.ChatCompletion) any {
	var all []any
	for _, choice := range c.Choices {
		all = append(all, choice.Message.Content, choice.FinishReason)
		for _, call := range choice.Message.ToolCalls {
			all = append(all, call.Function.Name, raw(call.Function.Arguments))
		}
	}
	return append(all, c.Usage.PromptTokens, c.Usage.CompletionTokens)
}

func openAIGoCases(ctx context.Context, c *goClient) map[string]any {
	at := func(w way, more ...option.RequestOption) openai.Client {
		return openai.NewClient(append([]option.RequestOption{option.WithBaseURL(w.OpenAI), option.WithAPIKey(w.Key), option.WithMaxRetries(0)}, more...)...)
	}
	whole := func(p openai.ChatCompletionNewParams) goCase {
		return func(w way) (any, error) {
			client := at(w)
			got, err := client.Chat.Completions.New(ctx, p)
			if err != nil {
				return nil, err
			}
			return raw(got.RawJSON()), nil
		}
	}
	streamed := func(p openai.ChatCompletionNewParams) goCase {
		p.StreamOptions.IncludeUsage = openai.Bool(true)
		return func(w way) (any, error) {
			client := at(w)
			return everything(client.Chat.Completions.NewStreaming(ctx, p))
		}
	}
	means := func(p openai.ChatCompletionNewParams) goCase {
		return func(w way) (any, error) {
			client := at(w)
			got, err := client.Chat.Completions.New(ctx, p)
			if err != nil {
				return nil, err
			}
			return meaning(*got), nil
		}
	}
	gathered := func(p openai.ChatCompletionNewParams) goCase {
		return func(w way) (any, error) {
			client := at(w)
			all, _, err := gather(ctx, &client, p)
			return meaning(all.ChatCompletion), err
		}
	}
	refused := func(p openai.ChatCompletionNewParams, more ...option.RequestOption) goCase {
		return func(w way) (any, error) {
			client := at(w, more...)
			_, err := client.Chat.Completions.New(ctx, p)
			return refusal(err)
		}
	}
	limited := goChat("sim-fast", goWords)
	limited.MaxCompletionTokens = openai.Int(5)
	likely := goChat("sim-tokens-9", "x")
	likely.Logprobs, likely.TopLogprobs = openai.Bool(true), openai.Int(2)
	structured := goChat("sim-fast", goWords)
	structured.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "weather", Schema: goSchema(), Strict: openai.Bool(true)}}
	crossed := structured
	crossed.Model = "claude-fast"
	vision := goChat("sim-fast", "")
	vision.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
		openai.TextContentPart("What?"), openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/png;base64," + goPixel}),
	})}
	claudeTools := goChatTools("claude-fast")
	claudeTools.StreamOptions.IncludeUsage = openai.Bool(true)
	claudeStream := claudeTools
	claudeTools.StreamOptions = openai.ChatCompletionStreamOptionsParam{}
	return map[string]any{
		"chat": whole(goChat("sim-fast", goWords)), "chat, streamed": streamed(goChat("sim-fast", goWords)),
		"tools in parallel": whole(goChatTools("sim-fast")), "tools, streamed": streamed(goChatTools("sim-fast")),
		"JSON of a schema": whole(structured), "vision": whole(vision), "limit": whole(limited), "likelihoods": whole(likely), "likelihoods, streamed": streamed(likely),
		"thoughts": streamed(goChat("sim-reveals", "x")), "refusal": streamed(goChat("sim-refusal", "x")),
		"torn frames": streamed(goChat("sim-torn", goWords)), "torn characters": streamed(goChat("sim-torn-runes", goWords)), "lines ended by CR LF": streamed(goChat("sim-crlf", goWords)),
		"error: key":           refused(goChat("sim-fast", "x"), option.WithAPIKey("kk_1_nonsense")),
		"error: model":         refused(goChat("sim-unknown", "x")),
		"error: provider busy": refused(goChat(c.told.Prefix+"-busy", "x")),
		"error: no balance":    once{want: []any{"openai.Error", 402}, run: refused(goChat("sim-fast", "x"), option.WithAPIKey(c.told.Poor))},
		"retries a 429 when told": once{want: "served", run: func(w way) (any, error) {
			kept := &answers{}
			client := at(w, option.WithAPIKey(c.told.Limited), option.WithMaxRetries(3), option.WithHTTPClient(&http.Client{Transport: kept}))
			for range 2 {
				if _, err := client.Chat.Completions.New(ctx, goChat("sim-fast", "x")); err != nil {
					return nil, err
				}
			}
			return "served", kept.waited("x-ratelimit-")
		}},
		"retries a 503": goCase(func(w way) (any, error) {
			c.enqueue(llmsim.Script{Status: http.StatusServiceUnavailable})
			client := at(w, option.WithMaxRetries(2))
			got, err := client.Chat.Completions.New(ctx, goChat(c.told.Prefix+"-flaky", "x"))
			if err != nil {
				return nil, err
			}
			return meaning(*got), nil
		}),
		"responses": goCase(func(w way) (any, error) { return goResponse(ctx, at(w), "sim-fast") }),
		"responses, streamed": goCase(func(w way) (any, error) {
			client := at(w)
			return everything(client.Responses.NewStreaming(ctx, goAsk("sim-fast")))
		}),
		"embeddings":              goCase(func(w way) (any, error) { return goEmbeddings(ctx, at(w)) }),
		"images":                  goCase(func(w way) (any, error) { return goImages(ctx, at(w)) }),
		"speech, transcription":   goCase(func(w way) (any, error) { return goSounds(ctx, at(w)) }),
		"cross: chat":             means(goChat("claude-fast", goWords)),
		"cross: tools":            means(claudeTools),
		"cross: tools streamed":   gathered(claudeStream),
		"cross: chat streamed":    gathered(askUsage("claude-fast")),
		"cross: JSON of a schema": means(crossed),
	}
}

func goAsk(model string) responses.ResponseNewParams {
	return responses.ResponseNewParams{Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(goWords)}}
}

func goResponse(ctx context.Context, client openai.Client, model string) (any, error) {
	got, err := client.Responses.New(ctx, goAsk(model))
	if err != nil {
		return nil, err
	}
	return raw(got.RawJSON()), nil
}

func goEmbeddings(ctx context.Context, client openai.Client) (any, error) {
	got, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{
		Model: "sim-vectors", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one", "two three"}}, Dimensions: openai.Int(16),
	})
	if err != nil {
		return nil, err
	}
	return raw(got.RawJSON()), nil
}

func goImages(ctx context.Context, client openai.Client) (any, error) {
	got, err := client.Images.Generate(ctx, openai.ImageGenerateParams{Model: "gpt-image-sim", Prompt: "a red cat", Quality: "low"})
	if err != nil {
		return nil, err
	}
	return raw(got.RawJSON()), nil
}

// goSounds has a text read aloud, and what was said written down.
func goSounds(ctx context.Context, client openai.Client) (any, error) {
	spoken, err := client.Audio.Speech.New(ctx, openai.AudioSpeechNewParams{
		Model: "sim-speech", Input: "one two three", ResponseFormat: "wav", Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")},
	})
	if err != nil {
		return nil, err
	}
	wav, err := io.ReadAll(spoken.Body)
	if err = errors.Join(err, spoken.Body.Close()); err != nil {
		return nil, err
	}
	heard, err := client.Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{Model: "sim-transcribe", File: openai.File(bytes.NewReader(wav), "said.wav", "audio/wav")})
	if err != nil {
		return nil, err
	}
	return []any{len(wav), strings.HasPrefix(spoken.Header.Get("Content-Type"), "audio/"), raw(heard.RawJSON())}, nil
}
