package llm

import (
	"errors"
	"slices"

	"github.com/tidwall/gjson"
)

var (
	// ErrBrokenEvent means that an event's data is not what the protocol says.
	ErrBrokenEvent = errors.New("llm: the provider sent an event that makes no sense")
	// ErrReported means that the provider reports an error inside an answer.
	ErrReported = errors.New("llm: the provider reports an error inside its answer")
)

// Names of finish reasons, in the words of OpenAI's chat completions. [Rendition.Finish]
// uses them whatever the provider's protocol.
const (
	FinishStop   = "stop"   // the model stopped by itself
	FinishLength = "length" // the answer reached its greatest length
	FinishTools  = "tool_calls"
	FinishFilter = "content_filter"
)

// Rendition is how one provider's answer becomes what one client sees: it understands
// the provider's protocol and writes the client's. It tells what the bill needs, and
// writes what can be written only once the bill is known. It is for one call and one
// goroutine. See [Request.For].
type Rendition struct {
	read  reading
	write writing
}

// reading understands what a provider answers.
type reading interface {
	// event reads the data of a streamed answer's next event. ErrBrokenEvent, ErrReported.
	event(data []byte) (Chunk, error)
	// whole reads an unstreamed answer, which is valid until the call is over. An error
	// says that it is none.
	whole(a *Answer) error
	// state is what has come so far.
	state() *heard
	// usage is what the provider told, as far as it can be believed.
	usage(mostPrompt, mostCompletion int64) Reported
	// tokens counts an unstreamed answer's text.
	tokens(c *Counter) int64
}

// writing is what a client sees. Where client and provider speak the same protocol it is
// the reading itself, which passes on what came.
type writing interface {
	// passed is what the client sees at once of an event that was read; valid until the
	// next one. What tells the usage is kept for closing.
	passed(e Event) ([]byte, error)
	// closing appends a stream's last events. It changes nothing: it may be called again.
	closing(to []byte, f Final) []byte
	// failing appends a stream's last event where it ends in an error.
	failing(to []byte, f Failure) []byte
	// answer appends an unstreamed answer, and says what it is. It changes nothing.
	answer(to []byte, f Final) (body []byte, contentType string)
}

// heard is what every reading keeps of an answer.
type heard struct {
	text   *Transcript // of a streamed answer
	finish string      // the last finish reason
	ended  bool        // the answer came to its end, whether or not the stream says so
}

func (h *heard) state() *heard { return h }

// Chunk is what one event of a streamed answer brought.
type Chunk struct {
	Raw     []byte // what the client is to see of it now, valid until the next event; empty: nothing
	Text    bool   // it brought something of the answer
	Content string // the first choice's words
	Over    bool   // it was the stream's last event, and brought nothing else
}

// Final is what an answer came to, once it is settled.
type Final struct {
	Usage
	Cost string // USD, as a decimal number
}

// Failure is an error in the middle of a stream, for the client.
type Failure struct {
	Body    []byte // the error as an unstreamed answer would be it
	Code    string
	Message string
	Err     error // what went wrong, for protocols with words of their own for it
}

// Event reads an event of a streamed answer. ErrBrokenEvent, ErrReported.
func (r Rendition) Event(e Event) (Chunk, error) {
	c, err := r.read.event(e.Data)
	if err != nil || c.Over {
		return c, err
	}
	c.Raw, err = r.write.passed(e)
	return c, err
}

// AsEvent is an answer that came whole in place of a stream as its stream's only event, for
// a client that has been promised events.
func (r Rendition) AsEvent() Event {
	whole, is := r.read.(interface{ asEvent() []byte })
	if !is {
		return Event{}
	}
	data := whole.asEvent()
	return Event{Raw: slices.Concat([]byte(eventHead), data, []byte(eventTail)), Data: data}
}

// Ended says that a streamed answer is whole, so that its stream may end.
func (r Rendition) Ended() bool { return r.read.state().ended }

// Finish is why the answer ended, in chat's words; "": it was not said.
func (r Rendition) Finish() string { return r.read.state().finish }

// Reported is the usage that the provider told, as far as it can be believed: counts
// above the given mosts, in tokens, are not.
func (r Rendition) Reported(mostPrompt, mostCompletion int64) Reported {
	return r.read.usage(mostPrompt, mostCompletion)
}

// Tokens counts an unstreamed answer's text.
func (r Rendition) Tokens(c *Counter) int64 { return r.read.tokens(c) }

// Close appends the last events of a stream that ended well, with usage and cost where
// the client's protocol or the client wants them. It may be called again with another
// Final.
func (r Rendition) Close(to []byte, f Final) []byte { return r.write.closing(to, f) }

// Fail appends the last event of a stream that ended otherwise.
func (r Rendition) Fail(to []byte, f Failure) []byte { return r.write.failing(to, f) }

// Answer appends an unstreamed answer with usage and cost, and says what it is. It may be
// called again with another Final.
func (r Rendition) Answer(to []byte, f Final) (body []byte, contentType string) {
	return r.write.answer(to, f)
}

const (
	contentJSON = "application/json"

	eventHead = "data: " // before an event's data
	eventTail = "\n\n"
	doneEvent = eventHead + "[DONE]" + eventTail
)

var (
	errNotJSON  = errors.New("llm: the answer is not JSON")
	errNoAnswer = errors.New("llm: the answer has nothing of an answer")
)

// wholeJSON parses a whole answer.
func wholeJSON(a *Answer) (gjson.Result, error) {
	text := string(a.Bytes())
	if !gjson.Valid(text) {
		return gjson.Result{}, errNotJSON
	}
	return gjson.Parse(text), nil
}

// eventJSON parses an event's data.
func eventJSON(data []byte) (gjson.Result, error) {
	text := string(data)
	if !gjson.Valid(text) {
		return gjson.Result{}, ErrBrokenEvent
	}
	event := gjson.Parse(text)
	if !event.IsObject() {
		return gjson.Result{}, ErrBrokenEvent
	}
	return event, nil
}
