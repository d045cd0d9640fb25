package llmsim

import (
	"net/http"
	"strconv"
)

// The answer of sim-instant is the same for every request, whatever it asks:
// 8 prompt tokens and 8 completion tokens.
const (
	InstantPromptTokens     = 8
	InstantCompletionTokens = 8

	modelsCreated = 1_760_000_000

	instantHead  = `{"id":"chatcmpl-siminstant","object":"chat.completion`
	instantTail  = `,"created":1760000000,"model":"sim-instant","system_fingerprint":"fp_llmsim0001","choices":[`
	instantUsage = `"usage":{"prompt_tokens":8,"completion_tokens":8,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}`
	instantText  = "one two three four five six seven eight"

	instantBody = instantHead + `"` + instantTail +
		`{"index":0,"message":{"role":"assistant","content":"` + instantText + `","refusal":null},"logprobs":null,"finish_reason":"stop"}],` + instantUsage

	instantChunk  = "data: " + instantHead + `.chunk"` + instantTail
	instantStream = instantChunk + `{"index":0,"delta":{"role":"assistant","content":"` + instantText + `"},"logprobs":null,"finish_reason":null}]}` + "\n\n" +
		instantChunk + `{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}` + "\n\n" +
		instantChunk + `],` + instantUsage + "\n\ndata: [DONE]\n\n"

	instantMessageHead = `{"model":"sim-instant","id":"msg_siminstant","type":"message","role":"assistant","diagnostics":null,"content":[`
	instantMessageEnd  = `"stop_reason":"end_turn","stop_sequence":null,"stop_details":null,"container":null`
	instantInput       = `"input_tokens":8,"cache_creation_input_tokens":0,"cache_read_input_tokens":0`
	instantKept        = `,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"inference_geo":null,"service_tier":"standard","speed":null`
	instantOutput      = `,"output_tokens":8,"output_tokens_details":{"thinking_tokens":0},"server_tool_use":null}`

	instantMessage = instantMessageHead + `{"type":"text","text":"` + instantText + `"}],` + instantMessageEnd +
		`,"usage":{` + instantInput + instantKept + instantOutput + `}`

	instantMessageStream = "event: message_start\ndata: " + `{"type":"message_start","message":` + instantMessageHead +
		`],"stop_reason":null,"stop_sequence":null,"stop_details":null,"container":null,"usage":{` + instantInput + instantKept +
		`,"output_tokens":1,"output_tokens_details":null,"server_tool_use":null}}}` + "\n\n" +
		"event: content_block_start\ndata: " + `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n" +
		"event: content_block_delta\ndata: " + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"` + instantText + `"}}` + "\n\n" +
		"event: content_block_stop\ndata: " + `{"type":"content_block_stop","index":0}` + "\n\n" +
		"event: message_delta\ndata: " + `{"type":"message_delta","delta":{` + instantMessageEnd + `},"usage":{` + instantInput + instantOutput + `}` + "\n\n" +
		"event: message_stop\ndata: " + `{"type":"message_stop"}` + "\n\n"
)

// instantAnswer is a precomputed answer, whole and streamed.
type instantAnswer struct{ whole, stream string }

func (a *instantAnswer) write(w http.ResponseWriter, stream bool) {
	body, kind := a.whole, "application/json"
	if stream {
		body, kind = a.stream, "text/event-stream; charset=utf-8"
	}
	header := w.Header()
	header["Content-Type"] = []string{kind}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	// A client that has left is the client's affair.
	_, _ = w.Write([]byte(body))
}
