package gateway

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/kikuai/kikuai/internal/llm"
	routing "github.com/kikuai/kikuai/internal/llm/route"
)

// race is a hedged call's attempts beside each other: when one has not answered after the
// model's hedge_after, another deployment is asked, too. The first that brings something
// is the call's, the others are cancelled. Of a streamed answer something is its first
// event: many providers accept at once and think then.
type race struct {
	live  *Live
	laps  chan lap // has room for all of them
	under []running
	timer *time.Timer
}

// running is an attempt of a race that is under way.
type running struct {
	index  int
	cancel context.CancelCauseFunc
}

// lap is how an attempt of a race ended, or began.
type lap struct {
	candidate
	err error
}

// errSlower is the cause of an attempt's end that another one was quicker than.
var errSlower = errors.New("gateway: another deployment answered first")

// hedged begins a race and waits for its end; of a streamed call not for long, so that the
// client is sent its headers: Run waits for the rest.
func (l *Live) hedged() error {
	r := &race{live: l, laps: make(chan lap, attemptsMost), timer: time.NewTimer(l.offer.HedgeAfter)}
	c, err := l.choose(0)
	if err != nil {
		r.timer.Stop()
		return l.telling(err)
	}
	l.rendition, l.race = c.rendition, r // so that there is one, whoever wins
	r.start(c)
	var enough <-chan time.Time
	if l.request.Stream && !l.request.Sound && l.request.Operation != llm.OpTranscription { // of those, the headers say what it is
		timer := time.NewTimer(pingEvery)
		defer timer.Stop()
		enough = timer.C
	}
	return r.run(enough)
}

// start begins an attempt.
func (r *race) start(c candidate) {
	ctx, cancel := context.WithCancelCause(r.live.ctx)
	r.under = append(r.under, running{c.attempt.Index(), cancel})
	go func() {
		err := r.live.ask(ctx, &c)
		if err == nil && c.stream != nil {
			c.early = true
			if c.first, err = c.stream.Next(); errors.Is(err, io.EOF) {
				err = broken(errCutShort)
			}
			if err != nil {
				c.stream.Close()
			}
		}
		r.laps <- lap{c, err}
	}()
}

// run waits until an attempt has won, all have failed, or enough time has passed; then the
// race goes on. Errors as of reach.
func (r *race) run(enough <-chan time.Time) error {
	l := r.live
	for {
		select {
		case <-enough:
			return nil
		case <-r.timer.C:
			r.hedge()
		case one := <-r.laps:
			index := one.attempt.Index()
			cancel := r.leave(index)
			if one.err == nil {
				l.adopt(one.candidate)
				if l.stop = cancel; one.answer != nil {
					cancel(nil)
				}
				r.end()
				return nil
			}
			cancel(one.err)
			l.end(&one.attempt, one.err)
			if len(r.under) > 0 && elsewhere(one.err) {
				l.note(index, one.err)
				continue
			}
			if !l.again(index, one.err) {
				r.end()
				return l.telling(one.err)
			}
			c, err := l.choose(0)
			if err != nil {
				r.end()
				return l.telling(err)
			}
			r.start(c)
		}
	}
}

// hedge begins an attempt beside those under way, at a deployment that none has been made
// at yet.
func (r *race) hedge() {
	l := r.live
	beside := l.tries.tried
	for _, one := range r.under {
		beside = beside.With(one.index)
	}
	if l.tries.here >= attemptsMost || l.offer.ways.All()&^(l.tries.never|beside) == 0 || !l.meter.router.Extra(l.meter.now()) {
		return
	}
	if c, err := l.choose(beside); err == nil {
		r.start(c)
		r.timer.Reset(l.offer.HedgeAfter)
	}
}

// leave takes an attempt from those under way.
func (r *race) leave(index int) context.CancelCauseFunc {
	for i, one := range r.under {
		if one.index == index {
			r.under = append(r.under[:i], r.under[i+1:]...)
			return one.cancel
		}
	}
	return func(error) {}
}

// end cancels what is left of the race, and sees to what it leaves behind.
func (r *race) end() {
	r.live.race = nil
	r.timer.Stop()
	for _, one := range r.under {
		one.cancel(errSlower)
	}
	left := len(r.under)
	if left == 0 {
		return
	}
	l := r.live
	l.meter.aside.Go(func() {
		for range left {
			one := <-r.laps
			switch {
			case one.err != nil:
			case one.stream != nil:
				one.stream.Close()
			default:
				one.answer.Release()
			}
			one.attempt.End(l.meter.now(), routing.Gone, 0)
		}
	})
}
