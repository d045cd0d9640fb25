package llm

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const everyField = `
providers:
  - {name: openai, protocol: openai, base_url: https://api.openai.com/v1, api_key_env: K}
  - name: home
    protocol: openai
    base_url: http://127.0.0.1:11434/v1
    local: true
    timeouts: {connect: 250ms, first_byte: 1m, stall: 20s, total: 5m}
    health: true
    responses: true
models:
  - id: big
    aliases: [big-2026, big-latest]
    prices: {input: "1", cache_write_1h: "2", input_audio: "3", output: "4", output_audio: "5"}
    above: {tokens: 200000, prices: {input: "2", output: "8"}}
    context: 1000000
    max_output: 1000
    sees: true
    routing: least_latency
    sticky: false
    hedge_after: 1.5s
    deployments: [{provider: home, model: big, max_concurrency: 32}, {provider: openai, model: big, weight: 2}]
  - {id: vector, operations: [embeddings], prices: {input: "0.02", output: "0"}, context: 8192, deployments: [{provider: openai, model: v}], fallbacks: [big-latest]}
  - {id: whisper, operations: [transcriptions], prices: {minute: "0.006"}, deployments: [{provider: openai, model: w}]}
  - {id: voice, operations: [speech], prices: {million_characters: "15"}, deployments: [{provider: openai, model: t}]}
  - {id: painter, operations: [images, chat], prices: {image: "0.04", input: "1", output: "2", output_image: "40"}, context: 10, max_output: 10, deployments: [{provider: openai, model: p}]}
`

func TestCatalogueEveryField(t *testing.T) {
	c, err := LoadCatalogue([]byte(everyField), env("K", "k"))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range c.Models() {
		ids = append(ids, m.ID)
	}
	if got := strings.Join(ids, " "); got != "big big-2026 big-latest vector whisper voice painter" {
		t.Errorf("models %s", got)
	}
	m, err := c.Model("big-2026")
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != "big-2026" || m.Above != 200_000 || m.AbovePrices["output"] != "8" || m.Prices["output_audio"] != "5" ||
		m.Routing != RoutingLeastLatency || m.Sticky || m.HedgeAfter != 1500*time.Millisecond || !m.Offers(OperationChat) || m.Offers(OperationSpeech) || !m.Sees {
		t.Errorf("%+v", m)
	}
	home, openai := m.Deployments()[0], m.Deployments()[1]
	if home.MaxConcurrency != 32 || openai.MaxConcurrency != 0 || openai.Weight != 2 {
		t.Errorf("deployments %+v, %+v", home, openai)
	}
	if want := (Timeouts{Connect: 250 * time.Millisecond, FirstByte: time.Minute, Stall: 20 * time.Second, Total: 5 * time.Minute}); home.Provider.Timeouts != want {
		t.Errorf("timeouts: %s", cmp.Diff(want, home.Provider.Timeouts))
	}
	if !home.Provider.Health || !home.Provider.Responses || !openai.Provider.Health || !openai.Provider.Responses || openai.Provider.Timeouts != (Timeouts{}) {
		t.Errorf("providers %+v, %+v", home.Provider, openai.Provider)
	}
	if big, _ := c.Model("big"); big.Deployments()[0] != home {
		t.Error("an alias has deployments of its own")
	}
	vector, _ := c.Model("vector")
	if vector.Routing != RoutingWeighted || !vector.Sticky || vector.HedgeAfter != 0 || vector.Offers(OperationChat) || !vector.Offers(OperationEmbeddings) {
		t.Errorf("defaults: %+v", vector)
	}
	text := strings.NewReplacer("    sticky: false\n", "", "    health: true\n", "", "api_key_env: K}", "api_key_env: K, health: false}").Replace(everyField)
	if c, err = LoadCatalogue([]byte(text), env("K", "k")); err != nil {
		t.Fatal(err)
	}
	big, _ := c.Model("big")
	if home, openai := big.Deployments()[0].Provider, big.Deployments()[1].Provider; big.Sticky || home.Health || openai.Health {
		t.Errorf("latency decides and sticky is %v; health of a local provider %v, where it is off %v", big.Sticky, home.Health, openai.Health)
	}
}

func TestCatalogueFieldFaults(t *testing.T) {
	for change, want := range map[string]string{
		"connect: 250ms -> connect: 250":                      "not a duration such as",
		"connect: 250ms -> connect: -1s":                      "timeouts must be",
		"total: 5m -> total: 100h":                            "timeouts must be",
		"health: true -> health: perhaps":                     "into bool",
		"big-latest] -> big-latest, vector]":                  "the id is taken",
		"big-latest] -> big, x]":                              "the id is taken",
		"[big-2026 -> ['big 2026'":                            `id "big 2026" must be`,
		"tokens: 200000 -> tokens: 0":                         "above: tokens must be",
		`prices: {input: "2", output: "8"} -> prices: {}`:     "above: price input is missing",
		`prices: {input: "2" -> prices: {input: "x"`:          "above: price input must be",
		"least_latency -> fastest":                            "routing must be",
		"hedge_after: 1.5s -> hedge_after: -1s":               "hedge_after must be",
		"[big-latest]} -> [big, whisper, voice, painter]}":    "there may be 3 fallbacks",
		"max_concurrency: 32 -> max_concurrency: -1":          "max_concurrency must be",
		"[embeddings] -> [embedding]":                         `not "embedding"`,
		"[embeddings] -> [embeddings, embeddings]":            `not "embeddings"`,
		"context: 8192 -> context: 0":                         "context must be",
		`output: "0"}, context -> image: "0"}, context`:       "price output is missing",
		`minute: "0.006" -> image: "0.006"`:                   "price input is missing",
		"[transcriptions] -> [transcriptions, speech]":        "price input is missing",
		`million_characters: "15" -> input: "15"`:             "price output is missing",
		`million_characters: "15" -> characters: "15"`:        `unknown price "characters"`,
		"{id: whisper, -> {id: whisper, max_output: -1, ":     "max_output must be",
		"{id: whisper, -> {id: whisper, context: 9999999999,": "context must be",
		"[big-latest]} -> [vector]}":                          `fallback "vector"`,
	} {
		old, changed, _ := strings.Cut(change, " -> ")
		text := strings.Replace(everyField, old, changed, 1)
		if text == everyField {
			t.Errorf("%s changes nothing", change)
		}
		if _, err := LoadCatalogue([]byte(text), env("K", "k")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", change, err, want)
		}
	}
}
