package llmsim

import (
	"io"
	"net"
	"net/http"
	"time"
)

// reply is one answer on its way.
type reply struct {
	server  *Server
	w       http.ResponseWriter
	flush   http.Flusher
	r       *http.Request
	turn    *turn
	dialect dialect
	script  Script
	entry   *Request
}

// answer plays the request's script in the dialect of the request.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, t *turn, script Script, d dialect, entry *Request) {
	p := &reply{server: s, w: w, r: r, turn: t, dialect: d, script: script, entry: entry}
	p.flush, _ = w.(http.Flusher)
	if !p.wait(p.script.Headers) {
		return
	}
	d.header(w.Header())
	if p.script.Status != 0 {
		p.replace()
		return
	}
	o := p.plan()
	if t.stream {
		p.stream(&o)
		return
	}
	p.whole(&o)
}

// replace sends the script's status and body in place of an answer.
func (p *reply) replace() {
	body := p.script.Body
	if body == "" {
		status := p.script.Status
		if status == http.StatusOK {
			status = http.StatusInternalServerError
		}
		body = p.dialect.fault(faultFor(status))
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
func (p *reply) whole(o *output) {
	script, tokens := p.script, len(o.pieces)
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
		p.server.send(p.w, http.StatusInternalServerError, p.dialect.fault(faultFor(http.StatusInternalServerError)))
		return
	}
	body := p.dialect.whole(o)
	if p.w.Header().Get("Content-Type") == "" {
		p.w.Header().Set("Content-Type", "application/json")
	}
	p.server.journal.status(p.entry, http.StatusOK)
	p.w.WriteHeader(http.StatusOK)
	switch script.End {
	case EndCut:
		p.write(body[:len(body)/2])
		p.cut()
	case EndReset:
		p.write(body[:len(body)/2])
		p.reset()
		return
	case EndBroken:
		body = body[:len(body)/2]
	case EndDone, EndStall, EndError, EndNoDone:
	}
	for range tokens * p.turn.choices {
		p.server.journal.sent(p.entry)
	}
	p.write(body)
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

// reset has the kernel answer the client with RST, not with an orderly end. What
// was written may be lost with it.
func (p *reply) reset() {
	hijacker, ok := p.w.(http.Hijacker)
	if !ok { // not a connection of its own, so there is none to reset
		p.cut()
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		p.cut()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what fails leaves an ordinary close
	}
	_ = conn.Close()
}
