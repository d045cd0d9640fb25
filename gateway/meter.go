package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	defaultInFlight = 4096
	// leastOutput is the shortest answer worth paying for, where the client left
	// its length to what the balance affords.
	leastOutput = 16 // tokens
	// goodOutput is the shortest answer worth having where its length was left open and
	// a token limit leaves less than the model may answer with. A call that asks for
	// more waits rather than being cut short.
	goodOutput   = 1024 // tokens
	defaultLimit = 120  // requests per minute
	// holdLife is how long a hold stands by itself: calls under way renew theirs
	// every few seconds, so one that passes its deadline is an orphan's.
	holdLife = time.Minute
)

// MeterOptions are what a Meter needs.
type MeterOptions struct {
	Redis       redis.Scripter // may be an AutoPipeliner; must fail fast by its own timeouts
	Holds       *billing.Holds
	Backlog     backlog // nil: nothing but Redis keeps a call from beginning
	Catalogue   *llm.Catalogue
	Client      *llm.Client
	Log         *slog.Logger
	Registerer  prometheus.Registerer // nil: nothing is registered
	Limits      billing.Limits        // of a key or chat without limits of its own; no requests per minute: 120
	Everyone    int64                 // requests per minute of the whole installation; 0: no limit
	Claims      claims                // on the budgets of organisations; nil: there are none
	Breaker     breaker               // before Redis; nil: Redis is always asked
	Patience    time.Duration         // of a caller with a Redis that answers nobody; 0: 200 ms
	Silence     func() time.Duration  // since Redis was last heard by anybody here; nil: as the meter's calls know
	Decisions   *ratelimit.Metrics    // nil: what limits decide is not counted
	MaxInFlight int                   // calls at once; more are answered 503; 0: 4096
	HoldLife    time.Duration         // of a hold that nobody renews; 0: a minute
	Now         func() time.Time      // nil: time.Now
}

// backlog says whether the ledger is near enough for a paid call to begin.
type backlog interface{ Admits(accountID int64) error }

// Meter is the one way to a model: it holds money, calls, and settles.
type Meter struct {
	gate      *gate
	backlog   backlog
	resolver  *resolver
	keeper    *keeper
	catalogue *llm.Catalogue
	client    *llm.Client
	counter   *llm.Counter
	log       *slog.Logger
	now       func() time.Time
	offers    map[string]*offer
	flight    *flight
	faults    *prometheus.CounterVec
}

// offer is a model with what it costs.
type offer struct {
	*llm.Model
	prices billing.Prices
	tokens tokenCounters
}

// NewMeter refuses a catalogue with prices that cannot be billed, all faults at once.
func NewMeter(o MeterOptions) (*Meter, error) {
	if o.Redis == nil || o.Holds == nil || o.Catalogue == nil || o.Client == nil || o.Log == nil {
		return nil, errors.New("gateway: Redis, Holds, Catalogue, Client and Log are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HoldLife <= 0 {
		o.HoldLife = holdLife
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = defaultInFlight
	}
	if o.Limits.RequestsPerMinute <= 0 {
		o.Limits.RequestsPerMinute = defaultLimit
	}
	if o.Patience <= 0 {
		o.Patience = silenceMost
	}
	if o.Breaker == nil {
		o.Breaker = unbroken{}
	}
	limits, way := ratelimit.NewRedis(o.Redis), newLink(o.Breaker, o.Patience, o.Silence)
	resolver := newResolver(o.Holds, &tally{limits: limits, claims: o.Claims}, way, o.Log, o.Registerer)
	shared := newShared(o.Redis, way, limits, o.Everyone, resolver, o.Now)
	m := &Meter{
		gate:      newGate(o.Redis, way, o.Limits.Packed(), shared, resolver, o.Now, o.Decisions),
		backlog:   o.Backlog,
		resolver:  resolver,
		keeper:    newKeeper(o.Holds, limits, o.HoldLife, o.Now, o.Registerer),
		catalogue: o.Catalogue,
		client:    o.Client,
		counter:   new(llm.Counter),
		log:       o.Log,
		now:       o.Now,
		offers:    map[string]*offer{},
		flight:    newFlight(o.MaxInFlight),
	}
	tokens := m.register(o.Registerer)
	var faults []error
	for _, model := range o.Catalogue.Models() {
		prices, err := billing.ParsePrices(model.Prices)
		if err != nil {
			faults = append(faults, fmt.Errorf("model %s: %w", model.ID, err))
			continue
		}
		m.offers[model.ID] = &offer{Model: model, prices: prices, tokens: newTokenCounters(tokens, model.ID)}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("catalogue: %w", errors.Join(faults...))
	}
	return m, nil
}

// Close lets no call begin, waits for those under way to end (whoever began them
// cancels them), and then for the holds that wait for Redis. When ctx ends first
// it gives up what is left, loudly, and returns ctx's error.
func (m *Meter) Close(ctx context.Context) error {
	m.flight.close()
	err := m.flight.wait(ctx)
	m.resolver.close(ctx)
	m.keeper.close()
	if err != nil {
		return fmt.Errorf("gateway: %d calls are still under way: %w", m.flight.count(), err)
	}
	return nil
}

// errPaid is a hold that was settled: its call has been paid for.
var errPaid = fmt.Errorf("%w: the call was paid for", billing.ErrHoldConflict)

// Call is one call to a model, paid by an account.
type Call struct {
	Key        *billing.PresentedKey // the API key it is made with; nil: none
	AccountID  int64                 // without a key
	LimitScope string                // without a key: whose request limit counts
	LimitID    string
	MaxOutput  int64  // tokens; caps an answer whose length the request leaves open; 0: no cap
	HoldID     string // names the call; "": a new name
	Gift       bool   // the house pays: nothing is held, so all of the cost is written off
	Source     string // billing.SourceAPI or billing.SourceTelegram
	Request    *llm.Request
}

// CallError is a call that came to nothing. Decision is what the request limit
// said, if it was asked.
type CallError struct {
	Decision *ratelimit.Decision
	Err      error
}

func (e *CallError) Error() string { return e.Err.Error() }
func (e *CallError) Unwrap() error { return e.Err }

// UnaffordableError is a call whose worst case exceeds the balance.
type UnaffordableError struct {
	billing.PoorError
	Stated bool  // the request stated its answer's length
	Tokens int64 // the longest answer that the balance affords; 0: none
}

// Unwrap lets errors.As find the *billing.PoorError.
func (e *UnaffordableError) Unwrap() error { return &e.PoorError }

// bounds are the limits of a call's worst case, in tokens.
type bounds struct {
	prompt int64 // at most
	output int64 // of one answer, at most
	least  int64 // of one answer, at least, for the call to be worth it
	n      int64 // answers
}

// tokens are how many a call may come to; stated: it says how long its answer may be.
func (b bounds) tokens(stated bool) tokens {
	t := tokens{want: b.prompt + b.output*b.n}
	t.good, t.bare = t.want, t.want
	if !stated {
		t.good = b.prompt + min(b.output, goodOutput)*b.n
		t.bare = b.prompt + b.least*b.n
	}
	return t
}

// plan finds the model and the worst case. [*llm.RequestError], llm.ErrModelUnknown.
func (m *Meter) plan(r *llm.Request, most int64) (*offer, bounds, error) {
	o := m.offers[r.Model]
	if o == nil {
		return nil, bounds{}, llm.ErrModelUnknown
	}
	b := bounds{prompt: r.PromptBound(o.Model), output: o.MaxOutput, n: r.N}
	if most > 0 {
		b.output = min(b.output, most)
	}
	b.least = min(leastOutput, b.output)
	if r.MaxOutput > o.MaxOutput {
		return nil, bounds{}, &llm.RequestError{Param: r.MaxField, Message: fmt.Sprintf(
			"'%s' is too large: this model answers with at most %d tokens.", r.MaxField, o.MaxOutput)}
	}
	if r.MaxOutput > 0 {
		b.output, b.least = r.MaxOutput, r.MaxOutput
	}
	return o, b, nil
}

// Open decides, holds and calls: it returns once the provider has begun a
// streamed answer or sent an unstreamed one whole. The caller runs the Live to
// its end. ctx is what the call lives by, so for a streamed answer it must outlive
// Open. Errors before the limit was asked: [*llm.RequestError],
// llm.ErrModelUnknown; all others come in a [*CallError].
func (m *Meter) Open(ctx context.Context, c Call) (*Live, error) {
	o, b, err := m.plan(c.Request, c.MaxOutput)
	if err != nil {
		return nil, err
	}
	if err := m.flight.begin(); err != nil {
		return nil, &CallError{Err: err}
	}
	l, err := m.open(ctx, c, o, b)
	if err != nil {
		m.flight.end()
		return nil, err
	}
	return l, nil
}

func (m *Meter) open(ctx context.Context, c Call, o *offer, b bounds) (*Live, error) {
	l, err := m.hold(ctx, c, o, b)
	if err != nil {
		return nil, err
	}
	if l.request.Stream {
		l.transcript = llm.NewTranscript(m.counter)
	}
	m.keeper.keep(l)
	failpoint.Here("call.admitted")
	body := l.request.AppendPatched(make([]byte, 0, l.request.Size()+patchRoom), l.deployment, l.limit())
	if l.request.Stream {
		l.ctx, l.cancel = context.WithCancelCause(ctx)
		if l.stream, err = m.client.Stream(l.ctx, l.deployment, body); err != nil {
			l.cancel(err)
		}
	} else {
		l.answer, err = m.client.Complete(ctx, l.deployment, body)
	}
	if err != nil {
		failpoint.Here("call.refused")
		m.keeper.leave(l)
		m.resolver.release(l.account, l.holdID, l.taken)
		return nil, &CallError{Decision: &l.Decision, Err: err}
	}
	return l, nil
}

// hold admits the call and reserves its worst case.
func (m *Meter) hold(ctx context.Context, c Call, o *offer, b bounds) (*Live, error) {
	who := caller{account: c.AccountID, key: c.Key, scope: c.LimitScope, id: c.LimitID}
	if c.Key != nil {
		who.account = c.Key.Account
	}
	if m.backlog != nil {
		if err := m.backlog.Admits(who.account); err != nil {
			return nil, refuse(pass{}, err)
		}
	}
	r := reservation{
		holdID: c.HoldID, fingerprint: c.Source,
		want:   o.prices.Worst(b.prompt, b.output*b.n),
		least:  o.prices.Worst(b.prompt, b.least*b.n),
		life:   m.keeper.life,
		tokens: b.tokens(c.Request.MaxOutput > 0),
	}
	if c.Gift {
		r.want, r.least = 0, 0
	}
	if r.holdID == "" {
		r.holdID = newHoldID()
	}
	p, err := m.gate.admit(ctx, who, r)
	if err != nil {
		if p.status == "ok" || p.status == "" && !unsent(err) {
			m.resolver.releaseLater(who.account, r.holdID, err)
		}
		return nil, refuse(p, err)
	}
	if _, _, err := billing.ReserveOutcome(p.status, p.n, r.least); err != nil {
		var poor *billing.PoorError
		if errors.As(err, &poor) {
			err = &UnaffordableError{PoorError: *poor, Stated: c.Request.MaxOutput > 0, Tokens: o.prices.Affords(p.n, b.prompt) / b.n}
		}
		return nil, refuse(p, err)
	}
	if p.status == "settled" {
		return nil, refuse(p, errPaid)
	}
	if p.status == "released" {
		return nil, refuse(p, billing.ErrHoldConflict)
	}
	if p.n < r.want { // the balance affords less, or an earlier try held less
		b.output = min(b.output, o.prices.Affords(p.n, b.prompt)/b.n)
	}
	if most := p.taken.tokens(); most >= 0 {
		b.output = min(b.output, (most-b.prompt)/b.n)
	}
	l := &Live{
		Decision: p.decision, taken: p.taken, meter: m, offer: o, request: c.Request, deployment: o.Pick(), bounds: b,
		account: who.account, keyID: p.keyID, holdID: r.holdID, source: c.Source, held: p.n, gift: c.Gift, available: p.available,
		started: m.now(), resumed: p.status == "held",
	}
	if b.output < b.least && p.n < r.least {
		m.resolver.release(l.account, l.holdID, l.taken)
		return nil, refuse(p, billing.ErrHoldConflict)
	}
	return l, nil
}

func refuse(p pass, err error) error {
	e := &CallError{Err: err}
	if p.limited {
		e.Decision = &p.decision
	}
	return e
}

// limit is the length that the provider is asked to keep an answer to. Where the
// client left it open, prompt and answer also fit into the context together:
// many servers refuse a request in which they would not.
func (l *Live) limit() int64 {
	if l.request.MaxOutput > 0 || l.bounds.prompt+l.bounds.output <= l.offer.Context {
		return l.bounds.output
	}
	prompt := l.meter.counter.Prompt(l.request, l.offer.Model)
	room := l.offer.Context - prompt - prompt/8 - leastOutput
	return max(1, min(l.bounds.output, max(room, leastOutput)))
}

func newHoldID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: the runtime aborts first
	return "api-" + hex.EncodeToString(id[:])
}
