package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kikuai/kikuai/internal/llm"
	routing "github.com/kikuai/kikuai/internal/llm/route"
)

const (
	// attemptsMost is how often a call tries its model's deployments.
	attemptsMost = 3
	// pauseFirst is about how long a call waits before it tries the same deployment once
	// more; twice as long before the next time. Before another one it does not wait.
	pauseFirst = 50 * time.Millisecond
)

// errFull means that the model's deployments bear no more calls at present.
var errFull = fmt.Errorf("%w: every deployment is full", errBusy)

// attempts are a call's, at the deployments of its model, one after another or, where the
// model is hedged, beside each other. They share its hold. Once the client has been sent
// something of an answer there is no further one.
type attempts struct {
	made  int         // of this request, at fallbacks too
	here  int         // at this model
	tried routing.Set // failed, and may be tried again if nothing else is left
	never routing.Set // cannot take the request, or would not while it waits
	unfit error       // why a deployment cannot take it
	worst error       // the most telling of what went wrong
}

// candidate is one attempt.
type candidate struct {
	attempt    routing.Attempt
	deployment *llm.Deployment
	out        llm.Outbound
	rendition  llm.Rendition
	answer     *llm.Answer
	stream     *llm.Stream
	first      llm.Event // of a hedged stream, read to see who is quicker
	early      bool      // there is one
}

// reach tries deployments until one has begun to answer. What is left to say where none
// has is the most telling error: [*llm.UpstreamError], [*llm.RequestError], errFull, or
// the cause of the call's context.
func (l *Live) reach() error {
	if l.offer.HedgeAfter > 0 && !l.request.Sound { // a sound's kind is told before it begins
		return l.hedged()
	}
	for {
		c, err := l.choose(0)
		if err != nil {
			return l.telling(err)
		}
		if err = l.attempted(&c); err == nil {
			l.adopt(c)
			return nil
		}
		l.end(&c.attempt, err)
		if !l.again(c.attempt.Index(), err) {
			return l.telling(err)
		}
	}
}

// attempted is ask; should it panic, the attempt is over.
func (l *Live) attempted(c *candidate) error {
	returned := false
	defer func() {
		if !returned {
			c.attempt.End(l.meter.now(), routing.Gone, 0)
		}
	}()
	err := l.ask(l.ctx, c)
	returned = true
	return err
}

// choose picks a deployment that can take the request, none of those beside, and prepares
// what it is sent.
func (l *Live) choose(beside routing.Set) (candidate, error) {
	m, now := l.meter, l.meter.now()
	for {
		a, err := l.offer.ways.Pick(routing.Query{
			Now: now, Key: l.thread, Stream: l.request.Stream, Never: l.tries.never | beside, Tried: l.tries.tried,
		})
		if err != nil {
			return candidate{}, l.none(err)
		}
		d := l.offer.Deployments()[a.Index()]
		out, rendition, err := l.rendered(&a, d)
		if err != nil {
			l.tries.never, l.tries.unfit = l.tries.never.With(a.Index()), err
			continue
		}
		if l.tries.made == 0 {
			m.router.Request(now)
		} else {
			out.Within = max(time.Millisecond, m.client.Total()-now.Sub(l.call.asked))
		}
		l.tries.made++
		l.tries.here++
		return candidate{attempt: a, deployment: d, out: out, rendition: rendition}, nil
	}
}

// rendered is the request as the deployment is to receive it. Where there is none, be it by a
// panic, the attempt is over.
func (l *Live) rendered(a *routing.Attempt, d *llm.Deployment) (out llm.Outbound, as llm.Rendition, err error) {
	done := false
	defer func() {
		if !done {
			a.End(l.meter.now(), routing.Gone, 0)
		}
	}()
	out, as, err = l.request.For(d, l.limit(), l.transcript)
	done = err == nil
	return out, as, err
}

// none says what it means that no deployment is available.
func (l *Live) none(err error) error {
	var none *routing.NoneError
	switch {
	case !errors.As(err, &none):
		return err
	case none.Full > 0:
		return fmt.Errorf("%w: %w", errFull, none)
	case none.Waiting > 0:
		return &llm.UpstreamError{Fault: llm.FaultBusy, RetryAfter: none.RetryAfter, Err: none}
	case none.Broken > 0:
		return &llm.UpstreamError{Fault: llm.FaultUnreachable, Err: none}
	case l.tries.unfit != nil:
		return l.tries.unfit
	}
	return &llm.UpstreamError{Fault: llm.FaultMisconfigured, Err: none}
}

// ask makes the attempt: it returns once the provider has accepted a streamed request, or
// answered another; or a streamed one, whole.
func (l *Live) ask(ctx context.Context, c *candidate) (err error) {
	m := l.meter
	if l.request.Stream {
		if c.stream, err = m.client.Stream(ctx, c.out); err != nil || c.stream.Whole == nil {
			return err
		}
		c.answer, c.stream = c.stream.Whole, nil
	} else {
		c.answer, err = m.client.Complete(ctx, c.out, c.rendition)
	}
	if err == nil {
		c.attempt.Began(m.now())
		l.end(&c.attempt, nil)
	}
	return err
}

// adopt makes the attempt the one that the call's answer comes from.
func (l *Live) adopt(c candidate) {
	l.attempt, l.rendition, l.answer, l.stream = c.attempt, c.rendition, c.answer, c.stream
	l.first, l.early = c.first, c.early
	l.deployment.Store(c.deployment)
}

// end tells the router how an attempt ended.
func (l *Live) end(a *routing.Attempt, err error) {
	o, wait := outcome(err)
	a.End(l.meter.now(), o, wait)
}

// outcome is what an attempt's end tells of its deployment, and how long the provider
// wants to be left alone.
func outcome(err error) (routing.Outcome, time.Duration) {
	if err == nil {
		return routing.Answered, 0
	}
	var upstream *llm.UpstreamError
	if !errors.As(err, &upstream) {
		return routing.Gone, 0
	}
	if upstream.Overloaded() {
		return routing.Overloaded, upstream.RetryAfter
	}
	switch upstream.Fault {
	case llm.FaultRefused:
		return routing.Refused, 0
	case llm.FaultBusy:
		return routing.Busy, upstream.RetryAfter
	case llm.FaultTimeout:
		return routing.Timeout, 0
	case llm.FaultUnreachable:
		return routing.Unreachable, 0
	case llm.FaultMisconfigured:
		return routing.Misconfigured, 0
	}
	return routing.Broken, 0
}

// elsewhere says whether another deployment, or another model, may do better.
func elsewhere(err error) bool {
	var upstream *llm.UpstreamError
	return errors.Is(err, errFull) || errors.As(err, &upstream) && upstream.Fault != llm.FaultRefused
}

// again says whether the call may make another attempt after one that failed, and waits
// for a moment where only the same deployments are left.
func (l *Live) again(index int, err error) bool {
	if !elsewhere(err) || l.ctx.Err() != nil {
		return false
	}
	l.note(index, err)
	left := l.offer.ways.All() &^ l.tries.never
	if l.tries.here >= attemptsMost || left == 0 || l.meter.now().Sub(l.call.asked) >= l.meter.client.Total() ||
		!l.meter.router.Extra(l.meter.now()) {
		return false
	}
	if left&^l.tries.tried != 0 {
		return true
	}
	pause := pauseFirst << (l.tries.here - 1)
	timer := time.NewTimer(pause/2 + rand.N(pause)) // so that many calls do not come back as one
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// note keeps what an attempt that failed teaches.
func (l *Live) note(index int, err error) {
	l.tries.worst = worse(l.tries.worst, err)
	switch o, _ := outcome(err); o {
	case routing.Misconfigured, routing.Busy: // a moment later they would still be
		l.tries.never = l.tries.never.With(index)
	default:
		l.tries.tried = l.tries.tried.With(index)
	}
}

// telling is what the client is told in the end.
func (l *Live) telling(err error) error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if l.tries.worst != nil && elsewhere(err) {
		return worse(l.tries.worst, err)
	}
	return err
}

// worse is the more telling of two errors; the earlier of two alike. That nothing is
// available tells less than why an attempt failed.
func worse(one, other error) error {
	if rank(other) > rank(one) {
		return other
	}
	return one
}

func rank(err error) int {
	var none *routing.NoneError
	if err == nil || errors.As(err, &none) {
		return 0
	}
	switch o, _ := outcome(err); o {
	case routing.Timeout:
		return 5
	case routing.Broken, routing.Overloaded:
		return 4
	case routing.Unreachable:
		return 3
	case routing.Busy:
		return 2
	}
	return 1
}
