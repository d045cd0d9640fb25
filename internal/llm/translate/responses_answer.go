package translate

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// response writes response objects: of a whole answer, and of a stream's beginning and
// end.
type response struct {
	answer  Answer
	request gjson.Result // the client's, which the answer repeats in part
	id      string
	base    string // of the items' ids
	model   string
	created int64
	items   writer // the complete items, with commas
}

func newResponse(a Answer) response {
	r := response{answer: a}
	if root, err := parse(a.Request); err == nil {
		r.request = root
	}
	return r
}

// identify takes the answer's identity from a chat completion or one of its chunks.
func (r *response) identify(root gjson.Result) {
	r.id = identify(responseID, root.Get("id").Str, r.answer.ID)
	r.base = strings.TrimPrefix(r.id, responseID)
	r.model = r.answer.model(root)
	if r.created = root.Get("created").Int(); r.created <= 0 {
		r.created = r.answer.Created
	}
}

// echoes are fields that a response repeats from its request, and what stands there
// where the request says nothing.
var echoes = [...]struct{ name, otherwise string }{
	{"instructions", "null"}, {"max_output_tokens", "null"}, {"max_tool_calls", "null"},
	{"metadata", "{}"}, {"parallel_tool_calls", "true"}, {"prompt_cache_key", "null"},
	{"reasoning", `{"effort":null,"summary":null}`}, {"safety_identifier", "null"},
	{"temperature", "1"}, {"text", `{"format":{"type":"text"}}`}, {"tool_choice", `"auto"`},
	{"tools", "[]"}, {"top_logprobs", "0"}, {"top_p", "1"}, {"truncation", `"disabled"`}, {"user", "null"},
}

// write writes the response; usage is nil before its end, reason is why it is not
// complete.
func (r *response) write(w *writer, status, reason string, usage *Usage, f *Final) {
	w.open('{')
	w.textField("id", r.id)
	w.textField("object", "response")
	w.intField("created_at", r.created)
	w.textField("status", status)
	for _, unknown := range [...]string{"error", "previous_response_id", "conversation", "prompt", "access_programs"} {
		w.rawField(unknown, "null")
	}
	w.rawField("background", "false")
	if reason == "" {
		w.rawField("incomplete_details", "null")
	} else {
		w.key("incomplete_details")
		w.open('{')
		w.textField("reason", reason)
		w.close('}')
	}
	w.textField("model", r.model)
	w.textField("service_tier", "default")
	for _, field := range &echoes {
		value := r.request.Get(field.name)
		if given(value) {
			w.rawField(field.name, value.Raw)
		} else {
			w.rawField(field.name, field.otherwise)
		}
	}
	w.key("output")
	w.open('[')
	if len(r.items.b) > 0 {
		w.raw(string(r.items.b))
	}
	w.close(']')
	if usage == nil {
		w.rawField("usage", "null")
	} else {
		writeResponsesUsage(w, *usage, f)
	}
	w.close('}')
}

func writeResponsesUsage(w *writer, own Usage, f *Final) {
	u := f.settled(own)
	w.key("usage")
	w.open('{')
	w.intField("input_tokens", u.Prompt)
	w.key("input_tokens_details")
	w.open('{')
	w.intField("cached_tokens", u.Cached)
	w.intField("cache_write_tokens", u.CacheWrite+u.CacheWrite1h)
	w.close('}')
	w.intField("output_tokens", u.Completion)
	w.key("output_tokens_details")
	w.open('{')
	w.intField("reasoning_tokens", u.Reasoning)
	w.close('}')
	w.intField("total_tokens", sum(u.Prompt, u.Completion))
	f.end(w)
}

// statusOf says how a response ended, and why where it is not complete.
func statusOf(finish string) (status, reason string) {
	switch finish {
	case lengthLimit:
		return "incomplete", "max_output_tokens"
	case filtered:
		return "incomplete", filtered
	}
	return "completed", ""
}

// itemID names the item of a piece.
func (r *response) itemID(p *piece) string {
	prefix := messageID
	switch p.kind {
	case thought:
		prefix = "rs_"
	case called:
		prefix = "fc_"
	}
	return prefix + r.base + "_" + strconv.Itoa(p.place)
}

// item writes a piece as an item: complete, or as it stands at its beginning.
func (r *response) item(w *writer, p *piece, complete bool) {
	status := "completed"
	switch {
	case !complete:
		status = "in_progress"
	case p.cut:
		status = "incomplete"
	}
	w.open('{')
	w.textField("id", r.itemID(p))
	switch p.kind {
	case thought:
		w.textField("type", "reasoning")
		w.textField("status", status)
		w.key("summary")
		w.open('[')
		if complete && len(p.text) > 0 {
			writePartOf(w, p, string(p.text))
		}
		w.close(']')
		if len(p.signed) > 0 {
			w.textField("encrypted_content", seal(p.signed))
		}
	case called:
		w.textField("type", "function_call")
		w.textField("status", status)
		w.textField("call_id", p.id)
		w.textField("name", p.name)
		arguments := ""
		if complete {
			arguments = string(p.text)
		}
		w.textField("arguments", arguments)
	default:
		w.textField("type", "message")
		w.textField("status", status)
		w.textField("role", "assistant")
		w.key("content")
		w.open('[')
		if complete {
			writePartOf(w, p, string(p.text))
		}
		w.close(']')
	}
	w.close('}')
}

// writePartOf writes the part of an item that holds words.
func writePartOf(w *writer, p *piece, words string) {
	switch p.kind {
	case thought:
		w.typed("summary_text")
		w.textField("text", words)
	case refused:
		w.typed("refusal")
		w.textField("refusal", words)
	default:
		w.typed("output_text")
		w.textField("text", words)
		w.rawField("annotations", "[]")
		w.rawField("logprobs", "[]")
	}
	w.close('}')
}

// collector gathers the pieces of a whole answer.
type collector struct{ r *response }

func (c collector) start(*piece)        {}
func (c collector) more(*piece, string) {}
func (c collector) stop(p *piece)       { c.r.keep(p) }

// keep adds a complete piece to the response.
func (r *response) keep(p *piece) {
	if p.kind == called {
		p.id = toolID(p.id, r.base, p.place)
		if len(p.text) == 0 {
			p.text = []byte("{}")
		}
	}
	r.item(&r.items, p, true)
}

// ChatAnswerToResponses translates a whole chat completion into a response. Errors:
// [ErrBroken], [*ProviderError].
func ChatAnswerToResponses(answer []byte, a Answer) ([]byte, error) {
	root, err := parseAnswer(answer)
	if err != nil {
		return nil, err
	}
	choice := root.Get("choices.0")
	message := choice.Get("message")
	if !message.IsObject() {
		return nil, ErrBroken
	}
	r := newResponse(a)
	r.identify(root)
	pieces := sequence{to: collector{&r}}
	var chunks chunkReader
	chunks.words(&pieces, message)
	n := int64(0)
	message.Get(toolCalls).ForEach(func(_, v gjson.Result) bool {
		err = pieces.fragment(n, v)
		n++
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	finish := choice.Get("finish_reason").Str
	chunks.end(&pieces, finish)
	var usage *Usage
	if v := root.Get("usage"); v.IsObject() || a.Final.Usage != nil {
		counts := readChatUsage(v)
		usage = &counts
	}
	status, reason := statusOf(finish)
	w := writer{b: make([]byte, 0, len(answer)+len(a.Request)+1024)}
	r.write(&w, status, reason, usage, &a.Final)
	return w.b, nil
}
