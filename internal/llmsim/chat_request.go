package llmsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	maxChoices  = 128
	maxStops    = 4
	maxLogprobs = 20
)

// chatRequest is what the simulator reads of a request; the rest is ignored.
type chatRequest struct {
	Model               string           `json:"model"`
	Messages            []chatMessage    `json:"messages"`
	Stream              bool             `json:"stream"`
	StreamOptions       *streamOptions   `json:"stream_options"`
	MaxTokens           *int64           `json:"max_tokens"`
	MaxCompletionTokens *int64           `json:"max_completion_tokens"`
	N                   *int             `json:"n"`
	Stop                json.RawMessage  `json:"stop"`
	Temperature         *float64         `json:"temperature"`
	Logprobs            bool             `json:"logprobs"`
	TopLogprobs         int              `json:"top_logprobs"`
	Modalities          []string         `json:"modalities"`
	Audio               json.RawMessage  `json:"audio"`
	Tools               []chatTool       `json:"tools"`
	ToolChoice          json.RawMessage  `json:"tool_choice"`
	ParallelToolCalls   *bool            `json:"parallel_tool_calls"`
	ResponseFormat      *json.RawMessage `json:"response_format"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCallID string          `json:"tool_call_id"`
	ToolCalls  []struct {
		ID       string `json:"id"`
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

type chatTool struct {
	Type     string       `json:"type"`
	Function chatFunction `json:"function"`
}

type chatFunction struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

// parseChat decodes and checks a request as OpenAI does.
func parseChat(body []byte) (*chatRequest, *turn, *apiError) {
	var req chatRequest
	if fault := decode(body, &req); fault != nil {
		return nil, nil, fault
	}
	if req.Model == "" {
		return nil, nil, invalid("", "", "you must provide a model parameter")
	}
	if len(req.Messages) == 0 {
		return nil, nil, missing("messages")
	}
	t := &turn{model: req.Model, stream: req.Stream, limit: req.limit(), choices: req.choices()}
	for i := range req.Messages {
		m, fault := req.Messages[i].read(i)
		if fault != nil {
			return nil, nil, fault
		}
		t.messages = append(t.messages, m)
	}
	for _, check := range []func(*turn) *apiError{req.checkResults, req.checkOptions, req.checkStop, req.checkTools, req.checkFormat} {
		if fault := check(t); fault != nil {
			return nil, nil, fault
		}
	}
	return &req, t, nil
}

// decode reads JSON into a struct, and faults it as OpenAI does.
func decode(body []byte, into any) *apiError {
	err := json.Unmarshal(body, into)
	if err == nil {
		return nil
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return invalid(wrong.Field, "invalid_type", fmt.Sprintf("Invalid type for '%s': got %s instead.", wrong.Field, wrong.Value))
	}
	return invalid("", "", "We could not parse the JSON body of your request.")
}

func missing(field string) *apiError {
	return invalid(field, "missing_required_parameter", fmt.Sprintf("Missing required parameter: '%s'.", field))
}

func (r *chatRequest) checkOptions(t *turn) *apiError {
	if r.StreamOptions != nil && !r.Stream {
		return invalid("stream_options", "", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	if r.MaxTokens != nil && r.MaxCompletionTokens != nil {
		return invalid("max_tokens", "invalid_parameter_combination",
			"Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
	}
	for name, limit := range map[string]*int64{"max_tokens": r.MaxTokens, "max_completion_tokens": r.MaxCompletionTokens} {
		if limit != nil && *limit < 1 {
			return belowMinimum(name, *limit)
		}
	}
	if r.N != nil && (*r.N < 1 || *r.N > maxChoices) {
		return invalid("n", "integer_out_of_range", fmt.Sprintf("Invalid 'n': expected a value between 1 and %d, but got %d instead.", maxChoices, *r.N))
	}
	if r.Temperature != nil && (*r.Temperature < 0 || *r.Temperature > 2) {
		return invalid("temperature", "decimal_out_of_range", "Invalid 'temperature': expected a value between 0 and 2.")
	}
	if r.TopLogprobs < 0 || r.TopLogprobs > maxLogprobs || r.TopLogprobs > 0 && !r.Logprobs {
		return invalid("top_logprobs", "invalid_value", fmt.Sprintf("Invalid 'top_logprobs': expected a value between 0 and %d, with 'logprobs' enabled.", maxLogprobs))
	}
	if t.spoken = slices.Contains(r.Modalities, "audio"); t.spoken && len(r.Audio) == 0 {
		return missing("audio")
	}
	return nil
}

func belowMinimum(name string, got int64) *apiError {
	return invalid(name, "integer_below_min_value",
		fmt.Sprintf("Invalid '%s': integer below minimum value. Expected a value >= 1, but got %d instead.", name, got))
}

func (r *chatRequest) checkStop(t *turn) *apiError {
	if len(r.Stop) == 0 || bytes.Equal(r.Stop, []byte("null")) {
		return nil
	}
	var one string
	if json.Unmarshal(r.Stop, &one) == nil {
		t.stops = []string{one}
		return nil
	}
	if json.Unmarshal(r.Stop, &t.stops) != nil || len(t.stops) > maxStops {
		return invalid("stop", "invalid_type", fmt.Sprintf("Invalid 'stop': expected a string or an array of at most %d strings.", maxStops))
	}
	return nil
}

// checkResults holds every call of a tool to its result, which must follow it.
func (r *chatRequest) checkResults(*turn) *apiError {
	open := map[string]bool{}
	for i, m := range r.Messages {
		at := fmt.Sprintf("messages.[%d].role", i)
		if m.Role == "tool" {
			if _, asked := open[m.ToolCallID]; !asked {
				return invalid(at, "", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.") //nolint:misspell // the provider's own words
			}
			open[m.ToolCallID] = false
			continue
		}
		if fault := unanswered(open, at); fault != nil {
			return fault
		}
		clear(open)
		for _, c := range m.ToolCalls {
			open[c.ID] = true
		}
	}
	return unanswered(open, fmt.Sprintf("messages.[%d].role", len(r.Messages)))
}

func unanswered(open map[string]bool, at string) *apiError {
	var ids []string
	for id, waiting := range open {
		if waiting {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	return invalid(at, "", "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "+
		"The following tool_call_ids did not have response messages: "+strings.Join(ids, ", "))
}

func (r *chatRequest) checkTools(t *turn) *apiError {
	for i, tool := range r.Tools {
		if tool.Type != "function" {
			return invalid(fmt.Sprintf("tools[%d].type", i), "invalid_value", fmt.Sprintf("Invalid value: '%s'. Supported values are: 'function'.", tool.Type))
		}
		if tool.Function.Name == "" {
			return missing(fmt.Sprintf("tools[%d].function.name", i))
		}
		t.tools = append(t.tools, toolOf(tool.Function))
	}
	t.single = r.ParallelToolCalls != nil && !*r.ParallelToolCalls
	choice := gjson.ParseBytes(r.ToolChoice)
	if !choice.Exists() || choice.Type == gjson.Null {
		return nil
	}
	if len(t.tools) == 0 {
		return invalid("tool_choice", "", "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.")
	}
	t.choice = toolChoice{never: choice.Str == "none", must: choice.Str == "required" || choice.IsObject(), name: choice.Get("function.name").Str}
	if t.choice.name != "" && !slices.ContainsFunc(t.tools, func(tool tool) bool { return tool.name == t.choice.name }) {
		return invalid("tool_choice", "", fmt.Sprintf("Tool choice '%s' not found in 'tools' parameter.", t.choice.name))
	}
	return nil
}

func toolOf(f chatFunction) tool {
	schema := string(f.Parameters)
	if schema == "" || schema == "null" {
		schema = `{"type":"object","properties":{}}`
	}
	return tool{name: f.Name, about: f.Description, schema: schema}
}

func (r *chatRequest) checkFormat(t *turn) *apiError {
	if r.ResponseFormat == nil {
		return nil
	}
	format := gjson.ParseBytes(*r.ResponseFormat)
	switch format.Get("type").Str {
	case "json_object":
		t.schema = anyObject
	case "json_schema":
		if format.Get("json_schema.name").Str == "" {
			return missing("response_format.json_schema.name")
		}
		if t.schema = format.Get("json_schema.schema").Raw; t.schema == "" {
			t.schema = anyObject
		}
	case "text":
	default:
		return invalid("response_format.type", "invalid_value",
			fmt.Sprintf("Invalid value: '%s'. Supported values are: 'json_object', 'json_schema', and 'text'.", format.Get("type").Str))
	}
	return nil
}

// anyObject is the schema of an answer that may be whatever object.
const anyObject = `{"type":"object","properties":{"answer":{"type":"string"}}}`

// limit is the most completion tokens allowed; 0 means no limit was stated.
func (r *chatRequest) limit() int64 {
	switch {
	case r.MaxCompletionTokens != nil:
		return *r.MaxCompletionTokens
	case r.MaxTokens != nil:
		return *r.MaxTokens
	}
	return 0
}

func (r *chatRequest) choices() int {
	if r.N == nil {
		return 1
	}
	return *r.N
}

func (r *chatRequest) includeUsage() bool {
	return !r.Stream || r.StreamOptions != nil && r.StreamOptions.IncludeUsage
}

// read decodes a message; its content is a string, a list of parts, or absent.
func (m *chatMessage) read(i int) (message, *apiError) {
	roles := map[string]string{"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool"}
	out := message{role: roles[m.Role]}
	if out.role == "" {
		return out, invalid(fmt.Sprintf("messages[%d].role", i), "invalid_value",
			fmt.Sprintf("Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", m.Role))
	}
	for _, c := range m.ToolCalls {
		out.calls = append(out.calls, call{id: c.ID, name: c.Function.Name, arguments: c.Function.Arguments})
	}
	field := fmt.Sprintf("messages[%d].content", i)
	content := gjson.ParseBytes(m.Content)
	switch {
	case !content.Exists() || content.Type == gjson.Null:
		if out.role == "user" || out.role == "system" {
			return out, invalid(field, "invalid_type", fmt.Sprintf("Invalid value for 'content' of message %d: expected a string, got null.", i))
		}
	case content.Type == gjson.String:
		out.text = content.Str
	case content.IsArray():
		return out, out.parts(content, field)
	default:
		return out, invalid(field, "invalid_type", fmt.Sprintf("Invalid type for '%s': expected one of a string or array of objects.", field))
	}
	return out, nil
}

// parts reads a list of parts: texts, images, sounds, files.
func (m *message) parts(parts gjson.Result, field string) *apiError {
	var texts []string
	for i, part := range parts.Array() {
		switch kind := part.Get("type").Str; kind {
		case "text", "refusal":
			texts = append(texts, part.Get("text").Str+part.Get("refusal").Str)
		case "image_url":
			if fault := checkImage(part.Get("image_url.url").Str, fmt.Sprintf("%s[%d].image_url", field, i)); fault != nil {
				return fault
			}
			m.images++
		case "input_audio":
			if format := part.Get("input_audio.format").Str; format != "wav" && format != "mp3" {
				return invalid(fmt.Sprintf("%s[%d].input_audio.format", field, i), "invalid_value",
					fmt.Sprintf("Invalid value: '%s'. Supported values are: 'wav' and 'mp3'.", format))
			}
			m.sounds++
		case "file":
			m.images++
		default:
			return invalid(fmt.Sprintf("%s[%d].type", field, i), "invalid_value",
				fmt.Sprintf("Invalid value: '%s'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', and 'file'.", kind))
		}
	}
	m.text = strings.Join(texts, "\n")
	return nil
}

// checkImage takes an address of the web, or a picture as data of a known kind.
func checkImage(url, param string) *apiError {
	kind, isData := strings.CutPrefix(url, "data:")
	switch {
	case isData:
		kind, _, _ = strings.Cut(kind, ";")
		if !slices.Contains(imageKinds(), kind) {
			return invalid(param, "invalid_image_format", "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg', 'gif', 'webp'].")
		}
	case !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://"):
		return invalid(param, "invalid_image_url", "Invalid image URL: expected a valid URL, or an image as data.")
	}
	return nil
}

func imageKinds() []string {
	return []string{"image/png", "image/jpeg", "image/gif", "image/webp"}
}
