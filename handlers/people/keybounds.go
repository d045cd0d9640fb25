package people

import (
	"strings"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

const (
	boundsIndent = "\n   "
	boundsNamed  = 3 // entries of a list
)

// keyBounds are a key's restrictions, budget and limits in words, on a line of their own;
// "" where it has none.
func keyBounds(voice texts.Voice, key billing.Key, now time.Time) string {
	var words []string
	say := func(is bool, text string, fill ...any) {
		if is {
			words = append(words, voice.Say(text, fill...))
		}
	}
	count := func(text string, n int64) {
		if n > 0 {
			words = append(words, voice.Count(text, n))
		}
	}
	networks := make([]string, len(key.Networks))
	for i, n := range key.Networks {
		networks[i] = n.String()
		if n.IsSingleIP() {
			networks[i] = n.Addr().String()
		}
	}
	end := voice.Moment(key.ExpiresAt.UTC())
	ends := !key.ExpiresAt.IsZero()
	say(ends && !now.Before(key.ExpiresAt), "keys.bounds.expired", "when", end)
	say(ends && now.Before(key.ExpiresAt), "keys.bounds.until", "when", end)
	say(len(key.Models) > 0, "keys.bounds.models", "names", named(voice, key.Models))
	say(len(networks) > 0, "keys.bounds.networks", "names", named(voice, networks))
	say(key.Budget.DayNano > 0, "keys.bounds.day", "amount", hall.Dollars(key.Budget.DayNano))
	say(key.Budget.MonthNano > 0, "keys.bounds.month", "amount", hall.Dollars(key.Budget.MonthNano))
	count("keys.bounds.requests", key.Limits.RequestsPerMinute)
	count("keys.bounds.tokens", key.Limits.TokensPerMinute)
	count("keys.bounds.places", key.Limits.Concurrency)
	if len(words) == 0 {
		return ""
	}
	return boundsIndent + strings.Join(words, " · ")
}

// named are the first of a list's entries.
func named(voice texts.Voice, list []string) string {
	comma := voice.Say("list.comma")
	if more := len(list) - boundsNamed; more > 0 {
		return voice.Say("keys.bounds.more", "names", strings.Join(list[:boundsNamed], comma), "n", more)
	}
	return strings.Join(list, comma)
}
