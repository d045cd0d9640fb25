package format

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/go-telegram/bot/models"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       int
		want       []string
	}{
		{"nothing", "", 10, nil},
		{"white space", " \n ", 10, nil},
		{"fits", "0123456789", 10, []string{"0123456789"}},
		{"no boundary", "0123456789abc", 10, []string{"0123456789", "abc"}},
		{"words", "aaa bbb ccc ddd", 10, []string{"aaa bbb", "ccc ddd"}},
		{"lines before words", "aaaa bb\nc d eeee", 10, []string{"aaaa bb", "c d eeee"}},
		{"paragraphs before lines", "aaaaa\n\nb\nc dddd", 10, []string{"aaaaa", "b\nc dddd"}},
		{"a boundary too early", "a bbbbbbbbbbbbbb", 10, []string{"a bbbbbbbb", "bbbbbb"}},
		{"surrogate pairs", strings.Repeat("🙂", 7), 5, []string{"🙂🙂", "🙂🙂", "🙂🙂", "🙂"}},
		{"clusters", strings.Repeat("👩‍👧", 3), 12, []string{"👩‍👧👩‍👧", "👩‍👧"}},
		{"a cluster longer than a message", "e" + strings.Repeat("\u0301", 12), 10, []string{"e" + strings.Repeat("\u0301", 9), strings.Repeat("\u0301", 3)}},
		{"white space at the cut", "aaaaaaaa     \n\n   bbb", 10, []string{"aaaaaaaa", "bbb"}},
		{"sentences without spaces", "一二三四五六。七八九十", 10, []string{"一二三四五六。", "七八九十"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, p := range (Text{String: c.text}).Split(c.most) {
				got = append(got, p.String)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSplitKeepsStructure(t *testing.T) {
	for _, c := range []struct {
		name, source string
		most         int
		want         []string
	}{
		{"code goes whole into the next", "aaaa bbbb\n\n```go\nx = 1\ny = 2\n```", 18, []string{"aaaa bbbb", "<pre go>x = 1\ny = 2</pre>"}},
		{"code that must be cut is code again", "```go\nif x {\n    y()\n    z()\n}\n```", 16, []string{"<pre go>if x {\n    y()</pre>", "<pre go>    z()\n}</pre>"}},
		{"a style goes on", "**aaaa bbbb cccc**", 10, []string{"<bold>aaaa bbbb</bold>", "<bold>cccc</bold>"}},
		{"a heading stays with its text", "aaaaa aaaaa\n\n# Head\n\nbbbb bbbb bbbb", 24, []string{"aaaaa aaaaa", "<bold>Head</bold>\nbbbb bbbb bbbb"}},
		{"a link is not cut", "aaaaaa [bb cc](https://e.com) dddd", 12, []string{"aaaaaa", "<text_link https://e.com>bb cc</text_link> dddd"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, p := range Markdown(c.source).Split(c.most) {
				got = append(got, marked(p))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Telegram keeps a hundred entities of a message, so a message has no more.
func TestSplitByEntities(t *testing.T) {
	parts := Markdown(strings.Repeat("**a** `b`\n\n", 120)).Split(MessageMost)
	entities := 0
	for _, p := range parts {
		if entities += len(p.Entities); len(p.Entities) > EntitiesMost {
			t.Errorf("%d entities", len(p.Entities))
		}
	}
	if entities != 240 || len(parts) > 4 {
		t.Errorf("%d entities in %d parts", entities, len(parts))
	}
}

func TestTail(t *testing.T) {
	long := Markdown(strings.Repeat("**word** ", 2000) + "\n\n" + strings.Repeat("🙂", 2000) + "`end`")
	tail := long.Tail(MessageMost)
	if n := Units(tail.String); n > MessageMost || n < MessageMost-200 {
		t.Errorf("%d units", n)
	}
	if !strings.HasPrefix(tail.String, tailMark) || !strings.HasSuffix(marked(tail), "🙂<code>end</code>") || len(tail.Entities) > EntitiesMost {
		t.Errorf("%.40s", marked(tail))
	}
	short := Markdown("**a**")
	if diff := cmp.Diff(short, short.Tail(MessageMost)); diff != "" {
		t.Error(diff)
	}
}

// Whatever the text and its entities: parts fit, entities lie within them, and all that
// is not white space is there, in order, under the entities it was under.
func TestSplitLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.StringOf(rapid.SampledFrom([]rune("aб🙂 \n👩‍\u0301.*`>#-。"))).Draw(t, "source")
		most := rapid.IntRange(4, 40).Draw(t, "most")
		whole := Markdown(source)
		var kept []string
		for _, p := range whole.Split(most) {
			if n := Units(p.String); n == 0 || n > most || !utf8.ValidString(p.String) || p.Blank() {
				t.Fatalf("part %q of %d units", p.String, n)
			}
			for _, e := range p.Entities {
				if e.Offset < 0 || e.Length <= 0 || e.Offset+e.Length > Units(p.String) {
					t.Fatalf("entity %+v of %q", e, p.String)
				}
			}
			kept = append(kept, characters(p)...)
		}
		if diff := cmp.Diff(characters(whole), kept); diff != "" {
			t.Fatalf("%q: %s", whole.String, diff)
		}
	})
}

// characters returns each character that is seen, with the entities over it.
func characters(t Text) []string {
	var all []string
	unit := 0
	for _, r := range t.String {
		under := string(r)
		for _, e := range t.Entities {
			if e.Offset <= unit && unit < e.Offset+e.Length && e.Type != models.MessageEntityTypeBlockquote {
				under += " " + string(e.Type)
			}
		}
		unit += runeUnits(r)
		if !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && !unseen(r) {
			all = append(all, under)
		}
	}
	return all
}
