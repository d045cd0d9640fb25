package translate

import (
	"bytes"

	"github.com/tidwall/gjson"
)

// ResponsesStream turns the chunks of a chat provider into the events of Responses.
type ResponsesStream struct {
	response response
	begun    bool
	closed   bool
	tail     []byte // what Close wrote first: what was held back
	w        writer // of the call at hand
	number   int64  // of the next event
	pieces   sequence
	chunks   chunkReader
}

// NewResponsesStream begins a stream.
func NewResponsesStream(a Answer) *ResponsesStream {
	s := &ResponsesStream{response: newResponse(a)}
	s.pieces.to = s
	return s
}

// Event takes the data of one event of the provider's. ErrBroken, *ProviderError.
func (s *ResponsesStream) Event(to, data []byte) ([]byte, error) {
	switch {
	case s.closed:
		return to, errEnded
	case bytes.Equal(bytes.TrimSpace(data), done):
		return to, nil
	}
	root, err := parseAnswer(data)
	if err != nil {
		return to, err
	}
	s.w.b = to
	if !s.begun {
		s.response.identify(root)
		s.begin()
	}
	err = s.chunks.read(&s.pieces, root)
	return s.take(), err
}

// take gives back the caller's bytes.
func (s *ResponsesStream) take() []byte {
	to := s.w.b
	s.w.b = nil
	return to
}

// event writes one event; fill writes its fields after the type and number.
func (s *ResponsesStream) event(name string, fill func(*writer)) {
	s.w.beginEvent(name)
	start := len(s.w.b)
	s.w.typed(name)
	s.w.intField("sequence_number", s.number)
	s.number++
	fill(&s.w)
	s.w.close('}')
	s.w.endEvent(start)
}

func (s *ResponsesStream) begin() {
	s.begun = true
	for _, name := range [...]string{"response.created", "response.in_progress"} {
		s.event(name, func(w *writer) {
			w.key("response")
			s.response.write(w, "in_progress", "", nil, nil)
		})
	}
}

// about names the item that an event is about, and its part.
func (s *ResponsesStream) about(w *writer, p *piece) {
	w.textField("item_id", s.response.itemID(p))
	w.intField("output_index", int64(p.place))
	switch p.kind {
	case thought:
		w.intField("summary_index", 0)
	case called:
	default:
		w.intField("content_index", 0)
	}
}

// names are the events of a piece of each kind.
var names = [...]struct{ added, delta, done, over, field string }{
	thought: {"response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
		"response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "text"},
	said: {"response.content_part.added", "response.output_text.delta",
		"response.output_text.done", "response.content_part.done", "text"},
	refused: {"response.content_part.added", "response.refusal.delta",
		"response.refusal.done", "response.content_part.done", "refusal"},
	called: {"", "response.function_call_arguments.delta",
		"response.function_call_arguments.done", "", "arguments"},
}

func (s *ResponsesStream) start(p *piece) {
	if p.kind == called {
		p.id = toolID(p.id, s.response.base, p.place)
	}
	s.event("response.output_item.added", func(w *writer) {
		w.intField("output_index", int64(p.place))
		w.key("item")
		s.response.item(w, p, false)
	})
}

// part tells of an item's part as it begins or ends.
func (s *ResponsesStream) part(p *piece, name, words string) {
	if name == "" {
		return
	}
	s.event(name, func(w *writer) {
		s.about(w, p)
		w.key("part")
		writePartOf(w, p, words)
	})
}

func (s *ResponsesStream) more(p *piece, text string) {
	if !p.parted { // here, since a thought may be nothing but signed
		p.parted = true
		s.part(p, names[p.kind].added, "")
	}
	s.event(names[p.kind].delta, func(w *writer) {
		s.about(w, p)
		w.textField("delta", text)
		if p.kind == said {
			w.rawField("logprobs", "[]")
		}
	})
}

func (s *ResponsesStream) stop(p *piece) {
	if p.kind == called && len(p.text) == 0 {
		p.text = []byte("{}")
		s.more(p, "{}")
	}
	if len(p.text) > 0 {
		s.event(names[p.kind].done, func(w *writer) {
			s.about(w, p)
			w.textField(names[p.kind].field, string(p.text))
			if p.kind == said {
				w.rawField("logprobs", "[]")
			}
		})
		s.part(p, names[p.kind].over, string(p.text))
	}
	s.event("response.output_item.done", func(w *writer) {
		w.intField("output_index", int64(p.place))
		w.key("item")
		s.response.item(w, p, true)
	})
	s.response.keep(p)
}

// Close ends a complete answer. It may be called again with another Final.
func (s *ResponsesStream) Close(to []byte, f Final) []byte {
	if !s.closed {
		s.closed = true
		s.ensure()
		s.pieces.advance(true)
		s.tail = s.take()
	}
	s.w.b = append(to, s.tail...)
	number := s.number
	status, reason := statusOf(s.chunks.finish)
	s.event("response."+status, func(w *writer) {
		w.key("response")
		s.response.write(w, status, reason, &s.chunks.counts, &f)
	})
	s.number = number
	return s.take()
}

// ensure begins an answer of which no event has come.
func (s *ResponsesStream) ensure() {
	if !s.begun {
		s.response.identify(gjson.Result{})
		s.begin()
	}
}

// Next is the number of the event that would come next: of the one that tells of an error,
// where the answer breaks off.
func (s *ResponsesStream) Next() int64 { return s.number }
