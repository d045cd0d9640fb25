package format

import (
	"strings"
	"testing"

	"github.com/yuin/goldmark/ast"
)

// What costs the square of its length is kept short: blocks within blocks, and lines.
func TestBounds(t *testing.T) {
	const size = 64 << 10
	for _, mark := range []string{"> ", "- ", "1. ", "> - "} {
		root, _, ok := parse(strings.Repeat(mark, size/len(mark)))
		if !ok {
			t.Fatalf("%q is not parsed", mark)
		}
		deepest := 0
		depth := 0
		_ = ast.Walk(root, func(_ ast.Node, entering bool) (ast.WalkStatus, error) {
			if entering {
				depth++
			} else {
				depth--
			}
			deepest = max(deepest, depth)
			return ast.WalkContinue, nil
		})
		if deepest > depthMost+4 {
			t.Errorf("%q: %d blocks within blocks", mark, deepest)
		}
	}
	for _, word := range []string{"[a](", "word ", "🙂"} {
		long := strings.Repeat(word, size/len(word))
		short := clean(long)
		for line := range strings.Lines(short) {
			if len(line) > lineMost+1 {
				t.Errorf("%q: a line of %d bytes", word, len(line))
			}
		}
		if strings.ReplaceAll(short, "\n", "") != long {
			t.Errorf("%q: changed", word)
		}
	}
	if huge := Markdown("**" + strings.Repeat("a", sourceMost) + "**"); len(huge.Entities) != 0 {
		t.Error("a source too long was read as Markdown")
	}
}

// frame is an answer of about 4,000 characters with all that answers have.
func frame(tb testing.TB) string {
	var all strings.Builder
	for _, a := range answers(tb)["10-answers"] {
		all.WriteString(a.source + "\n\n")
	}
	const characters = 4000
	twice := []rune(all.String() + all.String())
	return string(twice[:characters])
}

// BenchmarkFrame is what showing 4,000 characters of an answer costs; BenchmarkLongFrame
// its end when it has become five messages long.
func BenchmarkFrame(b *testing.B) {
	source := frame(b)
	b.ReportAllocs()
	for b.Loop() {
		Markdown(source).Tail(MessageMost)
	}
}

func BenchmarkLongFrame(b *testing.B) {
	source := strings.Repeat(frame(b)+"\n\n", 5)
	b.ReportAllocs()
	for b.Loop() {
		Markdown(source).Tail(MessageMost)
	}
}

func BenchmarkSplit(b *testing.B) {
	shown := Markdown(strings.Repeat(frame(b)+"\n\n", 5))
	b.ReportAllocs()
	for b.Loop() {
		shown.Split(MessageMost)
	}
}
