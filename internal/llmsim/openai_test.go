package llmsim

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"image/png"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
	"github.com/openai/openai-go/v3/shared"

	"github.com/kikuai/kikuai/internal/testenv/strict"
)

func openAIClient(sim *Server, client *http.Client) openai.Client {
	return openai.NewClient(option.WithBaseURL(sim.URL()+"/v1"), option.WithAPIKey("sk-any"), option.WithHTTPClient(client), option.WithMaxRetries(0))
}

func wantStrict(t *testing.T, answer interface{ RawJSON() string }, but ...string) {
	t.Helper()
	if faults := strict.Faults(answer, but...); len(faults) > 0 {
		t.Errorf("%v in %.200s", faults, answer.RawJSON())
	}
}

// told is what a refusal says, or what else went wrong.
func told(err error) string {
	var refused *openai.Error
	if errors.As(err, &refused) {
		return refused.RawJSON()
	}
	return err.Error()
}

func weatherSchema() map[string]any {
	return map[string]any{"type": "object", "properties": map[string]any{
		"city": map[string]any{"type": "string"}, "days": map[string]any{"type": "integer"}, "units": map[string]any{"enum": []string{"metric", "imperial"}},
		"at":   map[string]any{"anyOf": []any{map[string]any{"$ref": "#/$defs/place"}, map[string]any{"type": "null"}}},
		"tags": map[string]any{"type": "array", "minItems": 2, "items": map[string]any{"type": []string{"string", "null"}}},
	}, "$defs": map[string]any{"place": map[string]any{"type": "object", "properties": map[string]any{"lat": map[string]any{"type": "number"}, "exact": map[string]any{"type": "boolean"}}}}}
}

const weatherSample = `{"at":{"exact":true,"lat":1.5},"city":"some city","days":7,"tags":["some tags","some tags"],"units":"metric"}`

func chatTools() []openai.ChatCompletionToolUnionParam {
	return []openai.ChatCompletionToolUnionParam{
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_weather", Parameters: weatherSchema()}),
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_time"}),
	}
}

func chatParams(model, text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

func TestChatStreamEqualsWhole(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	tools := chatParams("sim", "Call get_weather and get_time.")
	tools.Tools = chatTools()
	single := tools
	single.ParallelToolCalls = openai.Bool(false)
	several := tools
	several.N = openai.Int(2)
	never := tools
	never.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{OfAuto: openai.String("none")}
	likely := chatParams("sim-tokens-4", "x")
	likely.Logprobs, likely.TopLogprobs = openai.Bool(true), openai.Int(2)
	structured := chatParams("sim", "x")
	structured.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "weather", Schema: weatherSchema()}}
	for _, tt := range []struct {
		name   string
		params openai.ChatCompletionNewParams
		calls  int
		finish string
		text   string
	}{
		{"tools", tools, 2, "tool_calls", ""},
		{"one tool", single, 1, "tool_calls", ""},
		{"tools of two choices", several, 2, "tool_calls", ""},
		{"no tools", never, 0, "stop", "You wrote"},
		{"logprobs", likely, 0, "stop", "one two three four"},
		{"schema", structured, 0, "stop", weatherSample},
		{"refusal", chatParams("sim-refusal", "x"), 0, "stop", ""},
		{"revealed", chatParams("sim-reveals", "x"), 0, "stop", "You wrote"},
		{"torn runes", chatParams("sim-torn-runes", "„größer“ 漢字 🙂"), 0, "stop", "„größer“ 漢字 🙂"},
		{"CRLF", chatParams("sim-crlf", "x"), 0, "stop", "You wrote"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole, err := client.Chat.Completions.New(t.Context(), tt.params)
			if err != nil {
				t.Fatal(err)
			}
			wantStrict(t, whole, ".reasoning_content")
			streaming := tt.params
			streaming.StreamOptions.IncludeUsage = openai.Bool(true)
			stream := client.Chat.Completions.NewStreaming(t.Context(), streaming)
			defer func() { _ = stream.Close() }()
			var all openai.ChatCompletionAccumulator
			var tokens []string
			for stream.Next() {
				chunk := stream.Current()
				wantStrict(t, &chunk, ".reasoning_content")
				all.AddChunk(chunk)
				for _, choice := range chunk.Choices {
					for _, token := range choice.Logprobs.Content {
						tokens = append(tokens, token.Token)
					}
				}
			}
			if err := stream.Err(); err != nil {
				t.Fatal(err)
			}
			said := func(c openai.ChatCompletion) (out []string) {
				for _, choice := range c.Choices {
					out = append(out, choice.Message.Content, choice.Message.Refusal, choice.FinishReason)
					for _, call := range choice.Message.ToolCalls {
						out = append(out, call.Type, call.Function.Name, call.Function.Arguments)
					}
				}
				return out
			}
			if diff := cmp.Diff(said(*whole), said(all.ChatCompletion)); diff != "" {
				t.Errorf("said (-whole +streamed):\n%s", diff)
			}
			first := whole.Choices[0]
			if len(first.Message.ToolCalls) != tt.calls || first.FinishReason != tt.finish || !strings.Contains(first.Message.Content, tt.text) {
				t.Errorf("answered %s", whole.RawJSON())
			}
			if w, s := whole.Usage, all.Usage; w.PromptTokens != s.PromptTokens || w.CompletionTokens != s.CompletionTokens || w.TotalTokens != s.TotalTokens {
				t.Errorf("usage %+v whole, %+v streamed", w, s)
			}
			if tt.name == "logprobs" && (strings.Join(tokens, "") != tt.text || len(first.Logprobs.Content) != 4 || len(first.Logprobs.Content[0].TopLogprobs) != 2) {
				t.Errorf("tokens %q, logprobs %s", tokens, first.Logprobs.RawJSON())
			}
		})
	}
}

func TestChatToolRound(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	params := chatParams("sim", "get_weather?")
	params.Tools = chatTools()
	first, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	call := first.Choices[0].Message.ToolCalls[0]
	if call.Function.Arguments != weatherSample {
		t.Errorf("arguments %s", call.Function.Arguments)
	}
	params.Messages = append(params.Messages, first.Choices[0].Message.ToParam())
	if _, err := client.Chat.Completions.New(t.Context(), params); err == nil || !strings.Contains(told(err), "must be followed by tool messages") {
		t.Errorf("a call without a result: %v", err)
	}
	params.Messages = append(params.Messages, openai.ToolMessage("sunny", call.ID))
	second, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil || !strings.Contains(second.Choices[0].Message.Content, "“sunny”") {
		t.Errorf("answered %v, %v", second, err)
	}
	params.Messages = append(params.Messages, openai.ToolMessage("sunny", "call_other"))
	if _, err := client.Chat.Completions.New(t.Context(), params); err == nil || !strings.Contains(told(err), "must be a response to") {
		t.Errorf("a result without a call: %v", err)
	}
}

func TestChatSounds(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	params := openai.ChatCompletionNewParams{
		Model: "sim-tokens-5", Modalities: []string{"text", "audio"},
		Audio: openai.ChatCompletionAudioParam{Format: "pcm16", Voice: openai.ChatCompletionAudioParamVoiceUnion{OfString: openai.String("alloy")}},
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.TextContentPart("Listen"), openai.InputAudioContentPart(openai.ChatCompletionContentPartInputAudioInputAudioParam{Data: "AAAA", Format: "wav"}),
		})},
	}
	whole, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	wantStrict(t, whole)
	audio := whole.Choices[0].Message.Audio
	if raw, err := base64.StdEncoding.DecodeString(audio.Data); err != nil || len(raw) != 5*soundBytes || audio.Transcript != "one two three four five" {
		t.Errorf("audio %s, %v", audio.RawJSON(), err)
	}
	if u := whole.Usage; u.CompletionTokensDetails.AudioTokens != 5 || u.PromptTokensDetails.AudioTokens != mediaTokens {
		t.Errorf("usage %s", u.RawJSON())
	}
	params.Messages = []openai.ChatCompletionMessageParamUnion{openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
		openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: "data:image/tiff;base64,AAAA"}),
	})}
	if _, err := client.Chat.Completions.New(t.Context(), params); err == nil || !strings.Contains(told(err), "invalid_image_format") {
		t.Errorf("an image of the wrong kind: %v", err)
	}
}

func responseParams(model, text string) responses.ResponseNewParams {
	return responses.ResponseNewParams{Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(text)}}
}

func TestResponsesStreamEqualsWhole(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	tools := responseParams("sim", "Call get_weather and get_time.")
	tools.Tools = []responses.ToolUnionParam{
		{OfFunction: &responses.FunctionToolParam{Name: "get_weather", Parameters: weatherSchema(), Strict: openai.Bool(false)}},
		{OfFunction: &responses.FunctionToolParam{Name: "get_time", Strict: openai.Bool(false)}},
	}
	thinking := responseParams("sim", "x")
	thinking.Reasoning = shared.ReasoningParam{Summary: "auto"}
	structured := responseParams("sim", "x")
	structured.Text.Format.OfJSONSchema = &responses.ResponseFormatTextJSONSchemaConfigParam{Name: "weather", Schema: weatherSchema()}
	short := responseParams("sim-tokens-40", "x")
	short.MaxOutputTokens = openai.Int(16)
	instructed := responseParams("sim", "Hello")
	instructed.Instructions = openai.String("Be kind.")
	for _, tt := range []struct {
		name   string
		params responses.ResponseNewParams
		items  string
		status responses.ResponseStatus
		text   string
	}{
		{"text", instructed, "message", "completed", "Be kind"},
		{"tools", tools, "function_call function_call", "completed", ""},
		{"shown thoughts", thinking, "reasoning message", "completed", "You wrote"},
		{"hidden thoughts", responseParams("sim-reasoning", "x"), "reasoning message", "completed", "You wrote"},
		{"schema", structured, "message", "completed", weatherSample},
		{"limit", short, "message", "incomplete", "one two"},
		{"refusal", responseParams("sim-refusal", "x"), "message", "completed", ""},
		{"nothing", responseParams("sim-empty", "x"), "message", "completed", ""},
		{"torn runes", responseParams("sim-torn-runes", "„größer“ 漢字 🙂"), "message", "completed", "„größer“ 漢字 🙂"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			whole, err := client.Responses.New(t.Context(), tt.params)
			if err != nil {
				t.Fatal(err)
			}
			wantStrict(t, whole)
			stream := client.Responses.NewStreaming(t.Context(), tt.params)
			defer func() { _ = stream.Close() }()
			var last responses.Response
			deltas := ""
			for at := int64(0); stream.Next(); at++ {
				event := stream.Current()
				wantStrict(t, &event)
				if event.SequenceNumber != at {
					t.Errorf("event %d: %s", at, event.RawJSON())
				}
				switch event.Type {
				case "response.output_text.delta":
					deltas += event.Delta
				case "response.completed", "response.incomplete":
					last = event.Response
				}
			}
			if err := stream.Err(); err != nil {
				t.Fatal(err)
			}
			said := func(r responses.Response) (out []string) {
				for _, item := range r.Output {
					out = append(out, item.Type, item.Name, item.Arguments.OfString)
					for _, s := range item.Summary {
						out = append(out, s.Text)
					}
				}
				return append(out, r.OutputText(), r.Usage.RawJSON(), string(r.Status))
			}
			if diff := cmp.Diff(said(*whole), said(last)); diff != "" {
				t.Errorf("said (-whole +streamed):\n%s", diff)
			}
			var kinds []string
			for _, item := range whole.Output {
				kinds = append(kinds, item.Type)
			}
			if strings.Join(kinds, " ") != tt.items || whole.Status != tt.status || !strings.Contains(whole.OutputText(), tt.text) || deltas != whole.OutputText() {
				t.Errorf("answered %s, streamed %q", whole.RawJSON(), deltas)
			}
		})
	}
}

func TestResponsesToolRound(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	ask := func(items ...responses.ResponseInputItemUnionParam) (*responses.Response, error) {
		all := append([]responses.ResponseInputItemUnionParam{responses.ResponseInputItemParamOfMessage("Hello", "user")}, items...)
		return client.Responses.New(t.Context(), responses.ResponseNewParams{Model: "sim", Input: responses.ResponseNewParamsInputUnion{OfInputItemList: all}})
	}
	call, result := responses.ResponseInputItemParamOfFunctionCall("{}", "call_1", "f"), responses.ResponseInputItemParamOfFunctionCallOutput("sunny")
	result.OfFunctionCallOutput.CallID = openai.String("call_1")
	if got, err := ask(call, result); err != nil || !strings.Contains(got.OutputText(), "“sunny”") {
		t.Errorf("a round: %v, %v", got, err)
	}
	for says, items := range map[string][]responses.ResponseInputItemUnionParam{"No tool output found": {call}, "No tool call found": {result}} {
		if _, err := ask(items...); err == nil || !strings.Contains(told(err), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func TestOpenAIFaults(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	for model, says := range map[string]string{"sim-error-stream": "server_error", "sim-cut": "unexpected EOF", "sim-broken": "string literal", "sim-reset": ""} {
		chat := client.Chat.Completions.NewStreaming(t.Context(), chatParams(model, "x"))
		response := client.Responses.NewStreaming(t.Context(), responseParams(model, "x"))
		for name, err := range map[string]error{"chat": drain(chat), "responses": drain(response)} {
			if err == nil || !strings.Contains(err.Error(), says) {
				if name != "responses" || model != "sim-error-stream" { // the client hands that one on as an event
					t.Errorf("%s, %s: %v", model, name, err)
				}
			}
		}
		await(t, sim, func(r Request) bool {
			return r.Model == model && r.Done && r.Sent == faultAfter && r.Path == "/v1/responses"
		})
	}
	for _, model := range []string{"sim-429", "sim-overloaded", "sim-error-500", "sim-unknown"} {
		_, asChat := client.Chat.Completions.New(t.Context(), chatParams(model, "x"))
		_, asResponse := client.Responses.New(t.Context(), responseParams(model, "x"))
		_, asVector := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: model, Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("x")}})
		_, asSound := client.Audio.Speech.New(t.Context(), openai.AudioSpeechNewParams{Model: model, Input: "x", Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")}})
		for i, err := range []error{asChat, asResponse, asVector, asSound} {
			want, _ := ScriptFor(model)
			var refused *openai.Error
			if !errors.As(err, &refused) || refused.StatusCode != want.Status || refused.Message == "" {
				t.Errorf("%s, way %d: %v", model, i, err)
			}
		}
	}
}

func drain[T any](stream *ssestream.Stream[T]) error {
	for stream.Next() {
		_ = stream.Current()
	}
	return errors.Join(stream.Err(), stream.Close())
}

func TestEmbeddings(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	got, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "sim", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"one two", "one two", "three"}}, Dimensions: openai.Int(64)})
	if err != nil {
		t.Fatal(err)
	}
	wantStrict(t, got)
	sum := 0.0
	for _, f := range got.Data[2].Embedding {
		sum += f * f
	}
	if len(got.Data) != 3 || len(got.Data[0].Embedding) != 64 || math.Abs(sum-1) > 1e-5 || !cmp.Equal(got.Data[0].Embedding, got.Data[1].Embedding) ||
		cmp.Equal(got.Data[1].Embedding, got.Data[2].Embedding) || got.Usage.PromptTokens != 5 {
		t.Errorf("answered %.300s of length %g", got.RawJSON(), sum)
	}
	var packed struct{ Data []struct{ Embedding []byte } }
	err = client.Post(t.Context(), "embeddings", json.RawMessage(`{"model":"sim","input":[1,2,3],"encoding_format":"base64"}`), &packed)
	if err != nil || len(packed.Data) != 1 || len(packed.Data[0].Embedding) != 4*embeddingSize {
		t.Errorf("packed: %v", err)
	}
	for _, body := range []string{`{"model":"sim"}`, `{"model":"sim","input":""}`, `{"model":"sim","input":[]}`, `{"model":"sim","input":"x","dimensions":0}`, `{"model":"sim","input":"x","encoding_format":"hex"}`} {
		if err := client.Post(t.Context(), "embeddings", json.RawMessage(body), nil); err == nil || !strings.Contains(err.Error(), "400") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestImages(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	got, err := client.Images.Generate(t.Context(), openai.ImageGenerateParams{Model: "sim", Prompt: "a red cat", N: openai.Int(2), Size: "1536x1024", Quality: "low"})
	if err != nil {
		t.Fatal(err)
	}
	wantStrict(t, got)
	raw, err := base64.StdEncoding.DecodeString(got.Data[1].B64JSON)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(raw)); err != nil || len(got.Data) != 2 || got.Usage.OutputTokens != 2*408 || got.Usage.InputTokens != 3 {
		t.Errorf("answered %s, %v", got.RawJSON(), err)
	}
	old, err := client.Images.Generate(t.Context(), openai.ImageGenerateParams{Model: "dall-e-3", Prompt: "a red cat"})
	if err != nil || !strings.HasPrefix(old.Data[0].URL, "https://") || old.JSON.Usage.Valid() {
		t.Errorf("answered %v, %v", old, err)
	}
	if _, err := client.Images.Generate(t.Context(), openai.ImageGenerateParams{Model: "sim", Prompt: "x", N: openai.Int(11)}); err == nil {
		t.Error("eleven pictures")
	}
}

// Sounds that the simulator speaks are as long to it as they are.
func TestSpeechHeard(t *testing.T) {
	sim, httpClient := start(t, Options{})
	client := openAIClient(sim, httpClient)
	voice := openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")}
	params := openai.AudioSpeechNewParams{Model: "sim", Input: "one two three four five six seven eight nine ten", Voice: voice, ResponseFormat: "wav"}
	spoken, err := client.Audio.Speech.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	wav, err := io.ReadAll(spoken.Body)
	_ = spoken.Body.Close()
	if err != nil || spoken.Header.Get("Content-Type") != "audio/wav" || len(wav) != 44+10*spokenToken {
		t.Fatalf("%d bytes of %s, %v", len(wav), spoken.Header.Get("Content-Type"), err)
	}
	file := func() io.Reader { return openai.File(bytes.NewReader(wav), "said.wav", "audio/wav") }
	heard, err := client.Audio.Transcriptions.New(t.Context(), openai.AudioTranscriptionNewParams{Model: "sim", File: file()})
	if err != nil {
		t.Fatal(err)
	}
	if heard.Text != "I heard 1.0 seconds of sound." || heard.Usage.InputTokens != heardSecond || heard.Usage.OutputTokens != int64(CountTokens(heard.Text)) {
		t.Errorf("heard %s", heard.RawJSON())
	}
	stream := client.Audio.Transcriptions.NewStreaming(t.Context(), openai.AudioTranscriptionNewParams{Model: "sim", File: file()})
	text := ""
	for stream.Next() {
		event := stream.Current()
		text += event.Delta
	}
	if err := errors.Join(stream.Err(), stream.Close()); err != nil || text != heard.Text {
		t.Errorf("streamed %q, %v", text, err)
	}
	timed, err := client.Audio.Transcriptions.New(t.Context(), openai.AudioTranscriptionNewParams{Model: "whisper-1", File: file(), ResponseFormat: "verbose_json"})
	if err != nil || timed.Duration != 1 || timed.Usage.Seconds != 1 || len(timed.Segments) != 1 {
		t.Errorf("timed %v, %v", timed, err)
	}
	if _, err := client.Audio.Transcriptions.New(t.Context(), openai.AudioTranscriptionNewParams{Model: "sim", File: openai.File(strings.NewReader("x"), "said.txt", "text/plain")}); err == nil {
		t.Error("heard a text file")
	}
	params.Voice = param.Override[openai.AudioSpeechNewParamsVoiceUnion](nil)
	if _, err := client.Audio.Speech.New(t.Context(), params); err == nil {
		t.Error("spoke without a voice")
	}
}
