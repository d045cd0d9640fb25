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
)

func writeInstant(w http.ResponseWriter, stream bool) {
	body, kind := instantBody, "application/json"
	if stream {
		body, kind = instantStream, "text/event-stream; charset=utf-8"
	}
	header := w.Header()
	header["Content-Type"] = []string{kind}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	// A client that has left is the client's affair.
	_, _ = w.Write([]byte(body))
}
