package format

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"
	"github.com/rivo/uniseg"
)

const (
	// MessageMost is the length of one message, in UTF-16 units.
	MessageMost = 4096
	// EntitiesMost is how many entities of a message Telegram keeps.
	EntitiesMost = 100
)

// span is an entity with its place in bytes.
type span struct {
	models.MessageEntity
	from, to int
}

// Split cuts t into messages of at most most units and [EntitiesMost] entities: between
// paragraphs where it can, else between lines, else between words, and inside a
// character or a cluster of them only where that alone is longer than a message. Code
// that must be cut is code in both, and a heading goes with what follows. White space
// around a cut is dropped, but for the indentation of code; so are parts that show
// nothing.
func (t Text) Split(most int) []Text {
	if Units(t.String) <= most && len(t.Entities) <= EntitiesMost {
		if t.Blank() {
			return nil
		}
		return []Text{trimmed(t.String, append([]models.MessageEntity(nil), t.Entities...))}
	}
	c := newCutter(t)
	var parts []Text
	for from := 0; from < len(t.String); {
		end := c.end(from, most)
		if part := c.part(from, end); !part.Blank() {
			parts = append(parts, part)
		}
		from = end
		c.spans = slices.DeleteFunc(c.spans, func(s span) bool { return s.to <= from })
	}
	return parts
}

const tailMark = "…\n"

// Tail returns the end of t that fits into one message of most units, marked as cut off.
func (t Text) Tail(most int) Text {
	excess := Units(t.String) + Units(tailMark) - most
	if excess <= Units(tailMark) && len(t.Entities) <= EntitiesMost {
		return t
	}
	c := newCutter(t)
	from := 0
	if excess > 0 {
		from = c.places.byteAt(excess)
		if c.places.unitAt(from) < excess { // in the middle of a pair
			_, size := utf8.DecodeRuneInString(t.String[from:])
			from += size
		}
		// A line that is missing its beginning is worse than one less.
		const near = 240 // bytes
		if at := strings.IndexByte(t.String[from:min(from+near, len(t.String))], '\n'); at >= 0 {
			from += at + 1
		}
	}
	part := c.part(from, len(t.String))
	if extra := len(part.Entities) - EntitiesMost; extra > 0 {
		part.Entities = part.Entities[extra:]
	}
	if from == 0 {
		return part
	}
	return Text{String: tailMark}.Append(part)
}

// cutter finds the places to cut a text at. Places are in bytes.
type cutter struct {
	text   string
	spans  []span
	places places
}

func newCutter(t Text) *cutter {
	c := &cutter{text: t.String, places: newPlaces(t.String)}
	for _, e := range t.Entities {
		c.spans = append(c.spans, span{MessageEntity: e, from: c.places.byteAt(e.Offset), to: c.places.byteAt(e.Offset + e.Length)})
	}
	return c
}

// part returns the text between two places.
func (c *cutter) part(from, to int) Text {
	base := c.places.unitAt(from)
	var entities []models.MessageEntity
	for _, s := range c.spans {
		if s.from >= to {
			break
		}
		begin, end := max(s.from, from), min(s.to, to)
		if begin < end {
			e := s.MessageEntity
			e.Offset, e.Length = c.places.unitAt(begin)-base, c.places.unitAt(end)-c.places.unitAt(begin)
			entities = append(entities, e)
		}
	}
	return trimmed(c.text[from:to], entities)
}

// end returns where the part that begins at from ends.
func (c *cutter) end(from, most int) int {
	reach := c.places.byteAt(c.places.unitAt(from) + most)
	begun := 0 // entities that the part has
	for _, s := range c.spans {
		if s.from >= reach {
			break
		}
		if s.to <= from {
			continue
		}
		if begun++; begun > EntitiesMost && s.from > from {
			reach = s.from
			break
		}
	}
	if reach >= len(c.text) {
		return len(c.text)
	}
	// A boundary in the first half would waste more than it is worth; to keep code
	// whole, one in the first quarter will do.
	half, quarter := from+(reach-from)/2, from+(reach-from)/4
	for _, find := range []func(low, high int) int{c.paragraph, c.line, c.word} {
		low := half
		if code := c.codeAt(reach); code != nil && code.from >= quarter {
			low = quarter
		}
		if at := find(low, reach); at > from {
			return at
		}
	}
	return c.cluster(from, reach)
}

// codeAt returns the block of code that a cut at this place would break.
func (c *cutter) codeAt(at int) *span { return c.at(at, models.MessageEntityTypePre) }

func (c *cutter) at(at int, kinds ...models.MessageEntityType) *span {
	for i := range c.spans {
		s := &c.spans[i]
		if s.from >= at {
			break
		}
		if at >= s.to {
			continue
		}
		for _, kind := range kinds {
			if s.Type == kind {
				return s
			}
		}
	}
	return nil
}

// paragraph returns the last boundary between paragraphs in a range, 0 for none: not
// inside code, and not below a heading.
func (c *cutter) paragraph(low, high int) int {
	return c.last(low, high, "\n\n", func(at int) bool { return c.codeAt(at) == nil && !c.heads(at) })
}

// line returns the last boundary between lines; inside code only if there is no other.
func (c *cutter) line(low, high int) int {
	if at := c.last(low, high, "\n", func(at int) bool { return c.codeAt(at) == nil && !c.heads(at) }); at > 0 {
		return at
	}
	return c.last(low, high, "\n", func(int) bool { return true })
}

// word returns the last boundary between words: after a space, or after punctuation
// where words have none between them. Links and code stay whole if they can.
func (c *cutter) word(low, high int) int {
	whole := func(at int) bool {
		return c.at(at, models.MessageEntityTypeCode, models.MessageEntityTypeTextLink) == nil
	}
	if at := c.last(low, high, " ", whole); at > 0 {
		return at
	}
	best := 0
	for _, mark := range []string{"。", "！", "？", "；", "，", "、", "।"} {
		best = max(best, c.last(low, high, mark, whole))
	}
	if best > 0 {
		return best
	}
	return c.last(low, high, " ", func(int) bool { return true })
}

// last returns the place after the last mark in a range that is allowed, 0 for none.
func (c *cutter) last(low, high int, mark string, allowed func(int) bool) int {
	for high > low {
		at := strings.LastIndex(c.text[low:high], mark)
		if at < 0 {
			return 0
		}
		if place := low + at + len(mark); allowed(place) {
			return place
		}
		high = low + at + len(mark) - 1
	}
	return 0
}

// heads tells whether the line before a boundary is bold as a whole: a heading, which
// belongs to what comes below.
func (c *cutter) heads(at int) bool {
	end := len(strings.TrimRight(c.text[:at], "\n "))
	begin := strings.LastIndexByte(c.text[:end], '\n') + 1
	for _, s := range c.spans {
		if s.from > begin {
			return false
		}
		if s.Type == models.MessageEntityTypeBold && s.from <= begin && s.to >= end {
			return true
		}
	}
	return false
}

// cluster returns the last boundary between clusters of characters that people see as
// one, or where there is none, between characters.
func (c *cutter) cluster(from, high int) int {
	at, rest, state := from, c.text[from:], -1
	for rest != "" {
		cluster, next, _, nextState := uniseg.FirstGraphemeClusterInString(rest, state)
		if at+len(cluster) > high {
			break
		}
		at, rest, state = at+len(cluster), next, nextState
	}
	if at > from {
		return at
	}
	if high > from {
		return high
	}
	_, size := utf8.DecodeRuneInString(c.text[from:])
	return from + size
}
