package people

import (
	"strings"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/texts"
)

// limitWords says what limits allow: "600 requests a minute, 5 answers at a time".
func limitWords(voice texts.Voice, l billing.Limits) string {
	var words []string
	for _, limit := range []struct {
		key string
		n   int64
	}{{"tier.requests", l.RequestsPerMinute}, {"tier.tokens", l.TokensPerMinute}, {"tier.places", l.Concurrency}} {
		if limit.n > 0 {
			words = append(words, voice.Count(limit.key, limit.n))
		}
	}
	if l.RefillMilli > 0 {
		words = append(words, voice.Say("tier.bursts", "burst", l.Burst, "rate", voice.Decimal(l.RefillMilli)))
	}
	if len(words) == 0 {
		return voice.Say("tier.none")
	}
	return strings.Join(words, voice.Say("list.comma"))
}
