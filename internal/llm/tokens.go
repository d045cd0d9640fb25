package llm

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tiktoken-go/tokenizer"
	"github.com/tiktoken-go/tokenizer/codec"
)

const (
	// maxPiece bounds what is encoded at once: merging takes quadratic time, and
	// a long run without spaces would be one word.
	maxPiece = 256 // bytes
	// maxCounted is how much of a text is counted; longer ones are scaled.
	maxCounted = 64 << 10 // bytes

	messageTokens = 4   // what a message's frame costs
	answerTokens  = 3   // what opens the answer
	imageTokens   = 765 // an image of 1024 × 1024, at most what the model allows

	bytesPerToken = 4 // where the vocabulary does not load
)

// Counter counts tokens for answers whose provider does not. It uses the
// vocabulary o200k for every model: an estimate, marked as such wherever it is
// used. The zero Counter loads the vocabulary at first use, in about a quarter of
// a second; it may be used from any goroutine.
type Counter struct {
	once  sync.Once
	codec tokenizer.Codec
}

// Count estimates the tokens of a text; at least 1 where there is any.
func (c *Counter) Count(text string) int64 {
	if text == "" {
		return 0
	}
	var t tally
	return c.countOn(&t, text[:countable(text)], len(text))
}

// tally is how far a growing text has been counted: whole pieces, which stay what
// they are whatever follows.
type tally struct {
	bytes  int
	tokens int64
}

// countOn counts a text of so many bytes, of which the tally has the beginning: tail
// is what follows that, up to what is countable.
func (c *Counter) countOn(t *tally, tail string, whole int) int64 {
	c.once.Do(func() { c.codec = codec.NewO200kBase() })
	tokens := int64(0)
	for rest := tail; rest != ""; {
		piece := rest[:pieceEnd(rest)]
		tokens = c.piece(piece)
		if rest = rest[len(piece):]; rest != "" { // the last one may grow
			t.bytes, t.tokens, tokens = t.bytes+len(piece), t.tokens+tokens, 0
		} else if counted := t.bytes + len(piece); counted < whole {
			return max(1, (t.tokens+tokens)*int64(whole)/int64(counted))
		}
	}
	return max(1, t.tokens+tokens)
}

// countable is how much of a text is counted.
func countable[T string | []byte](text T) int {
	if len(text) <= maxCounted {
		return len(text)
	}
	return runeStart(text, maxCounted)
}

func (c *Counter) piece(text string) int64 {
	n, err := c.codec.Count(text)
	if err != nil {
		n = (len(text) + bytesPerToken - 1) / bytesPerToken
	}
	return int64(n)
}

// pieceEnd is where to cut: at most maxPiece bytes, before a space if one is near.
func pieceEnd(text string) int {
	if len(text) <= maxPiece {
		return len(text)
	}
	if space := strings.LastIndexAny(text[maxPiece/2:maxPiece], " \n"); space >= 0 {
		return maxPiece/2 + space
	}
	return runeStart(text, maxPiece)
}

// runeStart is the last start of a rune at or before i, or i where there is none near.
func runeStart[T string | []byte](text T, i int) int {
	for back := range utf8.UTFMax {
		if i-back > 0 && utf8.RuneStart(text[i-back]) {
			return i - back
		}
	}
	return i
}
