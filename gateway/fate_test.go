package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"
)

// fate is how one call is to go, at the provider and at the client.
type fate struct {
	ID     int64
	Tokens int           // of the whole answer
	After  int           // of them, before End takes place
	End    string        // of the provider's answer, see the constants
	Usage  string        // what the provider says of it, see usageOf
	Pace   time.Duration // between tokens
	Late   time.Duration // before the header

	leave  int    // the client leaves after so many tokens; -1: it reads to the end
	hard   bool   // by a reset
	half   bool   // it closes its half once it has asked
	second bool   // it sends another request right behind the first
	path   string // in whose protocol it asks
	model  string // whose provider speaks the same protocol, or not
}

// How a provider's answer ends.
const (
	endWell    = ""
	endCut     = "cut"   // in the middle of an event
	endError   = "error" // in an error event
	endStill   = "still" // in silence
	endShort   = "short" // in good order, but before its end
	endRefused = "500"
	endBusy    = "429"
	endPage    = "page" // 200 with a page in place of events
)

// oneWord is one token in every vocabulary, and so is each repetition of it.
const oneWord = " the"

// fateful is a provider, in all protocols, whose answers go as their requests say: a
// request's text is its fate.
type fateful struct {
	url   string
	http  *httptest.Server
	open  atomic.Int64 // connections
	calls sync.Map     // of ID to *served
}

// served is what became of a call at the provider.
type served struct {
	once  sync.Once
	asked chan struct{} // closed when it has arrived for the first time
	sent  atomic.Int64  // tokens that were written, in all attempts
}

func newFateful(t testing.TB) *fateful {
	p := &fateful{}
	p.http = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.http.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			p.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			p.open.Add(-1)
		case http.StateActive, http.StateIdle:
		}
	}
	p.http.Start()
	p.url = p.http.URL
	t.Cleanup(p.http.Close)
	return p
}

// expect makes room for a call.
func (p *fateful) expect(id int64) *served {
	s := &served{asked: make(chan struct{})}
	p.calls.Store(id, s)
	return s
}

func (p *fateful) serve(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	var f fate
	said := gjson.GetBytes(body, "messages.0.content")
	if said.IsArray() {
		said = said.Get("0.text")
	}
	if input := gjson.GetBytes(body, "input"); input.Exists() {
		said = input
	}
	if json.Unmarshal([]byte(said.Str), &f) != nil {
		http.Error(w, "no fate", http.StatusBadRequest)
		return
	}
	call, is := p.calls.Load(f.ID)
	if !is {
		http.Error(w, "not expected", http.StatusBadRequest)
		return
	}
	s := call.(*served)
	s.once.Do(func() { close(s.asked) })
	wait(q, f.Late)
	switch f.End {
	case endRefused:
		http.Error(w, `{"error":{"message":"no","type":"server_error"}}`, http.StatusInternalServerError)
		return
	case endBusy:
		http.Error(w, `{"error":{"message":"slow down"}}`, http.StatusTooManyRequests)
		return
	case endPage:
		_, _ = io.WriteString(w, "<html>")
		return
	}
	a := speech{w: w, q: q, fate: f, messages: strings.HasSuffix(q.URL.Path, "/v1/messages"), responses: strings.HasSuffix(q.URL.Path, "/responses")}
	a.stream(s)
}

func wait(q *http.Request, d time.Duration) bool {
	if d <= 0 {
		return q.Context().Err() == nil
	}
	pause := time.NewTimer(d)
	defer pause.Stop()
	select {
	case <-pause.C:
		return true
	case <-q.Context().Done():
		return false
	}
}

// speech is a streamed answer in one of the protocols.
type speech struct {
	w    http.ResponseWriter
	q    *http.Request
	fate fate

	messages, responses bool // neither: chat completions
}

func (a speech) stream(s *served) {
	a.w.Header().Set("Content-Type", "text/event-stream")
	a.w.WriteHeader(http.StatusOK)
	a.flush()
	if a.responses {
		a.event("response.created", `{"type":"response.created","sequence_number":0,"response":{"id":"r","object":"response","status":"in_progress","model":"x","output":[]}}`)
	}
	if a.messages {
		a.event("message_start", `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"model":"x","usage":{"input_tokens":7,"output_tokens":1}}}`)
		a.event("content_block_start", `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	}
	for n := range a.fate.Tokens {
		if a.fate.End != endWell && n == a.fate.After {
			a.fail()
			return
		}
		if !wait(a.q, a.fate.Pace) {
			return
		}
		s.sent.Add(1) // before it is written: it may be read before the next line
		switch {
		case a.messages:
			a.event("content_block_delta", `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"`+oneWord+`"}}`)
		case a.responses:
			a.event("response.output_text.delta", `{"type":"response.output_text.delta","sequence_number":1,"item_id":"i","output_index":0,"content_index":0,"delta":"`+oneWord+`"}`)
		default:
			a.event("", `{"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"content":"`+oneWord+`"},"finish_reason":null}]}`)
		}
	}
	a.close()
}

func (a speech) close() {
	usage := usageOf(a.fate)
	if a.messages {
		a.event("content_block_stop", `{"type":"content_block_stop","index":0}`)
		a.event("message_delta", `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":`+usage+`}}`)
		a.event("message_stop", `{"type":"message_stop"}`)
		return
	}
	if a.responses {
		a.event("response.completed", `{"type":"response.completed","sequence_number":2,"response":{"id":"r","object":"response","status":"completed","model":"x","output":[{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"output_text","text":"`+strings.Repeat(oneWord, a.fate.Tokens)+`"}]}],"usage":{"input_tokens":7,"output_tokens":`+usage+`}}}`)
		return
	}
	a.event("", `{"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
	if usage != "null" {
		a.event("", `{"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":`+usage+`}}`)
	}
	a.event("", "[DONE]")
}

// usageOf is the number of tokens as the provider tells it, truly or not at all.
func usageOf(f fate) string {
	if f.Usage != "" {
		return f.Usage
	}
	return fmt.Sprint(f.Tokens)
}

func (a speech) fail() {
	switch a.fate.End {
	case endCut:
		_, _ = io.WriteString(a.w, `data: {"choices":[{"index":0,"delta":{"content":"`)
		a.flush()
		panic(http.ErrAbortHandler)
	case endError:
		a.event("error", `{"type":"error","error":{"type":"overloaded_error","message":"no more"}}`)
	case endStill:
		<-a.q.Context().Done()
	}
}

func (a speech) event(name, data string) {
	if name != "" {
		_, _ = fmt.Fprintf(a.w, "event: %s\n", name)
	}
	_, _ = fmt.Fprintf(a.w, "data: %s\n\n", data)
	a.flush()
}

func (a speech) flush() { a.w.(http.Flusher).Flush() }
