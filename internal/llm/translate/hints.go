package translate

import "github.com/tidwall/gjson"

// source is the protocol a request came in.
type source string

const (
	fromChat      source = "chat"
	fromMessages  source = "messages"
	fromResponses source = "responses"
)

// hint is a field that a request may hold though it has no counterpart: nothing in
// the answer depends on it, so it is left out. Everything else without a counterpart
// is refused.
type hint struct {
	from  source
	field string
	why   string
}

// hints is the whole table; README.md shows it, too.
var hints = [...]hint{
	{fromChat, "metadata", "tags for the provider's own records"},
	{fromChat, "prompt_cache_key", "steers which server answers; sticky routing has read it"},
	{fromChat, "prompt_cache_retention", "how long a cached prompt is kept; no word of the answer depends on it"},
	{fromChat, "prompt_cache_options", "as prompt_cache_retention"},
	{fromChat, "cache_max_age", "meant for the gateway, which has read it"},
	{fromChat, "stream_options.include_obfuscation", "padding of events against eavesdroppers"},
	{fromChat, "messages[].reasoning_content", "reasoning of earlier turns without a signature: no provider reads it again"},
	{fromChat, "messages[].reasoning", "as reasoning_content"},
	{fromChat, "messages[].reasoning_details", "as reasoning_content"},
	{fromChat, "messages[].annotations", "links a provider added to its own earlier answer; the text holds them"},
	{fromChat, "messages[].id", "a name some clients give their messages"},
	{fromChat, "messages[].content[].prompt_cache_breakpoint", "marks a prompt for the cache; no word of the answer depends on it"},
	{fromChat, "messages[].content[].annotations", "as messages[].annotations"},
	{fromChat, "messages[].tool_calls[].index", "a place in a stream that is over"},
	{fromMessages, "cache_control", "marks a prompt for the cache; no word of the answer depends on it"},
	{fromMessages, "system[].cache_control", "as cache_control"},
	{fromMessages, "tools[].cache_control", "as cache_control"},
	{fromMessages, "tools[].eager_input_streaming", "how finely a call's arguments are cut in a stream"},
	{fromMessages, "messages[].content[].cache_control", "as cache_control"},
	{fromMessages, "messages[].content[].content[].cache_control", "as cache_control"},
	{fromMessages, "messages[].content[].caller", "who made an earlier call; with plain tools it is always the model"},
	{fromMessages, "messages[].content[].signature", "belongs to thinking, which no chat provider reads again"},
	{fromMessages, "messages[].content[].thinking", "as its signature"},
	{fromMessages, "context_management.edits[].keep", "how much earlier thinking is kept; no chat provider reads any"},
	{fromMessages, "diagnostics", "asks why a prompt missed the cache; no word of the answer depends on it"},
	{fromMessages, "thinking.display", "whether thinking is shown; a chat provider shows what it shows"},
	{fromResponses, "metadata", "tags for the client's own records; the answer repeats them"},
	{fromResponses, "client_metadata", "tags for the provider's own records"},
	{fromResponses, "prompt_cache_key", "steers which server answers; sticky routing has read it"},
	{fromResponses, "prompt_cache_retention", "how long a cached prompt is kept; no word of the answer depends on it"},
	{fromResponses, "prompt_cache_options", "as prompt_cache_retention"},
	{fromResponses, "cache_max_age", "meant for the gateway, which has read it"},
	{fromResponses, "max_tool_calls", "counts the calls of built-in tools, which are refused"},
	{fromResponses, "stream_options.include_obfuscation", "padding of events against eavesdroppers"},
	{fromResponses, "reasoning.summary", "whether reasoning is shown; it is, where the provider shows it"},
	{fromResponses, "reasoning.generate_summary", "as reasoning.summary"},
	{fromResponses, "input[].id", "a name of the item in the client's records"},
	{fromResponses, "input[].status", "that an earlier item is complete"},
	{fromResponses, "input[].phase", "a label of an earlier answer's part"},
	{fromResponses, "input[].summary", "reasoning of earlier turns without a signature: no provider reads it again"},
	{fromResponses, "input[].content[].annotations", "links a provider added to its own earlier answer; the text holds them"},
	{fromResponses, "input[].content[].logprobs", "numbers of an earlier answer"},
	{fromResponses, "input[].content[].prompt_cache_breakpoint", "marks a prompt for the cache; no word of the answer depends on it"},
}

// leftOut decides about a field that has no counterpart: nil where it may be left out.
// place is the path of the object the field stands in, with [] for any index, and a dot
// at its end.
func leftOut(from source, place, name string, v gjson.Result) *Error {
	if !given(v) {
		return nil
	}
	for i := range hints {
		h := &hints[i]
		if h.from == from && len(h.field) == len(place)+len(name) && h.field[:len(place)] == place && h.field[len(place):] == name {
			return nil
		}
	}
	return noCounterpart()
}
