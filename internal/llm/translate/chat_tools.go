package translate

import "github.com/tidwall/gjson"

// noArguments is the schema of a tool that takes none; Messages wants one.
const noArguments = `{"type":"object","properties":{}}`

// writeTools writes the tools and which of them may be used.
func (r *chatRequest) writeTools(w *writer, thinks bool) *Error {
	choice, forced, err := readChoice(r.toolChoice)
	if err != nil {
		return in("tool_choice", err)
	}
	if given(r.tools) && length(r.tools) > 0 || given(r.tools) && !r.tools.IsArray() {
		w.key("tools")
		w.open('[')
		err := elements(r.tools, func(_ int, v gjson.Result) *Error { return writeTool(w, v) })
		if err != nil {
			return in("tools", err)
		}
		w.close(']')
	} else {
		if forced {
			return faultAt("tool_choice", "asks for a tool, and there are none")
		}
		return nil // none and auto are the same without tools
	}
	if forced && thinks {
		return faultAt("tool_choice", "cannot force a tool while the model thinks (reasoning_effort)")
	}
	single := r.parallel.Type == gjson.False && choice.kind != "none"
	if choice.kind == "" && !single {
		return nil
	}
	if choice.kind == "" {
		choice.kind = "auto"
	}
	w.key("tool_choice")
	w.typed(choice.kind)
	if choice.name != "" {
		w.rawField("name", choice.name)
	}
	if single {
		w.rawField("disable_parallel_tool_use", "true")
	}
	w.close('}')
	return nil
}

// toolChoice is a choice in Messages' words; kind "" leaves it to the provider.
type toolChoice struct {
	kind string
	name string // of kind tool, as JSON
}

// readChoice also says whether the model must use a tool.
func readChoice(v gjson.Result) (choice toolChoice, forced bool, err *Error) {
	switch {
	case !given(v):
		return toolChoice{}, false, nil
	case v.Type == gjson.String:
		switch v.Str {
		case "auto", "none":
			return toolChoice{kind: v.Str}, false, nil
		case "required":
			return toolChoice{kind: "any"}, true, nil
		}
		return toolChoice{}, false, fault("must be auto, none, required or a function")
	}
	choice.kind = "tool"
	err = each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			return oneOf(v, "function")
		case "function":
			return each(v, func(name string, v gjson.Result) *Error {
				if name == "name" {
					choice.name = v.Raw
					return words(v)
				}
				return leftOut(fromChat, "tool_choice.function.", name, v)
			})
		}
		return leftOut(fromChat, "tool_choice.", name, v)
	})
	if err == nil && choice.name == "" {
		err = faultAt("function.name", "is missing")
	}
	return choice, true, err
}

// writeTool writes one tool, whose schema keeps its bytes.
func writeTool(w *writer, v gjson.Result) *Error {
	var function, mark gjson.Result
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			return oneOf(v, "function")
		case "function":
			function = v
			return nil
		case "cache_control":
			mark = v
			return nil
		}
		return leftOut(fromChat, "tools[].", name, v)
	})
	if err != nil {
		return err
	}
	if !function.Exists() {
		return faultAt("function", "is missing")
	}
	w.open('{')
	if err := in("function", writeFunction(w, function)); err != nil {
		return err
	}
	if given(mark) {
		w.rawField("cache_control", mark.Raw)
	}
	w.close('}')
	return nil
}

func writeFunction(w *writer, v gjson.Result) *Error {
	var toolName, description, parameters gjson.Result
	strict := false
	err := each(v, func(name string, v gjson.Result) (err *Error) {
		switch name {
		case "name":
			toolName = v
			return words(v)
		case "description":
			description = v
			return optionalText(v)
		case "parameters":
			parameters = v
			if given(v) && !v.IsObject() {
				return fault("must be an object")
			}
			return nil
		case "strict":
			strict, err = boolean(v)
			return err
		}
		return leftOut(fromChat, "tools[].function.", name, v)
	})
	if err != nil {
		return err
	}
	if !toolName.Exists() {
		return faultAt("name", "is missing")
	}
	w.rawField("name", toolName.Raw)
	if given(description) {
		w.rawField("description", description.Raw)
	}
	schema := noArguments
	switch {
	case !given(parameters):
	case parameters.Get("type").Exists():
		schema = parameters.Raw
	default:
		schema = withField(parameters, "type", `"object"`)
	}
	w.rawField("input_schema", schema)
	if strict {
		w.rawField("strict", "true")
	}
	return nil
}
