package translate

import (
	"bytes"
	"strings"

	"github.com/tidwall/gjson"
)

// kind is what a piece of an answer is.
type kind int

const (
	thought kind = iota
	said
	refused
	called
)

// piece is one part of an answer, which a client sees from its beginning to its end
// before the next begins.
type piece struct {
	kind   kind
	call   int64  // of a call: its index in the chat
	id     string // of a call
	name   string // of a call
	text   []byte // words or arguments, all that came
	sent   int    // bytes of text the client has
	signed []byte // of a thought: signed blocks as JSON, with commas
	place  int    // among the pieces
	open   bool
	cut    bool // the answer ended in its middle
	parted bool // the client knows of the part that holds the text
}

// complete says that nothing more can be meant to belong to a piece after which
// another has begun. Arguments are complete once they are JSON; the fragments of
// several calls may come mixed.
func (p *piece) complete() bool {
	if p.kind != called {
		return true
	}
	text := bytes.TrimRight(p.text, " \t\r\n")
	return bytes.HasSuffix(text, []byte("}")) && !tooDeep(text) && gjson.ValidBytes(text)
}

// sink is told the pieces in order.
type sink interface {
	start(p *piece)
	more(p *piece, text string)
	stop(p *piece)
}

// sequence puts a chat stream's deltas in order. The first piece of the list is the one
// the client sees grow; what belongs to later ones waits.
type sequence struct {
	to    sink
	list  []*piece
	next  int
	ended map[int64]string // calls that are over: their ids by index
	calls int
	cut   bool // the answer ends before its end
}

// maxCalls bounds the tool calls of one answer.
const maxCalls = 1024

// add appends words.
func (q *sequence) add(k kind, text string) {
	if text == "" {
		return
	}
	p := q.last(k)
	p.text = append(p.text, text...)
	q.advance(false)
}

// sign adds a signed block to the thought at hand.
func (q *sequence) sign(block string) {
	p := q.last(thought)
	w := writer{b: p.signed}
	w.raw(block)
	p.signed = w.b
	q.advance(false)
}

// last is the last piece, or a new one where that is of another kind.
func (q *sequence) last(k kind) *piece {
	if n := len(q.list); n > 0 && q.list[n-1].kind == k {
		return q.list[n-1]
	}
	p := &piece{kind: k}
	q.list = append(q.list, p)
	return p
}

// fragment takes one element of a delta's tool_calls. ErrBroken.
func (q *sequence) fragment(index int64, v gjson.Result) error {
	id := v.Get("id").Str
	arguments := v.Get("function.arguments").Str
	p := q.find(index, id)
	if p == nil {
		if over, is := q.ended[index]; is && (id == "" || id == over) {
			if strings.TrimSpace(arguments) != "" {
				return ErrBroken // the client was told that the call is complete
			}
			return nil
		}
		if q.calls++; q.calls > maxCalls {
			return ErrBroken
		}
		p = &piece{kind: called, call: index}
		q.list = append(q.list, p)
	}
	if p.id == "" {
		p.id = id
	}
	if p.name == "" {
		p.name = v.Get("function.name").Str
	}
	p.text = append(p.text, arguments...)
	q.advance(false)
	return nil
}

// find finds the call a fragment belongs to. Some providers give all calls the same
// index and tell them apart by their ids.
func (q *sequence) find(index int64, id string) *piece {
	for _, p := range q.list {
		if p.kind == called && p.call == index && (id == "" || p.id == "" || p.id == id) {
			return p
		}
	}
	return nil
}

// advance tells the client what can be told; in the end, all of it.
func (q *sequence) advance(end bool) {
	for len(q.list) > 0 {
		p := q.list[0]
		if !p.open {
			if p.kind == called && p.name == "" && !end {
				return
			}
			p.open, p.place = true, q.next
			q.next++
			q.to.start(p)
		}
		if p.sent < len(p.text) {
			text := string(p.text[p.sent:])
			p.sent = len(p.text)
			q.to.more(p, text)
		}
		if !end && (len(q.list) == 1 || !p.complete()) {
			return
		}
		p.cut = q.cut && len(q.list) == 1
		q.to.stop(p)
		if p.kind == called {
			if q.ended == nil {
				q.ended = map[int64]string{}
			}
			q.ended[p.call] = p.id
		}
		q.list[0] = nil
		q.list = q.list[1:]
	}
}

// chunkReader reads the chunks of a chat stream.
type chunkReader struct {
	finish string
	counts Usage
	told   bool // a usage has come
	calls  bool // a tool is called
	denied bool // a refusal has come
}

// read passes one chunk's first choice to q. ErrBroken.
func (r *chunkReader) read(q *sequence, root gjson.Result) error {
	if usage := root.Get("usage"); usage.IsObject() {
		r.counts, r.told = readChatUsage(usage), true
	}
	var broken error
	root.Get("choices").ForEach(func(_, choice gjson.Result) bool {
		if choice.Get("index").Int() != 0 { // nobody asked for more than one
			return true
		}
		delta := choice.Get("delta")
		r.words(q, delta)
		delta.Get(toolCalls).ForEach(func(_, v gjson.Result) bool {
			r.calls = true
			broken = q.fragment(v.Get("index").Int(), v)
			return broken == nil
		})
		if finish := choice.Get("finish_reason").Str; finish != "" && broken == nil {
			r.end(q, finish)
		}
		return false
	})
	return broken
}

// end takes the word for why the answer ended.
func (r *chunkReader) end(q *sequence, finish string) {
	r.finish = finish
	q.cut = finish == lengthLimit || finish == filtered
	q.advance(true)
}

// words passes on what a delta, or a whole message, says.
func (r *chunkReader) words(q *sequence, v gjson.Result) {
	q.add(thought, reasoning(v).Str)
	v.Get("thinking_blocks").ForEach(func(_, block gjson.Result) bool {
		if block.IsObject() {
			q.sign(block.Raw)
		}
		return true
	})
	if content := v.Get("content"); content.IsArray() { // rare, but valid
		content.ForEach(func(_, part gjson.Result) bool {
			q.add(said, part.Get("text").Str)
			return true
		})
	} else {
		q.add(said, content.Str)
	}
	if refusal := v.Get("refusal").Str; refusal != "" {
		r.denied = true
		q.add(refused, refusal)
	}
}
