package llmsim

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// stream sends the answer as server-sent events, one token per event. Several
// choices take turns.
func (p *reply) stream() {
	p.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	p.w.Header().Set("Cache-Control", "no-cache")
	p.server.journal.status(p.entry, http.StatusOK)
	p.w.WriteHeader(http.StatusOK)
	if p.flush != nil {
		p.flush.Flush()
	}
	choices, sent := p.req.choices(), 0
	if !p.wait(p.script.FirstToken) {
		return
	}
	for i := range choices {
		if !p.event(p.chunk(i, `{"role":"assistant","content":"","refusal":null}`, "")) {
			return
		}
	}
	for at, piece := range p.pieces {
		if at > 0 && !p.wait(p.script.Cadence) {
			return
		}
		for i := range choices {
			if p.struck(sent) || p.r.Context().Err() != nil {
				return
			}
			if !p.event(p.chunk(i, `{"content":`+quoted(piece)+`}`, "")) {
				return
			}
			sent++
			p.server.journal.sent(p.entry)
		}
	}
	// A fault that lies beyond a short answer strikes at its end.
	if p.script.End != EndDone {
		p.script.After = sent
		p.struck(sent)
		return
	}
	for i := range choices {
		if !p.event(p.chunk(i, `{}`, p.finish)) {
			return
		}
	}
	if usage := p.usage(sent); usage != "" {
		p.event(p.head + `,"choices":[],"usage":` + usage + `}`)
	}
	p.event("[DONE]")
}

// struck lets the script's fault happen when its token has come, and tells
// whether it did.
func (p *reply) struck(sent int) bool {
	if p.script.End == EndDone || sent < p.script.After {
		return false
	}
	switch p.script.End {
	case EndStall:
		p.wait(forever)
	case EndCut:
		chunk := p.chunk(0, `{"content":"broken off"}`, "")
		p.write("data: " + chunk[:len(chunk)/2])
		p.cut()
	case EndError:
		p.event(faultFor(http.StatusInternalServerError).body())
	case EndDone, EndNoDone:
	}
	return true
}

func (p *reply) chunk(index int, delta, finish string) string {
	reason, usage := "null", ""
	if finish != "" {
		reason = `"` + finish + `"`
	}
	if p.req.includeUsage() && p.script.Usage != UsageNone {
		usage = `,"usage":null`
	}
	return fmt.Sprintf(`%s,"choices":[{"index":%d,"delta":%s,"logprobs":null,"finish_reason":%s}]%s}`, p.head, index, delta, reason, usage)
}

// event writes one server-sent event and tells whether it could.
func (p *reply) event(data string) bool {
	if p.script.Comments && !p.write(": ping\n\n") {
		return false
	}
	if p.script.Split {
		return p.write("data: "+data[:len(data)/2]) && p.write(data[len(data)/2:]+"\n\n")
	}
	return p.write("data: " + data + "\n\n")
}

func quoted(text string) string {
	raw, err := json.Marshal(text)
	if err != nil { // a string always encodes
		return `""`
	}
	return string(raw)
}
