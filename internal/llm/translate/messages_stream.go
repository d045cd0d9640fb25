package translate

import "bytes"

// MessagesStream turns the chunks of a chat provider into the events of Messages.
type MessagesStream struct {
	answer Answer
	id     string
	begun  bool
	closed bool
	tail   []byte // what Close wrote first: what was held back
	w      writer // of the call at hand
	pieces sequence
	chunks chunkReader
}

// NewMessagesStream begins a stream. a.Final.Usage, where it is set, is the prompt as
// counted here, for the answer's beginning: the provider tells it only at the end.
func NewMessagesStream(a Answer) *MessagesStream {
	s := &MessagesStream{answer: a}
	s.pieces.to = s
	return s
}

// Event takes the data of one event of the provider's. ErrBroken, *ProviderError.
func (s *MessagesStream) Event(to, data []byte) ([]byte, error) {
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
		s.begin(root.Get("id").Str, s.answer.model(root))
	}
	err = s.chunks.read(&s.pieces, root)
	return s.take(), err
}

// take gives back the caller's bytes.
func (s *MessagesStream) take() []byte {
	to := s.w.b
	s.w.b = nil
	return to
}

// event writes one event; fill writes its fields after the type.
func (s *MessagesStream) event(name string, fill func(*writer)) {
	s.w.beginEvent(name)
	start := len(s.w.b)
	s.w.typed(name)
	if fill != nil {
		fill(&s.w)
	}
	s.w.close('}')
	s.w.endEvent(start)
}

func (s *MessagesStream) begin(id, model string) {
	s.begun = true
	s.id = identify(messageID, id, s.answer.ID)
	s.event("message_start", func(w *writer) {
		w.key("message")
		w.typed("message")
		w.textField("id", s.id)
		w.textField("role", "assistant")
		w.textField("model", model)
		w.rawField("content", "[]")
		for _, unknown := range []string{"stop_reason", "stop_sequence", "stop_details", "container", "diagnostics"} {
			w.rawField(unknown, "null")
		}
		writeMessagesUsage(w, Usage{}, &Final{Usage: s.answer.Final.Usage}, true)
		w.close('}')
	})
}

func (s *MessagesStream) start(p *piece) {
	s.event("content_block_start", func(w *writer) {
		w.intField("index", int64(p.place))
		w.key("content_block")
		switch p.kind {
		case thought:
			w.typed("thinking")
			w.textField("thinking", "")
			w.textField("signature", "")
		case called:
			p.id = toolID(p.id, s.id, p.place)
			w.typed(toolUse)
			w.textField("id", p.id)
			w.textField("name", p.name)
			w.rawField("input", "{}")
			w.rawField("caller", directCaller)
		default:
			w.typed("text")
			w.textField("text", "")
		}
		w.close('}')
	})
}

func (s *MessagesStream) more(p *piece, text string) {
	kind, field := "text_delta", "text"
	switch p.kind {
	case thought:
		kind, field = "thinking_delta", "thinking"
	case called:
		kind, field = "input_json_delta", "partial_json"
	}
	s.event("content_block_delta", func(w *writer) {
		w.intField("index", int64(p.place))
		w.key("delta")
		w.typed(kind)
		w.textField(field, text)
		w.close('}')
	})
}

func (s *MessagesStream) stop(p *piece) {
	s.event("content_block_stop", func(w *writer) { w.intField("index", int64(p.place)) })
}

// Close ends a complete answer. It may be called again with another Final.
func (s *MessagesStream) Close(to []byte, f Final) []byte {
	if !s.closed {
		s.closed = true
		if !s.begun {
			s.begin("", s.answer.Model)
		}
		s.pieces.advance(true)
		s.tail = s.take()
	}
	s.w.b = append(to, s.tail...)
	s.event("message_delta", func(w *writer) {
		w.key("delta")
		w.open('{')
		w.textField("stop_reason", stopReasonOf(s.chunks.finish, s.chunks.calls, s.chunks.denied))
		for _, unknown := range []string{"stop_sequence", "stop_details", "container"} {
			w.rawField(unknown, "null")
		}
		w.close('}')
		writeMessagesUsage(w, s.chunks.counts, &f, false)
	})
	s.event("message_stop", nil)
	return s.take()
}
