package format

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"
)

// Text is what a message shows. Entities are ordered by beginning, the longer first;
// their offsets and lengths are in UTF-16 units of String.
type Text struct {
	String   string
	Entities []models.MessageEntity
}

// Plain returns a text without entities.
func Plain(s string) Text {
	var b builder
	b.write(strings.ToValidUTF8(s, "\uFFFD"))
	return b.finish()
}

const quoteShown = 400 // units of a quotation that stands open; a longer one can be opened

// Quote returns words as a quotation on lines of its own, to be followed by a text.
func Quote(words string) Text {
	t := Plain(words)
	if t.Blank() {
		return Text{}
	}
	e := models.MessageEntity{Type: models.MessageEntityTypeBlockquote, Length: Units(t.String)}
	if e.Length > quoteShown {
		e.Type = models.MessageEntityTypeExpandableBlockquote
	}
	return Text{String: t.String + "\n", Entities: []models.MessageEntity{e}}
}

// Append returns t followed by u.
func (t Text) Append(u Text) Text {
	shift := Units(t.String)
	entities := make([]models.MessageEntity, 0, len(t.Entities)+len(u.Entities))
	entities = append(entities, t.Entities...)
	for _, e := range u.Entities {
		e.Offset += shift
		entities = append(entities, e)
	}
	return Text{String: t.String + u.String, Entities: entities}
}

// Styled returns t wholly under one more entity, of a kind that may hold those in it:
// bold, italic, underline, strikethrough or spoiler.
func (t Text) Styled(kind models.MessageEntityType) Text {
	if t.Blank() {
		return t
	}
	entities := append([]models.MessageEntity{{Type: kind, Length: Units(t.String)}}, t.Entities...)
	return Text{String: t.String, Entities: entities}
}

// Blank tells whether t shows nothing; Telegram refuses such a message.
func (t Text) Blank() bool { return blank(t.String) }

// Units returns the length of s as Telegram counts it: in UTF-16 units.
func Units(s string) (n int) {
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			n++
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		n += runeUnits(r)
		i += size
	}
	return n
}

func runeUnits(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// blank tells whether s has no character that is seen.
func blank(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && !unseen(r)
	}) < 0
}

// unseen characters are letters or marks by class, yet show nothing: blanks of Braille
// and Hangul, joiners, selectors of variations; or do not arrive.
func unseen(r rune) bool {
	switch {
	case r < ' ', dropped(r):
		return true
	case r == 0x034F, r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r == 0x2800, r == 0x3164, r == 0xFFA0:
		return true
	}
	return r >= 0x180B && r <= 0x180F || r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0000 && r <= 0xE0FFF
}

// dropped characters are removed by Telegram, which would shift what follows them:
// carriage returns, embedded directions, and marks that draw over their neighbours.
func dropped(r rune) bool {
	switch r {
	case '\r', 0x0333, 0x033F, 0x030A:
		return true
	}
	return r >= 0x2028 && r <= 0x202E
}
