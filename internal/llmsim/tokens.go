package llmsim

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	wordRunes  = 16 // letters, digits and marks in one token
	otherRunes = 4  // other characters in one token
)

// Tokens cuts a text into the pieces that the simulator counts and sends; they
// join to the text again. The package comment states the rule.
func Tokens(text string) []string {
	var pieces []string
	for text != "" {
		n := tokenLen(text)
		pieces = append(pieces, text[:n])
		text = text[n:]
	}
	return pieces
}

// CountTokens is len(Tokens(text)) without the pieces.
func CountTokens(text string) int {
	count := 0
	for text != "" {
		text = text[tokenLen(text):]
		count++
	}
	return count
}

// tokenLen returns the bytes of the first token of a text that is not empty.
func tokenLen(text string) int {
	start := 0
	if text[0] == ' ' && len(text) > 1 {
		if r, _ := utf8.DecodeRuneInString(text[1:]); !unicode.IsSpace(r) {
			start = 1
		}
	}
	first, size := utf8.DecodeRuneInString(text[start:])
	kind, limit := kindOf(first), otherRunes
	switch kind {
	case spaceKind:
		limit = len(text)
	case wordKind:
		limit = wordRunes
	}
	end := start + size
	for n := 1; n < limit && end < len(text); n++ {
		r, size := utf8.DecodeRuneInString(text[end:])
		if kindOf(r) != kind {
			break
		}
		// The last plain space of a run belongs to the word behind it.
		if kind == spaceKind && r == ' ' && end+1 < len(text) {
			if next, _ := utf8.DecodeRuneInString(text[end+1:]); !unicode.IsSpace(next) {
				break
			}
		}
		end += size
	}
	return end
}

type runeKind int

const (
	wordKind runeKind = iota
	spaceKind
	otherKind
)

func kindOf(r rune) runeKind {
	switch {
	case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
		return wordKind
	case unicode.IsSpace(r):
		return spaceKind
	}
	return otherKind
}

// cutAtStop ends a text before the first of the stop sequences found in it, and
// tells which one that was; "" for none.
func cutAtStop(text string, stops []string) (cut, stop string) {
	at := -1
	for _, s := range stops {
		if i := strings.Index(text, s); s != "" && i >= 0 && (at < 0 || i < at) {
			at, stop = i, s
		}
	}
	if at < 0 {
		return text, ""
	}
	return text[:at], stop
}
