package main

import (
	"log/slog"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"gopkg.in/yaml.v3"

	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
)

// TestSimulatedCatalogue: the catalogue of `kikuai dev` loads without any key, has
// models of every operation and of either protocol, and the simulated model answers at
// the addresses it names.
func TestSimulatedCatalogue(t *testing.T) {
	t.Parallel()
	sim, err := llmsim.Start(llmsim.Options{Log: slog.New(slog.DiscardHandler), FirstToken: -1, Cadence: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	text, err := simulated(llm.DefaultCatalogue, sim.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := llm.LoadCatalogue(text, func(string) string { return "" }); err != nil {
		t.Fatal(err)
	}
	var file struct {
		Providers []struct {
			Name, Protocol string
			Base           string `yaml:"base_url"`
		}
		Models []struct{ Operations []string }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	protocols, operations := map[string]bool{}, map[string]bool{}
	for _, p := range file.Providers {
		protocols[p.Protocol] = true
		switch p.Protocol {
		case llm.ProtocolAnthropic:
			client := anthropic.NewClient(anthropicoption.WithBaseURL(p.Base), anthropicoption.WithAPIKey("none"))
			_, err = client.Messages.New(t.Context(), anthropic.MessageNewParams{
				Model: "sim-fast", MaxTokens: 9, Messages: []anthropic.MessageParam{anthropic.NewUserMessage(anthropic.NewTextBlock("x"))},
			})
		default:
			client := openai.NewClient(option.WithBaseURL(p.Base), option.WithAPIKey("none"))
			_, err = client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
				Model: "sim-fast", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("x")},
			})
		}
		if err != nil {
			t.Errorf("%s at %s: %v", p.Name, p.Base, err)
		}
	}
	for _, m := range file.Models {
		for _, operation := range m.Operations {
			operations[operation] = true
		}
	}
	if len(protocols) != 2 || !operations["embeddings"] || !operations["images"] || !operations["transcriptions"] || !operations["speech"] {
		t.Errorf("protocols %v, operations %v", protocols, operations)
	}
}
