package format

import (
	"html"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
)

// What Telegram takes as one rich message.
const (
	richMost    = 32768 // UTF-16 units of text; counted here with the tags, to be on the safe side
	richBlocks  = 500
	richDepth   = 16
	richColumns = 20
)

// Rich writes an answer in Markdown as the HTML of Telegram's rich messages, below a
// quotation and above a note in plain words, each of which may be empty. It is not ok
// where that is more than one such message may hold.
func Rich(quote, source, note string) (string, bool) {
	if len(source) > sourceMost {
		return "", false
	}
	root, raw, ok := parse(source)
	if !ok {
		return "", false
	}
	r := rich{source: raw}
	if !blank(quote) {
		r.element("blockquote", func() { r.text(quote) })
	}
	r.children(root, 0)
	if !blank(note) {
		r.element("footer", func() { r.text(strings.TrimSpace(note)) })
	}
	page := r.out.String()
	return page, !r.over && r.blocks <= richBlocks && Units(page) <= richMost
}

// rich walks a syntax tree and writes it as HTML.
type rich struct {
	out    strings.Builder
	source []byte
	blocks int
	over   bool // too deep, or too wide
	inLink bool
}

func (r *rich) text(s string) {
	r.out.WriteString(html.EscapeString(strings.Map(func(c rune) rune {
		if dropped(c) || c < ' ' && c != '\n' && c != '\t' {
			return -1
		}
		return c
	}, s)))
}

// element writes an element; attributes, if any, stand behind its name.
func (r *rich) element(name string, body func()) {
	r.out.WriteString("<" + name + ">")
	body()
	if space := strings.IndexByte(name, ' '); space > 0 {
		name = name[:space]
	}
	r.out.WriteString("</" + name + ">")
}

func (r *rich) children(n ast.Node, depth int) {
	if depth > richDepth {
		r.over = true
		return
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		r.node(c, depth+1)
	}
}

func (r *rich) node(node ast.Node, depth int) {
	within := func() { r.children(node, depth) }
	if node.Type() == ast.TypeBlock {
		r.blocks++
	}
	switch n := node.(type) {
	case *ast.Heading:
		r.element("h"+strconv.Itoa(n.Level), within)
	case *ast.Blockquote:
		r.element("blockquote", within)
	case *ast.List:
		r.list(n, within)
	case *ast.ListItem:
		r.element("li", within)
	case *ast.FencedCodeBlock:
		r.code(n, language(string(n.Language(r.source))))
	case *ast.CodeBlock:
		r.code(n, "")
	case *ast.ThematicBreak:
		r.out.WriteString("<hr/>")
	case *ast.HTMLBlock:
		r.element("p", func() { r.text(strings.TrimSpace(r.lines(n))) })
	case *east.Table:
		r.table(n, depth)
	case *east.Footnote:
		r.element("p", func() { r.text(footnoteMark(n.Index) + " "); within() })
	case *mathBlock:
		body, _, _ := strings.Cut(r.lines(n), n.end)
		r.element("tg-math-block", func() { r.text(strings.TrimSpace(body)) })
	case *ast.LinkReferenceDefinition:
	case *ast.Paragraph:
		r.element("p", within)
	default:
		r.inline(node, within)
	}
}

func (r *rich) inline(node ast.Node, within func()) {
	switch n := node.(type) {
	case *ast.Text:
		r.text(unescape(n.Segment.Value(r.source)))
		if n.SoftLineBreak() || n.HardLineBreak() {
			r.out.WriteString("<br/>")
		}
	case *ast.String:
		r.text(string(n.Value))
	case *ast.Emphasis:
		r.element([]string{"i", "b"}[min(n.Level, 2)-1], within)
	case *east.Strikethrough:
		r.element("s", within)
	case *ast.CodeSpan:
		r.element("code", func() {
			for c := n.FirstChild(); c != nil; c = c.NextSibling() {
				if t, ok := c.(*ast.Text); ok {
					r.text(strings.ReplaceAll(string(t.Segment.Value(r.source)), "\n", " "))
				}
			}
		})
	case *ast.Link:
		r.link(string(n.Destination), within)
	case *ast.Image:
		r.link(string(n.Destination), func() { r.text("🖼 "); within() })
	case *ast.AutoLink:
		r.text(string(n.Label(r.source)))
	case *ast.RawHTML:
		for i := range n.Segments.Len() {
			segment := n.Segments.At(i)
			r.text(breaks(string(segment.Value(r.source))))
		}
	case *east.TaskCheckBox:
		r.text(map[bool]string{true: "☑ ", false: "☐ "}[n.IsChecked])
	case *east.FootnoteLink:
		r.text(footnoteMark(n.Index))
	case *east.FootnoteBacklink:
	case *mathInline:
		r.element("tg-math", func() { r.text(strings.TrimSpace(n.source)) })
	default:
		within()
	}
}

// link writes a link, or its words where Telegram would not take the address.
func (r *rich) link(to string, within func()) {
	address, valid := linkAddress(resolve([]byte(to)))
	if !valid || r.inLink {
		within()
		return
	}
	r.inLink = true
	r.element(`a href="`+html.EscapeString(address)+`"`, within)
	r.inLink = false
}

func (r *rich) list(n *ast.List, within func()) {
	switch {
	case !n.IsOrdered():
		r.element("ul", within)
	case n.Start != 1:
		r.element(`ol start="`+strconv.Itoa(n.Start)+`"`, within)
	default:
		r.element("ol", within)
	}
}

func (r *rich) lines(n ast.Node) string {
	w := writer{source: r.source}
	return w.lines(n)
}

func (r *rich) code(n ast.Node, language string) {
	body := func() { r.text(strings.Trim(r.lines(n), "\n")) }
	name := "code"
	if language != "" {
		name += ` class="language-` + language + `"`
	}
	r.element("pre", func() { r.element(name, body) })
}

func (r *rich) table(n *east.Table, depth int) {
	r.over = r.over || len(n.Alignments) > richColumns
	r.element("table", func() {
		for row := n.FirstChild(); row != nil; row = row.NextSibling() {
			name := "td"
			if _, header := row.(*east.TableHeader); header {
				name = "th"
			}
			r.blocks++
			r.element("tr", func() {
				for c := row.FirstChild(); c != nil; c = c.NextSibling() {
					tag := name
					if cell, ok := c.(*east.TableCell); ok && cell.Alignment != east.AlignNone {
						tag += ` align="` + cell.Alignment.String() + `"`
					}
					r.element(tag, func() { r.children(c, depth+2) })
				}
			})
		}
	})
}
