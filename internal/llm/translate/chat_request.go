package translate

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// chatRequest is a chat completion request on its way to Messages.
type chatRequest struct {
	out Out

	model, messages, stream, temperature, topP, topK, stop gjson.Result
	tools, toolChoice, parallel, format, effortAsked       gjson.Result
	user, safety, thinking, mark                           gjson.Result
	maxTokens                                              int64 // as stated; 0: not stated

	thinkingRaw string // what stands in the field thinking; "": nothing
	effort      string // output_config.effort; "": nothing
	unsigned    bool   // the request goes on in a turn whose thinking has not come back
}

// ChatToMessages translates a chat completion request into one of Messages. Errors:
// [*Error], which names the field that has no counterpart.
func ChatToMessages(body []byte, o Out) ([]byte, error) {
	return convert(body, &chatRequest{out: o})
}

// field reads one field of the request.
func (r *chatRequest) field(name string, v gjson.Result) *Error {
	switch name {
	case "model":
		r.model = v
		return words(v)
	case "messages":
		r.messages = v
	case "stream":
		r.stream = v
		_, err := boolean(v)
		return err
	case "stream_options":
		return r.streamOptions(v)
	case "max_tokens", "max_completion_tokens":
		n, err := count(v)
		if n > 0 && (r.maxTokens == 0 || n < r.maxTokens) {
			r.maxTokens = n
		}
		return err
	case "temperature":
		r.temperature = v
		return temperature(v)
	case "top_p":
		r.topP = v
		return optionalNumber(v, 1)
	case "top_k":
		r.topK = v
		_, err := count(v)
		return err
	case "stop":
		r.stop = v
	case "tools":
		r.tools = v
	case "tool_choice":
		r.toolChoice = v
	case "parallel_tool_calls":
		r.parallel = v
		_, err := boolean(v)
		return err
	case "response_format":
		r.format = v
	case "reasoning_effort":
		r.effortAsked = v
	case "thinking":
		r.thinking = v
	case "user":
		r.user = v
		return optionalText(v)
	case "safety_identifier":
		r.safety = v
		return optionalText(v)
	case "cache_control":
		r.mark = v
		if given(v) && !v.IsObject() {
			return fault("must be an object")
		}
	default:
		return chatDefault(name, v)
	}
	return nil
}

// chatDefault takes fields that have no counterpart where they say what would be done
// anyway.
func chatDefault(name string, v gjson.Result) *Error {
	harmless := !given(v)
	switch name {
	case "n":
		harmless = harmless || v.Type == gjson.Number && v.Num == 1
	case "logprobs", "store", "top_logprobs", "frequency_penalty", "presence_penalty", "logit_bias", "functions":
		harmless = empty(v)
	case "modalities":
		harmless = harmless || v.IsArray() && length(v) == 1 && v.Get("0").Str == "text"
	case "service_tier":
		harmless = harmless || v.Str == "auto" || v.Str == "default"
	case "verbosity":
		harmless = harmless || v.Str == "medium"
	case "function_call":
		harmless = harmless || v.Str == "auto" || v.Str == "none"
	default:
		return leftOut(fromChat, "", name, v)
	}
	if harmless {
		return nil
	}
	return noCounterpart()
}

func (r *chatRequest) streamOptions(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return each(v, func(name string, v gjson.Result) *Error {
		if name == "include_usage" { // the caller's, who writes the stream
			_, err := boolean(v)
			return err
		}
		return leftOut(fromChat, "stream_options.", name, v)
	})
}

// temperature refuses what Messages has no room for, rather than clamping it.
func temperature(v gjson.Result) *Error {
	if err := optionalNumber(v, 2); err != nil {
		return err
	}
	if v.Num > 1 {
		return fault("must be at most 1 with this model")
	}
	return nil
}

// optionalNumber is a number from 0 to most, where there is one.
func optionalNumber(v gjson.Result, most float64) *Error {
	if !given(v) {
		return nil
	}
	return number(v, 0, most)
}

func optionalText(v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	return text(v)
}

func (r *chatRequest) modelName() string {
	if r.out.Model != "" {
		return r.out.Model
	}
	return r.model.Str
}

func (r *chatRequest) write(w *writer) *Error {
	if !r.model.Exists() {
		return faultAt("model", "is missing")
	}
	if !r.messages.Exists() {
		return faultAt("messages", "is missing")
	}
	maxTokens := r.out.MaxTokens
	if maxTokens == 0 {
		maxTokens = r.maxTokens
	}
	if maxTokens == 0 {
		return faultAt("max_tokens", "is missing: this model's provider insists on it")
	}
	w.open('{')
	w.textField("model", r.modelName())
	w.intField("max_tokens", maxTokens)
	if given(r.stream) {
		w.rawField("stream", r.stream.Raw)
	}
	unsigned, err := writeTurns(w, r.messages, r.modelName())
	if err != nil {
		return in("messages", err)
	}
	r.unsigned = unsigned
	thinks, err := r.settleThinking(maxTokens)
	if err != nil {
		return err
	}
	if err := r.sampling(w, thinks); err != nil {
		return err
	}
	if err := in("stop", r.stops(w)); err != nil {
		return err
	}
	if err := r.writeTools(w, thinks); err != nil {
		return err
	}
	if err := in("response_format", r.outputConfig(w)); err != nil {
		return err
	}
	who := r.safety
	if who.Str == "" {
		who = r.user
	}
	if who.Str != "" {
		w.key("metadata")
		w.open('{')
		w.rawField("user_id", who.Raw)
		w.close('}')
	}
	if given(r.mark) {
		w.rawField("cache_control", r.mark.Raw)
	}
	w.close('}')
	return nil
}

// settleThinking decides about the field thinking, and whether the model will think.
func (r *chatRequest) settleThinking(maxTokens int64) (bool, *Error) {
	thinks, err := r.think(r.effortAsked, maxTokens)
	if err != nil {
		return false, in("reasoning_effort", err)
	}
	if given(r.thinking) {
		if !r.thinking.IsObject() {
			return false, faultAt("thinking", "must be an object")
		}
		r.thinkingRaw = r.thinking.Raw
		kind := r.thinking.Get("type").Str
		thinks = kind != "disabled"
		if budget := r.thinking.Get("budget_tokens"); kind == "enabled" && budget.Num >= float64(maxTokens) {
			return false, faultAt("thinking.budget_tokens", "must be less than the %d tokens the answer may have", maxTokens)
		}
	}
	return thinks, nil
}

// sampling writes how tokens are chosen. A model that thinks leaves little choice.
func (r *chatRequest) sampling(w *writer, thinks bool) *Error {
	if r.thinkingRaw != "" {
		w.rawField("thinking", r.thinkingRaw)
	}
	const whileThinking = " while the model thinks (reasoning_effort)"
	for _, f := range []struct {
		name string
		v    gjson.Result
		can  bool
		must string
	}{
		{"temperature", r.temperature, r.temperature.Num == 1, "must be 1"},
		{"top_p", r.topP, r.topP.Num >= 0.95, "must be at least 0.95"},
		{"top_k", r.topK, false, "cannot be set"},
	} {
		if !given(f.v) || f.name == "top_p" && f.v.Num == 1 { // 1 asks for nothing, and not every model takes it beside a temperature
			continue
		}
		if thinks && !f.can {
			return faultAt(f.name, "%s", f.must+whileThinking)
		}
		w.rawField(f.name, f.v.Raw)
	}
	return nil
}

// stops writes the texts that end an answer: one, or an array of them.
func (r *chatRequest) stops(w *writer) *Error {
	if !given(r.stop) {
		return nil
	}
	if r.stop.Type == gjson.String {
		w.key("stop_sequences")
		w.open('[')
		w.raw(r.stop.Raw)
		w.close(']')
		return nil
	}
	if err := elements(r.stop, func(_ int, v gjson.Result) *Error { return text(v) }); err != nil {
		return err
	}
	if length(r.stop) > 0 {
		w.rawField("stop_sequences", r.stop.Raw)
	}
	return nil
}

// outputConfig writes the effort and the answer's format.
func (r *chatRequest) outputConfig(w *writer) *Error {
	schema, err := r.schema()
	if err != nil || schema == "" && r.effort == "" {
		return err
	}
	w.key("output_config")
	w.open('{')
	if r.effort != "" {
		w.textField("effort", r.effort)
	}
	if schema != "" {
		w.key("format")
		w.typed("json_schema")
		w.rawField("schema", schema)
		w.close('}')
	}
	w.close('}')
	return nil
}

// schema reads the JSON schema that the answer must follow; "": none is asked.
func (r *chatRequest) schema() (string, *Error) {
	if !given(r.format) {
		return "", nil
	}
	var kind, spec gjson.Result
	err := each(r.format, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			kind = v
			if v.Str == "json_object" {
				return fault("must not be json_object with this model: give a json_schema")
			}
			return oneOf(v, "text", "json_schema")
		case "json_schema":
			spec = v
			return nil
		}
		return leftOut(fromChat, "response_format.", name, v)
	})
	switch {
	case err != nil:
		return "", err
	case kind.Str == "":
		return "", faultAt("type", "is missing")
	case kind.Str == "text":
		return "", nil
	case withoutFormat.MatchString(r.modelName()):
		return "", fault("cannot be used with this model: it cannot be held to a schema")
	}
	schema, err := schemaOf(spec)
	return schema, in("json_schema", err)
}

// schemaOf takes the schema out of its wrapping. The name is a label of the client's;
// the description goes where a schema has its own.
func schemaOf(spec gjson.Result) (string, *Error) {
	var schema, description gjson.Result
	err := each(spec, func(name string, v gjson.Result) *Error {
		switch name {
		case "schema":
			schema = v
			if !v.IsObject() {
				return fault("must be an object")
			}
		case "description":
			description = v
			return optionalText(v)
		case "name":
			return text(v)
		case "strict":
			_, err := boolean(v)
			return err
		default:
			return leftOut(fromChat, "response_format.json_schema.", name, v)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case !schema.Exists():
		return "", faultAt("schema", "is missing")
	case description.Str == "":
		return schema.Raw, nil
	case schema.Get("description").Exists():
		return "", faultAt("description", "cannot be used with this model beside the schema's own")
	}
	return withField(schema, "description", description.Raw), nil
}

// withField puts a field at the beginning of an object, whose other bytes stay.
func withField(object gjson.Result, name, value string) string {
	field := strconv.Quote(name) + ":" + value
	if !empty(object) {
		field += ","
	}
	return "{" + field + object.Raw[1:]
}
