package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"
)

// turns turns chat messages into the turns of Messages.
type turns struct {
	w       *writer      // of the array messages
	system  instructions // before the conversation
	later   instructions // which wait for the end of the user's turn
	said    writer       // the blocks of the answer at hand
	takes   bool         // the model takes them there
	begun   bool         // a turn that is no system prompt has come
	asked   bool         // the last turn is the user's
	results bool         // a user turn with tool results stands open
	answers bool         // the last turn answers tool calls
	signed  bool         // the thinking before those calls came back
	open    []call       // tool calls that have no result yet
}

// instructions gathers system and developer messages.
type instructions struct {
	blocks writer
	n      int    // messages
	simple string // where the last is one string: JSON
	first  string // the role's place in the first
	role   string // the first's
}

func (s *instructions) add(content gjson.Result) *Error {
	s.n++
	s.simple = ""
	if content.Type == gjson.String {
		s.simple = content.Raw
	}
	return in("content", writeBlocks(&s.blocks, content, onlyText))
}

// field writes a field with the texts: a string where that is all.
func (s *instructions) field(w *writer, name string) {
	if s.n == 1 && s.simple != "" {
		w.rawField(name, s.simple)
		return
	}
	w.array(name, s.blocks.b)
}

// call is a tool call that waits for its result.
type call struct {
	id    string
	param string // where it stands
}

// chatMessage is a message with its fields told apart.
type chatMessage struct {
	role, content, name, refusal, calls, callID, blocks gjson.Result
}

// writeTurns writes the fields messages and system. It says whether the request goes on
// in the middle of a turn whose thinking has not come back.
func writeTurns(w *writer, messages gjson.Result, model string) (bool, *Error) {
	t := turns{w: w, takes: takesLater.MatchString(model)}
	err := t.write(messages)
	return t.answers && !t.signed, err
}

func (t *turns) write(messages gjson.Result) *Error {
	w := t.w
	w.key("messages")
	w.open('[')
	before := len(w.b)
	if err := elements(messages, t.message); err != nil {
		return err
	}
	if err := t.settled(); err != nil {
		return err
	}
	t.closeResults()
	if err := t.instruct(); err != nil {
		return err
	}
	if len(w.b) == before { // answers that say nothing are left out
		return fault("must hold at least one message that says something and is no system prompt")
	}
	w.close(']')
	if len(t.system.blocks.b) > 0 {
		t.system.field(w, "system")
	}
	return nil
}

func (t *turns) message(i int, v gjson.Result) *Error {
	m, err := readChatMessage(v)
	if err != nil {
		return err
	}
	switch m.role.Str {
	case "system", "developer":
		return t.prompt(i, &m)
	case "user":
		return t.user(&m)
	case "assistant":
		return t.assistant(i, &m)
	case "tool":
		return t.result(&m)
	case "function":
		return faultAt("role", "must be tool: functions are not supported, tools are")
	case "":
		return faultAt("role", "must be a non-empty string")
	}
	return faultAt("role", "must be system, developer, user, assistant or tool")
}

// readChatMessage also refuses fields that a message of its role does not have.
func readChatMessage(v gjson.Result) (chatMessage, *Error) {
	var m chatMessage
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "role":
			m.role = v
			return text(v)
		case "content":
			m.content = v
		case "name":
			m.name = v
		case "refusal":
			m.refusal = v
			return optionalText(v)
		case "tool_calls":
			m.calls = v
		case "tool_call_id":
			m.callID = v
		case "thinking_blocks":
			m.blocks = v
		default:
			return leftOut(fromChat, "messages[].", name, v)
		}
		return nil
	})
	if err != nil {
		return m, err
	}
	role := m.role.Str
	for _, f := range []struct {
		name, role string
		v          gjson.Result
	}{{"tool_calls", "assistant", m.calls}, {"refusal", "assistant", m.refusal}, {"thinking_blocks", "assistant", m.blocks}, {"tool_call_id", "tool", m.callID}} {
		if given(f.v) && role != f.role {
			return m, faultAt(f.name, "belongs to messages of the role %s", f.role)
		}
	}
	if !empty(m.name) && role != "tool" && role != "function" { // a tool's name stands in the call
		return m, in("name", noCounterpart())
	}
	return m, nil
}

// prompt adds to the instructions: those before the conversation, or later ones.
func (t *turns) prompt(i int, m *chatMessage) *Error {
	switch {
	case !t.begun:
		return t.system.add(m.content)
	case !t.takes:
		return faultAt("role", "must not be %s after the conversation has begun: this model's provider takes instructions at its beginning", m.role.Str)
	case t.later.n == 0:
		t.later.first, t.later.role = "messages["+strconv.Itoa(i)+"].role", m.role.Str
	}
	if err := t.settled(); err != nil {
		return err
	}
	return t.later.add(m.content)
}

// instruct writes later instructions, which Messages has at the end of a user's turn: as
// one message, and nowhere else.
func (t *turns) instruct() *Error {
	if len(t.later.blocks.b) > 0 {
		if !t.asked {
			return &Error{Param: t.later.first, Message: "must not be " + t.later.role + " between two answers, or after the last: this model's provider takes instructions after a user's words or a tool's result", whole: true}
		}
		t.w.open('{')
		t.w.textField("role", "system")
		t.later.field(t.w, "content")
		t.w.close('}')
	}
	t.later = instructions{}
	return nil
}

func (t *turns) user(m *chatMessage) *Error {
	if err := t.settled(); err != nil {
		return err
	}
	t.begun, t.asked, t.answers = true, true, t.results
	if !t.results && m.content.Type == gjson.String && m.content.Str != "" {
		t.w.open('{')
		t.w.textField("role", "user")
		t.w.rawField("content", m.content.Raw)
		t.w.close('}')
		return nil
	}
	if !t.results { // else the blocks join the results
		t.openTurn()
	}
	t.results = false
	before := len(t.w.b)
	if err := in("content", writeBlocks(t.w, m.content, anyPart)); err != nil {
		return err
	}
	if len(t.w.b) == before {
		return faultAt("content", "must not be empty")
	}
	t.closeTurn()
	return nil
}

// openTurn begins a user's turn of blocks.
func (t *turns) openTurn() {
	t.w.open('{')
	t.w.textField("role", "user")
	t.w.key("content")
	t.w.open('[')
}

func (t *turns) closeTurn() {
	t.w.close(']')
	t.w.close('}')
}

func (t *turns) closeResults() {
	if t.results {
		t.closeTurn()
	}
	t.results = false
}

// settled wants every tool call to have its result.
func (t *turns) settled() *Error {
	if len(t.open) == 0 {
		return nil
	}
	return &Error{Param: t.open[0].param, Message: "has no result: a tool message must answer each call right after it", whole: true}
}

// assistant writes an answer given before. One that says nothing is left out.
func (t *turns) assistant(i int, m *chatMessage) *Error {
	if err := t.settled(); err != nil {
		return err
	}
	t.closeResults()
	t.begun, t.answers = true, false
	if err := t.answer(i, m); err != nil || len(t.said.b) == 0 {
		return err
	}
	if err := t.instruct(); err != nil {
		return err
	}
	t.asked = false
	t.w.open('{')
	t.w.textField("role", "assistant")
	t.w.array("content", t.said.b)
	t.w.close('}')
	return nil
}

// answer gathers what an answer says, as blocks.
func (t *turns) answer(i int, m *chatMessage) *Error {
	w := &t.said
	w.b = w.b[:0]
	if err := in("thinking_blocks", thinkingBlocks(w, m.blocks)); err != nil {
		return err
	}
	t.signed = len(w.b) > 0
	if given(m.content) {
		if err := in("content", writeBlocks(w, m.content, answerText)); err != nil {
			return err
		}
	}
	if m.refusal.Str != "" {
		w.textBlock(m.refusal.Raw)
	}
	if !given(m.calls) {
		return nil
	}
	return in("tool_calls", elements(m.calls, func(j int, v gjson.Result) *Error {
		return t.call(v, "messages["+strconv.Itoa(i)+"].tool_calls["+strconv.Itoa(j)+"].id")
	}))
}

// thinkingBlocks passes on what the provider signed, byte for byte.
func thinkingBlocks(w *writer, v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return elements(v, func(_ int, v gjson.Result) *Error {
		if !v.IsObject() {
			return fault("must be an object")
		}
		if err := oneOf(v.Get("type"), "thinking", "redacted_thinking"); err != nil {
			return in("type", err)
		}
		if v.Get("type").Str == "thinking" && v.Get("signature").Str == "" {
			return nil // unsigned, as reasoning_content is
		}
		w.raw(v.Raw)
		return nil
	})
}

func (t *turns) call(v gjson.Result, param string) *Error {
	var id, tool, arguments gjson.Result
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "id":
			id = v
			return words(v)
		case "type":
			return oneOf(v, "function")
		case "function":
			return each(v, func(name string, v gjson.Result) *Error {
				switch name {
				case "name":
					tool = v
					return words(v)
				case "arguments":
					arguments = v
					return text(v)
				}
				return leftOut(fromChat, "messages[].tool_calls[].function.", name, v)
			})
		}
		return leftOut(fromChat, "messages[].tool_calls[].", name, v)
	})
	switch {
	case err != nil:
		return err
	case !id.Exists():
		return faultAt("id", "is missing")
	case !tool.Exists():
		return faultAt("function.name", "is missing")
	case slices.ContainsFunc(t.open, func(c call) bool { return c.id == id.Str }):
		return faultAt("id", "is another call's, too")
	}
	t.open = append(t.open, call{id.Str, param})
	w := &t.said
	w.typed("tool_use")
	w.textField("id", callID(id.Str))
	w.rawField("name", tool.Raw)
	w.rawField("input", inputOf(arguments.Str))
	w.close('}')
	return nil
}

// isInput says that arguments are an object, or none at all.
func isInput(arguments string) bool {
	return arguments == "" || !tooDeep([]byte(arguments)) && gjson.Valid(arguments) && gjson.Parse(arguments).IsObject()
}

// callID is an id as Messages allows it: one with other characters gets a name
// derived from it. Nobody but the provider sees it.
func callID(id string) string {
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			sum := sha256.Sum256([]byte(id))
			return "toolu_" + hex.EncodeToString(sum[:12])
		}
	}
	return id
}

// result writes what a tool returned. Those of consecutive messages share one turn.
func (t *turns) result(m *chatMessage) *Error {
	if err := words(m.callID); err != nil {
		return in("tool_call_id", err)
	}
	at := slices.IndexFunc(t.open, func(c call) bool { return c.id == m.callID.Str })
	if at < 0 {
		return faultAt("tool_call_id", "names no call of the assistant message before it that is still to be answered")
	}
	t.open = slices.Delete(t.open, at, at+1)
	if !t.results {
		t.openTurn()
		t.results, t.asked, t.answers = true, true, true
	}
	t.w.typed("tool_result")
	t.w.textField("tool_use_id", callID(m.callID.Str))
	if m.content.Type == gjson.String {
		t.w.rawField("content", m.content.Raw)
	} else {
		t.w.key("content")
		t.w.open('[')
		if err := in("content", writeBlocks(t.w, m.content, anyPart)); err != nil {
			return err
		}
		t.w.close(']')
	}
	t.w.close('}')
	return nil
}
