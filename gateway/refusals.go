package gateway

import (
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

const refusalsMost = 64 << 10 // callers

// refusals remembers what callers were denied, so that denying it again asks nobody. Once
// a second a caller is let through to Redis all the same. Allowances are not remembered,
// nor are denials of concurrency, which another call's end undoes at any moment.
type refusals struct {
	now     func() time.Time
	denials *ratelimit.Denials
	said    *recent[string, refusal]
}

// refusal is what a caller was told.
type refusal struct {
	at       time.Time
	exceeded ratelimit.ExceededError
	decision ratelimit.Decision
}

func newRefusals(now func() time.Time) *refusals {
	return &refusals{now: now, denials: ratelimit.NewDenials(now), said: newRecent[string, refusal](refusalsMost, 0, now)}
}

// look says whether a call that needs so many tokens is known to be denied: then the
// error is an [*ratelimit.ExceededError].
func (r *refusals) look(caller string, tokens int64) (pass, error) {
	wait, denied := r.denials.Denied(caller, tokens)
	if !denied {
		return pass{}, nil
	}
	said, is := r.said.get(caller)
	if !is {
		return pass{}, nil
	}
	age := r.now().Sub(said.at)
	d := said.decision
	d.Local = true
	d.Results = append([]ratelimit.Result(nil), d.Results...)
	for i := range d.Results {
		d.Results[i].Reset = max(0, d.Results[i].Reset-age)
	}
	d.Results[d.Denied].Reset = wait
	exceeded := said.exceeded
	exceeded.RetryAfter = wait
	return pass{decision: d, limited: true}, &exceeded
}

// remember notes a denial.
func (r *refusals) remember(caller string, e *ratelimit.ExceededError, d ratelimit.Decision) {
	if e.Kind == ratelimit.Concurrency || d.Allowed || d.Denied >= len(d.Results) {
		return
	}
	tokens := int64(0)
	if e.Name == ratelimit.NameTokens {
		tokens = e.Cost
	}
	r.said.put(caller, refusal{at: r.now(), exceeded: *e, decision: d})
	r.denials.Remember(caller, tokens, e.RetryAfter)
}

// forget drops what is remembered of a caller who has just been let in, or whose key has ended.
func (r *refusals) forget(caller string) { r.denials.Forget(caller) }
