package gateway

import (
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// withKeys answers every provider's key.
func withKeys(name string) string {
	if len(name) > 5 && name[len(name)-5:] == "_FILE" {
		return ""
	}
	return "key"
}

func defaultPrices(t *testing.T) map[string]*billing.Prices {
	t.Helper()
	c, err := llm.LoadCatalogue(llm.DefaultCatalogue, withKeys)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*billing.Prices{}
	for _, m := range c.Models() {
		p, err := billing.ParsePrices(m.Prices, m.Above, m.AbovePrices)
		if err != nil {
			t.Errorf("%s: %v", m.ID, err)
		}
		all[m.ID] = &p
	}
	return all
}

// A million of each, by the prices that the providers' own pages state, in USD.
func TestCatalogueAgainstPublishedPrices(t *testing.T) {
	all := defaultPrices(t)
	const million = 1_000_000
	in, out := billing.Usage{Prompt: million}, billing.Usage{Completion: million}
	for _, c := range []struct {
		model string
		usage billing.Usage
		usd   string
	}{
		{"gpt-4o-mini", in, "0.15"}, {"gpt-4o-mini", out, "0.60"}, {"gpt-4o-mini", billing.Usage{Prompt: million, Cached: million}, "0.075"},
		{"gpt-4o", in, "2.50"}, {"gpt-4o", out, "10.00"},
		{"gpt-4.1", in, "2.00"}, {"gpt-4.1", out, "8.00"},
		{"gpt-5", in, "1.25"}, {"gpt-5", out, "10.00"},
		{"o3", in, "2.00"}, {"o3", out, "8.00"}, // 10 and 40 before June 2025
		{"o4-mini", in, "1.10"}, {"o4-mini", out, "4.40"},
		{"gpt-5.4", billing.Usage{Prompt: 100_000}, "0.25"}, {"gpt-5.4", in, "5.00"}, {"gpt-5.4", billing.Usage{Prompt: 300_000, Completion: million}, "24.00"},
		{"claude-haiku", in, "1.00"}, {"claude-haiku", out, "5.00"},
		{"claude-haiku-4-5", billing.Usage{Prompt: million, CacheWrite: million}, "1.25"}, {"claude-haiku-4-5", billing.Usage{Prompt: million, CacheWrite1h: million}, "2.00"},
		{"claude-sonnet-4-5", billing.Usage{Prompt: 200_000}, "0.60"}, {"claude-sonnet-4-5", in, "6.00"},
		{"claude-opus-5-5", in, "4.00"}, {"claude-opus-5-5", out, "20.00"},
		{"gemini-2.5-pro", billing.Usage{Prompt: 200_000}, "0.25"}, {"gemini-2.5-pro", in, "2.50"},
		{"gemini-2.5-flash", billing.Usage{Prompt: million, InputAudio: million}, "1.00"}, {"gemini-2.5-flash", out, "2.50"},
		{"deepseek-v4-flash", in, "0.44"}, // the dearest hour
		{"text-embedding-3-small", in, "0.02"}, {"text-embedding-3-large", in, "0.13"},
		{"gpt-image-1", out, "40.00"}, {"gpt-image-1", billing.Usage{Prompt: million, InputImage: million}, "10.00"},
		{"whisper-1", billing.Usage{AudioMS: 60_000}, "0.006"}, {"whisper-large-v3", billing.Usage{AudioMS: 3_600_000}, "0.111"},
		{"gpt-4o-transcribe", billing.Usage{Prompt: million, InputAudio: million}, "6.00"},
		{"tts-1", billing.Usage{Characters: million}, "15.00"},
		{"gpt-audio", billing.Usage{Completion: million, OutputAudio: million}, "64.00"},
	} {
		p := all[c.model]
		if p == nil {
			t.Errorf("%s is not offered", c.model)
			continue
		}
		if got := billing.FormatUSD(p.Cost(c.usage)); got != c.usd {
			t.Errorf("%s, %+v: %s USD, published %s", c.model, c.usage, got, c.usd)
		}
	}
}

// Nothing of the default catalogue is free, and the ids that are written about exist.
func TestCatalogueDefault(t *testing.T) {
	all := defaultPrices(t)
	everything := billing.Usage{Prompt: 1, Completion: 1, Images: 1, AudioMS: 1, Characters: 1}
	for id, p := range all {
		if p.Cost(everything) == 0 {
			t.Errorf("%s is free", id)
		}
	}
	for _, id := range []string{"gpt-4o-mini", "gpt-4o", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "o4-mini", "o3-mini", "claude-haiku", "claude-sonnet"} {
		if all[id] == nil {
			t.Errorf("%s is not offered", id)
		}
	}
}
