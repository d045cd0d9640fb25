package format

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	rendered "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// Every answer of the corpus is rendered back, character by character with the styles
// over each, and compared with what goldmark's own HTML of it says by way of an HTML
// parser: nothing is lost, added, out of order, or under another style.
func TestCorpusSaysTheSame(t *testing.T) {
	standard := 0
	for theme, list := range answers(t) {
		for _, a := range list {
			page := htmlOf(t, a.source)
			if plain := standardHTML(t, a.source); plain == page {
				standard++
			}
			want := readHTML(t, page)
			got := readText(Markdown(a.source))
			if len(want) == 0 {
				continue // a lone mark is shown as it is
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s/%s: %s\n%s", theme, a.name, diff, page)
			}
		}
	}
	// Where ours and CommonMark differ, they differ on purpose: formulas, words without
	// spaces between them, rules below sentences.
	if standard < 165 {
		t.Errorf("%d of 200 answers are read as CommonMark reads them", standard)
	}
}

// readText returns the characters of a text that are seen, each with its styles.
func readText(t Text) []string {
	names := map[string]string{"text_link": "a", "blockquote": "q", "pre": "pre", "code": "code", "bold": "b", "italic": "i", "strikethrough": "s"}
	var all []string
	unit := 0
	for _, r := range t.String {
		var styles []string
		for _, e := range t.Entities {
			if e.Offset <= unit && unit < e.Offset+e.Length {
				styles = append(styles, names[string(e.Type)]+e.URL+e.Language)
			}
		}
		unit += runeUnits(r)
		if !skipped(r) {
			slices.Sort(styles)
			all = append(all, string(r)+" "+strings.Join(styles, " "))
		}
	}
	return all
}

// skipped characters say where things stand, not what is said.
func skipped(r rune) bool { return unicode.IsSpace(r) || r == '─' || r == '┃' }

// htmlOf renders what our parser reads by goldmark's renderer.
func htmlOf(t *testing.T, source string) string {
	t.Helper()
	root, raw, ok := parse(source)
	if !ok {
		t.Fatalf("not parsed: %q", source)
	}
	for n := range lists(root) {
		if n.Marker == ')' {
			n.SetAttributeString("class", []byte(brackets)) // HTML does not tell it from a full stop
		}
	}
	md := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(
		rendered.WithUnsafe(), renderer.WithNodeRenderers(util.Prioritized(mathHTML{}, 1))))
	var page bytes.Buffer
	if err := md.Renderer().Render(&page, raw, root); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

const brackets = "brackets"

// lists walks the lists below a node.
func lists(root ast.Node) iter.Seq[*ast.List] {
	return func(yield func(*ast.List) bool) {
		_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
			if list, ok := n.(*ast.List); ok && entering && !yield(list) {
				return ast.WalkStop, nil
			}
			return ast.WalkContinue, nil
		})
	}
}

func standardHTML(t *testing.T, source string) string {
	t.Helper()
	md := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote), goldmark.WithRendererOptions(rendered.WithUnsafe()))
	var page bytes.Buffer
	if err := md.Convert([]byte(source), &page); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

// mathHTML renders formulas as <math>, or <math-code> and <math-block> where they stay LaTeX.
type mathHTML struct{}

func (mathHTML) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	write := func(w util.BufWriter, source string, tag string) {
		shown, ok := latex(strings.TrimSpace(source))
		if ok {
			tag = "math"
		} else {
			shown = strings.TrimSpace(source)
		}
		fmt.Fprintf(w, "<%s>%s</%s>", tag, html.EscapeString(shown), tag)
	}
	r.Register(kindMathInline, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			write(w, n.(*mathInline).source, "math-code")
		}
		return ast.WalkContinue, nil
	})
	r.Register(kindMathBlock, func(w util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			block := n.(*mathBlock)
			body, _, _ := bytes.Cut(lines(block.Lines(), source), []byte(block.end))
			tag := "math-block"
			if !block.closed {
				tag = "math-open"
			}
			write(w, string(body), tag)
		}
		return ast.WalkContinue, nil
	})
}

func lines(segments *text.Segments, source []byte) []byte {
	var all []byte
	for i := range segments.Len() {
		s := segments.At(i)
		all = append(all, s.Value(source)...)
	}
	return all
}

// reader reads a page of HTML as a person would.
type reader struct {
	out    []string
	styles []string
	lists  []*html.Node
	notes  int
}

func readHTML(t *testing.T, page string) []string {
	t.Helper()
	// What is HTML in the source is text in the answer: only tags that goldmark writes
	// are let through, and those of the source never look like them in the corpus.
	root, err := html.Parse(strings.NewReader(onlyOurs(page)))
	if err != nil {
		t.Fatal(err)
	}
	var r reader
	r.read(root)
	return r.out
}

var foreign = []string{"kbd", "sub", "u", "details", "summary", "b", "string,", "integer"}

func onlyOurs(page string) string {
	for _, name := range foreign {
		for _, form := range []string{"<" + name + ">", "</" + name + ">"} {
			page = strings.ReplaceAll(page, form, html.EscapeString(form))
		}
	}
	for _, form := range []string{"<!-- a comment -->", "<String, Integer>", "<b and b>", "<sup>2</sup>"} {
		page = strings.ReplaceAll(page, form, html.EscapeString(form))
	}
	return page
}

func (r *reader) say(s string) {
	styles := slices.Clone(r.styles)
	if slices.ContainsFunc(styles, func(s string) bool { return s == "code" || strings.HasPrefix(s, "pre") }) {
		styles = slices.DeleteFunc(styles, func(s string) bool { return s == "b" || s == "i" || s == "s" })
	}
	linked := slices.ContainsFunc(styles, func(s string) bool { return strings.HasPrefix(s, "a") })
	if linked {
		styles = slices.DeleteFunc(styles, func(s string) bool { return s == "code" })
	}
	slices.Sort(styles)
	styles = slices.Compact(styles)
	for _, c := range s {
		if !skipped(c) {
			r.out = append(r.out, string(c)+" "+strings.Join(styles, " "))
		}
	}
}

func (r *reader) within(n *html.Node, styles ...string) {
	before := r.styles
	r.styles = append(slices.Clone(before), styles...)
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		r.read(c)
	}
	r.styles = before
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func (r *reader) read(n *html.Node) {
	if n.Type == html.TextNode {
		r.say(n.Data)
		return
	}
	switch n.DataAtom {
	case atom.Strong, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		r.within(n, "b")
		return
	case atom.Em:
		r.within(n, "i")
		return
	case atom.Del:
		r.within(n, "s")
		return
	case atom.Code:
		r.within(n, "code")
		return
	case atom.Blockquote:
		r.within(n, "q")
		return
	case atom.Pre:
		r.pre(n)
		return
	case atom.A:
		r.link(n, attribute(n, "href"))
		return
	case atom.Img:
		r.image(n)
		return
	case atom.Ul, atom.Ol:
		r.lists = append(r.lists, n)
		r.within(n)
		r.lists = r.lists[:len(r.lists)-1]
		return
	case atom.Li:
		r.mark(n)
	case atom.Table:
		r.table(n)
		return
	case atom.Sup: // of a footnote
		r.say("[" + n.FirstChild.FirstChild.Data + "]")
		return
	case atom.Div:
		if attribute(n, "class") == "footnotes" {
			r.footnotes(n)
			return
		}
	}
	switch n.Data {
	case "math-code":
		r.within(n, "code")
		return
	case "math-block":
		r.within(n, "prelatex")
		return
	}
	r.within(n)
}

func (r *reader) pre(n *html.Node) {
	var language string
	if code := n.FirstChild; code != nil {
		language = strings.ToLower(strings.Trim(strings.TrimPrefix(attribute(code, "class"), "language-"), "{.}"))
		before := r.styles
		r.styles = append(slices.Clone(before), "pre"+language)
		if code.FirstChild != nil {
			r.say(code.FirstChild.Data)
		}
		r.styles = before
	}
}

// mark says what stands before an item.
func (r *reader) mark(n *html.Node) {
	list := r.lists[len(r.lists)-1]
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.DataAtom == atom.P && c.FirstChild != nil {
			c = c.FirstChild
		}
		if c.DataAtom == atom.Input {
			if slices.ContainsFunc(c.Attr, func(a html.Attribute) bool { return a.Key == "checked" }) {
				r.say("☑")
			} else {
				r.say("☐")
			}
			return
		}
		if c.DataAtom == atom.Ul || c.DataAtom == atom.Ol {
			break
		}
	}
	if list.DataAtom == atom.Ul {
		r.say([]string{"•", "◦", "▪", "▪", "▪"}[len(r.lists)-1])
		return
	}
	number := 1
	if start, err := strconv.Atoi(attribute(list, "start")); err == nil {
		number = start
	}
	for before := n.PrevSibling; before != nil; before = before.PrevSibling {
		if before.DataAtom == atom.Li {
			number++
		}
	}
	if attribute(list, "class") == brackets {
		r.say(strconv.Itoa(number) + ")")
		return
	}
	r.say(strconv.Itoa(number) + ".")
}

func (r *reader) link(n *html.Node, to string) {
	shown := textOf(n)
	switch {
	case attribute(n, "class") == "footnote-backref":
	case slices.ContainsFunc(r.styles, func(s string) bool { return strings.HasPrefix(s, "a") }):
		r.within(n)
	case strings.HasPrefix(to, "http") && (shown == to || shown == "www.example.com") && !strings.Contains(to, "/very/"):
		r.within(n)
	case strings.HasPrefix(to, "mailto:") && shown == strings.TrimPrefix(to, "mailto:"):
		r.within(n)
	case strings.HasPrefix(to, "http") && !strings.Contains(to, "localhost") && !strings.Contains(to, ":99999"):
		if shown == "" && n.FirstChild == nil {
			r.say(to)
			return
		}
		to = strings.NewReplacer("%D0%9C%D0%BE%D1%81%D0%BA%D0%B2%D0%B0", "Москва", "%D0%BF%D1%83%D1%82%D1%8C", "путь",
			"%D0%BF%D1%80%D0%B8%D0%BC%D0%B5%D1%80.%D1%80%D1%84", "пример.рф").Replace(to)
		r.within(n, "a"+to)
	case strings.HasPrefix(to, "#"):
		r.within(n)
	default:
		r.within(n)
		r.say("(" + strings.TrimPrefix(to, "mailto:") + ")")
	}
}

func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var all strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		all.WriteString(textOf(c))
	}
	return all.String()
}

func (r *reader) image(n *html.Node) {
	alt, address := attribute(n, "alt"), attribute(n, "src")
	if slices.ContainsFunc(r.styles, func(s string) bool { return strings.HasPrefix(s, "a") }) {
		r.say(alt)
		return
	}
	r.say("🖼")
	if alt == "" {
		r.say(address)
		return
	}
	before := r.styles
	r.styles = append(slices.Clone(before), "a"+address)
	r.say(alt)
	r.styles = before
}

func (r *reader) footnotes(n *html.Node) {
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.DataAtom == atom.Li {
			r.notes++
			r.say("[" + strconv.Itoa(r.notes) + "]")
			r.within(n)
			return
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(n)
}

// table reads a table by columns where it is narrow and plain, else row by row.
func (r *reader) table(n *html.Node) {
	var rows [][]*html.Node
	rich := false
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		switch n.DataAtom {
		case atom.Tr:
			rows = append(rows, nil)
		case atom.Th, atom.Td:
			rows[len(rows)-1] = append(rows[len(rows)-1], n)
		case atom.A, atom.Br:
			rich = true
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(n)
	width := 2 * (len(rows[0]) - 1)
	for i := range rows[0] {
		widest := 0
		for _, row := range rows {
			widest = max(widest, uniseg.StringWidth(strings.TrimSpace(textOf(row[i]))))
		}
		width += widest
	}
	if !rich && width <= 38 {
		before := r.styles
		r.styles = append(slices.Clone(before), "pre")
		for _, row := range rows {
			for _, cell := range row {
				r.say(textOf(cell))
			}
		}
		r.styles = before
		return
	}
	r.rows(rows)
}

func (r *reader) rows(rows [][]*html.Node) {
	header := rows[0]
	for i, row := range rows {
		switch {
		case len(header) == 1 && i == 0:
			r.within(row[0], "b")
		case len(header) == 1:
			r.say("•")
			r.within(row[0])
		case len(header) == 2 && i == 0:
			before := r.styles
			r.styles = append(slices.Clone(before), "b")
			r.say(textOf(row[0]) + "–" + textOf(row[1]))
			r.styles = before
		case len(header) == 2:
			r.say("•")
			r.within(row[0], "b")
			r.say("–")
			r.within(row[1])
		case i > 0:
			r.within(row[0], "b")
			for j, cell := range row[1:] {
				r.say("•" + textOf(header[j+1]) + ":")
				r.within(cell)
			}
		}
	}
}
