package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/llm"
	routing "github.com/kikuai/kikuai/internal/llm/route"
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
	Registerer  prometheus.Registerer  // nil: nothing is registered
	Limits      billing.Limits         // of a key or chat without limits of its own; no requests per minute: 120
	Everyone    int64                  // requests per minute of the whole installation; 0: no limit
	Groups      groupKeys              // that chats of groups are paid with; nil: there are none
	Claims      claims                 // on the budgets of organisations; nil: there are none
	Breaker     breaker                // before Redis; nil: Redis is always asked
	Circuits    routing.BreakerOptions // of the deployments' circuit breakers; zero: the defaults
	Patience    time.Duration          // of a caller with a Redis that answers nobody; 0: 200 ms
	Silence     func() time.Duration   // since Redis was last heard by anybody here; nil: as the meter's calls know
	Decisions   *ratelimit.Metrics     // nil: what limits decide is not counted
	CheckEvery  time.Duration          // between looks at a provider's health; 0: a minute
	MaxInFlight int                    // calls at once; more are answered 503; 0: 4096
	HoldLife    time.Duration          // of a hold that nobody renews; 0: a minute
	Now         func() time.Time       // nil: time.Now
}

// backlog says whether the ledger is near enough for a paid call to begin.
type backlog interface{ Admits(accountID int64) error }

// groupKeys says what a group's key is known by.
type groupKeys interface {
	OfGroup(account, key int64) billing.PresentedKey
}

// Meter is the one way to a model: it holds money, calls, and settles.
type Meter struct {
	gate      *gate
	backlog   backlog
	resolver  *resolver
	keeper    *keeper
	groups    groupKeys
	catalogue *llm.Catalogue
	client    *llm.Client
	counter   *llm.Counter
	log       *slog.Logger
	now       func() time.Time
	offers    map[string]*offer
	router    *routing.Router
	checks    *checks
	aside     sync.WaitGroup // ends of attempts that nobody waits for
	flight    *flight
	faults    *prometheus.CounterVec
}

// offer is a model with what it costs.
type offer struct {
	*llm.Model
	ways   *routing.Model
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
	limits, way := ratelimit.NewRedis(o.Redis), newLink(o.Redis, o.Breaker, o.Patience, o.Silence)
	resolver := newResolver(o.Holds, &tally{limits: limits, claims: o.Claims}, way, o.Log, o.Registerer)
	shared := newShared(o.Redis, way, limits, o.Everyone, resolver, o.Now)
	m := &Meter{
		gate:      newGate(o.Redis, way, o.Limits.Packed(), shared, resolver, o.Now, o.Decisions),
		backlog:   o.Backlog,
		resolver:  resolver,
		keeper:    newKeeper(o.Holds, limits, o.HoldLife, o.Now, o.Registerer),
		groups:    o.Groups,
		catalogue: o.Catalogue,
		client:    o.Client,
		counter:   new(llm.Counter),
		log:       o.Log,
		now:       o.Now,
		offers:    map[string]*offer{},
		flight:    newFlight(o.MaxInFlight),
	}
	m.router = routing.NewRouter(routing.Options{Breaker: o.Circuits, Log: o.Log, Registerer: o.Registerer, Now: o.Now})
	m.checks = newChecks(m, o.CheckEvery, o.Registerer)
	tokens, costs := m.register(o.Registerer)
	var faults []error
	for _, model := range o.Catalogue.Models() {
		prices, err := billing.ParsePrices(model.Prices, model.Above, model.AbovePrices)
		if err != nil {
			faults = append(faults, fmt.Errorf("model %s: %w", model.ID, err))
			continue
		}
		ways, err := m.ways(model)
		if err != nil {
			faults = append(faults, fmt.Errorf("model %s: %w", model.ID, err))
			continue
		}
		m.offers[model.ID] = &offer{Model: model, ways: ways, prices: prices, tokens: newTokenCounters(tokens, costs, model.ID)}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("catalogue: %w", errors.Join(faults...))
	}
	return m, nil
}

// Circuits are the circuit breakers of the catalogue's deployments, by their names.
func (m *Meter) Circuits() map[string]routing.Circuit { return m.router.Circuits() }

// Close lets no call begin, waits for those under way to end (whoever began them
// cancels them), and then for the holds that wait for Redis. When ctx ends first
// it gives up what is left, loudly, and returns ctx's error.
func (m *Meter) Close(ctx context.Context) error {
	m.flight.close()
	err := m.flight.wait(ctx)
	if err == nil {
		m.aside.Wait()
	}
	m.resolver.close(ctx)
	m.keeper.close()
	if err != nil {
		return fmt.Errorf("gateway: %d calls are still under way: %w", m.flight.count(), err)
	}
	return nil
}

// Open decides, holds and calls: it returns once the provider has begun a
// streamed answer or sent an unstreamed one whole. The caller runs the Live to
// its end. ctx is what the call lives by, so for a streamed answer it must outlive
// Open. Errors before the limit was asked: [*llm.RequestError],
// llm.ErrModelUnknown; all others come in a [*CallError].
func (m *Meter) Open(ctx context.Context, c Call) (*Live, error) {
	o, b, err := m.plan(&c, c.Request.Model)
	if err != nil {
		return nil, err
	}
	if err := m.flight.begin(); err != nil {
		return nil, &CallError{Err: err}
	}
	opened := false
	defer func() {
		if !opened { // by a panic, too
			m.flight.end()
		}
	}()
	l, err := m.open(ctx, c, o, b)
	opened = err == nil
	return l, err
}

func (m *Meter) open(ctx context.Context, c Call, o *offer, b bounds) (*Live, error) {
	l, err := m.hold(ctx, c, o, b)
	if err != nil {
		return nil, err
	}
	if err = m.begin(ctx, l); err == nil {
		return l, nil
	}
	if l.mayFallBack(ctx, err) {
		next, err := m.fallBack(ctx, l, err)
		if err == nil {
			return next, nil
		}
		return nil, l.failed(err)
	}
	m.forsake(l)
	return nil, l.failed(err)
}

// forsake gives back, now or soon, what is held for a call that is not answered.
func (m *Meter) forsake(l *Live) {
	m.keeper.leave(l)
	m.resolver.release(l.account, l.holdID, l.taken)
}

// begin asks the model's deployments. Errors as of reach: then the hold is left as it is.
func (m *Meter) begin(ctx context.Context, l *Live) error {
	l.ctx = ctx
	if l.request.Stream {
		l.transcript = llm.NewTranscript(m.counter)
		l.ctx, l.cancel = context.WithCancelCause(ctx)
	}
	m.keeper.keep(l)
	returned := false
	defer func() {
		if !returned { // it panics, and nobody is left to end the call
			m.forsake(l)
		}
	}()
	failpoint.Here("call.admitted")
	err := l.reach()
	returned = true
	if err != nil {
		failpoint.Here("call.refused")
		if l.cancel != nil {
			l.cancel(err)
		}
	}
	return err
}

// hold admits the call and reserves its worst case.
func (m *Meter) hold(ctx context.Context, c Call, o *offer, b bounds) (*Live, error) {
	who := caller{account: c.AccountID, key: c.Key, scope: c.LimitScope, id: c.LimitID, model: o.ID}
	if c.Key != nil { // a session's calls are paid and limited as a chat's are
		who = callerOf(c.Key, scopeAccount, o.ID)
	}
	if m.backlog != nil {
		if err := m.backlog.Admits(who.account); err != nil {
			return nil, refuse(pass{}, err)
		}
	}
	r := reservation{
		holdID: c.hold(), fingerprint: c.Source,
		want:   o.prices.Worst(b.worst(b.output)),
		least:  o.prices.Worst(b.worst(b.least)),
		life:   m.keeper.life,
		tokens: b.tokens(c.Request.MaxOutput > 0 || c.Request.Unbending()),
	}
	if c.Gift {
		r.want, r.least = 0, 0
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
			unaffordable := &UnaffordableError{PoorError: *poor, Whole: c.Request.Unbending(), Stated: c.Request.MaxOutput > 0}
			if !unaffordable.Whole {
				unaffordable.Tokens = o.prices.Affords(p.n, b.worst(0)) / b.n
			}
			err = unaffordable
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
		b.output = min(b.output, o.prices.Affords(p.n, b.worst(0))/b.n)
	}
	if most := p.taken.tokens(); most >= 0 {
		b.output = min(b.output, (most-b.prompt)/b.n)
	}
	l := &Live{
		Decision: p.decision, taken: p.taken, meter: m, offer: o, request: c.Request, bounds: b, call: c,
		account: who.account, keyID: p.keyID, holdID: r.holdID, source: c.Source, held: p.n, gift: c.Gift, available: p.available,
		started: m.now(), resumed: p.status == "held",
	}
	if l.call.asked.IsZero() {
		l.call.asked = l.started
	}
	m.direct(l)
	if b.output < b.least && p.n < r.least {
		m.resolver.release(l.account, l.holdID, l.taken)
		return nil, refuse(p, billing.ErrHoldConflict)
	}
	return l, nil
}

func refuse(p pass, err error) error {
	e := &CallError{Err: err, keyID: p.keyID}
	if p.limited {
		e.Decision = &p.decision
	}
	return e
}

// limit is the length that the provider is asked to keep an answer to. Where the
// client left it open, prompt and answer also fit into the context together:
// many servers refuse a request in which they would not.
func (l *Live) limit() int64 {
	if l.request.MaxOutput > 0 || l.request.Unbending() || l.bounds.prompt+l.bounds.output <= l.offer.Context {
		return l.bounds.output
	}
	prompt := l.meter.counter.Prompt(l.request, l.offer.Model)
	room := l.offer.Context - prompt - prompt/8 - leastOutput
	return max(1, min(l.bounds.output, max(room, leastOutput)))
}
