package llm

import "sync"

// maxTranscript is how much of an answer's text is kept to be counted; what is
// beyond is counted in portions.
const maxTranscript = 256 << 10 // bytes

// Transcript gathers a streamed answer's text, so that it can be counted where
// the provider does not say what it used. It is for one goroutine, but for
// SentTokens.
type Transcript struct {
	counter *Counter
	any     bool

	counting sync.Mutex // taken before mu
	tally    tally      // of text

	mu      sync.Mutex
	text    []byte
	sent    int   // bytes of text
	counted int64 // tokens of text that is no longer kept
}

// NewTranscript counts by way of counter.
func NewTranscript(counter *Counter) *Transcript { return &Transcript{counter: counter} }

// Any says that anything of an answer has come.
func (t *Transcript) Any() bool { return t.any }

// Tokens counts what has come.
func (t *Transcript) Tokens() int64 { return t.tokens(false) }

// SentTokens counts what has been passed on. Any goroutine may call it, and keeps
// the transcript's own from nothing but Tokens meanwhile.
func (t *Transcript) SentTokens() int64 { return t.tokens(true) }

func (t *Transcript) tokens(sent bool) int64 {
	t.counting.Lock()
	defer t.counting.Unlock()
	t.mu.Lock()
	text, counted := t.text, t.counted
	if sent {
		text = text[:t.sent]
	}
	whole, end, known := len(text), countable(text), &t.tally
	if known.bytes > end { // more than was passed on has been counted
		known = new(tally)
	}
	tail := string(text[known.bytes:end])
	t.mu.Unlock()
	if whole == 0 {
		return counted
	}
	return counted + t.counter.countOn(known, tail, whole)
}

// Sent notes that all that has come was passed on, and returns how many bytes of
// text that makes more than before.
func (t *Transcript) Sent() int {
	t.mu.Lock()
	fresh, long := len(t.text)-t.sent, len(t.text) > maxTranscript
	t.sent = len(t.text)
	t.mu.Unlock()
	if long {
		t.fold()
	}
	return fresh
}

// fold keeps the number of a long text in place of the text.
func (t *Transcript) fold() {
	tokens := t.tokens(false)
	t.counting.Lock()
	defer t.counting.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted, t.text, t.sent, t.tally = tokens, t.text[:0], 0, tally{}
}

// keep adds text of an answer.
func (t *Transcript) keep(text string) {
	t.any = true
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
}

// made notes something of an answer that is not text.
func (t *Transcript) made() {
	t.any = true
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counted = max(t.counted, 1) // something, for whoever asks what was sent
}
