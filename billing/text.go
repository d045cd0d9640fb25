package billing

import (
	"strings"
	"unicode/utf8"
)

// cleanText makes any text storable in Postgres: valid UTF-8, no NUL, at most
// so many characters.
func cleanText(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	for i := range s {
		if most == 0 {
			return s[:i]
		}
		most--
	}
	return s
}
