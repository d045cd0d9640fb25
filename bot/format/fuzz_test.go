package format

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// taken gives a text to the simulated Telegram, which refuses what Telegram refuses, and
// tells what differs between what was sent and what it kept.
func taken(t Text) string {
	var entities []telegramsim.Entity
	for _, e := range t.Entities {
		entities = append(entities, telegramsim.Entity{
			Type: string(e.Type), Offset: e.Offset, Length: e.Length, URL: e.URL, Language: e.Language,
		})
	}
	text, kept, err := telegramsim.CheckText(t.String, entities)
	if err != nil {
		return fmt.Sprintf("refused: %v", err)
	}
	if text != t.String {
		return cmp.Diff(t.String, text)
	}
	return cmp.Diff(entities, kept)
}

// Telegram takes every answer of the corpus, whole and broken off anywhere, and keeps all
// that was sent, where it was.
func TestCorpusIsTaken(t *testing.T) {
	for theme, list := range answers(t) {
		for _, a := range list {
			for end := range a.source + " " {
				if end%3 > 0 && end < len(a.source) {
					continue // a third of the places will do
				}
				source := a.source[:end]
				if fault := faultOf(source, MessageMost); fault != "" {
					t.Fatalf("%s/%s: %q: %s", theme, a.name, source, fault)
				}
			}
		}
	}
}

// faultOf tells what is wrong with what is made of a source, in messages of most units.
func faultOf(source string, most int) string {
	whole := Markdown(source)
	if whole.Blank() {
		if !blank(clean(source)) {
			return "nothing is shown"
		}
		return ""
	}
	parts := append(whole.Split(most), whole.Tail(MessageMost), Plain(source).Split(MessageMost)[0])
	for _, p := range parts {
		if !utf8.ValidString(p.String) {
			return fmt.Sprintf("%q is no text", p.String)
		}
		if fault := taken(p); fault != "" {
			return fmt.Sprintf("%q: %s", p.String, fault)
		}
	}
	return ""
}

// FuzzMarkdown: whatever is written, Telegram takes it and keeps it as it was sent.
func FuzzMarkdown(f *testing.F) {
	for _, list := range answers(f) {
		for i, a := range list {
			f.Add(a.source, uint16(40+i))
		}
	}
	for _, seed := range []string{
		"**a", "[x](http://a.b)", "> > ```\n\tx", "$$\n\\frac", "|a|\n|-|\n|`b`|", "- - - 1. x", "\u202E**\u0301**", "[^1]\n\n[^1]: `", "\r\n\x00", "&#8232;&#0;",
		strings.Repeat("🙂", 30), strings.Repeat("> ", 40) + "x", strings.Repeat("*a **b ", 20),
	} {
		f.Add(seed, uint16(16))
	}
	f.Fuzz(func(t *testing.T, source string, most uint16) {
		if len(source) > 16<<10 {
			return
		}
		if fault := faultOf(source, 8+int(most)%MessageMost); fault != "" {
			t.Fatal(fault)
		}
	})
}
