package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// chatTurns turns the turns of Messages into chat messages. Consecutive messages of one
// role are one turn there: calls, and results, may be spread over them.
type chatTurns struct {
	w     *writer  // of the array messages
	open  []call   // tool calls that have no result yet
	said  partList // of the answer being gathered
	calls writer   // its tool calls
	late  partList // what the user said while results were missing
}

// writeMessages writes the field messages, with the system prompt before the turns.
func (r *messagesRequest) writeMessages(w *writer) *Error {
	w.key("messages")
	w.open('[')
	if given(r.system) {
		if err := in("system", writeSystem(w, "system[].", r.system)); err != nil {
			return err
		}
	}
	t := chatTurns{w: w}
	last, n := "", 0
	err := elements(r.messages, func(i int, v gjson.Result) (err *Error) {
		last, err = t.turn(i, v)
		n++
		return err
	})
	t.endAnswer()
	if err == nil {
		err = t.settled()
	}
	switch {
	case err != nil:
		return in("messages", err)
	case n == 0:
		return faultAt("messages", "must hold at least one message")
	case last == "assistant":
		return faultAt("messages["+strconv.Itoa(n-1)+"]", "begins the answer itself, which cannot be used with this model")
	}
	w.close(']')
	return nil
}

// writeSystem writes instructions, a string or text blocks: a message for each text, for
// not every chat provider takes parts there.
func writeSystem(w *writer, place string, v gjson.Result) *Error {
	if v.Type == gjson.String {
		writeInstruction(w, v)
		return nil
	}
	return elements(v, func(_ int, v gjson.Result) *Error {
		b, err := readBlock(place, v)
		switch {
		case err != nil:
			return err
		case b.kind != "text":
			return faultAt("type", "must be text")
		case !b.words.Exists():
			return faultAt("text", "is missing")
		}
		writeInstruction(w, b.words)
		return nil
	})
}

// writeInstruction writes one text; an empty one says nothing.
func writeInstruction(w *writer, text gjson.Result) {
	if text.Str == "" {
		return
	}
	w.open('{')
	w.textField("role", "system")
	w.rawField("content", text.Raw)
	w.close('}')
}

// turn writes one message as one or several, and returns its role.
func (t *chatTurns) turn(i int, v gjson.Result) (string, *Error) {
	var role, content gjson.Result
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "role":
			role = v
			return oneOf(v, "user", "assistant", "system")
		case "content":
			content = v
			return nil
		case "clear_at": // how long a system message counts
			if !given(v) {
				return nil
			}
			return oneOf(v, "never")
		}
		return leftOut(fromMessages, "messages[].", name, v)
	})
	switch {
	case err != nil:
		return "", err
	case !role.Exists():
		return "", faultAt("role", "is missing")
	case content.Type != gjson.String && !content.IsArray():
		return "", faultAt("content", "must be a string or an array of blocks")
	}
	if role.Str != "assistant" || len(t.calls.b) == 0 { // else the answer goes on
		t.endAnswer()
		if role.Str != "user" {
			err = t.settled()
		}
	}
	if err != nil {
		return "", err
	}
	switch role.Str {
	case "user":
		err = t.user(content)
	case "system":
		err = writeSystem(t.w, "messages[].content[].", content)
	default:
		err = t.assistant(i, content)
	}
	return role.Str, in("content", err)
}

func (t *chatTurns) settled() *Error {
	if len(t.open) == 0 {
		return nil
	}
	return &Error{Param: t.open[0].param, Message: "has no result: the next message must begin with a tool_result for each call", whole: true}
}

// user writes tool results as messages of their own and what remains as one message,
// once no result is missing. Pictures and files of results, which a tool message cannot
// hold, lead the latter.
func (t *chatTurns) user(content gjson.Result) *Error {
	p := t.late
	t.late = partList{}
	if content.Type == gjson.String {
		p.addText(content.Raw)
	} else {
		said := false
		err := elements(content, func(_ int, v gjson.Result) *Error {
			b, err := readBlock("messages[].content[].", v)
			if err != nil {
				return err
			}
			if b.kind == "tool_result" {
				if said {
					return fault("must stand before everything else in its message")
				}
				return t.result(&b, &p)
			}
			said = true
			return p.block(&b)
		})
		if err != nil {
			return err
		}
	}
	if len(t.open) > 0 {
		t.late = p
		return nil
	}
	if p.n == 0 {
		return nil
	}
	t.w.open('{')
	t.w.textField("role", "user")
	p.words(t.w, newLine)
	t.w.close('}')
	return nil
}

// assistant gathers an answer given before.
func (t *chatTurns) assistant(i int, content gjson.Result) *Error {
	var p partList
	defer func() {
		switch {
		case p.n == 0:
			return
		case t.said.n > 0: // the answer goes on in another message
			t.said.addText(`"` + newLine + `"`)
		}
		t.said.add(&p)
	}()
	if content.Type == gjson.String {
		p.addText(content.Raw)
		return nil
	}
	return elements(content, func(j int, v gjson.Result) *Error {
		b, err := readBlock("messages[].content[].", v)
		if err != nil {
			return err
		}
		switch b.kind {
		case "text":
			return p.text(&b)
		case toolUse:
			return t.call(&b, "messages["+strconv.Itoa(i)+"].content["+strconv.Itoa(j)+"].id")
		case "thinking", "redacted_thinking":
			return nil
		}
		return in("type", noCounterpart())
	})
}

// endAnswer writes the answer that was gathered. One that says nothing is left out.
func (t *chatTurns) endAnswer() {
	if t.said.n == 0 && len(t.calls.b) == 0 {
		return
	}
	t.w.open('{')
	t.w.textField("role", "assistant")
	if t.said.n > 0 {
		t.said.words(t.w, nothing)
	} else {
		t.w.rawField("content", "null")
	}
	t.w.array(toolCalls, t.calls.b)
	t.w.close('}')
	t.said, t.calls = partList{}, writer{}
}

func (t *chatTurns) call(b *block, param string) *Error {
	switch {
	case b.id.Str == "":
		return faultAt("id", "must be a non-empty string")
	case b.name.Str == "":
		return faultAt("name", "must be a non-empty string")
	case !b.input.IsObject():
		return faultAt("input", "must be an object")
	case slices.ContainsFunc(t.open, func(c call) bool { return c.id == b.id.Str }):
		return faultAt("id", "is another call's, too")
	}
	t.open = append(t.open, call{b.id.Str, param})
	w := &t.calls
	w.open('{')
	w.textField("id", chatCallID(b.id.Str))
	w.textField("type", "function")
	w.key("function")
	w.open('{')
	w.rawField("name", b.name.Raw)
	w.textField("arguments", b.input.Raw)
	w.close('}')
	w.close('}')
	return nil
}

const maxChatCallID = 40 // bytes; OpenAI's own bound

// chatCallID is an id as chat providers take it: a longer one gets a name derived
// from it. Nobody but the provider sees it.
func chatCallID(id string) string {
	if len(id) <= maxChatCallID {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "call_" + hex.EncodeToString(sum[:12])
}

const failedCall = "The tool call failed:"

// asFailed puts words before what a failed call returned.
func (p *partList) asFailed() (failed partList) {
	failed.addText(quoted(failedCall))
	if p.n > 0 {
		failed.add(p)
	}
	return failed
}

// result writes a tool's result; what a tool message cannot hold goes to late.
func (t *chatTurns) result(b *block, late *partList) *Error {
	if b.callID.Str == "" {
		return faultAt("tool_use_id", "must be a non-empty string")
	}
	at := slices.IndexFunc(t.open, func(c call) bool { return c.id == b.callID.Str })
	if at < 0 {
		return faultAt("tool_use_id", "names no call of the message before it that is still to be answered")
	}
	t.open = slices.Delete(t.open, at, at+1)
	failed, err := boolean(b.isError)
	if err != nil {
		return in("is_error", err)
	}
	var p, other partList
	switch {
	case b.content.Type == gjson.String:
		p.addText(b.content.Raw)
	case given(b.content):
		err := elements(b.content, func(_ int, v gjson.Result) *Error {
			inner, err := readBlock("messages[].content[].content[].", v)
			if err != nil {
				return err
			}
			if inner.kind == "text" {
				return p.text(&inner)
			}
			return other.block(&inner)
		})
		if err != nil {
			return in("content", err)
		}
	}
	if failed {
		p = p.asFailed()
	}
	id := chatCallID(b.callID.Str)
	if other.n > 0 {
		late.addText(quoted("Returned by the tool call " + id + ":"))
		late.add(&other)
	}
	t.w.open('{')
	t.w.textField("role", "tool")
	t.w.textField("tool_call_id", id)
	if p.n > 0 {
		p.words(t.w, newLine)
	} else {
		t.w.textField("content", "")
	}
	t.w.close('}')
	return nil
}
