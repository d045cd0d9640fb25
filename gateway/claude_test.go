package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// claude is a provider of Anthropic's protocol. What a model does is in its name.
type claude struct {
	url string

	mu    sync.Mutex
	asked []claudeRequest
	left  int // requests whose client left before the end
}

type claudeRequest struct {
	path   string
	header http.Header
	body   string
}

// claudeModels are the scripted models.
var claudeModels = []string{
	"claude", "claude-tool", "claude-cached", "claude-slow", "claude-silent", "claude-stall", "claude-hang", "claude-cut", "claude-cut-early",
	"claude-error-stream", "claude-no-stop", "claude-no-end", "claude-no-usage", "claude-no-delta", "claude-two-deltas", "claude-length", "claude-torn",
	"claude-usage-string", "claude-400", "claude-401", "claude-poor", "claude-429", "claude-500", "claude-529", "claude-html-200", "claude-error-200",
}

var claudeWords = []string{"one", " two", " three", " four", " five", " six", " seven", " eight"}

const claudeUsage = `"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":5`

func newClaude(t testing.TB) *claude {
	t.Helper()
	c := &claude{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// withClaude gives the rig's catalogue the models of a claude.
func withClaude(c *claude) func(*setup) { return func(s *setup) { s.claude = c.url } }

func (p *claude) requests() []claudeRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]claudeRequest(nil), p.asked...)
}

func (p *claude) leavers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.left
}

func (p *claude) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	p.mu.Lock()
	p.asked = append(p.asked, claudeRequest{q.URL.Path, q.Header.Clone(), string(body)})
	p.mu.Unlock()
	model := gjson.GetBytes(body, "model").Str
	if fault, is := claudeFaults[model]; is {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(fault.status)
		_, _ = io.WriteString(w, fault.body)
		return
	}
	switch {
	case model == "claude-hang":
		p.wait(q)
	case strings.HasSuffix(q.URL.Path, "/count_tokens"):
		_, _ = io.WriteString(w, `{"input_tokens":77}`)
	case gjson.GetBytes(body, "max_tokens").Raw == "0":
		warmed(w, gjson.GetBytes(body, "stream").Bool())
	case gjson.GetBytes(body, "stream").Bool():
		p.stream(w, q, model)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, claudeAnswer(model))
	}
}

// warmed answers a request that only fills the prompt cache.
func warmed(w http.ResponseWriter, stream bool) {
	const usage = `{"input_tokens":10,"cache_creation_input_tokens":20,"cache_read_input_tokens":0,"output_tokens":0}`
	const message = `{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":%s,"stop_sequence":null,"usage":` + usage + `}`
	if !stream {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, message, `"max_tokens"`)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = fmt.Fprintf(w, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"+message+"}\n\n", "null")
	_, _ = io.WriteString(w, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"max_tokens\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":0}}\n\n")
	_, _ = io.WriteString(w, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
}

// wait until the client leaves.
func (p *claude) wait(q *http.Request) {
	<-q.Context().Done()
	p.mu.Lock()
	p.left++
	p.mu.Unlock()
}

var claudeFaults = map[string]struct {
	status int
	body   string
}{
	"claude-400":       {400, `{"type":"error","error":{"type":"invalid_request_error","message":"messages.0: no such thing for org-12345678"},"request_id":"req_x"}`},
	"claude-401":       {401, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`},
	"claude-poor":      {400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`},
	"claude-429":       {429, `{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}`},
	"claude-500":       {500, `{"type":"error","error":{"type":"api_error","message":"inside"}}`},
	"claude-529":       {529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`},
	"claude-html-200":  {200, `<html>`},
	"claude-error-200": {200, `{"type":"error","error":{"type":"api_error","message":"inside"}}`},
}

func claudeAnswer(model string) string {
	usage, reason := `{`+claudeUsage+`,"output_tokens":8}`, "end_turn"
	content := fmt.Sprintf(`[{"type":"text","text":%q}]`, strings.Join(claudeWords, ""))
	switch model {
	case "claude-no-usage":
		usage = `null`
	case "claude-usage-string":
		usage = `{"input_tokens":"10","output_tokens":"8"}`
	case "claude-length":
		reason = "max_tokens"
	case "claude-tool":
		content, reason = `[{"type":"tool_use","id":"toolu_1","name":"look","input":{"at":"the weather"}}]`, "tool_use"
	case "claude-cached":
		usage = `{"input_tokens":10,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":8}`
	}
	return fmt.Sprintf(`{"id":"msg_1","type":"message","role":"assistant","model":%q,"content":%s,"stop_reason":%q,"stop_sequence":null,"usage":%s}`,
		model, content, reason, usage)
}

func (p *claude) stream(w http.ResponseWriter, q *http.Request, model string) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(kind, data string) {
		if data != "" {
			data = "," + data
		}
		_, _ = fmt.Fprintf(w, "event: %s\ndata: {\"type\":%q%s}\n\n", kind, kind, data)
		_ = http.NewResponseController(w).Flush()
	}
	if model == "claude-silent" {
		_ = http.NewResponseController(w).Flush()
		p.wait(q)
		return
	}
	usage := `"usage":{` + claudeUsage + `,"output_tokens":1}`
	if model == "claude-no-usage" {
		usage = `"usage":null`
	}
	send("message_start", fmt.Sprintf(`"message":{"id":"msg_1","type":"message","role":"assistant","model":%q,"content":[],"stop_reason":null,"stop_sequence":null,%s}`, model, usage))
	if model == "claude-cut-early" {
		panic(http.ErrAbortHandler)
	}
	send("content_block_start", `"index":0,"content_block":{"type":"text","text":""}`)
	send("ping", "")
	delta := func(text string) {
		quoted, _ := json.Marshal(text)
		send("content_block_delta", fmt.Sprintf(`"index":0,"delta":{"type":"text_delta","text":%s}`, quoted))
	}
	for i, word := range claudeWords {
		if i == 5 && p.breaks(w, q, model) {
			return
		}
		delta(word)
	}
	for model == "claude-slow" {
		if q.Context().Err() != nil {
			p.wait(q)
			return
		}
		delta(" more")
		time.Sleep(2 * time.Millisecond)
	}
	send("content_block_stop", `"index":0`)
	p.end(send, model)
}

// breaks is what befalls some streams after five words.
func (p *claude) breaks(w http.ResponseWriter, q *http.Request, model string) bool {
	switch model {
	case "claude-stall":
		p.wait(q)
	case "claude-cut":
		panic(http.ErrAbortHandler)
	case "claude-no-end":
	case "claude-torn":
		_, _ = io.WriteString(w, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"del\n\n")
	case "claude-error-stream":
		_, _ = io.WriteString(w, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"inside\"}}\n\n")
	default:
		return false
	}
	return true
}

func (p *claude) end(send func(kind, data string), model string) {
	reason := "end_turn"
	if model == "claude-length" {
		reason = "max_tokens"
	}
	usage := `{"output_tokens":8}`
	switch model {
	case "claude-no-usage":
		usage = `null`
	case "claude-usage-string":
		usage = `{"output_tokens":"8"}`
	}
	if model == "claude-two-deltas" {
		send("message_delta", `"delta":{"stop_reason":null,"stop_sequence":null},"usage":{"output_tokens":4}`)
	}
	if model != "claude-no-delta" {
		send("message_delta", fmt.Sprintf(`"delta":{"stop_reason":%q,"stop_sequence":null},"usage":%s`, reason, usage))
	}
	if model != "claude-no-stop" {
		send("message_stop", "")
	}
}
