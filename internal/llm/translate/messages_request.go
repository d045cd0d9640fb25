package translate

import (
	"strings"

	"github.com/tidwall/gjson"
)

// messagesRequest is a request of Messages on its way to chat completions.
type messagesRequest struct {
	out Out

	model, messages, system, temperature, topP, stop, tools, toolChoice gjson.Result
	maxTokens                                                           int64
	stream                                                              bool
	effort                                                              string       // stated in output_config
	budget                                                              int64        // of thinking, in tokens; 0: not stated
	schema                                                              gjson.Result // of the answer
	user                                                                gjson.Result
}

// MessagesToChat translates a request of Messages into a chat completion request,
// which asks for the usage where it is streamed. Errors: [*Error], which names the
// field that has no counterpart.
func MessagesToChat(body []byte, o Out) ([]byte, error) {
	return convert(body, &messagesRequest{out: o})
}

// field reads one field of the request.
func (r *messagesRequest) field(name string, v gjson.Result) (err *Error) {
	switch name {
	case "model":
		r.model = v
		return words(v)
	case "messages":
		r.messages = v
	case "system":
		r.system = v
	case "max_tokens":
		if v.Raw == "0" {
			return fault("must be at least 1 with this model: its provider's prompt cache cannot be filled without an answer")
		}
		r.maxTokens, err = count(v)
	case "stream":
		r.stream, err = boolean(v)
	case "temperature":
		r.temperature = v
		return optionalNumber(v, 1)
	case "top_p":
		r.topP = v
		return optionalNumber(v, 1)
	case "stop_sequences":
		r.stop = v
		if given(v) {
			return elements(v, func(_ int, v gjson.Result) *Error { return text(v) })
		}
	case "tools":
		r.tools = v
	case "tool_choice":
		r.toolChoice = v
	case "thinking":
		return r.readThinking(v)
	case "output_config":
		return r.readOutputConfig(v)
	case "output_format": // as output_config.format was called at first
		return r.readFormat(v)
	case "metadata":
		return r.readMetadata(v)
	case "context_management":
		return readContext(v)
	default:
		return messagesDefault(name, v)
	}
	return err
}

// messagesDefault takes fields that have no counterpart where they say what would be
// done anyway.
func messagesDefault(name string, v gjson.Result) *Error {
	harmless := !given(v)
	switch name {
	case "service_tier":
		harmless = harmless || v.Str == "auto" || v.Str == "standard_only"
	case "speed":
		harmless = harmless || v.Str == "standard"
	case "mcp_servers":
		harmless = empty(v)
	default:
		return leftOut(fromMessages, "", name, v)
	}
	if harmless {
		return nil
	}
	return noCounterpart()
}

// readThinking reads how much the model is to think. Where it is told not to, a chat
// provider is asked for nothing: it thinks as the model does by itself.
func (r *messagesRequest) readThinking(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return each(v, func(name string, v gjson.Result) (err *Error) {
		switch name {
		case "type":
			return oneOf(v, "enabled", "disabled", "adaptive")
		case "budget_tokens":
			r.budget, err = count(v)
			return err
		}
		return leftOut(fromMessages, "thinking.", name, v)
	})
}

func (r *messagesRequest) readOutputConfig(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "effort":
			if !given(v) {
				return nil
			}
			r.effort = v.Str
			return oneOf(v, "low", "medium", "high", "xhigh", "max")
		case "format":
			return r.readFormat(v)
		}
		return leftOut(fromMessages, "output_config.", name, v)
	})
}

func (r *messagesRequest) readFormat(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	if r.schema.Exists() {
		return fault("is stated twice")
	}
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			return oneOf(v, "json_schema")
		case "schema":
			r.schema = v
			if !v.IsObject() {
				return fault("must be an object")
			}
			return nil
		}
		return leftOut(fromMessages, "output_config.format.", name, v)
	})
	if err == nil && !r.schema.Exists() {
		err = faultAt("schema", "is missing")
	}
	return err
}

func (r *messagesRequest) readMetadata(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return each(v, func(name string, v gjson.Result) *Error {
		if name == "user_id" {
			r.user = v
			return optionalText(v)
		}
		return leftOut(fromMessages, "metadata.", name, v)
	})
}

// readContext takes edits that clear earlier thinking: it is not sent to chat anyway.
func readContext(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return each(v, func(name string, v gjson.Result) *Error {
		if name == "edits" && given(v) {
			return elements(v, func(_ int, v gjson.Result) *Error { return readEdit(v) })
		}
		return leftOut(fromMessages, "context_management.", name, v)
	})
}

func readEdit(v gjson.Result) *Error {
	err := each(v, func(name string, v gjson.Result) *Error {
		switch {
		case name == "type" && strings.HasPrefix(v.Str, "clear_thinking_"):
			return nil
		case name == "type":
			return fault("has a value (%.40q) that cannot be used with this model", v.Str)
		}
		return leftOut(fromMessages, "context_management.edits[].", name, v)
	})
	if err == nil && !v.Get("type").Exists() {
		err = faultAt("type", "is missing")
	}
	return err
}

const maxUser = 64 // bytes of a user's id that chat providers take

func (r *messagesRequest) write(w *writer) *Error {
	switch {
	case !r.model.Exists():
		return faultAt("model", "is missing")
	case !r.messages.Exists():
		return faultAt("messages", "is missing")
	case r.maxTokens == 0:
		return faultAt("max_tokens", "is missing")
	}
	model, maxTokens, lengthField := r.out.Model, r.out.MaxTokens, r.out.LengthField
	if model == "" {
		model = r.model.Str
	}
	if maxTokens == 0 {
		maxTokens = r.maxTokens
	}
	if lengthField == "" {
		lengthField = "max_tokens"
	}
	w.open('{')
	w.textField("model", model)
	w.intField(lengthField, maxTokens)
	if r.stream {
		w.rawField("stream", "true")
		w.rawField("stream_options", `{"include_usage":true}`)
	}
	if err := r.writeMessages(w); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		v    gjson.Result
	}{{"temperature", r.temperature}, {"top_p", r.topP}} {
		if given(f.v) {
			w.rawField(f.name, f.v.Raw)
		}
	}
	if length(r.stop) > 0 {
		w.rawField("stop", r.stop.Raw)
	}
	if err := r.writeTools(w); err != nil {
		return err
	}
	r.writeReasoning(w)
	if r.user.Str != "" && len(r.user.Str) <= maxUser {
		w.rawField("user", r.user.Raw)
	}
	w.close('}')
	return nil
}

func (r *messagesRequest) writeReasoning(w *writer) {
	switch {
	case r.effort != "":
		w.textField("reasoning_effort", r.effort)
	case r.budget > 0:
		w.textField("reasoning_effort", effortOf(r.budget))
	}
	if r.schema.Exists() {
		w.key("response_format")
		w.typed("json_schema")
		w.key("json_schema")
		w.open('{')
		w.textField("name", "answer")
		w.rawField("schema", r.schema.Raw)
		w.rawField("strict", "true")
		w.close('}')
		w.close('}')
	}
}
