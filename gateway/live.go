package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/llm"
	routing "github.com/kikuai/kikuai/internal/llm/route"
	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/ratelimit"
)

// costRoom is what an answer may be longer than the provider's.
const costRoom = 256 // bytes

var errCutShort = errors.New("gateway: the provider's answer ends in the middle")

// Live is a call under way: money is held, the provider has answered or begun
// to. A call that is answered whole is ended by Answer; a streamed one by Run, which
// resolves the hold, and then Close.
type Live struct {
	Decision ratelimit.Decision

	meter      *Meter
	offer      *offer
	request    *llm.Request
	deployment atomic.Pointer[llm.Deployment] // the one that answers, or is to
	bounds     bounds
	account    int64
	keyID      int64
	holdID     string
	source     string
	held       int64
	gift       bool
	taken      taken
	available  int64
	started    time.Time
	resumed    bool         // under the hold of an attempt that died
	firstToken atomic.Int64 // nanoseconds after started; 0: not yet
	kept       keeping
	rendition  llm.Rendition
	transcript *llm.Transcript // of a streamed call
	answer     *llm.Answer
	stream     *llm.Stream
	ctx        context.Context
	cancel     context.CancelCauseFunc // of a streamed call

	call    Call // as it was asked for
	thread  uint64
	tries   attempts
	attempt routing.Attempt // the one that the answer comes from
	first   llm.Event       // of a hedged stream
	early   bool            // first has been read and not been passed on
	race    *race           // of a hedged call, until it is decided
	stop    context.CancelCauseFunc
	begun   bool  // the client has been sent something of the answer
	next    *Live // the fallback that went on in this call's place
}

// Receipt is what a call came to.
type Receipt struct {
	CostNano      int64 // captured
	AvailableNano int64 // of the account afterwards
	Usage         billing.Usage
	Finish        string // in the words of OpenAI's chat completions
}

// final is the receipt as a client is told of it, at another cost: that of an answer
// that is given again is nothing.
func (r Receipt) final(cost int64) llm.Final {
	return llm.Final{Usage: llm.Usage(r.Usage), Cost: billing.FormatUSD(cost)}
}

// Whole says that the answer has come whole, as Answer gives it out: the call is not
// streamed, or its provider does not do that.
func (l *Live) Whole() bool { return l.answer != nil }

// Answer settles a call whose answer has come whole. It returns its answer with the cost in
// its usage, where its form has one, and what it is. An answer whose cost is durable nowhere
// is withheld, and its hold given back: then the error is a [*CallError].
func (l *Live) Answer() (body []byte, contentType string, receipt Receipt, err error) {
	defer l.meter.flight.end()
	defer l.answer.Release()
	if l.cancel != nil { // it was to be streamed
		defer l.cancel(nil)
	}
	l.meter.keeper.leave(l)
	reported := l.reported()
	l.noteFault(reported)
	if !reported.CompletionKnown || reported.Completion == 0 {
		if counted := l.rendition.Tokens(l.meter.counter); counted > reported.Completion {
			reported.Completion, reported.Reasoning, reported.CompletionKnown = counted, 0, false
		}
	}
	receipt, settlement, err := l.settle(l.usage(reported))
	if err != nil {
		l.meter.resolver.withhold(settlement, l.taken, err)
		return nil, "", Receipt{}, l.failed(fmt.Errorf("%w: %w", errWithheld, err))
	}
	receipt.Finish = l.rendition.Finish()
	body, contentType = l.rendition.Answer(make([]byte, 0, len(l.answer.Bytes())+costRoom), receipt.final(receipt.CostNano))
	return body, contentType, receipt, nil
}

// Sink takes what the client is to see of a streamed answer as it comes; raw is valid until
// Sink returns. An error ends the call.
type Sink func(raw []byte, chunk llm.Chunk) error

// Run passes a streamed answer on until it ends, whichever way, and settles what
// was produced, or gives the hold back if nothing was. While nothing was sent, an attempt
// that fails is followed by others, as in Open, and by the model's fallbacks. The error says how it
// ended otherwise than well: [*llm.UpstreamError], the sink's, the cause of the context that
// the call was opened with, or errUnbooked, where the cost of what was sent is durable
// nowhere yet: then the settlement waits for Redis, and the answer is not to be ended well.
// The receipt holds either way.
func (l *Live) Run(sink Sink) (Receipt, error) {
	t := l.transcript
	err := l.pump(t, sink)
	for err != nil && !l.begun && l.stream != nil {
		l.stream.Close() // what the provider would go on producing is nobody's
		l.end(&l.attempt, err)
		if !l.again(l.attempt.Index(), err) {
			err = l.telling(err)
			break
		}
		l.stream = nil
		if err = l.reach(); err == nil {
			err = l.pump(t, sink)
		}
	}
	if err != nil && !l.begun && l.mayFallBack(l.ctx, err) {
		if l.next, err = l.meter.fallBack(l.ctx, l, err); err != nil {
			return Receipt{AvailableNano: l.available + l.held}, err
		}
		return l.next.Run(sink)
	}
	l.meter.keeper.leave(l)
	l.end(&l.attempt, err)
	usage := l.reported()
	if err != nil {
		if l.stream != nil {
			l.stream.Close()
		}
	} else {
		l.noteFault(usage)
	}
	if err != nil && !t.Any() && (!usage.Known() || !l.begun && elsewhere(err)) {
		l.meter.resolver.release(l.account, l.holdID, l.taken)
		return Receipt{AvailableNano: l.available + l.held}, err
	}
	if t.Any() && (!usage.CompletionKnown || usage.Completion == 0) {
		if counted := t.Tokens(); counted > usage.Completion {
			usage.Completion, usage.Reasoning, usage.CompletionKnown = counted, 0, false
		}
	}
	receipt, settlement, unbooked := l.settle(l.usage(usage))
	if unbooked != nil {
		l.meter.resolver.settleLater(settlement, l.taken, unbooked)
	}
	receipt.Finish = l.rendition.Finish()
	return receipt, cmp.Or(err, unbooked)
}

// Close leaves a streamed call that Run has settled.
func (l *Live) Close() {
	defer l.meter.flight.end()
	for one := l; one != nil; one = one.next {
		one.leave()
	}
}

// leave ends what a streamed call has begun.
func (l *Live) leave() {
	l.meter.keeper.leave(l)
	l.attempt.End(l.meter.now(), routing.Gone, 0) // unless Run has told
	if l.stream != nil {
		l.stream.Finish()
	}
	if l.stop != nil {
		l.stop(nil)
	}
	l.cancel(nil)
}

// last is the call that an answer comes from: this one, or a fallback.
func (l *Live) last() *Live {
	for l.next != nil {
		l = l.next
	}
	return l
}

// failed is the error of a call that nobody answered.
func (l *Live) failed(err error) *CallError {
	e := &CallError{Decision: &l.Decision, Err: err, keyID: l.keyID}
	e.deployment, _, e.attempts = l.Served()
	return e
}

// asIs says whether the model that was asked for answers.
func (l *Live) asIs() bool { return l.last().offer.ID == l.request.Model }

// Served says who answers, as far as is known: a streamed answer may be another's until its
// first event. The deployment is "" while a hedged call is not decided.
func (l *Live) Served() (deployment, model string, attempts int) {
	l = l.last()
	if l.race == nil {
		deployment = l.deployment.Load().Name()
	}
	return deployment, l.offer.ID, l.tries.made
}

// pump forwards events until the stream is over.
func (l *Live) pump(t *llm.Transcript, sink Sink) error {
	if l.race != nil {
		if err := l.race.run(nil); err != nil {
			return err
		}
	}
	if l.answer != nil { // of another attempt than the one that events were promised for
		l.first, l.early = l.rendition.AsEvent(), true
		l.answer.Release()
		l.answer = nil
	}
	for {
		event, err := l.read()
		if errors.Is(err, io.EOF) && l.rendition.Ended() {
			return nil // some servers leave the last event out
		}
		if errors.Is(err, io.EOF) {
			return broken(errCutShort)
		}
		if err != nil {
			return err
		}
		chunk, err := l.rendition.Event(event)
		if err != nil {
			var told *llm.UpstreamError
			if errors.As(err, &told) { // the provider says what is wrong
				return err
			}
			return broken(err)
		}
		if chunk.Over {
			return nil
		}
		if chunk.Text && l.firstToken.Load() == 0 {
			l.firstToken.Store(int64(max(1, l.meter.now().Sub(l.started))))
		}
		if len(chunk.Raw) == 0 && !chunk.Text {
			continue
		}
		if !l.begun {
			l.begun = true
			l.attempt.Began(l.meter.now())
		}
		if err := sink(chunk.Raw, chunk); err != nil {
			return err
		}
		l.meter.keeper.sent(l, t.Sent())
	}
}

// read is the next event of the stream.
func (l *Live) read() (llm.Event, error) {
	if l.early {
		l.early = false
		return l.first, nil
	}
	if l.stream == nil {
		return llm.Event{}, io.EOF
	}
	return l.stream.Next()
}

func broken(err error) error { return &llm.UpstreamError{Fault: llm.FaultBroken, Err: err} }

// reported is the provider's usage as far as it can be believed.
func (l *Live) reported() llm.Reported {
	return l.rendition.Reported(max(l.offer.Context, l.bounds.prompt), l.request.OutputBound(l.offer.Model)*l.bounds.n)
}

// noteFault counts what is wrong with a provider's usage.
func (l *Live) noteFault(r llm.Reported) {
	if r.Fault != "" {
		l.meter.faults.WithLabelValues(l.deployment.Load().Provider.Name, r.Fault).Inc()
	}
}

// usage completes what the provider did not tell.
func (l *Live) usage(r llm.Reported) billing.Usage {
	u := billing.Usage(r.Usage)
	u.Estimated = !r.Known() && !l.offer.prices.OfUnits() || r.UnitsCounted && l.offer.prices.OfAudio()
	if !r.PromptKnown {
		u.Prompt = l.meter.counter.Prompt(l.request, l.offer.Model)
	}
	return u.Clamped()
}

// settle takes what the call cost. errUnbooked: the settlement is durable nowhere.
func (l *Live) settle(u billing.Usage) (Receipt, billing.Settlement, error) {
	failpoint.Here("call.answered")
	cost := l.offer.prices.Cost(u)
	_, span := telemetry.StartSpan(l.ctx, "redis settle", trace.SpanKindClient)
	defer span.End()
	s := billing.Settlement{
		HoldID: l.holdID, AccountID: l.account, KeyID: l.keyID,
		Cost: cost, Held: l.held, Gift: l.gift, Usage: u,
		Model: l.offer.ID, Deployment: l.deployment.Load().Name(), Source: l.source,
		Duration: l.meter.now().Sub(l.started), FirstToken: time.Duration(l.firstToken.Load()),
		Organisation: l.taken.organisation, OrganisationDay: l.taken.day,
	}
	captured, err := l.meter.resolver.settle(s, l.taken)
	failpoint.Here("call.settled")
	if err != nil || captured.Late { // what Redis will say once it is back
		captured.Nano = min(cost, l.held)
		captured.Available = l.available + l.held - captured.Nano
	}
	l.offer.tokens.add(u, captured.Nano)
	return Receipt{CostNano: captured.Nano, AvailableNano: captured.Available, Usage: u}, s, err
}
