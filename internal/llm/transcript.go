package llm

import (
	"errors"

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
// the provider does not say what it used. It is for one goroutine.
type Transcript struct {
	Finished bool // some choice has a finish reason
	ID       string
	Model    string
	Created  int64

	counter *Counter
	text    []byte
	counted int64 // tokens of text that is no longer kept
	any     bool
}

// NewTranscript counts by way of counter.
func NewTranscript(counter *Counter) *Transcript { return &Transcript{counter: counter} }

// Any says that anything of an answer has come.
func (t *Transcript) Any() bool { return t.any }

// Tokens counts what has come.
func (t *Transcript) Tokens() int64 { return t.counted + t.counter.Count(string(t.text)) }

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
	t.text = append(t.text, text...)
	if len(t.text) > maxTranscript {
		t.counted += t.counter.Count(string(t.text))
		t.text = t.text[:0]
	}
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
