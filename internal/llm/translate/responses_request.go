package translate

import "github.com/tidwall/gjson"

// responsesRequest is a request of Responses on its way to chat completions.
type responsesRequest struct {
	out    Out
	signed bool // the chat request goes on to Messages, which reads signed thinking

	model, input, instructions, temperature, topP, tools, toolChoice gjson.Result
	parallel, effort, format, verbosity, user, safety                gjson.Result
	maxTokens                                                        int64
	stream                                                           bool
	places                                                           []string // of each chat message: where it stands in the input
}

// ResponsesToChat translates a request of Responses into a chat completion request,
// which asks for the usage where it is streamed. Errors: [*Error], which names the
// field that has no counterpart.
func ResponsesToChat(body []byte, o Out) ([]byte, error) {
	return convert(body, &responsesRequest{out: o})
}

// field reads one field of the request.
func (r *responsesRequest) field(name string, v gjson.Result) (err *Error) {
	switch name {
	case "model":
		r.model = v
		return words(v)
	case "input":
		r.input = v
	case "instructions":
		r.instructions = v
		return optionalText(v)
	case "max_output_tokens":
		r.maxTokens, err = count(v)
	case "stream":
		r.stream, err = boolean(v)
	case "stream_options":
		return r.streamOptions(v)
	case "temperature":
		r.temperature = v
		return optionalNumber(v, 2)
	case "top_p":
		r.topP = v
		return optionalNumber(v, 1)
	case "tools":
		r.tools = v
	case "tool_choice":
		r.toolChoice = v
	case "parallel_tool_calls":
		r.parallel = v
		_, err = boolean(v)
	case "reasoning":
		return r.readReasoning(v)
	case "text":
		return r.readText(v)
	case "user":
		r.user = v
		return optionalText(v)
	case "safety_identifier":
		r.safety = v
		return optionalText(v)
	default:
		return responsesDefault(name, v)
	}
	return err
}

// responsesDefault takes fields that have no counterpart where they say what would be
// done anyway.
func responsesDefault(name string, v gjson.Result) *Error {
	harmless := !given(v)
	switch name {
	case "store", "background", "top_logprobs":
		harmless = empty(v)
	case "truncation":
		harmless = harmless || v.Str == "disabled"
	case "service_tier":
		harmless = harmless || v.Str == "auto" || v.Str == "default"
	case "include":
		return readInclude(v)
	default:
		return leftOut(fromResponses, "", name, v)
	}
	if harmless {
		return nil
	}
	return noCounterpart()
}

func readInclude(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return elements(v, func(_ int, v gjson.Result) *Error { return oneOf(v, "reasoning.encrypted_content") })
}

func (r *responsesRequest) streamOptions(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return each(v, func(name string, v gjson.Result) *Error {
		return leftOut(fromResponses, "stream_options.", name, v)
	})
}

func (r *responsesRequest) readReasoning(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return each(v, func(name string, v gjson.Result) *Error {
		switch {
		case name == "effort":
			r.effort = v
			return optionalText(v)
		case name == "context" && given(v): // this and the next ask for what is done anyway
			return oneOf(v, "auto")
		case name == "mode" && given(v):
			return oneOf(v, "standard")
		}
		return leftOut(fromResponses, "reasoning.", name, v)
	})
}

func (r *responsesRequest) readText(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "format":
			r.format = v
			return nil
		case "verbosity":
			r.verbosity = v
			return optionalText(v)
		}
		return leftOut(fromResponses, "text.", name, v)
	})
}

func (r *responsesRequest) write(w *writer) *Error {
	switch {
	case !r.model.Exists():
		return faultAt("model", "is missing")
	case !given(r.input):
		return faultAt("input", "is missing")
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
	if maxTokens > 0 {
		w.intField(lengthField, maxTokens)
	}
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
	}{
		{"temperature", r.temperature}, {"top_p", r.topP}, {"reasoning_effort", r.effort},
		{"verbosity", r.verbosity}, {"user", r.user}, {"safety_identifier", r.safety},
	} {
		if given(f.v) {
			w.rawField(f.name, f.v.Raw)
		}
	}
	if err := r.writeTools(w); err != nil {
		return err
	}
	if err := in("text.format", r.writeFormat(w)); err != nil {
		return err
	}
	w.close('}')
	return nil
}

// writeTools writes the tools and which of them may be used.
func (r *responsesRequest) writeTools(w *writer) *Error {
	some := given(r.tools) && (!r.tools.IsArray() || length(r.tools) > 0)
	if some {
		w.key("tools")
		w.open('[')
		err := elements(r.tools, func(_ int, v gjson.Result) *Error { return writeFlatTool(w, v) })
		if err != nil {
			return in("tools", err)
		}
		w.close(']')
	}
	if err := in("tool_choice", writeFlatChoice(w, r.toolChoice, some)); err != nil {
		return err
	}
	if some && given(r.parallel) {
		w.rawField("parallel_tool_calls", r.parallel.Raw)
	}
	return nil
}

// writeFlatTool writes a function, whose fields stand beside its type here.
func writeFlatTool(w *writer, v gjson.Result) *Error {
	if kind := v.Get("type"); v.IsObject() && given(kind) { // other kinds have other fields
		if err := oneOf(kind, "function"); err != nil {
			return in("type", err)
		}
	}
	var named bool
	var function writer
	function.open('{')
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			return oneOf(v, "function")
		case "name":
			named = true
			if err := words(v); err != nil {
				return err
			}
		case "description":
			if err := optionalText(v); err != nil {
				return err
			}
		case "parameters":
			if given(v) && !v.IsObject() {
				return fault("must be an object")
			}
		case "strict":
			if _, err := boolean(v); err != nil {
				return err
			}
		default:
			return leftOut(fromResponses, "tools[].", name, v)
		}
		if given(v) {
			function.rawField(name, v.Raw)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case v.Get("type").Str == "":
		return faultAt("type", "is missing")
	case !named:
		return faultAt("name", "is missing")
	}
	function.close('}')
	w.typed("function")
	w.rawField("function", string(function.b))
	w.close('}')
	return nil
}

func writeFlatChoice(w *writer, v gjson.Result, some bool) *Error {
	if !given(v) {
		return nil
	}
	if v.Type == gjson.String {
		if err := oneOf(v, "auto", "none", "required"); err != nil {
			return err
		}
		if v.Str == "required" && !some {
			return fault("asks for a tool, and there are none")
		}
		if some {
			w.rawField("tool_choice", v.Raw)
		}
		return nil
	}
	var tool gjson.Result
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			return oneOf(v, "function")
		case "name":
			tool = v
			return words(v)
		}
		return leftOut(fromResponses, "tool_choice.", name, v)
	})
	switch {
	case err != nil:
		return err
	case !tool.Exists():
		return faultAt("name", "is missing")
	case !some:
		return fault("asks for a tool, and there are none")
	}
	w.key("tool_choice")
	w.typed("function")
	w.key("function")
	w.open('{')
	w.rawField("name", tool.Raw)
	w.close('}')
	w.close('}')
	return nil
}

// writeFormat writes response_format; a schema's fields stand beside its type here.
func (r *responsesRequest) writeFormat(w *writer) *Error {
	if !given(r.format) {
		return nil
	}
	var kind gjson.Result
	var schema writer
	schema.open('{')
	err := each(r.format, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			kind = v
			return oneOf(v, "text", "json_object", "json_schema")
		case "name", "schema", "strict", "description":
			if given(v) {
				schema.rawField(name, v.Raw)
			}
			return nil
		}
		return leftOut(fromResponses, "text.format.", name, v)
	})
	if err != nil {
		return err
	}
	switch kind.Str {
	case "":
		return faultAt("type", "is missing")
	case "text":
		return nil
	}
	w.key("response_format")
	w.open('{')
	w.rawField("type", kind.Raw)
	if kind.Str == "json_schema" {
		schema.close('}')
		w.rawField("json_schema", string(schema.b))
	}
	w.close('}')
	return nil
}
