package format

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"
)

const tabStop = 4 // Telegram shows a tab as one space, so code gets spaces to the next stop

// style is one of the entities that may be broken off and taken up again.
type style int

const (
	bold style = iota
	italic
	strike
	styles
)

var styleTypes = [styles]models.MessageEntityType{
	models.MessageEntityTypeBold, models.MessageEntityTypeItalic, models.MessageEntityTypeStrikethrough,
}

// builder writes a [Text] from its beginning to its end.
type builder struct {
	out      strings.Builder
	units    int
	entities []models.MessageEntity

	gap    int    // line breaks due before the next character
	indent string // of each line that begins
	lead   string // instead of indent, once: an item's mark
	quoted string // before all that, on each line: the bar of a quotation within a quotation

	depth  [styles]int // how often each style is open
	begins [styles]int // where the open ones began
	inLink bool        // no code there: a link and code exclude each other
	column int         // of the line of code being written
}

// breakLine makes what follows begin on a line of its own, after n-1 empty ones.
func (b *builder) breakLine(n int) { b.gap = max(b.gap, n) }

// begin writes what is due before a character.
func (b *builder) begin() {
	if b.out.Len() == 0 {
		b.gap = 0
		if b.lead == "" && b.quoted == "" {
			return // the message's first line has no indentation: Telegram would trim it
		}
	} else if b.gap == 0 {
		return
	}
	for n := b.gap; n > 0; n-- {
		b.add("\n")
	}
	b.gap = 0
	b.add(b.quoted)
	if b.lead != "" {
		b.add(b.lead)
		b.lead = ""
		return
	}
	b.add(b.indent)
}

// add appends s as it is.
func (b *builder) add(s string) {
	b.out.WriteString(s)
	b.units += Units(s)
}

// write appends text that goes on in the current line; its line breaks keep to the
// current block.
func (b *builder) write(s string) {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if c >= utf8.RuneSelf && !dropped(r) {
			i += size
			continue
		}
		b.word(s[from:i])
		i += size
		from = i
		switch {
		case r == '\n' || r == 0x2028 || r == 0x2029:
			b.gap++
		case dropped(r):
		default:
			b.word(" ")
		}
	}
	b.word(s[from:])
}

// word appends text without line breaks.
func (b *builder) word(s string) {
	if b.gap > 0 || b.out.Len() == 0 {
		if s = strings.TrimLeft(s, " "); s == "" {
			return
		}
		b.begin()
	}
	b.add(s)
}

// verbatim appends code: its spaces stay, its tabs become spaces.
func (b *builder) verbatim(s string) {
	for _, r := range s {
		switch {
		case r == '\n':
			b.out.WriteByte('\n')
			b.units++
			b.column = 0
			continue
		case r == '\t':
			n := tabStop - b.column%tabStop
			b.add("    "[:n])
			b.column += n
			continue
		case dropped(r):
			continue
		case r < ' ':
			r = ' '
		}
		b.out.WriteRune(r)
		b.units += runeUnits(r)
		b.column++
	}
}

// open begins a style here.
func (b *builder) open(s style) {
	if b.depth[s]++; b.depth[s] == 1 {
		b.begins[s] = b.here()
	}
}

// shut ends a style here.
func (b *builder) shut(s style) {
	if b.depth[s]--; b.depth[s] == 0 {
		b.entity(models.MessageEntity{Type: styleTypes[s], Offset: b.begins[s]})
	}
}

// suspend ends all open styles here; resume takes them up again.
func (b *builder) suspend() {
	for s := range styles {
		if b.depth[s] > 0 {
			b.entity(models.MessageEntity{Type: styleTypes[s], Offset: b.begins[s]})
		}
	}
}

func (b *builder) resume() {
	for s := range styles {
		b.begins[s] = b.units
	}
}

// here writes what is due before the next character and returns where that will be.
func (b *builder) here() int {
	b.begin()
	return b.units
}

// entity adds e, which begins at its offset, as ending here.
func (b *builder) entity(e models.MessageEntity) {
	if e.Length = b.units - e.Offset; e.Length > 0 {
		b.entities = append(b.entities, e)
	}
}

// append adds a text that was built apart.
func (b *builder) append(t Text) {
	if t.String == "" {
		return
	}
	b.begin()
	for _, e := range t.Entities {
		e.Offset += b.units
		b.entities = append(b.entities, e)
	}
	b.add(t.String)
}

// finish returns the text, trimmed, with its entities in order.
func (b *builder) finish() Text { return trimmed(b.out.String(), b.entities) }

// trimmed returns s without the white space at its ends, as Telegram trims it: at the
// beginning not within an entity. Entities other than code and quotations neither begin
// nor end with white space, and none is empty.
func trimmed(s string, entities []models.MessageEntity) Text {
	s = strings.TrimRight(s, " \n")
	lead := len(s) - len(strings.TrimLeft(s, " \n"))
	places := newPlaces(s)
	kept := entities[:0]
	for _, e := range entities {
		from, to := places.byteAt(e.Offset), places.byteAt(e.Offset+e.Length)
		if from >= to {
			continue
		}
		body := s[from:to]
		if blank(body) {
			continue
		}
		if e.Type == models.MessageEntityTypePre {
			body = strings.TrimLeft(body, "\n")
			if from+len(s[from:to])-len(body) < lead {
				lead = from + len(s[from:to]) - len(body)
			}
		} else {
			body = strings.TrimLeft(body, " \n")
		}
		begin := to - len(body)
		if begin > from && quotation(e.Type) { // which holds its code whole: within code, Telegram knows no quotation
			begin = min(begin, codeFrom(s, places, entities, from, to))
		}
		end := begin + len(strings.TrimRight(body, " \n"))
		e.Offset, e.Length = places.unitAt(begin), places.unitAt(end)-places.unitAt(begin)
		kept = append(kept, e)
	}
	s = s[lead:]
	for i := range kept {
		kept[i].Offset -= lead // spaces and line breaks are one unit each
	}
	slices.SortStableFunc(kept, func(a, b models.MessageEntity) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Length, a.Length), cmp.Compare(rank(a.Type), rank(b.Type)))
	})
	if len(kept) == 0 {
		kept = nil
	}
	return Text{String: s, Entities: kept}
}

func quotation(kind models.MessageEntityType) bool {
	return kind == models.MessageEntityTypeBlockquote || kind == models.MessageEntityTypeExpandableBlockquote
}

// codeFrom is where the first block of code between two places begins, without the empty
// lines before it; the latter place if there is none.
func codeFrom(s string, places places, entities []models.MessageEntity, from, to int) int {
	first := to
	for _, e := range entities {
		if e.Type != models.MessageEntityTypePre {
			continue
		}
		begin, end := places.byteAt(e.Offset), places.byteAt(e.Offset+e.Length)
		if begin >= from && begin < end && end <= to {
			first = min(first, end-len(strings.TrimLeft(s[begin:end], "\n")))
		}
	}
	return first
}

// rank orders entities over the same characters as Telegram does, the outer first.
func rank(kind models.MessageEntityType) int {
	return slices.Index(ranks[:], kind)
}

var ranks = [...]models.MessageEntityType{
	models.MessageEntityTypeBlockquote, models.MessageEntityTypeExpandableBlockquote, models.MessageEntityTypePre,
	models.MessageEntityTypeCode, models.MessageEntityTypeTextLink, models.MessageEntityTypeBold, models.MessageEntityTypeItalic,
	models.MessageEntityTypeStrikethrough,
}

// places maps between bytes of a text and its UTF-16 units.
type places struct {
	bytes []int32 // by unit; the second unit of a pair has its first's
	s     string
	ascii bool // bytes are units
}

func newPlaces(s string) places {
	p := places{s: s, ascii: true}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			p.ascii = false
			break
		}
	}
	if p.ascii {
		return p
	}
	p.bytes = make([]int32, 0, len(s)+1)
	for i, r := range s {
		p.bytes = append(p.bytes, int32(i))
		if runeUnits(r) == 2 {
			p.bytes = append(p.bytes, int32(i))
		}
	}
	p.bytes = append(p.bytes, int32(len(s)))
	return p
}

// byteAt returns where a unit begins, or the text's end for one beyond it.
func (p places) byteAt(unit int) int {
	if p.ascii {
		return min(unit, len(p.s))
	}
	return int(p.bytes[min(unit, len(p.bytes)-1)])
}

// unitAt returns how many units lie before a byte that begins a character.
func (p places) unitAt(b int) int {
	if p.ascii {
		return b
	}
	unit, _ := slices.BinarySearch(p.bytes, int32(b))
	return unit
}
