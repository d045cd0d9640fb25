package route

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
)

// State of a circuit breaker; the numbers are those of its metric.
type State uint8

// The states.
const (
	Closed   State = iota // calls go through
	HalfOpen              // a few calls go through on trial
	Open                  // none do
)

func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	}
	return "open"
}

const (
	defaultFailures = 5
	defaultRecovery = time.Minute
	defaultTrials   = 3
	mostCounted     = 1 << 16 // failures or trials: each takes a bit of every breaker
)

// BreakerOptions say when a breaker opens and closes. Zero fields mean the defaults.
type BreakerOptions struct {
	Failures int           // in a row that open it; 5
	Recovery time.Duration // until an open one lets trial calls through; 60 s
	Trials   int           // calls that a half-open one lets through in all, and that must succeed to close it; 3
}

func (o BreakerOptions) complete() BreakerOptions {
	if o.Failures <= 0 {
		o.Failures = defaultFailures
	}
	o.Failures, o.Trials = min(o.Failures, mostCounted), min(o.Trials, mostCounted)
	if o.Recovery <= 0 {
		o.Recovery = defaultRecovery
	}
	if o.Trials <= 0 {
		o.Trials = defaultTrials
	}
	return o
}

// breaker keeps calls from a deployment that fails.
//
// The counting is a circuitbreaker's of failsafe-go, which opens after so many failures
// in a row and, half-open, closes after so many successes or opens at one failure. Three
// things are done around it, because there they are missing:
//   - time is a parameter, so the way from open to half-open is begun here;
//   - trials are counted here. It gives a permit back with each result, so that more
//     calls than allowed go through while it is half-open, and it has no way to take
//     back the permit of a call whose end says nothing, which would keep it half-open
//     for good;
//   - a result counts only in the period that its call began in. A call begun before the
//     breaker opened tells nothing about whether the provider has recovered.
type breaker struct {
	options BreakerOptions
	changed func(from, to State) // called after each change, without a lock

	// word is the state, whether the last result was a success, and the period's
	// number, so that the calls of a healthy deployment need no lock.
	word atomic.Uint64

	mu      sync.Mutex
	circuit circuitbreaker.CircuitBreaker[struct{}]
	until   time.Duration // of an open one, when trials may begin
	trials  int           // of a half-open one: under way, or succeeded
	failed  int           // failures in a row
	failure time.Duration // when the last one was counted; 0: there was none
}

const (
	stateBits = 0b011
	cleanBit  = 0b100
	periodBit = 3 // the lowest of the period's
)

func newBreaker(o BreakerOptions, changed func(from, to State)) *breaker {
	b := &breaker{
		options: o, changed: changed,
		circuit: circuitbreaker.NewBuilder[struct{}]().
			WithFailureThreshold(uint(o.Failures)).
			WithSuccessThreshold(uint(o.Trials)).
			WithDelay(math.MaxInt64). // it never half-opens by itself
			Build(),
	}
	b.word.Store(cleanBit)
	return b
}

func stateOf(word uint64) State { return State(word & stateBits) }

// permit is a call's leave to go through a breaker.
type permit struct {
	period uint64
	trial  bool // one of a half-open breaker's
	told   bool // its success has been counted
}

// look says whether a call would be let through at present; rest is how long an open
// breaker stays so.
func (b *breaker) look(now time.Duration) (ready bool, rest time.Duration) {
	if stateOf(b.word.Load()) == Closed {
		return true, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch stateOf(b.word.Load()) {
	case Open:
		return now >= b.until, max(0, b.until-now)
	case HalfOpen:
		return b.trials < b.options.Trials, 0
	}
	return true, 0
}

// state is the breaker's state at present: one that has been open for long enough is
// half-open, whether or not a call has come since.
func (b *breaker) state(now time.Duration) State {
	if s := stateOf(b.word.Load()); s != Open {
		return s
	}
	b.mu.Lock()
	from, to := b.recover(now)
	b.mu.Unlock()
	b.tell(from, to)
	return to
}

// enter lets a call through, or not.
func (b *breaker) enter(now time.Duration) (permit, bool) {
	if word := b.word.Load(); stateOf(word) == Closed {
		return permit{period: word >> periodBit}, true
	}
	b.mu.Lock()
	from, to := b.recover(now)
	p := permit{period: b.word.Load() >> periodBit}
	let := to == Closed
	if to == HalfOpen && b.trials < b.options.Trials {
		b.trials++
		p.trial, let = true, true
	}
	b.mu.Unlock()
	b.tell(from, to)
	return p, let
}

// began tells that the provider has begun to answer. To a half-open breaker that is a
// success: it need not wait for the end of a long answer. What becomes of the answer
// later counts in the period that follows.
func (b *breaker) began(p *permit, now time.Duration) {
	if p.trial && !p.told {
		b.record(p, success, now)
		p.trial, p.told = false, true
		p.period = b.word.Load() >> periodBit
	}
}

// leave tells how a call that was let through ended.
func (b *breaker) leave(p *permit, v verdict, now time.Duration) {
	switch {
	case p.told && v == success, v == neutral && !p.trial:
		return
	case v == success && b.word.Load() == p.period<<periodBit|cleanBit|uint64(Closed):
		return // one more success of a deployment that is well
	}
	b.record(p, v, now)
}

func (b *breaker) record(p *permit, v verdict, now time.Duration) {
	b.mu.Lock()
	word := b.word.Load()
	from, to := stateOf(word), stateOf(word)
	if word>>periodBit == p.period {
		switch v {
		case success:
			b.circuit.RecordSuccess()
			b.failed = 0
		case failure:
			b.circuit.RecordFailure()
			b.failed++
			b.failure = now
		case neutral:
			b.trials-- // another may try instead
		}
		to = b.settle(from, v != failure, now)
	}
	b.mu.Unlock()
	b.tell(from, to)
}

// recover half-opens a breaker that has been open for long enough. Under mu.
func (b *breaker) recover(now time.Duration) (from, to State) {
	from = stateOf(b.word.Load())
	if from != Open || now < b.until {
		return from, from
	}
	b.circuit.HalfOpen()
	return from, b.settle(from, true, now)
}

// settle notes the state that the circuit has come to. Under mu.
func (b *breaker) settle(from State, clean bool, now time.Duration) State {
	to := Closed
	switch b.circuit.State() {
	case circuitbreaker.OpenState:
		to = Open
	case circuitbreaker.HalfOpenState:
		to = HalfOpen
	}
	period := b.word.Load() >> periodBit
	if to != from {
		period++
		b.trials = 0
		if to == Open {
			b.until = now + b.options.Recovery
		}
	}
	word := period<<periodBit | uint64(to)
	if clean && to == Closed {
		word |= cleanBit
	}
	b.word.Store(word)
	return to
}

// failures are those in a row, and when the last one was.
func (b *breaker) failures() (row int, last time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed, b.failure
}

func (b *breaker) tell(from, to State) {
	if from != to && b.changed != nil {
		b.changed(from, to)
	}
}
