package llmsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	minThinking  = 1024
	cacheControl = 4 // the most marked blocks of a request
)

// messagesRequest is what the simulator reads of a request; the rest is ignored.
type messagesRequest struct {
	Model         string            `json:"model"`
	MaxTokens     *int64            `json:"max_tokens"`
	Messages      []messagesMessage `json:"messages"`
	System        json.RawMessage   `json:"system"`
	Stream        bool              `json:"stream"`
	StopSequences []string          `json:"stop_sequences"`
	Temperature   *float64          `json:"temperature"`
	TopP          *float64          `json:"top_p"`
	TopK          *int64            `json:"top_k"`
	Tools         []messagesTool    `json:"tools"`
	ToolChoice    json.RawMessage   `json:"tool_choice"`
	Thinking      json.RawMessage   `json:"thinking"`
	OutputConfig  json.RawMessage   `json:"output_config"`
	OutputFormat  json.RawMessage   `json:"output_format"`
	CacheControl  json.RawMessage   `json:"cache_control"`

	cache prefix
	marks int
}

type messagesMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

type messagesTool struct {
	Name         string          `json:"name"`
	Description  string          `json:"description"`
	InputSchema  json.RawMessage `json:"input_schema"`
	CacheControl json.RawMessage `json:"cache_control"`
}

// prefix is the part of a prompt that is marked to be cached, in tokens from its
// beginning: up to the last mark before the newest message, and up to the last one
// of all.
type prefix struct {
	read, end int64
	hour      bool // the last mark asks for an hour, not five minutes
}

// parseMessages decodes and checks a request as Anthropic does. A request to count
// tokens states no limit.
func parseMessages(body []byte, version string, counting bool) (*messagesRequest, *turn, *apiError) {
	var req messagesRequest
	if fault := decode(body, &req); fault != nil {
		if fault.Param != nil {
			return nil, nil, invalid("", "", *fault.Param+": Input has the wrong type")
		}
		return nil, nil, invalid("", "", "The request body is not valid JSON")
	}
	switch {
	case req.Model == "":
		return nil, nil, required("model")
	case req.MaxTokens == nil && !counting:
		return nil, nil, required("max_tokens")
	case req.MaxTokens != nil && *req.MaxTokens < 1:
		return nil, nil, invalid("", "", "max_tokens: Input should be greater than or equal to 1")
	case len(req.Messages) == 0:
		return nil, nil, invalid("", "", "messages: at least one message is required")
	case req.Temperature != nil && (*req.Temperature < 0 || *req.Temperature > 1):
		return nil, nil, invalid("", "", "temperature: range: 0..1")
	}
	if version == newestVersion {
		if fault := req.checkNewest(); fault != nil {
			return nil, nil, fault
		}
	}
	t := &turn{model: req.Model, stream: req.Stream, stops: req.StopSequences, choices: 1}
	if req.MaxTokens != nil {
		t.limit = *req.MaxTokens
	}
	for _, read := range []func(*turn) *apiError{req.readTools, req.readSystem, req.readMessages, req.readThinking, req.readFormat} {
		if fault := read(t); fault != nil {
			return nil, nil, fault
		}
	}
	if len(req.CacheControl) > 0 { // the whole prompt
		all, _ := t.promptTokens()
		req.mark(gjson.ParseBytes(req.CacheControl), all, false)
	}
	if req.marks > cacheControl {
		return nil, nil, invalid("", "", fmt.Sprintf("A maximum of %d blocks with cache_control may be provided. Found %d.", cacheControl, req.marks))
	}
	return &req, t, nil
}

func required(field string) *apiError { return invalid("", "", field+": Field required") }

// checkNewest refuses what the newest version of the API no longer takes.
func (r *messagesRequest) checkNewest() *apiError {
	for name, given := range map[string]bool{"temperature": r.Temperature != nil, "top_p": r.TopP != nil, "top_k": r.TopK != nil} {
		if given {
			return invalid("", "", name+": Extra inputs are not permitted")
		}
	}
	for i, m := range r.Messages {
		for j, block := range gjson.ParseBytes(m.Content).Array() {
			at := fmt.Sprintf("messages.%d.content.%d", i, j)
			switch kind := block.Get("type").Str; {
			case kind == "document" && m.Role == "assistant":
				return invalid("", "", at+": `document` blocks are not permitted in assistant messages")
			case kind == "text" && m.Role == "user" && len(block.Get("citations").Array()) > 0:
				return invalid("", "", at+".citations: Extra inputs are not permitted")
			}
		}
	}
	return nil
}

// mark notes a cache_control that ends at so many tokens of the prompt.
func (r *messagesRequest) mark(control gjson.Result, end int64, before bool) {
	if !control.IsObject() {
		return
	}
	r.marks++
	r.cache.end, r.cache.hour = end, control.Get("ttl").Str == "1h"
	if before {
		r.cache.read = end
	}
}

func (r *messagesRequest) readTools(t *turn) *apiError {
	for i, tool := range r.Tools {
		if tool.Name == "" {
			return required(fmt.Sprintf("tools.%d.custom.name", i))
		}
		if gjson.GetBytes(tool.InputSchema, "type").Str != "object" {
			return required(fmt.Sprintf("tools.%d.custom.input_schema.type", i))
		}
		t.tools = append(t.tools, toolOf(chatFunction{Name: tool.Name, Description: tool.Description, Parameters: tool.InputSchema}))
		end, _ := t.promptTokens()
		r.mark(gjson.ParseBytes(tool.CacheControl), end, true)
	}
	choice := gjson.ParseBytes(r.ToolChoice)
	if !choice.IsObject() {
		return nil
	}
	kind := choice.Get("type").Str
	if !slices.Contains([]string{"auto", "any", "tool", "none"}, kind) {
		return invalid("", "", fmt.Sprintf("tool_choice: Input tag '%s' found using 'type' does not match any of the expected tags: 'any', 'auto', 'none', 'tool'", kind))
	}
	if len(t.tools) == 0 && kind != "none" {
		return invalid("", "", "tool_choice: Tool choice may only be specified while providing tools.")
	}
	t.single = choice.Get("disable_parallel_tool_use").Bool()
	t.choice = toolChoice{never: kind == "none", must: kind == "any" || kind == "tool", name: choice.Get("name").Str}
	if t.choice.name != "" && !slices.ContainsFunc(t.tools, func(tool tool) bool { return tool.name == t.choice.name }) {
		return invalid("", "", fmt.Sprintf("tool_choice: Tool '%s' not found in provided tools", t.choice.name))
	}
	return nil
}

func (r *messagesRequest) readSystem(t *turn) *apiError {
	system := gjson.ParseBytes(r.System)
	if !system.Exists() || system.Type == gjson.Null {
		return nil
	}
	if system.Type == gjson.String {
		t.messages = append(t.messages, message{role: "system", text: system.Str})
		return nil
	}
	var texts []string
	m := message{role: "system"}
	t.messages = append(t.messages, m)
	for i, block := range system.Array() {
		if block.Get("type").Str != "text" {
			return invalid("", "", fmt.Sprintf("system.%d: Input should be a text block", i))
		}
		texts = append(texts, block.Get("text").Str)
		t.messages[0].text = strings.Join(texts, "\n")
		end, _ := t.promptTokens()
		r.mark(block.Get("cache_control"), end, true)
	}
	return nil
}

func (r *messagesRequest) readMessages(t *turn) *apiError {
	var asked []string // tools used in the message before
	for i, m := range r.Messages {
		if m.Role != "user" && m.Role != "assistant" {
			return invalid("", "", fmt.Sprintf("messages.%d.role: Input should be 'user' or 'assistant'", i))
		}
		if i == 0 && m.Role != "user" {
			return invalid("", "", `messages: first message must use the "user" role`)
		}
		read := blocks{request: r, turn: t, role: m.Role, at: fmt.Sprintf("messages.%d.content", i), asked: asked, newest: i == len(r.Messages)-1}
		if fault := read.all(gjson.ParseBytes(m.Content)); fault != nil {
			return fault
		}
		if len(read.asked) > 0 {
			return unansweredUse(i-1, read.asked)
		}
		asked = read.uses
	}
	if len(asked) > 0 {
		return unansweredUse(len(r.Messages)-1, asked)
	}
	return nil
}

func unansweredUse(at int, ids []string) *apiError {
	return invalid("", "", fmt.Sprintf("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. "+
		"Each `tool_use` block must have a corresponding `tool_result` block in the next message.", at, strings.Join(ids, ", ")))
}

func (r *messagesRequest) readThinking(t *turn) *apiError {
	thinking := gjson.ParseBytes(r.Thinking)
	switch kind := thinking.Get("type").Str; {
	case !thinking.IsObject() || kind == "disabled":
	case kind == "adaptive":
		t.thinking = maxTokens
	case kind != "enabled":
		return invalid("", "", fmt.Sprintf("thinking: Input tag '%s' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'", kind))
	case thinking.Get("budget_tokens").Int() < minThinking:
		return invalid("", "", fmt.Sprintf("thinking.enabled.budget_tokens: Input should be greater than or equal to %d", minThinking))
	case t.limit > 0 && thinking.Get("budget_tokens").Int() >= t.limit:
		return invalid("", "", "`max_tokens` must be greater than `thinking.budget_tokens`.")
	case t.choice.must:
		return invalid("", "", "Thinking may not be enabled when tool_choice forces tool use.")
	case r.Temperature != nil && *r.Temperature != 1:
		return invalid("", "", "`temperature` may only be set to 1 when thinking is enabled.")
	default:
		t.thinking = int(min(thinking.Get("budget_tokens").Int(), maxTokens))
	}
	return nil
}

// readFormat reads what shape the answer must have, of either generation of the API.
func (r *messagesRequest) readFormat(t *turn) *apiError {
	format := gjson.GetBytes(r.OutputConfig, "format")
	if !format.IsObject() {
		format = gjson.ParseBytes(r.OutputFormat)
	}
	if !format.IsObject() {
		return nil
	}
	if format.Get("type").Str != "json_schema" || !format.Get("schema").IsObject() {
		return invalid("", "", "output_config.format: Input should be a 'json_schema' with a schema")
	}
	t.schema = format.Get("schema").Raw
	return nil
}
