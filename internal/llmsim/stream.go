package llmsim

import (
	"net/http"
	"strings"
	"unicode/utf8"
)

// stream sends the answer as server-sent events, one token per event. Several
// choices take turns.
func (p *reply) stream(o *output) {
	p.w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	p.w.Header().Set("Cache-Control", "no-cache")
	p.server.journal.status(p.entry, http.StatusOK)
	p.w.WriteHeader(http.StatusOK)
	if p.flush != nil {
		p.flush.Flush()
	}
	if !p.events(p.dialect.open(o)) || !p.wait(p.script.FirstToken) || !p.events(p.dialect.begin(o)) {
		return
	}
	sent := 0
	for at := range o.pieces {
		if at > 0 && !p.wait(p.script.Cadence) {
			return
		}
		for choice := range p.turn.choices {
			if p.struck(o, sent) || p.r.Context().Err() != nil {
				return
			}
			if !p.events(p.dialect.piece(o, at, choice)) {
				return
			}
			sent++
			p.server.journal.sent(p.entry)
		}
	}
	// A fault that lies beyond a short answer strikes at its end.
	if p.script.End != EndDone {
		p.script.After = sent
		p.struck(o, sent)
		return
	}
	p.events(p.dialect.end(o))
}

// struck lets the script's fault happen when its token has come, and tells
// whether it did.
func (p *reply) struck(o *output, sent int) bool {
	if p.script.End == EndDone || sent < p.script.After {
		return false
	}
	switch p.script.End {
	case EndStall:
		p.wait(forever)
	case EndCut:
		p.write(p.half(o))
		p.cut()
	case EndReset:
		p.write(p.half(o))
		p.reset()
	case EndError:
		p.event(p.dialect.failure())
	case EndBroken:
		p.write(p.half(o) + p.lineEnd() + p.lineEnd())
	case EndDone, EndNoDone:
	}
	return true
}

// half is the first half of an event that carries a token.
func (p *reply) half(o *output) string {
	broken := output{pieces: []piece{{kind: saidText, text: "broken off"}}, calls: o.calls, finish: o.finish}
	events := p.dialect.piece(&broken, 0, 0)
	text := p.frame(events[len(events)-1])
	return text[:len(text)/2]
}

func (p *reply) events(all []event) bool {
	for _, e := range all {
		if !p.event(e) {
			return false
		}
	}
	return true
}

// event writes one server-sent event and tells whether it could.
func (p *reply) event(e event) bool {
	if p.script.Comments && !p.write(": ping"+p.lineEnd()+p.lineEnd()) {
		return false
	}
	text := p.frame(e)
	if p.script.SplitRunes {
		for at := splitRune(text); at > 0; at = splitRune(text) {
			if !p.write(text[:at]) {
				return false
			}
			text = text[at:]
		}
	}
	if p.script.Split {
		half := len(text) - len(e.data)/2 - 1
		return p.write(text[:half]) && p.write(text[half:])
	}
	return p.write(text)
}

func (p *reply) frame(e event) string {
	end := p.lineEnd()
	text := "data: " + e.data + end + end
	if e.name != "" {
		text = "event: " + e.name + end + text
	}
	return text
}

func (p *reply) lineEnd() string {
	if p.script.CRLF {
		return "\r\n"
	}
	return "\n"
}

// splitRune is a place inside the first character of more than one byte; 0: none.
func splitRune(text string) int {
	at := strings.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
	if at < 0 {
		return 0
	}
	return at + 1
}
