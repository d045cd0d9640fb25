package till

import (
	"testing"

	"github.com/kikuai/kikuai/billing"
)

func TestStars(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"-5", "+5", "0", "00", "2.5", "2,5", "1e3", "10001", "99999999999999999999", "٢٥٠", "２５０",
		"250 stars", "⭐250", "0x10", "5 5", "five", "\u202e52", "½", "NaN", " - 1"} {
		if stars, ok := parseStars(text); ok {
			t.Errorf("%q is taken for %d", text, stars)
		}
	}
	for text, want := range map[string]int64{"1": 1, " 250 ": 250, "10000": 10_000, "007": 7} {
		if stars, ok := parseStars(text); !ok || stars != want {
			t.Errorf("%q is taken for %d, %v", text, stars, ok)
		}
	}
}

func TestDollars(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"5": 5 * billing.NanoPerUSD, "$2.50": 2_500_000_000, " 0.01 ": billing.GiftLeast, "100$": billing.GiftMost} {
		if nano, ok := parseDollars(text, billing.GiftLeast, billing.GiftMost); !ok || nano != want {
			t.Errorf("%q is %d, %v", text, nano, ok)
		}
	}
}
