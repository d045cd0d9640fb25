package llm

import (
	"errors"
	"sync"

	"github.com/tidwall/gjson"
)

// maxTranscript is how much of an answer's text is kept to be counted; what is
// beyond is counted in portions.
const maxTranscript = 256 << 10 // bytes

// ErrBrokenEvent means that an event's data is not what the protocol says.
var ErrBrokenEvent = errors.New("llm: the provider sent an event that makes no sense")

// Chunk is what one event of a streamed answer holds besides text.
type Chunk struct {
	Text    bool         // it brought something of the answer
	Choices bool         // it has a choice
	Finish  string       // the finish reason of a choice that ended with it
	Usage   gjson.Result // null: none
	Content string       // the first choice's words
	Error   bool         // the provider reports an error
}

// Transcript gathers a streamed answer's text, so that it can be counted where
// the provider does not say what it used. It is for one goroutine, but for
// SentTokens.
type Transcript struct {
	Finished bool // some choice has a finish reason
	ID       string
	Model    string
	Created  int64

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

// Add reads the data of an event. ErrBrokenEvent.
func (t *Transcript) Add(data []byte) (Chunk, error) {
	var c Chunk
	json := string(data)
	if !gjson.Valid(json) {
		return c, ErrBrokenEvent
	}
	event := gjson.Parse(json)
	if !event.IsObject() {
		return c, ErrBrokenEvent
	}
	event.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "choices":
			t.choices(&c, value)
		case "usage":
			c.Usage = value
		case "error":
			c.Error = value.Type != gjson.Null
		case "id":
			t.ID = value.Str
		case "model":
			t.Model = value.Str
		case "created":
			t.Created = value.Int()
		}
		return true
	})
	return c, nil
}

func (t *Transcript) choices(c *Chunk, choices gjson.Result) {
	choices.ForEach(func(_, choice gjson.Result) bool {
		c.Choices = true
		first := true
		choice.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "index":
				first = value.Int() == 0
			case "finish_reason":
				if value.Str != "" {
					c.Finish, t.Finished = value.Str, true
				}
			case "delta":
				if first {
					c.Content += value.Get("content").Str
				}
				eachText(value, func(text string) {
					c.Text = true
					t.keep(text)
				})
			}
			return true
		})
		return true
	})
}

func (t *Transcript) keep(text string) {
	t.any = true
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
}

// AnswerTokens counts the answers of a whole, unstreamed body.
func (c *Counter) AnswerTokens(body gjson.Result) int64 {
	var tokens int64
	body.Get("choices").ForEach(func(_, choice gjson.Result) bool {
		eachText(choice.Get("message"), func(text string) { tokens += c.Count(text) })
		return true
	})
	return tokens
}
