package document

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, file, content string
		words               string // all of them
		kind                Kind
		err                 error
	}{
		{name: "UTF-8", file: "a.txt", content: "Grüße, мир", words: "Grüße, мир", kind: KindText},
		{name: "a mark at its beginning", file: "a.txt", content: "\xEF\xBB\xBFone\r\ntwo\rthree", words: "one\ntwo\nthree", kind: KindText},
		{name: "UTF-16", file: "a.txt", content: "\xFF\xFEa\x00\x3c\x04", words: "aм", kind: KindText},
		{name: "UTF-16, the other way round", file: "a.txt", content: "\xFE\xFF\x00a\x04\x3c", words: "aм", kind: KindText},
		{name: "Cyrillic of one byte a letter", file: "a.txt", content: "\xcf\xf0\xe8\xe2\xe5\xf2, \xec\xe8\xf0", words: "Привет, мир", kind: KindText},
		{name: "Western of one byte a letter", file: "a.txt", content: "Gr\xfc\xdf aus K\xf6ln", words: "Grüß aus Köln", kind: KindText},
		{name: "code", file: "a.go", content: "package a\n\n\n\n\n\nfunc f() {\n\treturn \n}\n", words: "package a\n\n\nfunc f() {\n\treturn\n}", kind: KindText},
		{name: "a page", file: "a.html", content: "<html><head><title>no</title></head><body><h1>Head</h1><p>One <b>two</b>\n three<br>four<ul><li>x<li>y</ul>" +
			"<table><tr><td>1<td>2</table><pre>a  b\n c</pre><script>no</script>&amp;", words: "Head\nOne two three\nfour\n- x\n- y\n12\na  b\n c\n&", kind: KindHTML},
		{name: "a page with its cells ended", file: "a.htm", content: "<table><tr><td>1</td><td>2</td></tr></table>", words: "1\t2", kind: KindHTML},
		{name: "nothing", file: "a.txt", err: ErrWordless},
		{name: "blanks", file: "a.txt", content: " \n\t", err: ErrWordless},
		{name: "a program", file: "a.txt", content: "\x7fELF\x02\x01\x01\x00\x00", err: ErrUnknown},
		{name: "control characters", file: "a.txt", content: strings.Repeat("\x01\x02a", 50), err: ErrUnknown},
		{name: "a zip named pdf", file: "a.PDF", content: "PK\x03\x04", err: ErrDisguised},
	} {
		got, err := Read(t.Context(), c.file, []byte(c.content), 10_000)
		if !errors.Is(err, c.err) || got.Words != c.words || got.Kind != c.kind || got.Cut {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// However long a file is, no more is returned than wanted, and it says so.
func TestCut(t *testing.T) {
	for name, line := range map[string]string{"lines": "some words here\n", "words": "слово за словом ", "one word": "ж", "emoji": "🙂"} {
		content := strings.Repeat(line, 1<<20/len(line))
		got, err := Read(t.Context(), "a.txt", []byte(content), 1000)
		if err != nil || !got.Cut || len(got.Words) > 1000 || len(got.Words) < 800 || !utf8.ValidString(got.Words) || !strings.HasPrefix(content, got.Words) {
			t.Errorf("%s: %d bytes, cut %t, %v", name, len(got.Words), got.Cut, err)
		}
	}
	if got, err := Read(t.Context(), "a.txt", []byte("just so"), 7); err != nil || got.Cut || got.Words != "just so" {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whatever comes in place of a file, what comes out is short, valid, or an error.
func FuzzRead(f *testing.F) {
	for _, seed := range [][]byte{browserPDF(f), simplePDF("Hello"), packedPDF("Hello", "stream"), []byte("<p>a<table>"), []byte("\xff\xfea\x00")} {
		f.Add("a.pdf", seed)
		f.Add("a.html", seed)
	}
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		got, err := Read(ctx, name, content, 1000)
		if len(got.Words) > 1000 || !utf8.ValidString(got.Words) || err == nil && strings.TrimSpace(got.Words) == "" || err != nil && got.Words != "" {
			t.Errorf("%d bytes, %v", len(got.Words), err)
		}
		for _, known := range []error{nil, ErrUnknown, ErrBroken, ErrDisguised, ErrLocked, ErrWordless} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Errorf("%v", err)
	})
}
