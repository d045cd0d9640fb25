package gateway

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
)

// simMedia are the simulator's, at round prices.
const simMedia = `
  - {id: sim-vectors, operations: [embeddings], prices: {input: "1", output: "0"}, context: 8192, deployments: [{provider: native, model: sim-embed}]}
  - {id: sim-artist, operations: [images], prices: {input: "5", output: "10", output_image: "40"}, context: 32000, max_output: 8000, deployments: [{provider: native, model: sim-image}]}
  - {id: sim-actor, operations: [speech], prices: {input: "1", output: "0", output_audio: "10"}, deployments: [{provider: native, model: sim-speech}]}
  - {id: sim-scribe, operations: [transcriptions], prices: {input: "2", input_audio: "6", output: "10"}, context: 16000, max_output: 2000, deployments: [{provider: native, model: sim-ear}]}
`

// drain reads a stream to its end.
func drain[T any](t *testing.T, s *ssestream.Stream[T]) (events []T) {
	t.Helper()
	for s.Next() {
		events = append(events, s.Current())
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	return events
}

// TestMediaClients: OpenAI's own client gets of each operation what it expects, and the
// call is paid.
func TestMediaClients(t *testing.T) {
	r := newRig(t, func(s *setup) { s.models = simMedia })
	ctx := t.Context()
	with := func(t *testing.T) openai.Client {
		t.Helper()
		id, key := r.account(dollar)
		t.Cleanup(func() {
			if r.spent(id) == 0 {
				t.Error("nothing was paid")
			}
		})
		return openai.NewClient(option.WithBaseURL(r.url+"/v1"), option.WithAPIKey(key), option.WithMaxRetries(0))
	}
	t.Run("embeddings", func(t *testing.T) {
		client := with(t)
		got, err := client.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: "sim-vectors", Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b c"}}})
		if err != nil || len(got.Data) != 2 || len(got.Data[1].Embedding) == 0 || got.Usage.PromptTokens == 0 {
			t.Errorf("%v, %+v", err, got)
		}
	})
	t.Run("images", func(t *testing.T) {
		client := with(t)
		got, err := client.Images.Generate(ctx, openai.ImageGenerateParams{Model: "sim-artist", Prompt: "a cat"})
		if err != nil || len(got.Data) != 1 || got.Data[0].B64JSON == "" || got.Usage.OutputTokens == 0 {
			t.Errorf("%v, %+v", err, got)
		}
	})
	t.Run("speech", func(t *testing.T) {
		client := with(t)
		got, err := client.Audio.Speech.New(ctx, openai.AudioSpeechNewParams{Model: "sim-actor", Input: "Hello, world.", Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")}})
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		if sound, err := io.ReadAll(got.Body); err != nil || len(sound) == 0 || !strings.HasPrefix(got.Header.Get("Content-Type"), "audio/") {
			t.Errorf("%v, %d bytes, %v", err, len(sound), got.Header)
		}
	})
	t.Run("transcription", func(t *testing.T) {
		client := with(t)
		file := openai.File(bytes.NewReader([]byte(sound(3))), "a.wav", "audio/wav")
		got, err := client.Audio.Transcriptions.New(ctx, openai.AudioTranscriptionNewParams{Model: "sim-scribe", File: file})
		if err != nil || got.Text == "" {
			t.Errorf("%v, %+v", err, got)
		}
	})
	t.Run("transcription streamed", func(t *testing.T) {
		client := with(t)
		file := openai.File(bytes.NewReader([]byte(sound(3))), "a.wav", "audio/wav")
		events := drain(t, client.Audio.Transcriptions.NewStreaming(ctx, openai.AudioTranscriptionNewParams{Model: "sim-scribe", File: file}))
		if len(events) < 2 || events[len(events)-1].Type != "transcript.text.done" || events[len(events)-1].Text == "" {
			t.Errorf("%d events", len(events))
		}
	})
	for _, model := range []string{"native", "paid"} {
		t.Run("responses of "+model, func(t *testing.T) {
			client := with(t)
			params := responses.ResponseNewParams{Model: model, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String("Hello")}}
			got, err := client.Responses.New(ctx, params)
			if err != nil || got.OutputText() == "" || got.Usage.OutputTokens == 0 {
				t.Fatalf("%v, %+v", err, got)
			}
			events := drain(t, client.Responses.NewStreaming(ctx, params))
			last := events[len(events)-1]
			if last.Type != "response.completed" || last.Response.OutputText() == "" || last.Response.Usage.TotalTokens == 0 {
				t.Errorf("ends in %s", last.RawJSON())
			}
		})
	}
}
