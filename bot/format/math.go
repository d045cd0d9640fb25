package format

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

var (
	kindMathInline = ast.NewNodeKind("MathInline")
	kindMathBlock  = ast.NewNodeKind("MathBlock")
)

// mathInline is a formula in a line: $x$, \(x\), or a display that stands in one.
type mathInline struct {
	ast.BaseInline
	raw    string // with its delimiters
	source string // LaTeX
}

func (n *mathInline) Kind() ast.NodeKind { return kindMathInline }

func (n *mathInline) Dump(source []byte, level int) { ast.DumpHelper(n, source, level, nil, nil) }

// mathBlock is a formula on lines of its own: between $$ and $$, or \[ and \].
type mathBlock struct {
	ast.BaseBlock
	end    string // what closes it
	closed bool
}

func (n *mathBlock) Kind() ast.NodeKind { return kindMathBlock }

func (n *mathBlock) Dump(source []byte, level int) { ast.DumpHelper(n, source, level, nil, nil) }

func (n *mathBlock) IsRaw() bool { return true }

// delimiters of formulas; the longer before those they begin with.
var delimiters = [...]struct{ open, end string }{
	{"$$", "$$"}, {`\[`, `\]`}, {`\(`, `\)`}, {"$", "$"},
}

type mathInlineParser struct{}

func (mathInlineParser) Trigger() []byte { return []byte{'$', '\\'} }

func (mathInlineParser) Parse(_ ast.Node, block text.Reader, _ parser.Context) ast.Node {
	line, _ := block.PeekLine()
	for _, d := range delimiters {
		if !bytes.HasPrefix(line, []byte(d.open)) {
			continue
		}
		body, _, found := bytes.Cut(line[len(d.open):], []byte(d.end))
		if !found || len(bytes.TrimSpace(body)) == 0 {
			return nil
		}
		size := len(d.open) + len(body) + len(d.end)
		switch {
		case d.open == "$" && !formula(block.PrecendingCharacter(), body, line[size:]):
			return nil
		case d.open[0] == '\\' && prose(body):
			return nil // brackets, escaped as Markdown asks
		}
		block.Advance(size)
		return &mathInline{raw: string(line[:size]), source: string(body)}
	}
	return nil
}

// formula tells whether what stands between two dollar signs is one, and not the words
// between two prices or two variables of a shell.
func formula(before rune, body, after []byte) bool {
	first, last := rune(body[0]), rune(body[len(body)-1])
	next, _ := utf8.DecodeRune(after)
	switch {
	case unicode.IsSpace(first), unicode.IsSpace(last), last == '\\', bytes.IndexByte(body, '`') >= 0:
		return false
	case word(before), len(after) > 0 && word(next) && next < utf8.RuneSelf:
		return false
	}
	return true
}

const wordLeast = 3 // letters of a word that is no product of variables

// prose tells whether what stands between escaped brackets is words.
func prose(body []byte) bool {
	if bytes.ContainsAny(body, `\^_={}+<>/|`) {
		return false
	}
	letters := 0
	for _, r := range string(body) {
		if letters++; !unicode.IsLetter(r) {
			letters = 0
		}
		if letters == wordLeast {
			return true
		}
	}
	return false
}

func word(r rune) bool {
	return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '$'
}

type mathBlockParser struct{}

func (mathBlockParser) Trigger() []byte { return []byte{'$', '\\'} }

func (mathBlockParser) Open(_ ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, segment := reader.PeekLine()
	at := pc.BlockOffset()
	if at < 0 {
		return nil, parser.NoChildren
	}
	rest := string(line[at:])
	var end string
	switch {
	case strings.HasPrefix(rest, "$$"):
		end = "$$"
	case strings.HasPrefix(rest, `\[`):
		end = `\]`
	default:
		return nil, parser.NoChildren
	}
	body := strings.TrimSpace(rest[len(end):])
	within, after, found := strings.Cut(body, end)
	switch {
	case found && (strings.TrimSpace(after) != "" || strings.TrimSpace(within) == ""):
		return nil, parser.NoChildren // it stands in a line of text
	case !found && body != "" && !closes(reader.Source()[segment.Stop:], end):
		return nil, parser.NoChildren
	}
	node := &mathBlock{end: end, closed: found}
	start := segment.Start + at - segment.Padding + len(end)
	node.Lines().Append(text.NewSegment(start, segment.Stop))
	reader.AdvanceToEOL()
	return node, parser.NoChildren
}

// closes tells whether the end of a formula follows before an empty line.
func closes(source []byte, end string) bool {
	if blank := bytes.Index(source, []byte("\n\n")); blank >= 0 {
		source = source[:blank]
	}
	return bytes.Contains(source, []byte(end))
}

func (mathBlockParser) Continue(node ast.Node, reader text.Reader, _ parser.Context) parser.State {
	n, ok := node.(*mathBlock)
	if !ok || n.closed {
		return parser.Close
	}
	line, segment := reader.PeekLine()
	if util.IsBlank(line) {
		return parser.Close
	}
	n.Lines().Append(segment)
	n.closed = bytes.Contains(line, []byte(n.end))
	reader.AdvanceToEOL()
	return parser.Continue | parser.NoChildren
}

func (mathBlockParser) Close(ast.Node, text.Reader, parser.Context) {}

func (mathBlockParser) CanInterruptParagraph() bool { return true }

func (mathBlockParser) CanAcceptIndentedLine() bool { return false }

// formula writes a display: in plain characters where they suffice, else its source.
func (w *writer) formula(n *mathBlock) {
	raw := w.lines(n)
	body, after, _ := strings.Cut(raw, n.end)
	body = strings.TrimSpace(body)
	switch shown, ok := latex(body); {
	case body == "":
	case !n.closed:
		w.b.write(body) // not written to its end yet
	case ok:
		w.b.write(shown)
	default:
		w.code(body, "latex")
	}
	if after = strings.TrimSpace(after); after != "" {
		w.b.breakLine(1)
		w.b.write(after)
	}
}

func (w *writer) inlineFormula(n *mathInline) {
	if shown, ok := latex(strings.TrimSpace(n.source)); ok {
		w.b.write(shown)
		return
	}
	w.inCode(strings.TrimSpace(n.source))
}
