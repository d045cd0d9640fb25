package document

import (
	"errors"
	"io"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// unseen are elements whose content is not for readers.
var unseen = []atom.Atom{atom.Script, atom.Style, atom.Template, atom.Noscript, atom.Svg, atom.Head, atom.Iframe, atom.Object}

// inline are elements that do not end a line.
var inline = []atom.Atom{
	atom.A, atom.Abbr, atom.B, atom.Bdi, atom.Bdo, atom.Cite, atom.Code, atom.Data, atom.Del, atom.Dfn, atom.Em, atom.Font, atom.I, atom.Img, atom.Ins,
	atom.Kbd, atom.Label, atom.Mark, atom.Q, atom.S, atom.Samp, atom.Small, atom.Span, atom.Strong, atom.Sub, atom.Sup, atom.Time, atom.U, atom.Var, atom.Wbr,
}

// plain returns the words of a web page as a reader sees them: blocks on lines of their
// own, cells apart, scripts and styles left out.
func plain(page string) string {
	z := html.NewTokenizer(strings.NewReader(page))
	w := &lines{}
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			if errors.Is(z.Err(), io.EOF) || w.Len() > 0 {
				return w.String()
			}
			return page
		case html.TextToken:
			if w.hidden == 0 {
				w.text(string(z.Text()))
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			w.tag(atom.Lookup(name), kind)
		}
	}
}

// lines is a text made of elements.
type lines struct {
	strings.Builder
	hidden int  // depth within elements that are not seen
	pre    int  // depth within elements whose blanks stand as they are
	blank  bool // a blank is due before the next word
}

func (w *lines) tag(tag atom.Atom, kind html.TokenType) {
	closing, alone := kind == html.EndTagToken, kind == html.SelfClosingTagToken
	switch {
	case slices.Contains(unseen, tag):
		if !alone {
			w.hidden = deeper(w.hidden, closing)
		}
		return
	case tag == atom.Body: // a head that was never closed ends here
		w.hidden = 0
	case tag == atom.Pre:
		w.pre = deeper(w.pre, closing)
	}
	switch {
	case w.hidden > 0, tag == 0, slices.Contains(inline, tag):
	case tag == atom.Td || tag == atom.Th:
		if closing {
			w.WriteByte('\t')
			w.blank = false
		}
	case tag == atom.Li && !closing:
		w.line()
		w.WriteString("- ")
	default:
		w.line()
	}
}

func deeper(depth int, closing bool) int {
	if closing {
		return max(0, depth-1)
	}
	return depth + 1
}

// line ends the line, if it has begun.
func (w *lines) line() {
	if text := w.String(); text != "" && text[len(text)-1] != '\n' {
		w.WriteByte('\n')
	}
	w.blank = false
}

func (w *lines) text(text string) {
	if w.pre > 0 {
		w.WriteString(text)
		return
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		w.blank = w.blank || text != ""
		return
	}
	begun := w.String()
	if (w.blank || strings.TrimLeft(text, " \t\r\n") != text) && begun != "" && !strings.HasSuffix(begun, "\n") && !strings.HasSuffix(begun, " ") && !strings.HasSuffix(begun, "\t") {
		w.WriteByte(' ')
	}
	w.WriteString(strings.Join(words, " "))
	w.blank = strings.TrimRight(text, " \t\r\n") != text
}
