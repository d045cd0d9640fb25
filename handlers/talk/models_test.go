package talk

import (
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/llm"
)

// TestPricesForPeople: a price has cents at least, and every digit it was stated with.
func TestPricesForPeople(t *testing.T) {
	t.Parallel()
	for want, prices := range map[string]map[string]string{
		"✓ m · $0.15 / $0.60":   {"input": "0.15", "output": "0.6"},
		"✓ m · $0.075 / $15.00": {"input": "0.075", "output": "15"},
		"✓ m · $0.00 / $0.00":   nil,
	} {
		if got := modelLabel(texts.Voice{}, &llm.Model{ID: "m", Prices: prices}, "m", billing.Settings{}); got != want {
			t.Errorf("%v: %q, want %q", prices, got, want)
		}
	}
}
