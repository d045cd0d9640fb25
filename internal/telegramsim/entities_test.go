package telegramsim

import (
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestMarkup(t *testing.T) {
	for _, test := range []struct {
		mode, in, text string
		entities       []Entity
		fault          string
	}{
		{mode: "v2", in: "*bold _both_* __u__ ~s~ ||x|| `c` [l](https://e.com/\\))", text: "bold both u s x c l", entities: []Entity{
			{Type: "italic", Offset: 5, Length: 4}, {Type: "bold", Offset: 0, Length: 9}, {Type: "underline", Offset: 10, Length: 1},
			{Type: "strikethrough", Offset: 12, Length: 1}, {Type: "spoiler", Offset: 14, Length: 1}, {Type: "code", Offset: 16, Length: 1},
			{Type: "text_link", Offset: 18, Length: 1, URL: "https://e.com/)"}}},
		{mode: "v2", in: "🏟 ```go\nx := \"*\"\n```", text: "🏟 x := \"*\"\n", entities: []Entity{{Type: "pre", Offset: 3, Length: 9, Language: "go"}}},
		{mode: "v2", in: ">quote\n>more\nout", text: "quote\nmore\nout", entities: []Entity{{Type: "blockquote", Offset: 0, Length: 10}}},
		{mode: "v2", in: ">quote\n>more||", text: "quote\nmore", entities: []Entity{{Type: "expandable_blockquote", Offset: 0, Length: 10}}},
		{mode: "v2", in: "\\*plain\\*", text: "*plain*"},
		{mode: "v2", in: "🏟 🏟_abacaba", fault: "Can't find end of Italic entity at byte offset 9"},
		{mode: "v2", in: "🏟 🏟_abac * asd ", fault: "Can't find end of Bold entity at byte offset 15"},
		{mode: "v2", in: "🏟 🏟_abac * asd _", fault: "Can't find end of Italic entity at byte offset 21"},
		{mode: "v2", in: "🏟 🏟`", fault: "Can't find end of Code entity at byte offset 9"},
		{mode: "v2", in: "🏟 🏟```a", fault: "Can't find end of Pre entity at byte offset 9"},
		{mode: "v2", in: "🏟 🏟```a ", fault: "Can't find end of PreCode entity at byte offset 9"},
		{mode: "v2", in: "🏟 🏟__🏟 🏟_", fault: "Can't find end of Italic entity at byte offset 20"},
		{mode: "v2", in: "🏟 🏟_🏟 🏟__", fault: "Can't find end of Underline entity at byte offset 19"},
		{mode: "v2", in: "[l](https://e.com", fault: "Can't find end of a URL at byte offset 3"},
		{mode: "v2", in: "1-2", fault: `Character '-' is reserved and must be escaped with the preceding '\'`},
		{mode: "html", in: `<b>b<i>i</i></b> &lt;&amp;&#33; <a href="https://e.com?a=1&amp;b=2">l</a> <tg-spoiler>x</tg-spoiler>`, text: "bi <&! l x", entities: []Entity{
			{Type: "italic", Offset: 1, Length: 1}, {Type: "bold", Offset: 0, Length: 2},
			{Type: "text_link", Offset: 7, Length: 1, URL: "https://e.com?a=1&b=2"}, {Type: "spoiler", Offset: 9, Length: 1}}},
		{mode: "html", in: `<pre><code class="language-go">x</code></pre><blockquote expandable>q</blockquote>`, text: "xq", entities: []Entity{
			{Type: "pre", Offset: 0, Length: 1, Language: "go"}, {Type: "expandable_blockquote", Offset: 1, Length: 1}}},
		{mode: "html", in: "a & b &copy; <", fault: "Unclosed start tag at byte offset 13"},
		{mode: "html", in: "<h1>x</h1>", fault: `Unsupported start tag "h1" at byte offset 0`},
		{mode: "html", in: "<b>x</i>", fault: `Unmatched end tag at byte offset 4, expected "</b>", found "</i>"`},
		{mode: "html", in: "x</b>", fault: "Unexpected end tag at byte offset 1"},
		{mode: "html", in: "<b>x", fault: `Can't find end tag corresponding to start tag "b"`},
		{mode: "html", in: `<span>x</span>`, fault: `Tag "span" must have class "tg-spoiler" at byte offset 0`},
		{mode: "old", in: "*b* _i_ `c` [l](https://e.com) \\*", text: "b i c l *", entities: []Entity{
			{Type: "bold", Offset: 0, Length: 1}, {Type: "italic", Offset: 2, Length: 1}, {Type: "code", Offset: 4, Length: 1},
			{Type: "text_link", Offset: 6, Length: 1, URL: "https://e.com"}}},
		{mode: "old", in: "x *unclosed", fault: "Can't find end of the entity starting at byte offset 2"},
	} {
		parse := map[string]func(string) (string, []Entity, error){"v2": parseMarkdownV2, "html": parseHTML, "old": parseMarkdown}[test.mode]
		text, entities, err := parse(test.in)
		if fault := faultText(err); fault != test.fault || err == nil && (text != test.text || !cmp.Equal(entities, test.entities)) {
			t.Errorf("%s %q:\n got %q %+v %q\nwant %q %+v %q", test.mode, test.in, text, entities, fault, test.text, test.entities, test.fault)
		}
	}
}

func faultText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestFormatted(t *testing.T) {
	for _, test := range []struct {
		in       string
		given    []Entity
		text     string
		entities []Entity
	}{
		{in: "  hi\r\n", given: []Entity{{Type: "bold", Offset: 2, Length: 4}}, text: "hi", entities: []Entity{{Type: "bold", Offset: 0, Length: 2}}},
		{in: "  x := 1", given: []Entity{{Type: "pre", Offset: 0, Length: 8}}, text: "  x := 1", entities: []Entity{{Type: "pre", Offset: 0, Length: 8}}},
		{in: "a\tb\u202Ec", given: []Entity{{Type: "bold", Offset: 4, Length: 1}}, text: "a bc", entities: []Entity{{Type: "bold", Offset: 3, Length: 1}}},
		{in: "bold code bold", given: []Entity{{Type: "bold", Offset: 0, Length: 14}, {Type: "code", Offset: 5, Length: 4}}, text: "bold code bold", entities: []Entity{
			{Type: "bold", Offset: 0, Length: 5}, {Type: "code", Offset: 5, Length: 4}, {Type: "bold", Offset: 9, Length: 5}}},
		{in: "a link", given: []Entity{{Type: "text_link", Offset: 0, Length: 6, URL: "https://e.com"}, {Type: "code", Offset: 2, Length: 4}}, text: "a link", entities: []Entity{
			{Type: "text_link", Offset: 0, Length: 6, URL: "https://e.com"}}},
		{in: "quote in quote", given: []Entity{{Type: "blockquote", Offset: 0, Length: 14}, {Type: "blockquote", Offset: 9, Length: 5}, {Type: "pre", Offset: 6, Length: 2}}, text: "quote in quote", entities: []Entity{
			{Type: "blockquote", Offset: 0, Length: 14}, {Type: "pre", Offset: 6, Length: 2}}},
		{in: "a\r\nb", given: []Entity{{Type: "bold", Offset: 3, Length: 1}}, text: "a\nb", entities: []Entity{{Type: "bold", Offset: 2, Length: 1}}},
		{in: "👋 /start@kiku_bot x @ada #tag ada@example.com https://e.com/x.", text: "👋 /start@kiku_bot x @ada #tag ada@example.com https://e.com/x.", entities: []Entity{
			{Type: "bot_command", Offset: 3, Length: 15}, {Type: "mention", Offset: 21, Length: 4}, {Type: "hashtag", Offset: 26, Length: 4},
			{Type: "email", Offset: 31, Length: 15}, {Type: "url", Offset: 47, Length: 15}}},
		{in: "/a /b a/c //d", text: "/a /b a/c //d", entities: []Entity{{Type: "bot_command", Offset: 0, Length: 2}, {Type: "bot_command", Offset: 3, Length: 2}}},
		{in: "/help", given: []Entity{{Type: "code", Offset: 0, Length: 5}}, text: "/help", entities: []Entity{{Type: "code", Offset: 0, Length: 5}}},
	} {
		text, entities, refusal := formatted(test.in, test.given)
		if refusal != nil || text != test.text || !cmp.Equal(entities, test.entities) {
			t.Errorf("%q: %q %+v %v", test.in, text, entities, refusal)
		}
	}
}

// Whatever comes in, no parser panics and what they accept passes the entity checks.
func FuzzMarkup(f *testing.F) {
	for _, seed := range []string{"*a _b_*", "<b>x</b>", "[l](u", "```go\nx```", ">q\n>w||", "<a href='x'>", "🏟_🏟_", "**>a\n", "&#x1F600;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if !utf8.ValidString(in) {
			return // refused before it is parsed
		}
		for mode, parse := range map[string]func(string) (string, []Entity, error){"v2": parseMarkdownV2, "html": parseHTML, "old": parseMarkdown} {
			text, entities, err := parse(in)
			if err != nil {
				continue
			}
			if _, _, refusal := formatted(text, entities); refusal != nil {
				t.Fatalf("%s %q: own entities refused: %v", mode, in, refusal)
			}
		}
	})
}
