package llmsim

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// reply is one answer on its way.
type reply struct {
	server *Server
	w      http.ResponseWriter
	flush  http.Flusher
	r      *http.Request
	req    *chatRequest
	script Script
	entry  *Request

	head   string // of every JSON object sent: id, created, model …
	pieces []string
	finish string
}

// answer plays the request's script.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, req *chatRequest, entry *Request) {
	p := &reply{server: s, w: w, r: r, req: req, script: s.script(req), entry: entry}
	p.flush, _ = w.(http.Flusher)
	if !p.wait(p.script.Headers) {
		return
	}
	if p.script.Status != 0 {
		p.replace()
		return
	}
	p.plan()
	if req.Stream {
		p.stream()
		return
	}
	p.whole()
}

// plan decides what is said and why it ends.
func (p *reply) plan() {
	text := p.script.Text
	switch {
	case p.script.Tokens > 0:
		text = filler(min(p.script.Tokens, maxTokens))
	case p.script.Tokens < 0:
		text = ""
	case text == "":
		text = compose(p.req.Messages)
	}
	text, _ = cutAtStop(text, p.req.stops)
	p.pieces, p.finish = Tokens(text), "stop"
	if limit := p.req.limit(); limit > 0 && int64(len(p.pieces)) > limit && !p.script.IgnoreMax {
		p.pieces, p.finish = p.pieces[:limit], "length"
	}
	p.head = p.heading()
}

func (p *reply) heading() string {
	object := "chat.completion"
	if p.req.Stream {
		object = "chat.completion.chunk"
	}
	if p.script.Bare {
		return fmt.Sprintf(`{"object":"%s","model":%s`, object, quoted(p.req.Model))
	}
	return fmt.Sprintf(`{"id":"chatcmpl-sim%020d","object":"%s","created":%d,"model":%s,"service_tier":"default","system_fingerprint":"fp_llmsim0001"`,
		p.server.serial.Add(1), object, p.server.now().Unix(), quoted(p.req.Model))
}

// replace sends the script's status and body in place of an answer.
func (p *reply) replace() {
	body := p.script.Body
	if body == "" {
		status := p.script.Status
		if status == http.StatusOK {
			status = http.StatusInternalServerError
		}
		body = faultFor(status).body()
	}
	p.w.Header().Set("Content-Type", "application/json")
	for name, values := range p.script.Header {
		p.w.Header()[name] = values
	}
	p.server.journal.status(p.entry, p.script.Status)
	p.w.WriteHeader(p.script.Status)
	p.write(body)
}

// whole answers without streaming. It takes as long as the stream would.
func (p *reply) whole() {
	choices, script := p.req.choices(), p.script
	tokens := len(p.pieces)
	if script.End == EndStall {
		if p.wait(script.FirstToken + time.Duration(min(script.After, tokens))*script.Cadence) {
			p.wait(forever)
		}
		return
	}
	if !p.wait(script.FirstToken + time.Duration(max(tokens-1, 0))*script.Cadence) {
		return
	}
	if script.End == EndError {
		p.server.journal.status(p.entry, http.StatusInternalServerError)
		p.server.refuse(p.w, faultFor(http.StatusInternalServerError))
		return
	}
	var b strings.Builder
	b.WriteString(p.head + `,"choices":[`)
	for i := range choices {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"index":%d,"message":{"role":"assistant","content":%s,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"%s"}`,
			i, quoted(strings.Join(p.pieces, "")), p.finish)
	}
	b.WriteByte(']')
	if usage := p.usage(tokens * choices); usage != "" {
		b.WriteString(`,"usage":` + usage)
	}
	b.WriteByte('}')
	body := b.String()
	p.w.Header().Set("Content-Type", "application/json")
	p.server.journal.status(p.entry, http.StatusOK)
	p.w.WriteHeader(http.StatusOK)
	if script.End == EndCut {
		p.write(body[:len(body)/2])
		p.cut()
	}
	for range tokens * choices {
		p.server.journal.sent(p.entry)
	}
	p.write(body)
}

// usage is the JSON of the usage, or "" for none.
func (p *reply) usage(completion int) string {
	switch {
	case p.script.Usage == UsageNone || !p.req.includeUsage():
		return ""
	case p.script.Usage != "":
		return p.script.Usage
	}
	prompt, cached := p.req.promptTokens()
	completion += p.script.Reasoning
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,`+
		`"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":0},`+
		`"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
		prompt, completion, prompt+int64(completion), cached, p.script.Reasoning)
}

// wait pauses for d and tells whether the answer should go on.
func (p *reply) wait(d time.Duration) bool {
	if d <= 0 {
		return p.r.Context().Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.r.Context().Done():
		return false
	case <-p.server.done:
		return false
	}
}

func (p *reply) write(text string) bool {
	_, err := io.WriteString(p.w, text)
	if p.flush != nil {
		p.flush.Flush()
	}
	return err == nil
}

// cut breaks the connection off. It does not return.
func (p *reply) cut() { panic(http.ErrAbortHandler) }
