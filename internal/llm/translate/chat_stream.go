package translate

import "github.com/tidwall/gjson"

// ChatStream turns the events of a Messages provider into chat completion chunks.
type ChatStream struct {
	answer Answer
	usage  bool // the client wants it

	head   string // the fields that are the same in every chunk
	closed bool
	tail   []byte // what Close wrote first to open an answer of no events
	calls  int64
	open   map[int64]*openBlock
	counts messagesUsage
}

// openBlock is a content block that has begun and not ended.
type openBlock struct {
	kind      string
	call      int64  // of tool_use: its index among the calls
	input     string // of tool_use: arguments that came with its beginning
	some      bool   // of tool_use: arguments have been passed on
	thought   []byte
	signature []byte
}

// maxOpen bounds blocks that are open at once; providers open one.
const maxOpen = 1024

// NewChatStream begins a stream. includeUsage is the client's
// stream_options.include_usage.
func NewChatStream(a Answer, includeUsage bool) *ChatStream {
	return &ChatStream{answer: a, usage: includeUsage, open: map[int64]*openBlock{}}
}

// Event takes the data of one event of the provider's. ErrBroken, *ProviderError.
func (s *ChatStream) Event(to, data []byte) ([]byte, error) {
	if s.closed {
		return to, errEnded
	}
	root, err := parseAnswer(data)
	if err != nil {
		return to, err
	}
	switch root.Get("type").Str {
	case "error":
		err = ErrBroken // an error that does not say which; others ended above
	case "message_start":
		message := root.Get("message")
		s.counts.add(message.Get("usage"))
		to = s.begin(to, message)
	case "content_block_start":
		to, err = s.start(s.begin(to, gjson.Result{}), root)
	case "content_block_delta":
		to, err = s.delta(s.begin(to, gjson.Result{}), root)
	case "content_block_stop":
		to = s.stop(to, root.Get("index").Int())
	case "message_delta":
		to = s.words(s.begin(to, gjson.Result{}), "refusal", root.Get("delta.stop_details.explanation"))
		s.counts.add(root.Get("usage"))
		if reason := root.Get("delta.stop_reason"); reason.Type == gjson.String {
			to = s.chunk(to, finishOf(reason.Str), nil)
		}
	}
	return to, err // ping, message_stop, and what may come to be sent one day, say nothing
}

// begin opens the answer, once.
func (s *ChatStream) begin(to []byte, message gjson.Result) []byte {
	if s.head != "" {
		return to
	}
	var w writer
	w.textField("id", identify(chatID, message.Get("id").Str, s.answer.ID))
	w.textField("object", "chat.completion.chunk")
	w.intField("created", s.answer.Created)
	w.textField("model", s.answer.model(message))
	s.head = string(w.b)
	return s.chunk(to, "", func(w *writer) {
		w.textField("role", "assistant")
		w.textField("content", "")
		w.rawField("refusal", "null")
	})
}

// chunk appends an event with one choice; fill writes its delta.
func (s *ChatStream) chunk(to []byte, finish string, fill func(*writer)) []byte {
	w := writer{b: to}
	w.beginEvent("")
	start := len(w.b)
	w.open('{')
	w.raw(s.head)
	w.key("choices")
	w.open('[')
	w.open('{')
	w.intField("index", 0)
	w.key("delta")
	w.open('{')
	if fill != nil {
		fill(&w)
	}
	w.close('}')
	w.rawField("logprobs", "null")
	if finish == "" {
		w.rawField("finish_reason", "null")
	} else {
		w.textField("finish_reason", finish)
	}
	w.close('}')
	w.close(']')
	if s.usage {
		w.rawField("usage", "null")
	}
	w.close('}')
	w.endEvent(start)
	return w.b
}

func (s *ChatStream) start(to []byte, root gjson.Result) ([]byte, error) {
	if len(s.open) >= maxOpen {
		return to, ErrBroken
	}
	v := root.Get("content_block")
	b := &openBlock{kind: v.Get("type").Str}
	s.open[root.Get("index").Int()] = b
	switch b.kind {
	case "text":
		return s.words(to, "content", v.Get("text")), nil
	case "thinking":
		return s.think(to, b, v.Get("thinking")), nil
	case "redacted_thinking":
		b.signature = append(b.signature, v.Get("data").Str...)
	case toolUse:
		if input := v.Get("input"); !empty(input) {
			b.input = input.Raw
		}
		b.call = s.calls
		s.calls++
		return s.chunk(to, "", func(w *writer) {
			w.key(toolCalls)
			w.open('[')
			w.open('{')
			w.intField("index", b.call)
			w.textField("id", v.Get("id").Str)
			w.textField("type", "function")
			w.key("function")
			w.open('{')
			w.textField("name", v.Get("name").Str)
			w.textField("arguments", "")
			w.close('}')
			w.close('}')
			w.close(']')
		}), nil
	}
	return to, nil
}

// words passes on a text that is not empty, with its bytes.
func (s *ChatStream) words(to []byte, field string, v gjson.Result) []byte {
	if v.Type != gjson.String || v.Str == "" {
		return to
	}
	return s.chunk(to, "", func(w *writer) { w.rawField(field, v.Raw) })
}

func (s *ChatStream) think(to []byte, b *openBlock, v gjson.Result) []byte {
	b.thought = append(b.thought, v.Str...)
	return s.words(to, "reasoning_content", v)
}

func (s *ChatStream) arguments(to []byte, b *openBlock, json string) []byte {
	b.some = true
	return s.chunk(to, "", func(w *writer) {
		w.key(toolCalls)
		w.open('[')
		w.open('{')
		w.intField("index", b.call)
		w.key("function")
		w.open('{')
		w.rawField("arguments", json)
		w.close('}')
		w.close('}')
		w.close(']')
	})
}

func (s *ChatStream) delta(to []byte, root gjson.Result) ([]byte, error) {
	b := s.open[root.Get("index").Int()]
	if b == nil {
		return to, ErrBroken
	}
	v := root.Get("delta")
	switch v.Get("type").Str {
	case "text_delta":
		return s.words(to, "content", v.Get("text")), nil
	case "thinking_delta":
		return s.think(to, b, v.Get("thinking")), nil
	case "signature_delta":
		b.signature = append(b.signature, v.Get("signature").Str...)
	case "input_json_delta":
		if json := v.Get("partial_json"); b.kind == toolUse && json.Str != "" {
			return s.arguments(to, b, json.Raw), nil
		}
	}
	return to, nil
}

// stop ends a block: a call without arguments gets empty ones, thinking its signature.
func (s *ChatStream) stop(to []byte, index int64) []byte {
	b := s.open[index]
	if b == nil {
		return to
	}
	delete(s.open, index)
	switch b.kind {
	case toolUse:
		if b.some {
			return to
		}
		if b.input == "" {
			b.input = "{}"
		}
		return s.arguments(to, b, quoted(b.input))
	case "thinking", "redacted_thinking":
		return s.signed(to, b)
	}
	return to
}

// signed passes on a block of thinking whole, so that a client can send it back.
func (s *ChatStream) signed(to []byte, b *openBlock) []byte {
	if len(b.signature) == 0 {
		return to
	}
	return s.chunk(to, "", func(w *writer) {
		w.key("thinking_blocks")
		w.open('[')
		w.typed(b.kind)
		if b.kind == "thinking" {
			w.textField("thinking", string(b.thought))
			w.textField("signature", string(b.signature))
		} else {
			w.textField("data", string(b.signature))
		}
		w.close('}')
		w.close(']')
	})
}

// Close ends a complete answer: with the usage, where the client wants it. It may be
// called again with another Final.
func (s *ChatStream) Close(to []byte, f Final) []byte {
	if !s.closed {
		s.closed, s.tail = true, s.begin(nil, gjson.Result{})
	}
	w := writer{b: append(to, s.tail...)}
	if s.usage && (s.counts.any || f.Usage != nil) {
		w.beginEvent("")
		start := len(w.b)
		w.open('{')
		w.raw(s.head)
		w.rawField("choices", "[]")
		writeChatUsage(&w, s.counts.usage(), &f)
		w.close('}')
		w.endEvent(start)
	}
	w.beginEvent("")
	w.b = append(append(w.b, done...), eventEnd...)
	return w.b
}
