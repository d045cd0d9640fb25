package format

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"
	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/util"
)

func quoteEntity(from int) models.MessageEntity {
	return models.MessageEntity{Type: models.MessageEntityTypeBlockquote, Offset: from}
}

func codeEntity(from int, language string) models.MessageEntity {
	return models.MessageEntity{Type: models.MessageEntityTypePre, Offset: from, Language: language}
}

// inlines writes what stands in a line of node.
func (w *writer) inlines(node ast.Node) {
	for n := node.FirstChild(); n != nil; n = n.NextSibling() {
		w.inline(n)
	}
}

func (w *writer) inline(node ast.Node) {
	switch n := node.(type) {
	case *ast.Text:
		w.text(n)
	case *ast.String:
		w.b.write(string(n.Value))
	case *ast.Emphasis:
		kind := italic
		if n.Level > 1 {
			kind = bold
		}
		w.styled(n, kind)
	case *east.Strikethrough:
		w.styled(n, strike)
	case *ast.CodeSpan:
		w.codeSpan(n)
	case *ast.Link:
		w.link(n, string(n.Destination))
	case *ast.Image:
		w.image(n)
	case *ast.AutoLink:
		w.b.write(string(n.Label(w.source)))
	case *ast.RawHTML:
		w.rawHTML(n)
	case *east.FootnoteLink:
		w.b.write(footnoteMark(n.Index))
	case *mathInline:
		w.inlineFormula(n)
	case *east.TaskCheckBox, *east.FootnoteBacklink:
	default:
		w.inlines(n)
	}
}

func (w *writer) styled(n ast.Node, s style) {
	w.b.open(s)
	w.inlines(n)
	w.b.shut(s)
}

// text writes characters, with references resolved and escapes undone.
func (w *writer) text(n *ast.Text) {
	value := n.Segment.Value(w.source)
	if n.IsRaw() {
		w.b.write(string(value))
	} else {
		w.b.write(unescape(value))
	}
	// Who writes a line break in a chat means one, whether Markdown calls it soft or hard.
	if n.SoftLineBreak() || n.HardLineBreak() {
		w.b.gap++
	}
}

// unescape resolves character references, and undoes the backslashes before punctuation.
func unescape(value []byte) string {
	if bytes.IndexByte(value, '\\') < 0 {
		return resolve(value)
	}
	var out strings.Builder
	from := 0
	for i := 0; i+1 < len(value); i++ {
		if value[i] == '\\' && util.IsPunct(value[i+1]) {
			out.WriteString(resolve(value[from:i]))
			out.WriteByte(value[i+1]) // apart, so that it makes no reference
			i++
			from = i + 1
		}
	}
	out.WriteString(resolve(value[from:]))
	return out.String()
}

const referenceMost = 34 // bytes of the longest name of a character

// resolve replaces references such as &amp; and &#8364; by their characters.
func resolve(value []byte) string {
	at := bytes.IndexByte(value, '&')
	if at < 0 {
		return string(value)
	}
	var out strings.Builder
	for ; at >= 0; at = bytes.IndexByte(value, '&') {
		out.Write(value[:at])
		value = value[at:]
		end := bytes.IndexByte(value[:min(len(value), referenceMost)], ';') + 1
		if end == 0 {
			end = 1
		}
		reference := value[:end]
		character := util.ResolveNumericReferences(reference)
		if bytes.Equal(character, reference) {
			character = util.ResolveEntityNames(reference)
		}
		out.Write(character)
		value = value[end:]
	}
	out.Write(value)
	return out.String()
}

// codeSpan writes code in a line. Within a link it is text: the two exclude each other.
func (w *writer) codeSpan(n *ast.CodeSpan) {
	var raw strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			raw.Write(t.Segment.Value(w.source))
		}
	}
	w.inCode(strings.ReplaceAll(raw.String(), "\n", " "))
}

func (w *writer) inCode(code string) {
	if w.b.inLink || strings.TrimSpace(code) == "" {
		w.b.write(code)
		return
	}
	from := w.b.here()
	w.b.suspend()
	w.b.write(code)
	w.b.entity(models.MessageEntity{Type: models.MessageEntityTypeCode, Offset: from})
	w.b.resume()
}

// link writes a link's text over its address. An address that Telegram would not take
// stands in brackets, unless it leads to a place within the answer.
func (w *writer) link(n ast.Node, to string) {
	if w.b.inLink {
		w.inlines(n)
		return
	}
	to = resolve([]byte(to))
	from := w.b.here()
	address, valid := linkAddress(to)
	w.b.inLink = valid
	w.inlines(n)
	w.b.inLink = false
	empty := w.b.units == from
	switch {
	case valid && empty:
		w.b.write(address)
	case valid:
		w.b.entity(models.MessageEntity{Type: models.MessageEntityTypeTextLink, Offset: from, URL: address})
	case empty:
		w.b.write(to)
	case to != "" && !strings.HasPrefix(to, "#") && !strings.HasSuffix(w.b.out.String(), strings.TrimPrefix(to, "mailto:")):
		w.b.write(" (" + strings.TrimPrefix(to, "mailto:") + ")")
	}
}

// image writes a link to a picture: a message of text has no pictures of its own.
func (w *writer) image(n *ast.Image) {
	if w.b.inLink {
		w.inlines(n)
		return
	}
	w.b.write("🖼 ")
	w.link(n, string(n.Destination))
}

// rawHTML writes a tag as it stands there; those that only break a line do.
func (w *writer) rawHTML(n *ast.RawHTML) {
	var raw strings.Builder
	for i := range n.Segments.Len() {
		segment := n.Segments.At(i)
		raw.Write(segment.Value(w.source))
	}
	w.b.write(breaks(raw.String()))
}

var lineBreaks = strings.NewReplacer("<br>", "\n", "<br/>", "\n", "<br />", "\n", "<BR>", "\n")

func breaks(raw string) string { return lineBreaks.Replace(raw) }

// footnoteMark is what refers to a note, and stands before it.
func footnoteMark(index int) string { return "[" + strconv.Itoa(index) + "]" }
