package llmsim

import (
	"net/http"
	"strings"
)

// output is what one choice of an answer says, token after token.
type output struct {
	pieces  []piece
	calls   []call
	finish  finish
	stopped string // the stop sequence that ended it
	hidden  int    // tokens of reasoning that are counted and not shown
}

// piece is one token.
type piece struct {
	kind pieceKind
	call int // index into calls, of a piece of arguments
	text string
	last bool // of its run
}

type pieceKind int

const (
	saidText pieceKind = iota
	saidThought
	saidRefusal
	saidArguments
)

// finish is why an answer ends.
type finish int

const (
	finishStop finish = iota
	finishLength
	finishSequence
	finishCalls
	finishRefusal
)

const thought = "The question is read, the answer is known, and it only remains to say it word by word."

// plan decides what is said and why it ends.
func (p *reply) plan() output {
	script, t := &p.script, p.turn
	if t.mute {
		return output{}
	}
	o := output{hidden: script.Reasoning}
	if t.thinking > 0 || script.Reveal {
		o.hidden = 0
		text := thought
		if script.Reasoning > 0 {
			text = filler(min(script.Reasoning, maxTokens))
		}
		pieces := Tokens(text)
		if t.thinking > 0 {
			pieces = pieces[:min(len(pieces), t.thinking)]
		}
		o.say(saidThought, pieces)
	}
	calls := script.Calls
	if calls == nil {
		for _, c := range t.decide() {
			calls = append(calls, Call{Name: c.name, Arguments: c.arguments})
		}
	}
	switch {
	case script.Refusal != "":
		o.finish = finishRefusal
		o.say(saidRefusal, Tokens(script.Refusal))
	case len(calls) > 0 && script.Text == "" && script.Tokens == 0:
		o.finish = finishCalls
		for i, c := range calls {
			o.calls = append(o.calls, call{name: c.Name, arguments: c.Arguments})
			o.sayCall(i, Tokens(c.Arguments))
		}
	default:
		text, stop := cutAtStop(p.prose(), t.stops)
		if stop != "" {
			o.finish, o.stopped = finishSequence, stop
		}
		o.say(saidText, Tokens(text))
	}
	o.cut(t.limit, script.IgnoreMax)
	return o
}

// prose is the text of an answer that calls nothing.
func (p *reply) prose() string {
	switch {
	case p.script.Tokens > 0:
		return filler(min(p.script.Tokens, maxTokens))
	case p.script.Tokens < 0:
		return ""
	case p.script.Text != "":
		return p.script.Text
	case p.turn.schema != "":
		return sample(p.turn.schema)
	}
	if p.turn.answer != "" {
		return p.turn.answer
	}
	return compose(p.turn.messages)
}

func (o *output) say(kind pieceKind, texts []string) {
	for i, text := range texts {
		o.pieces = append(o.pieces, piece{kind: kind, text: text, last: i == len(texts)-1})
	}
}

func (o *output) sayCall(index int, texts []string) {
	for i, text := range texts {
		o.pieces = append(o.pieces, piece{kind: saidArguments, call: index, text: text, last: i == len(texts)-1})
	}
}

// cut keeps to the limit, as a model does that is stopped in the middle.
func (o *output) cut(limit int64, ignore bool) {
	if limit <= 0 || int64(len(o.pieces)) <= limit || ignore {
		return
	}
	o.pieces, o.finish, o.stopped = o.pieces[:limit], finishLength, ""
	o.pieces[limit-1].last = true
	begun := 0
	for _, p := range o.pieces {
		if p.kind == saidArguments {
			begun = p.call + 1
		}
	}
	o.calls = o.calls[:begun]
}

// text joins the pieces of a kind; of arguments, those of one call.
func (o *output) text(kind pieceKind, call int) string {
	var b strings.Builder
	for _, p := range o.pieces {
		if p.kind == kind && p.call == call {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// count is how many tokens of a kind are shown.
func (o *output) count(kind pieceKind) int {
	n := 0
	for _, p := range o.pieces {
		if p.kind == kind {
			n++
		}
	}
	return n
}

// event is one server-sent event; without a name it is data alone.
type event struct{ name, data string }

// dialect is a protocol's way of saying an output, made for one request.
type dialect interface {
	header(http.Header)       // what every answer carries
	fault(e *apiError) string // the body of a refusal
	whole(o *output) string   // the body of a whole answer

	open(o *output) []event  // of a stream, at once
	begin(o *output) []event // when the first token has come
	piece(o *output, i, choice int) []event
	failure() event        // the error inside a stream
	end(o *output) []event // what completes a stream
}
