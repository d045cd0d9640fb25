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
func readPass(_ []string, reply []any) (f finding, err error) {
	if len(reply) != 8 {
		return finding{}, errReply
	}
	r, p := replyReader{reply: reply}, &f.pass
	p.status, p.n, p.available = r.text(0), r.number(1), r.number(2)
	p.keyID, f.mac, f.candidate = r.number(4), r.text(5), int(r.number(6))
	p.models = modelList(r.text(7))
	if p.decision, err = ratelimit.ParseReport(r.text(3)); err != nil {
		r.fault = errors.Join(r.fault, err)
	}
	p.limited = len(p.decision.Results) > 0
	return f, r.fault
}

// readPlain reads what the plain scripts return that were given the keys.
func (c caller) readPlain(keys []string, reply []any) (f finding, err error) {
	if len(reply) != 10 {
		return finding{}, errReply
	}
	r, p := replyReader{reply: reply}, &f.pass
	p.status, p.n, p.available = r.text(0), r.number(1), r.number(2)
	p.keyID, f.mac, f.candidate = r.number(3), r.text(4), int(r.number(5))
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
		if p.decision.Allowed { // what was taken, so that it can be given back
			one := &p.decision.Results[0]
			one.Key, one.Cost, one.At = c.base(keys, f.candidate), 1, r.number(9)
		}
	}
	return f, r.fault
}

// readSeveral reads what the scripts for several calls return: what the plain ones do, or
// why not.
func (c caller) readSeveral(keys []string, reply []any) (finding, error) {
	if len(reply) == 1 {
		r := replyReader{reply: reply}
		return finding{pass: pass{status: r.text(0)}}, r.fault
	}
	return c.readPlain(keys, reply)
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
