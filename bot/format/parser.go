package format

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// markdownParser returns the parser, which is made once and may be used by many at once.
var markdownParser = sync.OnceValue(func() parser.Parser {
	p := util.Prioritized
	return parser.NewParser(
		parser.WithBlockParsers(
			p(mathBlockParser{}, 90),
			p(underlined{parser.NewSetextHeadingParser()}, 100),
			p(parser.NewThematicBreakParser(), 200),
			p(shallow{parser.NewListParser()}, 300),
			p(parser.NewListItemParser(), 400),
			p(parser.NewCodeBlockParser(), 500),
			p(parser.NewATXHeadingParser(), 600),
			p(parser.NewFencedCodeBlockParser(), 700),
			p(shallow{parser.NewBlockquoteParser()}, 800),
			p(parser.NewHTMLBlockParser(), 900),
			p(extension.NewFootnoteBlockParser(), 999),
			p(parser.NewParagraphParser(), 1000),
		),
		parser.WithInlineParsers(
			p(extension.NewTaskCheckBoxParser(), 0),
			p(mathInlineParser{}, 50),
			p(parser.NewCodeSpanParser(), 100),
			p(extension.NewFootnoteParser(), 101),
			p(parser.NewLinkParser(), 200),
			p(parser.NewAutoLinkParser(), 300),
			p(parser.NewRawHTMLParser(), 400),
			p(emphasis{}, 500),
			p(strikethrough{extension.NewStrikethroughParser()}, 500),
			p(extension.NewLinkifyParser(), 999),
		),
		parser.WithParagraphTransformers(
			p(parser.LinkReferenceParagraphTransformer, 100),
			p(extension.NewTableParagraphTransformer(), 200),
		),
		parser.WithASTTransformers(
			p(extension.NewTableASTTransformer(), 0),
			p(extension.NewFootnoteASTTransformer(), 999),
		),
	)
})

const depthMost = 24 // of blocks within blocks; a list counts twice, as it is of items

// shallow is the parser of a block that holds others. Deeper than anybody reads, its mark
// is text: a line of nothing but marks would cost the square of its length.
type shallow struct{ parser.BlockParser }

func (s shallow) Open(parent ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	depth := 0
	for n := parent; n != nil; n = n.Parent() {
		if depth++; depth > depthMost {
			return nil, parser.NoChildren
		}
	}
	return s.BlockParser.Open(parent, reader, pc)
}

const (
	underlineLeast = 3  // hyphens that make a heading; fewer are an item about to be written
	titleMost      = 80 // bytes of a line that hyphens below make a heading
)

// underlined is the parser of headings with a line below them. Hyphens below what reads
// as a sentence are a rule, which is how models use them.
type underlined struct{ parser.BlockParser }

func (u underlined) Open(parent ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	line, _ := reader.PeekLine()
	line = util.TrimRightSpace(util.TrimLeftSpace(line))
	if len(line) > 0 && line[0] == '-' && !(len(line) >= underlineLeast && titleAbove(reader, pc)) {
		return nil, parser.NoChildren
	}
	return u.BlockParser.Open(parent, reader, pc)
}

// titleAbove tells whether the paragraph that is open is one short line that does not
// end like a sentence.
func titleAbove(reader text.Reader, pc parser.Context) bool {
	paragraph, ok := pc.LastOpenedBlock().Node.(*ast.Paragraph)
	if !ok || paragraph.Lines().Len() != 1 {
		return false
	}
	segment := paragraph.Lines().At(0)
	title := util.TrimRightSpace(segment.Value(reader.Source()))
	last, _ := utf8.DecodeLastRune(title)
	switch last {
	case '.', '!', '?', ':', ';', ',', '…', '。', '！', '？', '：', '؟', '*', '|':
		return false
	}
	return len(title) <= titleMost
}

// strikethrough wants two tildes: one is "about", or a range in Chinese.
type strikethrough struct{ parser.InlineParser }

func (s strikethrough) Parse(parent ast.Node, block text.Reader, pc parser.Context) ast.Node {
	if line, _ := block.PeekLine(); len(line) < 2 || line[1] != '~' {
		return nil
	}
	return s.InlineParser.Parse(parent, block, pc)
}

// emphasis is CommonMark's, but for text without spaces between words: there
// **“so”**said or **so：**said are bold, though a mark of punctuation stands inside. And
// a star between digits multiplies.
type emphasis struct{}

func (emphasis) Trigger() []byte { return []byte{'*', '_'} }

func (emphasis) Parse(_ ast.Node, block text.Reader, pc parser.Context) ast.Node {
	before := block.PrecendingCharacter()
	line, segment := block.PeekLine()
	node := parser.ScanDelimiter(line, before, 1, emphasisProcessor{})
	if node == nil {
		return nil
	}
	if node.Char == '*' {
		after := ' '
		if node.OriginalLength < len(line) {
			after = util.ToRune(line, node.OriginalLength)
		}
		switch {
		case unicode.IsDigit(before) && unicode.IsDigit(after): // 2*3*4
			node.CanOpen, node.CanClose = false, false
		case dense(before) || dense(after):
			node.CanOpen = node.CanOpen || !util.IsSpaceRune(after)
			node.CanClose = node.CanClose || !util.IsSpaceRune(before)
		}
	}
	node.Segment = segment.WithStop(segment.Start + node.OriginalLength)
	block.Advance(node.OriginalLength)
	pc.PushDelimiter(node)
	return node
}

// dense tells whether a character is of a script that writes words without spaces, or
// its punctuation.
func dense(r rune) bool {
	if r < 0x0E00 {
		return false
	}
	return r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFFEF ||
		unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai)
}

type emphasisProcessor struct{}

func (emphasisProcessor) IsDelimiter(b byte) bool { return b == '*' || b == '_' }

func (emphasisProcessor) CanOpenCloser(opener, closer *parser.Delimiter) bool {
	return opener.Char == closer.Char
}

func (emphasisProcessor) OnMatch(consumes int) ast.Node { return ast.NewEmphasis(consumes) }
