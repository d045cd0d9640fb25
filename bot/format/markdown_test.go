package format

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// marked returns a text with its entities written around what they cover.
func marked(t Text) string {
	opens, closes := map[int]string{}, map[int]string{}
	for _, e := range t.Entities {
		about := string(e.Type)
		if e.Language+e.URL != "" {
			about += " " + e.Language + e.URL
		}
		opens[e.Offset] += "<" + about + ">"
		closes[e.Offset+e.Length] = "</" + string(e.Type) + ">" + closes[e.Offset+e.Length]
	}
	var out strings.Builder
	unit := 0
	for _, r := range t.String {
		out.WriteString(closes[unit] + opens[unit])
		out.WriteRune(r)
		unit += runeUnits(r)
	}
	out.WriteString(closes[unit])
	return out.String()
}

func TestMarkdown(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"nothing", "", ""},
		{"plain", "Hello, world.", "Hello, world."},
		{"styles", "**b** *i* ~~s~~ `c` ***bi***", "<bold>b</bold> <italic>i</italic> <strikethrough>s</strikethrough> <code>c</code> <bold><italic>bi</italic></bold>"},
		{"code breaks off a style", "**a `c` b**", "<bold>a</bold> <code>c</code> <bold>b</bold>"},
		{"code in a link is text", "[a `c`](https://e.com)", "<text_link https://e.com>a c</text_link>"},
		{"heading", "# One `x`\ntext", "<bold>One</bold> <code>x</code>\ntext"},
		{"units", "🙂 **x**", "🙂 <bold>x</bold>"},
		{"list", "- a\n- **b**\n  - c\n    1. d", "• a\n• <bold>b</bold>\n   ◦ c\n      1. d"},
		{"list below its line", "a:\n- b\n\nc\n\n- d", "a:\n• b\n\nc\n\n• d"},
		{"boxes", "a\n\n> b\n\n> c\n\nd", "a\n<blockquote>b</blockquote>\n\n<blockquote>c</blockquote>\nd"},
		{"loose list", "3. a\n\n   b\n4. c", "3. a\n\n   b\n\n4. c"},
		{"tasks", "- [x] a\n- [ ] b", "☑ a\n☐ b"},
		{"lists in a list's first line", "- - a\n  - b", "• ◦ a\n   ◦ b"},
		{"quotation", "> a\n> > b", "<blockquote>a\n┃ b</blockquote>"},
		{"fence", "```Go\nx\n\ty\n```", "<pre go>x\n    y</pre>"},
		{"tab stops", "```\nab\tc\n```", "<pre>ab  c</pre>"},
		{"open fence", "a\n```py\nx = 1", "a\n<pre py>x = 1</pre>"},
		{"fence in an item", "- a\n  ```\n  x\n  ```\n  b", "• a\n<pre>x</pre>\n   b"},
		{"open bold", "a **b", "a **b"},
		{"item about to be written", "Title\n-", "Title\n-"},
		{"rule below a sentence", "It ends.\n---\nNext", "It ends.\n\n──────────\n\nNext"},
		{"underlined heading", "Title\n---\nNext", "<bold>Title</bold>\nNext"},
		{"link", "[a](http://e.com/x?a=1&amp;b)", "<text_link http://e.com/x?a=1&b>a</text_link>"},
		{"links that Telegram refuses", "[a](./x) [b](#y) [c](http://nodot) [d](mailto:x@e.com) [e](http://e.com:0/)", "a (./x) b c (http://nodot) d (x@e.com) e (http://e.com:0/)"},
		{"picture", "![cat](https://e.com/c.png)", "🖼 <text_link https://e.com/c.png>cat</text_link>"},
		{"HTML is text", "<b>x</b> Vec<String><br>y", "<b>x</b> Vec<String>\ny"},
		{"references and escapes", `&lt;&#8364;&gt; \*a\* \&amp; &copy=1`, "<€> *a* &amp; &copy=1"},
		{"no space between words", "请**注意：**后面 和**“是”**的", "请<bold>注意：</bold>后面 和<bold>“是”</bold>的"},
		{"about", "~5 或 5~10元，20~30元", "~5 或 5~10元，20~30元"},
		{"prices", "costs $5 and $10, or $HOME/$USER", "costs $5 and $10, or $HOME/$USER"},
		{"formulas", `$x^2$, \(\frac{a+b}{2}\), \[\sqrt{\alpha}\]`, "x², (a+b) / 2, √α"},
		{"display", "$$\na_1 \\leq b\n$$", "a₁ ≤ b"},
		{"unknown to Unicode", `so $\weird{x}$`, `so <code>\weird{x}</code>`},
		{"footnote", "a[^1]\n\n[^1]: b", "a[1]\n\n[1] b"},
		{"narrow table", "|a|bb|\n|-:|--|\n|100|*x*|", "<pre>  a  bb\n───  ──\n100  x</pre>"},
		{"table with links", "|a|b|\n|--|--|\n|[x](https://e.com)|y|", "<bold>a – b</bold>\n• <text_link https://e.com><bold>x</bold></text_link> – y"},
		{"wide table", "|name|one|two|\n|--|--|--|\n|" + strings.Repeat("x", 40) + "|1|`2`|", "<bold>" + strings.Repeat("x", 40) + "</bold>\n• one: 1\n• two: <code>2</code>"},
		{"dropped characters", "a\u202Eb **c\u2066**\r\nd", "ab <bold>c\u2066</bold>\nd"},
		{"nothing but a mark", "#", "#"},
		{"nothing but a definition", "[a]: https://e.com", "[a]: https://e.com"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, marked(Markdown(c.source))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLatex(t *testing.T) {
	for source, want := range map[string]string{
		`E = mc^2`:                               "E = mc²",
		`\sum_{i=1}^{n} i`:                       "∑ᵢ₌₁ⁿ i",
		`\frac{-b \pm \sqrt{b^2-4ac}}{2a}`:       "(−b ± √(b²−4ac)) / 2a",
		`\begin{pmatrix}1 & 2\\3&4\end{pmatrix}`: "( 1  2 )\n( 3  4 )",
		`\text{if } x \in \mathbb{R}`:            "if x ∈ ℝ",
		`\left( \hat{x} \right)^{T}`:             "( x̂ )ᵀ",
		`x_{\max}`:                               "xₘₐₓ",
		`e^{i\pi}`:                               "e^(iπ)",
		`\sin\theta + \cos(x)`:                   "sin θ + cos(x)",
		`a' \to b \quad c`:                       "a′ → b  c",
	} {
		if got, ok := latex(source); !ok || got != want {
			t.Errorf("%s: %q, %v; want %q", source, got, ok, want)
		}
	}
	for _, source := range []string{"", "{", "}", `\frac{a}`, `\`, `\undefined`, `x^`, `\begin{tikz}\end{tikz}`, `\sqrt[`, strings.Repeat("{", 100)} {
		if got, ok := latex(source); ok {
			t.Errorf("%s: %q", source, got)
		}
	}
}

func ExampleMarkdown() {
	t := Markdown("The **answer** is `42`.")
	fmt.Println(t.String)
	for _, e := range t.Entities {
		fmt.Println(e.Type, e.Offset, e.Length)
	}
	// Output:
	// The answer is 42.
	// bold 4 6
	// code 14 2
}
