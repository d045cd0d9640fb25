package translate

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Prefixes of answers' ids.
const (
	chatID      = "chatcmpl-"
	messageID   = "msg_"
	responseID  = "resp_"
	endTurn     = "end_turn"
	toolUse     = "tool_use"
	toolCalls   = "tool_calls"
	stop        = "stop"
	lengthLimit = "length"
	filtered    = "content_filter"
)

// identify is an answer's id in the client's protocol: the provider's with the prefix
// exchanged, so that one can be found by the other.
func identify(prefix, own, other string) string {
	if own == "" {
		own = other
	}
	for _, known := range []string{chatID, messageID, responseID} {
		if rest, is := strings.CutPrefix(own, known); is {
			own = rest
			break
		}
	}
	return prefix + own
}

// reported is the error that stands in an answer or event in place of what was asked.
func reported(root gjson.Result) error {
	v := root.Get("error")
	if !given(v) {
		return nil
	}
	e := &ProviderError{Message: v.Str}
	if v.IsObject() {
		e.Type, e.Code, e.Message = v.Get("type").String(), v.Get("code").String(), v.Get("message").String()
	}
	return e
}

// finishOf is the chat protocol's word for why an answer ended.
func finishOf(stopReason string) string {
	switch stopReason {
	case toolUse:
		return toolCalls
	case "max_tokens", "model_context_window_exceeded":
		return lengthLimit
	case "refusal":
		return filtered
	}
	return stop // end_turn, stop_sequence, pause_turn
}

// stopReasonOf is Messages' word for why an answer ended. Some providers say "stop"
// where they call tools, and clients of Messages act on this word.
func stopReasonOf(finish string, calls, refused bool) string {
	switch {
	case finish == lengthLimit:
		return "max_tokens"
	case finish == filtered:
		return "refusal"
	case calls:
		return toolUse
	case refused:
		return "refusal"
	}
	return endTurn
}

// reasoning is what a provider calls the model's thoughts.
func reasoning(message gjson.Result) gjson.Result {
	if v := message.Get("reasoning_content"); v.Type == gjson.String {
		return v
	}
	return message.Get("reasoning")
}

// MessagesAnswerToChat translates a whole answer of Messages into a chat completion.
// Errors: [ErrBroken], [*ProviderError].
func MessagesAnswerToChat(answer []byte, a Answer) ([]byte, error) {
	root, err := parseAnswer(answer)
	if err != nil {
		return nil, err
	}
	blocks := root.Get("content")
	if !blocks.IsArray() {
		return nil, ErrBroken
	}
	w := writer{b: make([]byte, 0, len(answer)+512)}
	w.open('{')
	w.textField("id", identify(chatID, root.Get("id").Str, a.ID))
	w.textField("object", "chat.completion")
	w.intField("created", a.Created)
	w.textField("model", a.model(root))
	w.key("choices")
	w.open('[')
	w.open('{')
	w.intField("index", 0)
	w.key("message")
	if err := writeChatMessage(&w, blocks, root.Get("stop_details.explanation")); err != nil {
		return nil, err
	}
	w.rawField("logprobs", "null")
	w.textField("finish_reason", finishOf(root.Get("stop_reason").Str))
	w.close('}')
	w.close(']')
	var u messagesUsage
	u.add(root.Get("usage"))
	if u.any || a.Final.Usage != nil {
		writeChatUsage(&w, u.usage(), &a.Final)
	}
	w.close('}')
	return w.b, nil
}

func (a *Answer) model(root gjson.Result) string {
	if a.Model != "" {
		return a.Model
	}
	return root.Get("model").Str
}

// writeChatMessage gathers an answer's blocks into one message.
func writeChatMessage(w *writer, blocks, refusal gjson.Result) error {
	var said, thought strings.Builder
	var calls, signed writer
	var broken error
	texts := 0
	blocks.ForEach(func(_, b gjson.Result) bool {
		switch b.Get("type").Str {
		case "text":
			texts++
			said.WriteString(b.Get("text").Str)
		case "thinking":
			thought.WriteString(b.Get("thinking").Str)
			signed.raw(b.Raw)
		case "redacted_thinking":
			signed.raw(b.Raw)
		case toolUse:
			if !b.Get("input").IsObject() {
				broken = ErrBroken
				return false
			}
			calls.open('{')
			calls.textField("id", b.Get("id").Str)
			calls.textField("type", "function")
			calls.key("function")
			calls.open('{')
			calls.textField("name", b.Get("name").Str)
			calls.textField("arguments", b.Get("input").Raw)
			calls.close('}')
			calls.close('}')
		}
		return true
	})
	w.open('{')
	w.textField("role", "assistant")
	if texts > 0 {
		w.textField("content", said.String())
	} else {
		w.rawField("content", "null")
	}
	if refusal.Str != "" {
		w.rawField("refusal", refusal.Raw)
	} else {
		w.rawField("refusal", "null")
	}
	w.rawField("annotations", "[]")
	if thought.Len() > 0 {
		w.textField("reasoning_content", thought.String())
	}
	w.array("thinking_blocks", signed.b)
	w.array(toolCalls, calls.b)
	w.close('}')
	return broken
}

// array adds a field with an array whose elements are JSON already, unless there are none.
func (w *writer) array(name string, elements []byte) {
	if len(elements) == 0 {
		return
	}
	w.key(name)
	w.open('[')
	w.b = append(w.b, elements...)
	w.close(']')
}

// ChatAnswerToMessages translates a whole chat completion into an answer of Messages.
// Errors: [ErrBroken], [*ProviderError].
func ChatAnswerToMessages(answer []byte, a Answer) ([]byte, error) {
	root, err := parseAnswer(answer)
	if err != nil {
		return nil, err
	}
	choice := root.Get("choices.0")
	message := choice.Get("message")
	if !message.IsObject() {
		return nil, ErrBroken
	}
	id := identify(messageID, root.Get("id").Str, a.ID)
	w := writer{b: make([]byte, 0, len(answer)+512)}
	w.typed("message")
	w.textField("id", id)
	w.textField("role", "assistant")
	w.textField("model", a.model(root))
	w.key("content")
	w.open('[')
	calls := writeAnswerBlocks(&w, message, id)
	w.close(']')
	w.textField("stop_reason", stopReasonOf(choice.Get("finish_reason").Str, calls, message.Get("refusal").Str != ""))
	for _, unknown := range []string{"stop_sequence", "stop_details", "container", "diagnostics"} {
		w.rawField(unknown, "null")
	}
	writeMessagesUsage(&w, readChatUsage(root.Get("usage")), &a.Final, true)
	w.close('}')
	return w.b, nil
}

// writeAnswerBlocks says whether tools are called.
func writeAnswerBlocks(w *writer, message gjson.Result, id string) (calls bool) {
	if thought := reasoning(message); thought.Str != "" {
		w.typed("thinking")
		w.rawField("thinking", thought.Raw)
		w.textField("signature", "")
		w.close('}')
	}
	said := func(v gjson.Result) {
		if v.Type == gjson.String && v.Str != "" {
			w.typed("text")
			w.rawField("text", v.Raw)
			w.close('}')
		}
	}
	content := message.Get("content")
	if content.IsArray() {
		content.ForEach(func(_, part gjson.Result) bool { said(part.Get("text")); return true })
	} else {
		said(content)
	}
	said(message.Get("refusal"))
	n := 0
	message.Get(toolCalls).ForEach(func(_, v gjson.Result) bool {
		w.typed(toolUse)
		w.textField("id", toolID(v.Get("id").Str, id, n))
		w.textField("name", v.Get("function.name").Str)
		w.rawField("input", inputOf(v.Get("function.arguments").Str))
		w.rawField("caller", directCaller)
		w.close('}')
		n++
		return true
	})
	return n > 0
}

// directCaller says that the model itself made a call.
const directCaller = `{"type":"direct"}`

// toolID names a call that its provider left without a name.
func toolID(own, answer string, n int) string {
	if own != "" {
		return own
	}
	return "toolu_" + strings.TrimPrefix(answer, messageID) + "_" + strconv.Itoa(n)
}

// inputOf is a call's arguments as the object that Messages wants. What a model left
// unfinished is passed on as text in an object, as Anthropic advises.
func inputOf(arguments string) string {
	switch {
	case arguments == "":
		return "{}"
	case isInput(arguments):
		return arguments
	}
	return `{"INVALID_JSON":` + quoted(arguments) + "}"
}
