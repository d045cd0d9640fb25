package gateway

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/ratelimit"
)

// patchRoom is what a patched request may be longer than the client's.
const patchRoom = 256 // bytes

var (
	errCutShort = errors.New("gateway: the provider's answer ends in the middle")
	errInside   = errors.New("gateway: the provider reports an error inside the stream")
)

// Live is a call under way: money is held, the provider has answered or begun
// to. An unstreamed call is ended by Answer; a streamed one by Run, which resolves
// the hold, and then Close.
type Live struct {
	Decision ratelimit.Decision

	meter      *Meter
	offer      *offer
	request    *llm.Request
	deployment *llm.Deployment
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
	transcript *llm.Transcript // of a streamed call
	answer     *llm.Answer
	stream     *llm.Stream
	ctx        context.Context // of a streamed call
	cancel     context.CancelCauseFunc
}

// Receipt is what a call came to.
type Receipt struct {
	CostNano      int64 // captured
	AvailableNano int64 // of the account afterwards
	Usage         billing.Usage
	Finish        string
	// Closing is the usage event to send before the end of a stream, with the
	// cost in it; nil where the client did not ask for it.
	Closing []byte
}

// Answer settles an unstreamed call and appends its answer to a buffer, with the
// cost in its usage.
func (l *Live) Answer(to []byte) ([]byte, Receipt) {
	defer l.meter.flight.end()
	defer l.answer.Release()
	l.meter.keeper.leave(l)
	body := gjson.ParseBytes(l.answer.Bytes())
	reported := l.believe(body.Get("usage"))
	l.noteFault(reported)
	if !reported.CompletionKnown || reported.Completion == 0 {
		if counted := l.meter.counter.AnswerTokens(body); counted > 0 {
			reported.Completion, reported.Reasoning, reported.CompletionKnown = counted, 0, false
		}
	}
	receipt := l.settle(l.usage(reported))
	receipt.Finish = body.Get("choices.0.finish_reason").Str
	return appendWithCost(to, body.Raw, receipt), receipt
}

// Sink takes the events of a streamed answer as they come. raw is the event as it
// is to be forwarded, valid until Sink returns. An error ends the call.
type Sink func(raw []byte, chunk llm.Chunk) error

// Run passes a streamed answer on until it ends, whichever way, and settles what
// was produced, or gives the hold back if nothing was. The error says how it
// ended otherwise than well: [*llm.UpstreamError], the sink's, or the cause of
// the context that the call was opened with. The receipt holds either way.
func (l *Live) Run(sink Sink) (Receipt, error) {
	t := l.transcript
	end := ending{usage: llm.Reported{Fault: llm.UsageAbsent}}
	err := l.pump(t, sink, &end)
	l.meter.keeper.leave(l)
	usage := end.usage
	if err != nil {
		l.stream.Close() // what the provider would go on producing is nobody's
	} else {
		l.noteFault(usage)
	}
	if err != nil && !t.Any() && !usage.Known() {
		l.meter.resolver.release(l.account, l.holdID, l.taken)
		return Receipt{AvailableNano: l.available + l.held}, err
	}
	if t.Any() && (!usage.CompletionKnown || usage.Completion == 0) {
		usage.Completion, usage.Reasoning, usage.CompletionKnown = t.Tokens(), 0, false
	}
	receipt := l.settle(l.usage(usage))
	receipt.Finish = end.finish
	if err == nil && l.request.IncludeUsage {
		receipt.Closing = closingEvent(end.closing, t, l.request.Model, receipt)
	}
	return receipt, err
}

// Close leaves a streamed call that Run has settled.
func (l *Live) Close() {
	defer l.meter.flight.end()
	l.meter.keeper.leave(l)
	l.stream.Finish()
	l.cancel(nil)
}

// ending is what a stream tells apart from its text.
type ending struct {
	usage   llm.Reported
	closing []byte // data of the event that told the usage and nothing else
	finish  string
}

// pump forwards events until the stream is over.
func (l *Live) pump(t *llm.Transcript, sink Sink, end *ending) error {
	for {
		event, err := l.stream.Next()
		if errors.Is(err, io.EOF) && t.Finished {
			return nil // some servers leave the last event out
		}
		if errors.Is(err, io.EOF) {
			return broken(errCutShort)
		}
		if err != nil {
			return err
		}
		if string(event.Data) == "[DONE]" {
			return nil
		}
		chunk, err := t.Add(event.Data)
		if err != nil {
			return broken(err)
		}
		if chunk.Error {
			return broken(errInside)
		}
		if chunk.Finish != "" {
			end.finish = chunk.Finish
		}
		if chunk.Text && l.firstToken.Load() == 0 {
			l.firstToken.Store(int64(max(1, l.meter.now().Sub(l.started))))
		}
		if chunk.Usage.IsObject() {
			end.usage = l.believe(chunk.Usage)
			if !chunk.Choices { // sent at the end, with the cost in it
				end.closing = append(end.closing[:0], event.Data...)
				continue
			}
		}
		if err := sink(event.Raw, chunk); err != nil {
			return err
		}
		l.meter.keeper.sent(l, t.Sent())
	}
}

func broken(err error) error { return &llm.UpstreamError{Fault: llm.FaultBroken, Err: err} }

func (l *Live) believe(v gjson.Result) llm.Reported {
	return llm.ReadUsage(v, l.offer.Context, l.offer.MaxOutput*l.bounds.n)
}

// noteFault counts what is wrong with a provider's usage.
func (l *Live) noteFault(r llm.Reported) {
	if r.Fault != "" {
		l.meter.faults.WithLabelValues(l.deployment.Provider.Name, r.Fault).Inc()
	}
}

// usage completes what the provider did not tell.
func (l *Live) usage(r llm.Reported) billing.Usage {
	u := billing.Usage{
		Prompt: r.Prompt, Cached: r.Cached, CacheWrite: r.CacheWrite,
		Completion: r.Completion, Reasoning: r.Reasoning,
		Estimated: !r.Known(),
	}
	if !r.PromptKnown {
		u.Prompt, u.Cached, u.CacheWrite = l.meter.counter.Prompt(l.request, l.offer.Model), 0, 0
	}
	return u.Clamped()
}

// settle takes what the call cost.
func (l *Live) settle(u billing.Usage) Receipt {
	failpoint.Here("call.answered")
	cost := l.offer.prices.Cost(u)
	captured, done := l.meter.resolver.settle(billing.Settlement{
		HoldID: l.holdID, AccountID: l.account, KeyID: l.keyID,
		Cost: cost, Held: l.held, Gift: l.gift, Usage: u,
		Model: l.offer.ID, Deployment: l.deployment.Name(), Source: l.source,
		Duration: l.meter.now().Sub(l.started), FirstToken: time.Duration(l.firstToken.Load()),
		Organisation: l.taken.organisation, OrganisationDay: l.taken.day,
	}, l.taken, u.Prompt+u.Completion)
	failpoint.Here("call.settled")
	if !done { // what Redis will say once it is back
		captured.Nano = min(cost, l.held)
		captured.Available = l.available + l.held - captured.Nano
	}
	l.offer.tokens.add(u)
	return Receipt{CostNano: captured.Nano, AvailableNano: captured.Available, Usage: u}
}
