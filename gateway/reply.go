package gateway

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

var errReply = errors.New("gateway: a script's reply makes no sense")

// readPass reads what admit.lua and visit.lua return.
func readPass(reply []any) (p pass, mac string, candidate int, err error) {
	if len(reply) != 7 {
		return pass{}, "", 0, errReply
	}
	r := replyReader{reply: reply}
	p.status, p.n, p.available = r.text(0), r.number(1), r.number(2)
	p.keyID, mac, candidate = r.number(4), r.text(5), int(r.number(6))
	if p.decision, err = ratelimit.ParseReport(r.text(3)); err != nil {
		r.fault = errors.Join(r.fault, err)
	}
	p.limited = len(p.decision.Results) > 0
	return p, mac, candidate, r.fault
}

// readPlain reads what the plain scripts return.
func (c caller) readPlain(reply []any) (p pass, mac string, candidate int, err error) {
	if len(reply) != 9 {
		return pass{}, "", 0, errReply
	}
	r := replyReader{reply: reply}
	p.status, p.n, p.available = r.text(0), r.number(1), r.number(2)
	p.keyID, mac, candidate = r.number(3), r.text(4), int(r.number(5))
	scope := scopeKey
	if c.key == nil {
		scope = c.scope
	}
	if most := r.number(6); most > 0 {
		p.limited = true
		p.decision = ratelimit.Decision{Allowed: p.status != "limited", Results: []ratelimit.Result{{
			Limit:     ratelimit.Limit{Kind: ratelimit.Window, Name: ratelimit.NameRequests, Scope: scope, Max: most, Span: time.Minute},
			Remaining: r.number(7), Reset: time.Duration(r.number(8)) * time.Microsecond,
		}}}
	}
	return p, mac, candidate, r.fault
}

// replyReader reads the values of a script's reply.
type replyReader struct {
	reply []any
	fault error
}

func (r *replyReader) text(i int) string {
	s, ok := r.reply[i].(string)
	if !ok {
		r.fault = fmt.Errorf("%w: %T", errReply, r.reply[i])
	}
	return s
}

func (r *replyReader) number(i int) int64 {
	if n, ok := r.reply[i].(int64); ok {
		return n
	}
	n, err := strconv.ParseInt(r.text(i), 10, 64)
	if err != nil {
		r.fault = fmt.Errorf("%w: %w", errReply, err)
	}
	return n
}
