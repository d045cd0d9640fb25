package webapp

import (
	"strconv"
	"strings"

	"github.com/kikuai/kikuai/billing"
)

const (
	sumDigits = 8  // of the sums in a place
	maxPlace  = 64 // bytes of one in words
)

// formatPlace is a place in words: an event's id, with which a client comes back.
func formatPlace(p billing.FeedPlace) string {
	return strconv.FormatInt(p.Seq, 10) + "." + p.Keys + "." + p.Settings
}

// parsePlace reads what formatPlace wrote. What it did not write is no place.
func parsePlace(text string) (p billing.FeedPlace, is bool) {
	parts := strings.Split(text, ".")
	if len(text) > maxPlace || len(parts) != 3 || len(parts[1]) != sumDigits || len(parts[2]) != sumDigits {
		return p, false
	}
	seq, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || seq < 0 {
		return p, false
	}
	return billing.FeedPlace{Seq: seq, Keys: parts[1], Settings: parts[2]}, true
}
