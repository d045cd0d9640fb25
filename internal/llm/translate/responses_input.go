package translate

import (
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// inputItems turns the items of Responses into chat messages. What a model said, its
// calls among it, stands in items of its own there and in one message here.
type inputItems struct {
	r       *responsesRequest
	w       *writer
	place   string // of the item at hand
	said    partList
	calls   writer
	signed  writer // thinking_blocks
	begun   string // place of the assistant message being gathered; "": none
	open    []call // tool calls that have no result yet
	pending partList
}

// writeMessages writes the field messages.
func (r *responsesRequest) writeMessages(w *writer) *Error {
	w.key("messages")
	w.open('[')
	if r.instructions.Str != "" {
		r.places = append(r.places, "instructions")
		w.open('{')
		w.textField("role", "system")
		w.rawField("content", r.instructions.Raw)
		w.close('}')
	}
	if r.input.Type == gjson.String {
		r.places = append(r.places, "input")
		w.open('{')
		w.textField("role", "user")
		w.rawField("content", r.input.Raw)
		w.close('}')
		w.close(']')
		return nil
	}
	t := inputItems{r: r, w: w}
	n := 0
	err := elements(r.input, func(i int, v gjson.Result) *Error {
		n++
		t.place = "input[" + strconv.Itoa(i) + "]"
		return t.item(v)
	})
	switch {
	case err != nil:
		return in("input", err)
	case n == 0:
		return faultAt("input", "must not be empty")
	}
	t.endAnswer()
	if err := t.settled(); err != nil {
		return err
	}
	t.endResults()
	w.close(']')
	return nil
}

// inputItem is an item with its fields told apart.
type inputItem struct {
	kind, role, content, callID, name, arguments, output, sealed gjson.Result
}

func readItem(v gjson.Result) (inputItem, *Error) {
	var m inputItem
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			m.kind = v
			return text(v)
		case "role":
			m.role = v
			return oneOf(v, "user", "assistant", "system", "developer")
		case "content":
			m.content = v
		case "call_id":
			m.callID = v
			return words(v)
		case "name":
			m.name = v
			return words(v)
		case "arguments":
			m.arguments = v
			return text(v)
		case "output":
			m.output = v
		case "encrypted_content":
			m.sealed = v
			return optionalText(v)
		default:
			return leftOut(fromResponses, "input[].", name, v)
		}
		return nil
	})
	return m, err
}

func (t *inputItems) item(v gjson.Result) *Error {
	if kind := v.Get("type"); v.IsObject() && given(kind) { // other kinds have other fields
		if err := oneOf(kind, "message", "function_call", "function_call_output", "reasoning"); err != nil {
			return in("type", err)
		}
	}
	m, err := readItem(v)
	if err != nil {
		return err
	}
	switch m.kind.Str {
	case "function_call":
		return t.call(&m)
	case "function_call_output":
		t.endAnswer()
		return t.result(&m)
	case "reasoning":
		return t.thought(&m)
	}
	if m.role.Str == "" {
		return faultAt("role", "is missing")
	}
	if m.role.Str == "assistant" {
		return in("content", t.answer(m.content))
	}
	t.endAnswer()
	if err := t.settled(); err != nil {
		return err
	}
	if m.role.Str != "user" {
		t.endResults()
		if !t.r.signed {
			return in("content", t.instruct(m.content))
		}
	}
	p := t.pending // pictures of results lead the user's words
	t.pending = partList{}
	if err := in("content", p.input(m.content)); err != nil {
		return err
	}
	t.message(m.role.Str, &p)
	return nil
}

// instruct writes instructions in the words that every chat provider takes: the role
// system, not developer, and a message for each part.
func (t *inputItems) instruct(content gjson.Result) *Error {
	if !content.IsArray() {
		var p partList
		err := p.input(content)
		t.message("system", &p)
		return err
	}
	return elements(content, func(_ int, v gjson.Result) *Error {
		var p partList
		err := p.part(v)
		t.message("system", &p)
		return err
	})
}

// message writes a message that is no answer and no result.
func (t *inputItems) message(role string, p *partList) {
	t.r.places = append(t.r.places, t.place)
	t.w.open('{')
	t.w.textField("role", role)
	if p.n > 0 {
		t.content(p, newLine)
	} else {
		t.w.textField("content", "")
	}
	t.w.close('}')
}

// content writes the field: for chat providers, texts are one; Messages has blocks.
func (t *inputItems) content(p *partList, between string) {
	if t.r.signed {
		p.content(t.w)
		return
	}
	p.words(t.w, between)
}

// begin takes an item into the answer being gathered.
func (t *inputItems) begin() *Error {
	if t.begun == "" {
		if err := t.settled(); err != nil {
			return err
		}
		t.endResults()
		t.begun = t.place
	}
	return nil
}

func (t *inputItems) answer(content gjson.Result) *Error {
	if t.said.n > 0 && len(t.calls.b) == 0 {
		t.endAnswer()
	}
	if err := t.begin(); err != nil {
		return err
	}
	return t.said.input(content)
}

func (t *inputItems) call(m *inputItem) *Error {
	switch {
	case m.callID.Str == "":
		return faultAt("call_id", "is missing")
	case m.name.Str == "":
		return faultAt("name", "is missing")
	}
	if err := t.begin(); err != nil {
		return err
	}
	if slices.ContainsFunc(t.open, func(c call) bool { return c.id == m.callID.Str }) {
		return faultAt("call_id", "is another call's, too")
	}
	t.open = append(t.open, call{m.callID.Str, t.place + ".call_id"})
	t.calls.open('{')
	t.calls.rawField("id", m.callID.Raw)
	t.calls.textField("type", "function")
	t.calls.key("function")
	t.calls.open('{')
	t.calls.rawField("name", m.name.Raw)
	t.calls.textField("arguments", m.arguments.Str)
	t.calls.close('}')
	t.calls.close('}')
	return nil
}

// thought takes reasoning that a provider signed back to it; other reasoning no
// provider of chat completions reads again.
func (t *inputItems) thought(m *inputItem) *Error {
	blocks := unseal(m.sealed.Str)
	if !t.r.signed || blocks == "" {
		return nil
	}
	if t.said.n > 0 || len(t.calls.b) > 0 {
		t.endAnswer()
	}
	if err := t.begin(); err != nil {
		return err
	}
	t.signed.raw(blocks)
	return nil
}

// endAnswer writes the answer that was gathered.
func (t *inputItems) endAnswer() {
	if t.begun == "" {
		return
	}
	t.r.places = append(t.r.places, t.begun)
	t.w.open('{')
	t.w.textField("role", "assistant")
	switch {
	case t.said.n > 0:
		t.content(&t.said, nothing)
	case len(t.calls.b) > 0:
		t.w.rawField("content", "null")
	default:
		t.w.textField("content", "")
	}
	t.w.array("thinking_blocks", t.signed.b)
	t.w.array(toolCalls, t.calls.b)
	t.w.close('}')
	t.said, t.calls, t.signed, t.begun = partList{}, writer{}, writer{}, ""
}

func (t *inputItems) settled() *Error {
	if len(t.open) == 0 {
		return nil
	}
	return &Error{Param: t.open[0].param, Message: "has no result: a function_call_output must answer each call", whole: true}
}

// result writes a tool message; pictures and files, which it cannot hold, wait for the
// next user's message.
func (t *inputItems) result(m *inputItem) *Error {
	at := slices.IndexFunc(t.open, func(c call) bool { return c.id == m.callID.Str })
	if at < 0 {
		return faultAt("call_id", "names no function_call before it that is still to be answered")
	}
	t.open = slices.Delete(t.open, at, at+1)
	var words, other partList
	if m.output.Type == gjson.String {
		words.addText(m.output.Raw)
	} else {
		err := elements(m.output, func(_ int, v gjson.Result) *Error {
			if v.Get("type").Str == "input_text" {
				return words.part(v)
			}
			return other.part(v)
		})
		if err != nil {
			return in("output", err)
		}
	}
	t.r.places = append(t.r.places, t.place)
	t.w.open('{')
	t.w.textField("role", "tool")
	t.w.rawField("tool_call_id", m.callID.Raw)
	if words.n > 0 {
		t.content(&words, newLine)
	} else {
		t.w.textField("content", "")
	}
	t.w.close('}')
	if other.n > 0 {
		t.pending.addText(quoted("Returned by the tool call " + m.callID.Str + ":"))
		t.pending.add(&other)
	}
	return nil
}

// endResults writes what results showed and no user's message has taken along.
func (t *inputItems) endResults() {
	if t.pending.n > 0 {
		t.message("user", &t.pending)
	}
	t.pending = partList{}
}
