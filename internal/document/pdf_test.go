package document

import (
	"bytes"
	"compress/zlib"
	"context"
	_ "embed"
	"encoding/ascii85"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// browser.pdf is a page of ours as a browser prints it: fonts of two-byte codes, objects
// packed and unpacked, letters of several scripts.
//
//go:embed testdata/browser.pdf
var browser []byte

func browserPDF(testing.TB) []byte { return bytes.Clone(browser) }

// pdfOf writes a PDF of objects, numbered from 1, of which the first is the catalogue.
func pdfOf(trailer string, objects ...string) []byte {
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	for i, o := range objects {
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	fmt.Fprintf(&b, "trailer\n<</Root 1 0 R %s>>\n%%%%EOF", trailer)
	return b.Bytes()
}

func streamOf(fields, content string) string {
	return fmt.Sprintf("<<%s /Length %d>>\nstream\n%s\nendstream", fields, len(content), content)
}

func packed(content string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write([]byte(content))
	_ = w.Close()
	return b.String()
}

// bomb is what unpacks to a word over and over, that many bytes in all: one piece is packed
// behind its like, and then repeated as it is.
func bomb(word string, size int) string {
	const piece = 1 << 20
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = io.WriteString(w, strings.Repeat(word, piece/len(word)))
	_ = w.Flush()
	first := b.Len()
	_, _ = io.WriteString(w, strings.Repeat(word, piece/len(word)))
	_ = w.Flush()
	return b.String() + strings.Repeat(b.String()[first:], size/piece-2)
}

// contentPDF has a page for each content, in Helvetica.
func contentPDF(font string, contents ...string) []byte {
	var kids strings.Builder
	objects := []string{"<</Type/Catalog/Pages 2 0 R>>", "", font}
	for i, c := range contents {
		fmt.Fprintf(&kids, "%d 0 R ", 4+2*i)
		objects = append(objects, fmt.Sprintf("<</Type/Page/Parent 2 0 R/Contents %d 0 R>>", 5+2*i), streamOf("", c))
	}
	objects[1] = "<</Type/Pages/Resources<</Font<</F1 3 0 R>>>>/Kids[" + kids.String() + "]>>"
	return pdfOf("", objects...)
}

func inASCII85(content string) string {
	to := make([]byte, ascii85.MaxEncodedLen(len(content)))
	return string(to[:ascii85.Encode(to, []byte(content))]) + "~>"
}

// inLZW packs a text letter by letter, without making use of the table, which both sides
// begin anew before its codes grow.
func inLZW(content string) string {
	var to []byte
	bits, n := uint32(0), 0
	put := func(code uint32) {
		bits, n = bits<<9|code, n+9
		for n >= 8 {
			to, n = append(to, byte(bits>>(n-8))), n-8
		}
	}
	for i := range len(content) {
		if i%200 == 0 {
			put(lzwClear)
		}
		put(uint32(content[i]))
	}
	put(lzwEnd)
	bits, n = bits<<8, n+8
	return string(append(to, byte(bits>>(n-8))))
}

const helvetica = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"

func simplePDF(words ...string) []byte {
	var contents []string
	for _, w := range words {
		contents = append(contents, "BT /F1 12 Tf 72 700 Td ("+w+") Tj ET")
	}
	return contentPDF(helvetica, contents...)
}

// packedPDF has its page in a stream of objects.
func packedPDF(words, keyword string) []byte {
	inside := "<</Type/Pages/Kids[11 0 R]>> <</Type/Page/Contents 3 0 R/Resources<</Font<</F1 12 0 R>>>>>> " + helvetica
	second, third := strings.Index(inside, "<</Type/Page/"), strings.Index(inside, helvetica)
	head := fmt.Sprintf("10 0 11 %d 12 %d ", second, third)
	objects := packed(head + inside)
	content := packed("BT /F1 12 Tf 72 700 Td (" + words + ") Tj ET")
	return pdfOf("", "<</Type/Catalog/Pages 10 0 R>>",
		strings.Replace(streamOf(fmt.Sprintf("/Type/ObjStm/N 3/First %d/Filter/FlateDecode", len(head)), objects), "stream", keyword, 1),
		streamOf("/Filter/FlateDecode", content))
}

func TestPDF(t *testing.T) {
	const cmap = "/CIDInit /ProcSet findresource begin 1 begincodespacerange <0000> <FFFF> endcodespacerange " +
		"1 beginbfchar <0001> <0416> endbfchar 2 beginbfrange <0002> <0004> <0061> <0005> <0006> [<4E2D> <D83DDE42>] endbfrange end"
	wide := "<</Type/Font/Subtype/Type0/Encoding/Identity-H/ToUnicode 6 0 R/DescendantFonts[<</DW 500/W[1[600] 2 4 400]>>]>>"
	withMap := bytes.Replace(contentPDF(wide, "BT /F1 10 Tf <0001000200030004> Tj 100 0 Td <00050006> Tj ET"), []byte("trailer"), []byte("6 0 obj\n"+streamOf("", cmap)+"\nendobj\ntrailer"), 1)
	for _, c := range []struct {
		name string
		pdf  []byte
		want string
	}{
		{"a browser's", browserPDF(t), "Отчёт за квартал\nRevenue grew by 12 % — “fine”, said Ada."},
		{"words", simplePDF(`Hello, \(world\) \251 caf\351`), "Hello, (world) © café"},
		{"pages", simplePDF("one", "two"), "one\n\ntwo"},
		{"packed objects", packedPDF("Hello", "stream"), "Hello"},
		{"lines and gaps", contentPDF(helvetica, "BT /F1 10 Tf 12 TL 50 700 Td [(He) 20 (llo) -400 (there)] TJ T* (next) ' 0 -60 Td (far) Tj ET"), "Hello there\n\nnext\n\nfar"},
		{"a table", contentPDF(helvetica, "BT /F1 10 Tf 50 700 Td (a) Tj 200 0 Td (b) Tj ET"), "a\tb"},
		{"letters by name", contentPDF("<</Type/Font/Subtype/Type1/Encoding<</Differences[1/A/eacute/uni0416/afii10065/fi/Euro]>>>>",
			`BT /F1 10 Tf (\001\002\003\004\005\006) Tj ET`), "AéЖаfi€"},
		{"a table of codes", withMap, "Жabc\t中🙂"},
		{"a form", bytes.Replace(bytes.Replace(contentPDF(helvetica, "/X Do"), []byte("<</F1 3 0 R>>"), []byte("<</F1 3 0 R>>/XObject<</X 9 0 R>>"), 1), []byte("trailer"),
			[]byte("9 0 obj\n"+streamOf("/Subtype/Form", "BT /F1 10 Tf (within) Tj /X Do ET")+"\nendobj\ntrailer"), 1), "within"},
		{"a picture within", contentPDF(helvetica, "BI /W 1 /H 1 ID \x00(EIno) Tj EI BT /F1 10 Tf (after) Tj ET"), "after"},
		{"an object twice: the later holds", append(simplePDF("old"), []byte("\n5 0 obj\n"+streamOf("", "BT /F1 10 Tf (new) Tj ET")+"\nendobj\ntrailer<</Root 1 0 R>>")...), "new"},
		{"a wrong length", bytes.Replace(simplePDF("Hello"), []byte("/Length 3"), []byte("/Length 9"), 1), "Hello"},
		{"no trailer", bytes.Replace(simplePDF("Hello"), []byte("trailer"), []byte("nothing"), 1), "Hello"},
		{"rubbish before it", append([]byte("rubbish\n"), simplePDF("Hello")...), "Hello"},
		{"other ways of packing", pdfOf("", "<</Type/Catalog/Pages 2 0 R>>", "<</Kids[3 0 R]>>",
			"<</Contents[4 0 R 5 0 R 6 0 R]/Resources<</Font<</F1 7 0 R>>>>>>", streamOf("/Filter/ASCIIHexDecode", fmt.Sprintf("%x>", "BT /F1 9 Tf (in digits,) Tj")),
			streamOf("/Filter[/ASCII85Decode/LZWDecode]", inASCII85(inLZW("( in letters,) Tj"))), streamOf("/Filter/LZWDecode", inLZW(strings.Repeat(" ", 600)+"( and long) Tj ET")), helvetica),
			"in digits, in letters, and long"},
	} {
		got, err := Read(t.Context(), "a.pdf", c.pdf, 10_000)
		if err != nil || !strings.HasPrefix(got.Words, c.want) || got.Kind != KindPDF || got.Cut {
			t.Errorf("%s: %q (cut %t), %v", c.name, got.Words, got.Cut, err)
		}
	}
}

func TestPDFRefused(t *testing.T) {
	cycle := pdfOf("", "<</Type/Catalog/Pages 2 0 R>>", "<</Kids[2 0 R 2 0 R]>>")
	for _, c := range []struct {
		name string
		pdf  []byte
		want error
	}{
		{"locked", pdfOf("/Encrypt 3 0 R", "<</Pages 2 0 R>>", "<</Kids[]>>", "<</Filter/Standard>>"), ErrLocked},
		{"a scan", contentPDF(helvetica, "q 1 0 0 1 0 0 cm /Im1 Do Q"), ErrWordless},
		{"nothing in it", []byte("%PDF-1.7"), ErrBroken},
		{"pages that hold themselves", cycle, ErrBroken},
		{"a number that names itself", pdfOf("", "<</Pages 2 0 R>>", "2 0 R"), ErrBroken},
		{"deep nesting", pdfOf("", strings.Repeat("[", 100_000)), ErrBroken},
		{"a bomb", pdfOf("", "<</Type/Catalog/Pages 2 0 R>>", "<</Kids[3 0 R]>>", "<</Contents 4 0 R>>",
			streamOf("/Filter[/FlateDecode/FlateDecode]", packed(bomb("0 ", 2*unpackMax)))), ErrBroken},
	} {
		if got, err := Read(t.Context(), "a.pdf", c.pdf, 10_000); !errors.Is(err, c.want) || got.Words != "" {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// A long PDF is read as far as wanted, and a hopeless one no longer than its time.
func TestPDFBounds(t *testing.T) {
	pages := make([]string, 300)
	for i := range pages {
		pages[i] = fmt.Sprintf("page %d %s", i+1, strings.Repeat("word ", 20))
	}
	got, err := Read(t.Context(), "a.pdf", simplePDF(pages...), 5000)
	if err != nil || !got.Cut || got.Pages != 300 || got.Read < 30 || got.Read > 60 || len(got.Words) > 5000 {
		t.Errorf("%d bytes, %d of %d pages, %v", len(got.Words), got.Read, got.Pages, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	if _, err := Read(ctx, "a.pdf", simplePDF(pages...), 5000); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("its time is over: %v", err)
	}
}
