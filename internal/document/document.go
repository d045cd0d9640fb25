package document

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Kind is what a file is.
type Kind string

// The kinds.
const (
	KindText Kind = "text" // and code, CSV, JSON, Markdown …
	KindHTML Kind = "HTML"
	KindPDF  Kind = "PDF"
)

var (
	// ErrUnknown is a file that is no document of a kind that is read.
	ErrUnknown = errors.New("document: not a kind that is read")
	// ErrDisguised is a file whose name says that it is a PDF, which it is not.
	ErrDisguised = errors.New("document: not what its name says")
	// ErrLocked is a PDF that needs a password.
	ErrLocked = errors.New("document: needs a password")
	// ErrBroken is a file that is damaged, or made to be unreadable.
	ErrBroken = errors.New("document: damaged")
	// ErrWordless is a file with no words in it, such as a scan.
	ErrWordless = errors.New("document: no words in it")
)

// Text is what a file says.
type Text struct {
	Kind  Kind
	Words string // valid UTF-8
	Cut   bool   // there is more
	Pages int    // of a PDF
	Read  int    // pages of a PDF that are in Words, the last of them perhaps in part
}

// Read returns the first most bytes of what a file says. The errors are the package's own,
// and ctx's.
func Read(ctx context.Context, name string, content []byte, most int) (Text, error) {
	if at := bytes.Index(content[:min(len(content), headMost)], []byte("%PDF-")); at >= 0 {
		return readPDF(ctx, content[at:], most)
	}
	if strings.EqualFold(path.Ext(name), ".pdf") {
		return Text{}, ErrDisguised
	}
	words, err := decode(content, most)
	if err != nil {
		return Text{}, err
	}
	t := Text{Kind: KindText, Words: words}
	if isHTML(name, words) {
		t.Kind, t.Words = KindHTML, plain(words)
	}
	t.Words = tidy(t.Words)
	if strings.TrimSpace(t.Words) == "" {
		return Text{}, ErrWordless
	}
	t.Words, t.Cut = cut(t.Words, most)
	t.Cut = t.Cut || len(content) > decodeMost(most)
	return t, nil
}

// headMost is how far from its beginning a PDF may begin, in bytes, as its readers have it.
const headMost = 1024

// decodeMost is how much of a file is decoded for so many bytes of text.
func decodeMost(most int) int { return 8*most + 1<<10 }

// cut cuts a text to at most so many bytes, at the end of a line where one is near, else of
// a word, else of a rune.
func cut(text string, most int) (string, bool) {
	if len(text) <= most {
		return text, false
	}
	text = whole(text[:most])
	for _, end := range []string{"\n", " "} {
		if at := strings.LastIndex(text, end); at > len(text)-len(text)/8 {
			return text[:at], true
		}
	}
	return text, true
}

// whole leaves out the last rune where it was cut.
func whole(text string) string {
	for cutOff := 0; cutOff < utf8.UTFMax && cutOff < len(text); cutOff++ {
		if r, size := utf8.DecodeLastRuneInString(text); r != utf8.RuneError || size != 1 {
			break
		}
		text = text[:len(text)-1]
	}
	return text
}

// tidy makes all ends of lines one newline and leaves out what cannot be seen, and empty
// lines beyond two in a row.
func tidy(text string) string {
	var to strings.Builder
	to.Grow(len(text))
	empty := 0
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(strings.Map(visible, line), " \t")
		if line == "" {
			if empty++; empty > 2 {
				continue
			}
		} else {
			empty = 0
		}
		to.WriteString(line)
		to.WriteByte('\n')
	}
	return strings.Trim(to.String(), "\n")
}

// visible leaves out control characters but the tab.
func visible(r rune) rune {
	if r < ' ' && r != '\t' || r == 0x7f || r == 0xFEFF || r == utf8.RuneError {
		return -1
	}
	return r
}

// isHTML tells whether a text is a web page.
func isHTML(name, text string) bool {
	if slices.Contains([]string{".html", ".htm", ".xhtml"}, strings.ToLower(path.Ext(name))) {
		return true
	}
	head := strings.ToLower(strings.TrimSpace(text[:min(len(text), headMost)]))
	return path.Ext(name) == "" && (strings.HasPrefix(head, "<!doctype html") || strings.HasPrefix(head, "<html"))
}
