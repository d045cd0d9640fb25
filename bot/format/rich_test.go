package format

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

func TestRich(t *testing.T) {
	for source, want := range map[string]string{
		"# A **b**":                          "<h1>A <b>b</b></h1>",
		"a *b* ~~c~~ `d<`\ne":                "<p>a <i>b</i> <s>c</s> <code>d&lt;</code><br/>e</p>",
		"- [x] a\n- b":                       "<ul><li>☑ a</li><li>b</li></ul>",
		"3. a":                               `<ol start="3"><li>a</li></ol>`,
		"> a":                                "<blockquote><p>a</p></blockquote>",
		"```go\nx<y\n```":                    `<pre><code class="language-go">x&lt;y</code></pre>`,
		"|a|b|\n|:-:|-|\n|1|[c](http://d.e)": `<table><tr><th align="center">a</th><th>b</th></tr><tr><td align="center">1</td><td><a href="http://d.e">c</a></td></tr></table>`,
		"$x^2$ and\n\n$$\ny\n$$":             "<p><tg-math>x^2</tg-math> and</p><tg-math-block>y</tg-math-block>",
		"[a](javascript:b) <b>c</b>":         "<p>a &lt;b&gt;c&lt;/b&gt;</p>",
		"---":                                "<hr/>",
	} {
		got, ok := Rich("", source, "")
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%q: %v %s", source, ok, diff)
		}
	}
	got, ok := Rich("said <b>", "a", "\n\n$1 · b")
	if want := "<blockquote>said &lt;b&gt;</blockquote><p>a</p><footer>$1 · b</footer>"; got != want || !ok {
		t.Errorf("%v %s", ok, got)
	}
}

func TestRichLimits(t *testing.T) {
	for name, source := range map[string]string{
		"text":    strings.Repeat("word ", richMost/5+1),
		"blocks":  strings.Repeat("a\n\n", richBlocks+1),
		"depth":   strings.Repeat("> ", richDepth+1) + "a",
		"columns": strings.Repeat("|a", richColumns+1) + "|\n" + strings.Repeat("|-", richColumns+1) + "|\n",
	} {
		if _, ok := Rich("", source, ""); ok {
			t.Errorf("too much of %s passes", name)
		}
	}
}

// Every answer of the corpus is one rich message, in HTML whose tags close in order.
func TestCorpusRich(t *testing.T) {
	for theme, list := range answers(t) {
		for _, a := range list {
			page, ok := Rich("", a.source, "")
			if !ok {
				t.Errorf("%s/%s: too much", theme, a.name)
			}
			var open []string
			tokens := html.NewTokenizer(strings.NewReader(page))
			for kind := tokens.Next(); kind != html.ErrorToken; kind = tokens.Next() {
				tag, _ := tokens.TagName()
				switch name := string(tag); kind {
				case html.StartTagToken:
					open = append(open, name)
				case html.EndTagToken:
					if len(open) == 0 || open[len(open)-1] != name {
						t.Fatalf("%s/%s: </%s> in %v: %s", theme, a.name, name, open, page)
					}
					open = open[:len(open)-1]
				}
			}
			if len(open) > 0 {
				t.Errorf("%s/%s: %v stay open", theme, a.name, open)
			}
		}
	}
}
