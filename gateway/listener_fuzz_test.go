package gateway

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// FuzzBodies: whatever body comes, it is answered in the protocol's form and in words of
// ours, it is no fault of the server's, and nothing of it stays held.
func FuzzBodies(f *testing.F) {
	for _, seed := range []string{
		chatBody("free"), chatBody("paid", `"max_tokens":4000`), chatBody("paid", `"n":128`), chatBody("nothing"), chatBody("free", `"stream":true`),
		chatBody("free", `"stream":true`, `"stream_options":{"include_usage":true}`), `{`, `[]`, `null`, "\xff", strings.Repeat("[", 300),
		chatBody("free", `"tools":[{"type":"function","function":{"name":"f","parameters":{}}}]`), chatBody("free", `"max_tokens":1e9`),
		`{"model":"free","max_tokens":5,"system":"x","messages":[{"role":"user","content":"x"}]}`, `{"model":"free","input":"x","stream":true}`, `{"model":"free","input":[{"role":"user","content":[{"type":"input_text","text":"x"}]}]}`,
		`{"model":"free","messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:,"}}]}]}`,
	} {
		f.Add([]byte(seed))
	}
	r := newRig(f)
	id, key := r.account(1_000_000 * dollar)
	f.Fuzz(func(t *testing.T, body []byte) {
		r.t = t
		for _, path := range []string{"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings", "/api/v1/proxy/llm"} {
			r.fuzzed(id, r.do("POST", path, key, string(body)))
		}
	})
}

// fuzzed judges an answer to whatever body.
func (r *rig) fuzzed(id int64, a answer) {
	r.t.Helper()
	switch {
	case a.status >= 500 && a.status != 503:
		r.t.Errorf("%d %s", a.status, a.body)
	case strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream"):
		streamed(r.t, a.body)
	case !gjson.Valid(a.body):
		r.t.Errorf("%d %q", a.status, a.body)
	case a.status != 200 && (a.get("error.message").Str == "" || a.get("error.type").Str+a.get("error.code").Str == ""):
		r.t.Errorf("%d %s", a.status, a.body)
	}
	if held := r.balance(id).Held; a.status != 200 && held != 0 {
		r.settled(id)
	}
}
