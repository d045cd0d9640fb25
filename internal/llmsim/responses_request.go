package llmsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// responsesRequest is what the simulator reads of a request for a response; most
// of what it does not need it repeats in the answer, as the API does.
type responsesRequest struct {
	Model              string          `json:"model"`
	Input              json.RawMessage `json:"input"`
	Instructions       json.RawMessage `json:"instructions"`
	Stream             bool            `json:"stream"`
	MaxOutputTokens    *int64          `json:"max_output_tokens"`
	Temperature        *float64        `json:"temperature"`
	TopP               *float64        `json:"top_p"`
	Tools              json.RawMessage `json:"tools"`
	ToolChoice         json.RawMessage `json:"tool_choice"`
	ParallelToolCalls  *bool           `json:"parallel_tool_calls"`
	Text               json.RawMessage `json:"text"`
	Reasoning          json.RawMessage `json:"reasoning"`
	Metadata           json.RawMessage `json:"metadata"`
	Include            []string        `json:"include"`
	PreviousResponseID string          `json:"previous_response_id"`
}

// parseResponses decodes and checks a request as OpenAI does.
func parseResponses(body []byte) (*responsesRequest, *turn, *apiError) {
	var req responsesRequest
	if fault := decode(body, &req); fault != nil {
		return nil, nil, fault
	}
	switch {
	case req.Model == "":
		return nil, nil, missing("model")
	case req.MaxOutputTokens != nil && *req.MaxOutputTokens < 16:
		return nil, nil, invalid("max_output_tokens", "integer_below_min_value",
			fmt.Sprintf("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got %d instead.", *req.MaxOutputTokens))
	case req.Temperature != nil && (*req.Temperature < 0 || *req.Temperature > 2):
		return nil, nil, invalid("temperature", "decimal_out_of_range", "Invalid 'temperature': expected a value between 0 and 2.")
	case req.PreviousResponseID != "":
		return nil, nil, invalid("previous_response_id", "previous_response_not_found", fmt.Sprintf("Previous response with id '%s' not found.", req.PreviousResponseID))
	}
	t := &turn{model: req.Model, stream: req.Stream, choices: 1}
	if req.MaxOutputTokens != nil {
		t.limit = *req.MaxOutputTokens
	}
	if said := gjson.ParseBytes(req.Instructions); said.Type == gjson.String {
		t.messages = append(t.messages, message{role: "system", text: said.Str})
	}
	for _, read := range []func(*turn) *apiError{req.readInput, req.readTools, req.readFormat} {
		if fault := read(t); fault != nil {
			return nil, nil, fault
		}
	}
	if summary := gjson.GetBytes(req.Reasoning, "summary"); summary.Type == gjson.String {
		t.thinking = maxTokens
	}
	return &req, t, nil
}

func (r *responsesRequest) readInput(t *turn) *apiError {
	input := gjson.ParseBytes(r.Input)
	switch {
	case input.Type == gjson.String:
		t.messages = append(t.messages, message{role: "user", text: input.Str})
		return nil
	case !input.IsArray():
		return missing("input")
	}
	open := map[string]bool{}
	for i, item := range input.Array() {
		if fault := r.readItem(t, item, fmt.Sprintf("input[%d]", i), open); fault != nil {
			return fault
		}
	}
	for id, waiting := range open {
		if waiting {
			return invalid("input", "", fmt.Sprintf("No tool output found for function call %s.", id))
		}
	}
	return nil
}

// readItem reads one item of the input. open has the calls, and whether their
// outputs are still due.
func (r *responsesRequest) readItem(t *turn, item gjson.Result, at string, open map[string]bool) *apiError {
	id := item.Get("call_id").Str
	switch kind := item.Get("type").Str; kind {
	case "", "message":
		return r.readMessage(t, item, at)
	case "function_call":
		open[id] = true
		c := call{id: id, name: item.Get("name").Str, arguments: item.Get("arguments").Str}
		if last := len(t.messages) - 1; last >= 0 && t.messages[last].role == "assistant" {
			t.messages[last].calls = append(t.messages[last].calls, c)
			return nil
		}
		t.messages = append(t.messages, message{role: "assistant", calls: []call{c}})
	case "function_call_output":
		if _, asked := open[id]; !asked {
			return invalid("input", "", fmt.Sprintf("No tool call found for function call output with call_id %s.", id))
		}
		open[id] = false
		m := message{role: "tool", text: item.Get("output").Str}
		for _, part := range item.Get("output").Array() {
			m.text += part.Get("text").Str
		}
		t.messages = append(t.messages, m)
	case "reasoning":
		if sealed := item.Get("encrypted_content").Str; sealed != "" && sealed != sealedThought {
			return invalid("", "invalid_encrypted_content", "The encrypted content could not be verified.")
		}
	default:
		return invalid(at, "invalid_value", fmt.Sprintf("Invalid value: '%s'. Supported values are: 'function_call', 'function_call_output', 'message', and 'reasoning'.", kind))
	}
	return nil
}

func (r *responsesRequest) readMessage(t *turn, item gjson.Result, at string) *apiError {
	roles := map[string]string{"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
	m := message{role: roles[item.Get("role").Str]}
	if m.role == "" {
		return invalid(at+".role", "invalid_value",
			fmt.Sprintf("Invalid value: '%s'. Supported values are: 'assistant', 'system', 'developer', and 'user'.", item.Get("role").Str))
	}
	content := item.Get("content")
	var texts []string
	if content.Type == gjson.String {
		texts = []string{content.Str}
	}
	for i, part := range content.Array() {
		switch kind := part.Get("type").Str; kind {
		case "input_text", "output_text":
			texts = append(texts, part.Get("text").Str)
		case "refusal":
			texts = append(texts, part.Get("refusal").Str)
		case "input_image":
			if fault := checkImage(part.Get("image_url").Str, fmt.Sprintf("%s.content[%d].image_url", at, i)); fault != nil {
				return fault
			}
			m.images++
		case "input_file":
			m.images++
		case "input_audio":
			m.sounds++
		default:
			if content.IsArray() {
				return invalid(fmt.Sprintf("%s.content[%d].type", at, i), "invalid_value",
					fmt.Sprintf("Invalid value: '%s'. Supported values are: 'input_text', 'input_image', 'output_text', 'refusal', 'input_file', and 'input_audio'.", kind))
			}
		}
	}
	m.text = strings.Join(texts, "\n")
	t.messages = append(t.messages, m)
	return nil
}

func (r *responsesRequest) readTools(t *turn) *apiError {
	for i, tool := range gjson.ParseBytes(r.Tools).Array() {
		if kind := tool.Get("type").Str; kind != "function" {
			return invalid(fmt.Sprintf("tools[%d].type", i), "invalid_value", fmt.Sprintf("Invalid value: '%s'. The simulator supports: 'function'.", kind))
		}
		if tool.Get("name").Str == "" {
			return missing(fmt.Sprintf("tools[%d].name", i))
		}
		t.tools = append(t.tools, toolOf(chatFunction{Name: tool.Get("name").Str, Description: tool.Get("description").Str, Parameters: json.RawMessage(tool.Get("parameters").Raw)}))
	}
	t.single = r.ParallelToolCalls != nil && !*r.ParallelToolCalls
	choice := gjson.ParseBytes(r.ToolChoice)
	t.choice = toolChoice{never: choice.Str == "none", must: choice.Str == "required" || choice.IsObject(), name: choice.Get("name").Str}
	if t.choice.must && !slices.ContainsFunc(t.tools, func(tool tool) bool { return t.choice.name == "" || tool.name == t.choice.name }) {
		return invalid("tool_choice", "", fmt.Sprintf("Tool choice '%s' not found in 'tools' parameter.", t.choice.name))
	}
	return nil
}

func (r *responsesRequest) readFormat(t *turn) *apiError {
	format := gjson.GetBytes(r.Text, "format")
	switch kind := format.Get("type").Str; kind {
	case "", "text":
	case "json_object":
		t.schema = anyObject
	case "json_schema":
		if format.Get("name").Str == "" {
			return missing("text.format.name")
		}
		if t.schema = format.Get("schema").Raw; t.schema == "" {
			return missing("text.format.schema")
		}
	default:
		return invalid("text.format.type", "invalid_value", fmt.Sprintf("Invalid value: '%s'. Supported values are: 'text', 'json_object', and 'json_schema'.", kind))
	}
	return nil
}
