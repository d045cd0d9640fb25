package translate

import "github.com/tidwall/gjson"

// writeTools writes the tools and which of them may be used.
func (r *messagesRequest) writeTools(w *writer) *Error {
	some := given(r.tools) && (!r.tools.IsArray() || length(r.tools) > 0)
	if some {
		w.key("tools")
		w.open('[')
		err := elements(r.tools, func(_ int, v gjson.Result) *Error { return writeChatTool(w, v) })
		if err != nil {
			return in("tools", err)
		}
		w.close(']')
	}
	return in("tool_choice", writeChatChoice(w, r.toolChoice, some))
}

func writeChatTool(w *writer, v gjson.Result) *Error {
	var toolName, description, schema gjson.Result
	strict := false
	err := each(v, func(name string, v gjson.Result) (err *Error) {
		switch name {
		case "type":
			if !given(v) {
				return nil
			}
			return oneOf(v, "custom")
		case "name":
			toolName = v
			return words(v)
		case "description":
			description = v
			return optionalText(v)
		case "input_schema":
			schema = v
			if !v.IsObject() {
				return fault("must be an object")
			}
		case "strict":
			strict, err = boolean(v)
			return err
		case "defer_loading", "input_examples":
			if !empty(v) {
				return noCounterpart()
			}
		case "allowed_callers":
			if given(v) && (length(v) != 1 || v.Get("0").Str != "direct") {
				return noCounterpart()
			}
		default:
			return leftOut(fromMessages, "tools[].", name, v)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case !toolName.Exists():
		return faultAt("name", "is missing")
	case !schema.Exists():
		return faultAt("input_schema", "is missing")
	}
	w.typed("function")
	w.key("function")
	w.open('{')
	w.rawField("name", toolName.Raw)
	if given(description) {
		w.rawField("description", description.Raw)
	}
	w.rawField("parameters", schema.Raw)
	if strict {
		w.rawField("strict", "true")
	}
	w.close('}')
	w.close('}')
	return nil
}

// writeChatChoice writes tool_choice and parallel_tool_calls.
func writeChatChoice(w *writer, v gjson.Result, some bool) *Error {
	if !given(v) {
		return nil
	}
	var kind, tool gjson.Result
	single := false
	err := each(v, func(name string, v gjson.Result) (err *Error) {
		switch name {
		case "type":
			kind = v
			return oneOf(v, "auto", "any", "tool", "none")
		case "name":
			tool = v
			return optionalText(v)
		case "disable_parallel_tool_use":
			single, err = boolean(v)
			return err
		}
		return leftOut(fromMessages, "tool_choice.", name, v)
	})
	if err != nil {
		return err
	}
	switch kind.Str {
	case "":
		return faultAt("type", "is missing")
	case "tool", "any":
		if !some {
			return fault("asks for a tool, and there are none")
		}
	}
	if !some {
		return nil // none and auto are the same without tools
	}
	switch kind.Str {
	case "auto", "none":
		w.rawField("tool_choice", kind.Raw)
	case "any":
		w.textField("tool_choice", "required")
	case "tool":
		if tool.Str == "" {
			return faultAt("name", "is missing")
		}
		w.key("tool_choice")
		w.typed("function")
		w.key("function")
		w.open('{')
		w.rawField("name", tool.Raw)
		w.close('}')
		w.close('}')
	}
	if single && kind.Str != "none" {
		w.rawField("parallel_tool_calls", "false")
	}
	return nil
}
