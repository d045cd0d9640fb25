package document

import (
	"strconv"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"
)

const codesMost = 70_000 // of one font's tables

// font tells what a string of a font says and how wide it is.
type font struct {
	wide    bool           // codes of two bytes
	said    map[int]string // by code
	utf16   bool           // codes are UTF-16
	widths  map[int]float64
	missing float64 // width of a code without one; in thousandths of the font's size
}

// glyph is one code of a string: what it says, its width in thousandths.
type glyph struct {
	text  string
	width float64
	blank bool // the code 32 of one byte, which word spacing is added to
}

// loadFont reads a font.
func (f *file) loadFont(d dict) *font {
	n := &font{said: map[int]string{}, widths: map[int]float64{}, missing: 500}
	if f.name(d["Subtype"]) == "Type0" {
		n.wide, n.missing = true, 1000
		encoding := f.name(d["Encoding"])
		n.utf16 = strings.HasPrefix(encoding, "Uni") && (strings.Contains(encoding, "UCS2") || strings.Contains(encoding, "UTF16"))
		if below := f.list(d["DescendantFonts"]); len(below) > 0 {
			f.wideWidths(n, f.dict(below[0]))
		}
	} else {
		f.simpleCodes(n, d)
		first := int(f.number(d["FirstChar"]))
		for i, w := range f.list(d["Widths"]) {
			if i > 0xFF {
				break
			}
			n.widths[first+i] = f.number(w)
		}
		if missing := f.number(f.dict(d["FontDescriptor"])["MissingWidth"]); missing > 0 {
			n.missing = missing
		}
	}
	if s, is := f.get(d["ToUnicode"]).(*stream); is {
		f.loadMap(n, f.unpack(s))
	}
	return n
}

// wideWidths reads the widths of a font of two-byte codes.
func (f *file) wideWidths(n *font, d dict) {
	if w := f.number(d["DW"]); w > 0 {
		n.missing = w
	}
	list := f.list(d["W"])
	for i := 0; i+1 < len(list); {
		first := int(f.number(list[i]))
		if some := f.list(list[i+1]); some != nil {
			for k, w := range some {
				n.width(first+k, f.number(w))
			}
			i += 2
			continue
		}
		if i+2 >= len(list) {
			return
		}
		last, w := int(f.number(list[i+1])), f.number(list[i+2])
		for code := first; code <= last && code < first+codesMost; code++ {
			f.limit.step()
			n.width(code, w)
		}
		i += 3
	}
}

func (n *font) width(code int, w float64) {
	if len(n.widths) < codesMost {
		n.widths[code] = w
	}
}

// simpleCodes sets what the codes of a font of one-byte codes say.
func (f *file) simpleCodes(n *font, d dict) {
	base := charmap.Windows1252
	encoding := f.name(d["Encoding"])
	described := f.dict(d["Encoding"])
	if described != nil {
		encoding = f.name(described["BaseEncoding"])
	}
	if encoding == "MacRomanEncoding" {
		base = charmap.Macintosh
	}
	for code := ' '; code <= 0xFF; code++ {
		n.said[int(code)] = string(base.DecodeByte(byte(code)))
	}
	code := 0
	for _, one := range f.list(described["Differences"]) {
		switch v := f.get(one).(type) {
		case float64:
			code = int(v)
		case name:
			if text := glyphText(string(v)); text != "" {
				n.said[code&0xFF] = text
			}
			code++
		}
	}
}

// loadMap reads a table of what codes say: a CMap.
func (f *file) loadMap(n *font, table []byte) {
	l := &lexer{data: table, limit: f.limit}
	var before list
	for {
		switch v := l.next(0).(type) {
		case closing:
			if v == 0 {
				return
			}
		case operator:
			switch v {
			case "endbfchar":
				for i := 0; i+1 < len(before); i += 2 {
					n.says(before[i], before[i+1], 0)
				}
			case "endbfrange":
				n.ranges(before, f.limit)
			case "endcodespacerange":
				if len(before) > 0 {
					if first, is := before[0].(str); is {
						n.wide = len(first) > 1
					}
				}
			}
			before = nil
		default:
			if len(before) < codesMost {
				before = append(before, v)
			}
		}
	}
}

// ranges enters ranges of codes: the first, the last, and what the first says or a list.
func (n *font) ranges(table list, l *limit) {
	for i := 0; i+2 < len(table); i += 3 {
		first, isFirst := table[i].(str)
		last, isLast := table[i+1].(str)
		if !isFirst || !isLast {
			continue
		}
		from, to := codeOf(first), codeOf(last)
		for code := from; code <= to && code-from < 0x10000; code++ {
			l.step()
			if some, is := table[i+2].(list); is {
				if code-from < len(some) {
					n.says(str([]byte{byte(code >> 8), byte(code)}), some[code-from], 0)
				}
				continue
			}
			n.says(str([]byte{byte(code >> 8), byte(code)}), table[i+2], code-from)
		}
	}
}

// says enters what a code says: a text as UTF-16, its last character moved on by more.
func (n *font) says(code, text any, more int) {
	c, isCode := code.(str)
	s, isText := text.(str)
	if !isCode || !isText || len(s) < 2 || len(n.said) > codesMost {
		return
	}
	units := unitsIn(s)
	units[len(units)-1] += uint16(more)
	n.said[codeOf(c)] = string(utf16.Decode(units))
}

func codeOf(s str) (code int) {
	for i := range min(len(s), 4) {
		code = code<<8 | int(s[i])
	}
	return code
}

func unitsIn(s str) []uint16 {
	units := make([]uint16, len(s)/2)
	for i := range units {
		units[i] = uint16(s[2*i])<<8 | uint16(s[2*i+1])
	}
	return units
}

// glyphs splits a string of the font.
func (n *font) glyphs(s str, l *limit, yield func(glyph)) {
	size := 1
	if n.wide {
		size = 2
	}
	for ; len(s) >= size; s = s[size:] {
		l.step()
		code := codeOf(s[:size])
		text, known := n.said[code]
		if !known && n.utf16 {
			text = string(utf16.Decode([]uint16{uint16(code)}))
		}
		width, found := n.widths[code]
		if !found {
			width = n.missing
		}
		yield(glyph{text: text, width: width, blank: size == 1 && code == ' '})
	}
}

// glyphText is what a glyph's name stands for: "A", "eacute", "uni0416", "afii10023".
func glyphText(glyph string) string {
	glyph, _, _ = strings.Cut(glyph, ".")
	if len(glyph) == 1 {
		return glyph
	}
	for _, prefix := range []string{"uni", "u"} {
		if hex, found := strings.CutPrefix(glyph, prefix); found && len(hex) >= 4 && len(hex) <= 6 {
			if n, err := strconv.ParseUint(hex, 16, 32); err == nil && n <= 0x10FFFF {
				return string(rune(n))
			}
		}
	}
	if digits, found := strings.CutPrefix(glyph, "afii"); found {
		n, _ := strconv.Atoi(digits)
		return cyrillic(n)
	}
	if at := strings.Index(glyphNames, " "+glyph+"="); at >= 0 {
		text, _, _ := strings.Cut(glyphNames[at+len(glyph)+2:], " ")
		return text
	}
	for accent, combined := range accents {
		if base, found := strings.CutSuffix(glyph, accent); found && len(base) == 1 {
			return composed(base, combined)
		}
	}
	return ""
}

// cyrillic is the letter of a number of Adobe's.
func cyrillic(n int) string {
	switch {
	case n == 10023:
		return "Ё"
	case n == 10071:
		return "ё"
	case n >= 10017 && n <= 10022:
		return string(rune('А' + n - 10017))
	case n >= 10024 && n <= 10049:
		return string(rune('Ж' + n - 10024))
	case n >= 10065 && n <= 10070:
		return string(rune('а' + n - 10065))
	case n >= 10072 && n <= 10097:
		return string(rune('ж' + n - 10072))
	case n == 61352:
		return "№"
	}
	return ""
}
