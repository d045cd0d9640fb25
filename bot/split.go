package bot

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"
)

const messageMost = 4096 // UTF-16 units of one message

// part is a piece of a text that fits into one message.
type part struct {
	text string
	from int // where it begins in the whole text, in UTF-16 units
}

// split cuts text into parts of at most most UTF-16 units: between paragraphs where it
// can, else between lines, else between words, and never inside a character. White
// space around a cut is dropped, and so are parts of nothing but white space.
func split(text string, most int) []part {
	var parts []part
	from := 0
	for text != "" {
		end := cut(text, most)
		piece := text[:end]
		if lead := leadingSpace(piece); lead < len(piece) && len(parts) > 0 {
			from += utf16Len(piece[:lead])
			piece = piece[lead:]
		}
		if kept := strings.TrimRightFunc(piece, unicode.IsSpace); kept != "" {
			parts = append(parts, part{text: kept, from: from})
		}
		from += utf16Len(piece)
		text = text[end:]
	}
	return parts
}

func leadingSpace(s string) int {
	return len(s) - len(strings.TrimLeftFunc(s, unicode.IsSpace))
}

// cut returns how many bytes of text go into the next part.
func cut(text string, most int) int {
	end, half := 0, 0 // bytes that fit, and bytes of half of that
	for units := 0; end < len(text); {
		r, size := utf8.DecodeRuneInString(text[end:])
		units += runeUnits(r)
		if units > most {
			break
		}
		end += size
		if units <= most/2 {
			half = end
		}
	}
	if end == len(text) {
		return end
	}
	// A boundary in the first half would waste more than it is worth.
	for _, boundary := range [...]string{"\n\n", "\n", " "} {
		if at := strings.LastIndex(text[half:end], boundary); at >= 0 {
			return half + at + len(boundary)
		}
	}
	return end
}

func runeUnits(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

func utf16Len(s string) (n int) {
	for _, r := range s {
		n += runeUnits(r)
	}
	return n
}

// tail returns the end of text that fits into one message, marked as cut off.
func tail(text string, most int) string {
	excess := utf16Len(text) - most
	if excess <= 0 {
		return text
	}
	const mark = "…"
	excess++ // for the mark
	for i, r := range text {
		if excess <= 0 {
			return mark + text[i:]
		}
		excess -= runeUnits(r)
	}
	return mark
}

// entitiesOf returns the parts of the entities that lie in p, counted from its start.
func entitiesOf(entities []models.MessageEntity, p part) []models.MessageEntity {
	var mine []models.MessageEntity
	length := utf16Len(p.text)
	for _, e := range entities {
		from := max(e.Offset-p.from, 0)
		to := min(e.Offset+e.Length-p.from, length)
		if from < to {
			e.Offset, e.Length = from, to-from
			mine = append(mine, e)
		}
	}
	return mine
}
