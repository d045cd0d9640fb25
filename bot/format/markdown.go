package format

import (
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

// sourceMost is how much is read as Markdown, in bytes: more than a model may answer,
// less than what would keep a processor busy. A longer source is shown as it is.
const sourceMost = 256 << 10

// Markdown reads source, complete or broken off anywhere, and returns what to show.
func Markdown(source string) Text {
	if len(source) > sourceMost {
		return Plain(source)
	}
	root, raw, ok := parse(source)
	if !ok {
		return Plain(source)
	}
	w := writer{source: raw}
	w.blocks(root, false)
	shown := w.b.finish()
	if shown.Blank() {
		return Plain(source) // a lone mark, say, or a definition that nothing refers to
	}
	return shown
}

// parse returns the syntax tree of source and the bytes that its nodes point into; not
// ok where the parser gave up.
func parse(source string) (root ast.Node, raw []byte, ok bool) {
	defer func() {
		// Whatever a parser meets in what a machine wrote: its formatting is lost then,
		// the answer is not.
		if recover() != nil {
			root, raw, ok = nil, nil, false
		}
	}()
	raw = []byte(clean(source))
	return markdownParser().Parse(text.NewReader(raw)), raw, true
}

// lineMost is the length of a line in bytes; a longer one is broken. No message has room
// for it, and of some mistakes in a line the parser makes the square of its length.
const lineMost = 8 << 10

// clean makes source valid, its line breaks alike and its lines not too long.
func clean(source string) string {
	source = strings.ToValidUTF8(source, "\uFFFD")
	if strings.IndexByte(source, '\r') >= 0 {
		source = strings.ReplaceAll(source, "\r\n", "\n")
		source = strings.ReplaceAll(source, "\r", "\n")
	}
	if len(source) > lineMost {
		return shortLines(source)
	}
	return source
}

// shortLines breaks lines that are too long: after a space, else after a character.
func shortLines(source string) string {
	var out strings.Builder
	for line := range strings.Lines(source) {
		for len(line) > lineMost {
			at := strings.LastIndexByte(line[:lineMost], ' ') + 1
			if at < lineMost/2 {
				for at = lineMost; !utf8.RuneStart(line[at]); at-- {
				}
			}
			out.WriteString(line[:at] + "\n")
			line = line[at:]
		}
		out.WriteString(line)
	}
	return out.String()
}

// writer walks a syntax tree and writes it down.
type writer struct {
	b      builder
	source []byte
	lists  int // how many lists are around
	quotes int // how many quotations
}

// blocks writes the blocks within node: close together, as in a tight list, or with an
// empty line between where that reads better.
func (w *writer) blocks(node ast.Node, tight bool) {
	for n := node.FirstChild(); n != nil; n = n.NextSibling() {
		if before := n.PreviousSibling(); before != nil {
			if tight || w.close(before, n) {
				w.b.breakLine(1)
			} else {
				w.b.breakLine(2)
			}
		}
		w.block(n)
	}
}

// close tells whether a block stands right below another: below its heading, below the
// line that introduces a list, or because one of them is shown in a box of its own.
func (w *writer) close(before, n ast.Node) bool {
	_, heading := before.(*ast.Heading)
	_, another := n.(*ast.Heading)
	_, list := n.(*ast.List)
	switch {
	case heading && !another:
		return true
	case list && !n.HasBlankPreviousLines():
		return ast.IsParagraph(before)
	}
	return w.boxed(before) != w.boxed(n)
}

// boxed tells whether a block is code or a quotation, which Telegram sets apart itself.
func (w *writer) boxed(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.FencedCodeBlock, *ast.CodeBlock, *ast.Blockquote:
		return true
	case *east.Table:
		_, fit := columns(w.cells(n))
		return fit
	}
	return false
}

func (w *writer) block(node ast.Node) {
	switch n := node.(type) {
	case *ast.Heading:
		if n.HasChildren() {
			w.b.open(bold)
			w.inlines(n)
			w.b.shut(bold)
		}
	case *ast.Blockquote:
		w.quotation(n)
	case *ast.List:
		w.list(n)
	case *ast.FencedCodeBlock:
		w.code(w.lines(n), language(string(n.Language(w.source))))
	case *ast.CodeBlock:
		w.code(w.lines(n), "")
	case *ast.ThematicBreak:
		w.b.write(rule)
	case *ast.HTMLBlock:
		raw := w.lines(n)
		if n.HasClosure() {
			raw += string(n.ClosureLine.Value(w.source))
		}
		w.b.write(breaks(strings.TrimRight(raw, "\n")))
	case *east.Table:
		w.table(n)
	case *east.FootnoteList:
		w.footnotes(n)
	case *mathBlock:
		w.formula(n)
	case *ast.LinkReferenceDefinition:
	default: // paragraphs, and the text of an item
		w.inlines(n)
	}
}

const rule = "──────────"

// lines returns the source of a block that is not parsed further.
func (w *writer) lines(n ast.Node) string {
	var raw strings.Builder
	for i := range n.Lines().Len() {
		segment := n.Lines().At(i)
		raw.Write(segment.Value(w.source))
	}
	return raw.String()
}

// quotation writes a quotation; one within another has a bar before its lines, since
// Telegram does not nest them.
func (w *writer) quotation(n *ast.Blockquote) {
	indent, quoted := w.b.indent, w.b.quoted
	w.b.indent = ""
	if w.b.lead != "" {
		w.b.begin() // the item's mark stays outside
	}
	w.b.breakLine(1)
	if w.quotes++; w.quotes > 1 {
		w.b.quoted += "┃ "
		w.blocks(n, false)
	} else {
		from := w.b.here()
		w.blocks(n, false)
		w.b.entity(quoteEntity(from))
	}
	w.quotes--
	w.b.indent, w.b.quoted = indent, quoted
	w.b.breakLine(1)
}

// code writes a block of code. In front of it nothing is indented.
func (w *writer) code(source, language string) {
	source = strings.Trim(source, "\n")
	if strings.TrimSpace(source) == "" {
		return
	}
	indent, quoted := w.b.indent, w.b.quoted
	w.b.indent, w.b.quoted = "", ""
	if w.b.lead != "" {
		w.b.begin()
	}
	w.b.breakLine(1)
	from := w.b.here()
	w.b.column = 0
	w.b.verbatim(source)
	w.b.entity(codeEntity(from, language))
	w.b.indent, w.b.quoted = indent, quoted
	w.b.breakLine(1)
}

// language returns the name of a programming language fit for an entity, or "".
func language(name string) string {
	name = strings.ToLower(strings.Trim(name, "{}. \t"))
	if len(name) > 32 || strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("+#.-_", r)
	}) {
		return ""
	}
	return name
}

// footnotes writes the notes that were referred to, numbered.
func (w *writer) footnotes(n *east.FootnoteList) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		note, ok := c.(*east.Footnote)
		if !ok {
			continue
		}
		w.b.breakLine(1)
		w.b.lead = footnoteMark(note.Index) + " "
		w.blocks(note, true)
		w.b.lead = ""
	}
}
