package gateway

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/ratelimit"
)

// errKeyUnknown means that the API key has the form of one and is none.
var errKeyUnknown = errors.New("gateway: no such API key")

const (
	scopeKey     = ratelimit.ScopeKey // of limits that belong to an API key
	scopeAccount = "account"
	scopeApp     = "app" // of an account's unpaid calls from the Mini App

	// organisationsMost is how often an account may turn out to be of another
	// organisation while one call is decided.
	organisationsMost = 3
)

var (
	//go:embed scripts/fit.lua
	fitLua string
	//go:embed scripts/find.lua
	findLua string
	//go:embed scripts/pass.lua
	passLua string
	//go:embed scripts/plain.lua
	plainLua string
	//go:embed scripts/plain_admit.lua
	plainAdmitLua string
	//go:embed scripts/plain_visit.lua
	plainVisitLua string
	//go:embed scripts/steady_admit.lua
	steadyAdmitLua string
	//go:embed scripts/steady_visit.lua
	steadyVisitLua string
	//go:embed scripts/several_admit.lua
	severalAdmitLua string
	//go:embed scripts/several_visit.lua
	severalVisitLua string
	//go:embed scripts/admit.lua
	admitLua string
	//go:embed scripts/visit.lua
	visitLua string
)

// gate decides in Redis who may come in. One script decides, all or nothing, what lives
// on the account's shard: authentication, the limits of key and account, and the hold.
// What is shared more widely is asked before it, and given back when the script refuses.
type gate struct {
	redis    redis.Scripter
	link     *link
	house    string // packed limits of whoever has none of their own
	admits   decider
	visits   decider
	involved *recent[string, struct{}] // callers whose calls are not the common one; a hint
	shared   *shared
	back     returner
	refusals *refusals
	metrics  *ratelimit.Metrics
}

// decider is a script in three forms: one for the common call, which is quicker, one for
// every call, and one for several common calls of a key at the same moment. The plain one
// and the one for several say when they are not enough.
type decider struct {
	plain, whole, several *redis.Script
	args                  int // that the plain one has use for, from the first
	crowd                 *crowd[string, plea, finding]
}

// returner gives back, now or soon, what was taken for a call that does not begin.
type returner interface{ giveBack(t taken) }

func newGate(r redis.Scripter, w *link, house string, s *shared, back returner, now func() time.Time, metrics *ratelimit.Metrics) *gate {
	return &gate{
		redis: r, link: w, house: house, shared: s, back: back,
		admits: decider{
			plain:   redis.NewScript(plainLuaOf(plainAdmitLua) + ratelimit.SteadyLua() + steadyAdmitLua),
			whole:   redis.NewScript(ratelimit.Lua() + billing.ReserveLua + billing.RestrictionsLua + fitLua + findLua + passLua + admitLua),
			several: redis.NewScript(ratelimit.SteadyLua() + severalAdmitLua),
			args:    9,
			crowd:   newCrowd[string, plea, finding](w, now),
		},
		visits: decider{
			plain:   redis.NewScript(plainLuaOf(plainVisitLua) + ratelimit.SteadyLua() + steadyVisitLua),
			whole:   redis.NewScript(ratelimit.Lua() + billing.ReserveLua + billing.RestrictionsLua + findLua + passLua + visitLua),
			several: redis.NewScript(ratelimit.SteadyLua() + severalVisitLua),
			args:    3,
			crowd:   newCrowd[string, plea, finding](w, now),
		},
		involved: newRecent[string, struct{}](refusalsMost, 0, now),
		refusals: newRefusals(now), metrics: metrics,
	}
}

// plainLuaOf is the function whole, which decides any call that a plain script can decide.
func plainLuaOf(script string) string {
	return "local function whole()\n" + ratelimit.WindowLua() + billing.ReserveLua + findLua + plainLua + script + "\nend\n"
}

// caller is who makes a call: an API key, or an account by way of its chat.
type caller struct {
	account int64
	key     *billing.PresentedKey // nil: no key
	scope   string                // without a key: whose limits count
	id      string
	model   string // that is called; "": none, of an unpaid call
}

// callerOf is who came with a key or, instead of one, with a session of the Mini App, whose
// calls count against the account's limit of that scope.
func callerOf(key *billing.PresentedKey, scope, model string) caller {
	if key.Session != "" {
		return caller{account: key.Account, scope: scope, id: strconv.FormatInt(key.Account, 10), model: model}
	}
	return caller{account: key.Account, key: key, model: model}
}

// from is where the caller's key is used, as scripts compare it; "": not known.
func (c caller) from() string {
	if c.key == nil {
		return ""
	}
	return billing.AddressBits(c.key.From)
}

// records appends the keys of what decides whether the caller may come in: each
// candidate's record with the base of its limits, or one base.
func (c caller) records(keys []string) []string {
	shard := stream.ShardOf(c.account)
	if c.key == nil {
		return append(keys, shard.Key("lim", c.scope, c.id))
	}
	for _, locator := range c.key.Locator {
		keys = append(keys, billing.KeyKey(c.account, locator), shard.Key("lim", scopeKey, locator))
	}
	return keys
}

// base is where the limits of the candidate that was found are, among the keys that end
// with the caller's records.
func (c caller) base(keys []string, candidate int) string {
	if c.key == nil {
		return keys[len(keys)-1]
	}
	if candidate < 0 || candidate >= len(c.key.Locator) {
		return ""
	}
	return keys[len(keys)-2*(len(c.key.Locator)-candidate)+1]
}

func (c caller) candidates() int {
	if c.key == nil {
		return 0
	}
	return len(c.key.Locator)
}

// name is what denials of the caller are remembered under. Nobody else can present it:
// a key's locator is made from all of the key.
func (c caller) name() string {
	if c.key == nil {
		return c.scope + ":" + c.id
	}
	return c.key.Locator[0]
}

// pass is what the gate found out about a caller.
type pass struct {
	status    string
	n         int64 // of reserve_plan, or available
	available int64 // after the reservation, or held
	keyID     int64
	decision  ratelimit.Decision
	limited   bool      // decision is meaningful: the limits were asked
	taken     taken     // what the call has of limits and budgets
	models    modelList // that the key is for
}

// reservation is what admit asks for.
type reservation struct {
	holdID, fingerprint string
	want, least         int64 // nano-USD
	tokens              tokens
	life                time.Duration // of hold, places and claim, by Redis' clock
	resolved            bool          // a hold of that name may not be made any more
}

// tokens are how many a call may come to: want in the worst case. Where its answer's
// length is open, good will do if no more are left, and bare if a limit is never more.
type tokens struct{ want, good, bare int64 }

// atMost narrows what a call may come to.
func (t tokens) atMost(most int64) tokens {
	return tokens{min(t.want, most), min(t.good, most), min(t.bare, most)}
}

// admit asks for a paid call. The error says that a limit or a shared budget refused it
// (*ratelimit.ExceededError, *billing.BudgetError, billing.ErrAccountInactive), that the
// caller is not who it claims to be, or that the answer is not known (billing.ErrClosed),
// in which case the hold may exist.
func (g *gate) admit(ctx context.Context, c caller, r reservation) (pass, error) {
	keys := make([]string, 4, 8)
	keys[0], keys[1] = billing.EpochKey(c.account), billing.AcctKey(c.account)
	keys[2], keys[3] = billing.HoldKey(c.account, r.holdID), billing.ExpKey(c.account)
	keys = c.records(keys)
	return g.decide(ctx, c, &r, func(ctx context.Context, organisation string, r reservation) (pass, error) {
		resolved := ""
		if r.resolved {
			resolved = "1"
		}
		return g.ask(ctx, g.admits, plea{c, keys, &r}, organisation == "" && !r.resolved, c.candidates(), g.house, c.account, organisation,
			r.holdID, r.fingerprint, r.want, r.least, r.life.Milliseconds(),
			r.tokens.want, r.tokens.good, r.tokens.bare, resolved)
	})
}

// visit asks for an unpaid call; the pass holds the balance.
func (g *gate) visit(ctx context.Context, c caller) (pass, error) {
	keys := make([]string, 2, 6)
	keys[0], keys[1] = billing.EpochKey(c.account), billing.AcctKey(c.account)
	keys = c.records(keys)
	p, err := g.decide(ctx, c, nil, func(ctx context.Context, organisation string, _ reservation) (pass, error) {
		return g.ask(ctx, g.visits, plea{c, keys, nil}, organisation == "", c.candidates(), g.house, c.account, organisation)
	})
	if err == nil && p.status == "missing" {
		return p, fmt.Errorf("%w: the account has no balance in Redis", billing.ErrClosed)
	}
	return p, err
}

// decide asks for what is shared, and then the script, until both mean the same
// organisation. What was taken of what is shared is given back unless the script admits.
// r is nil for an unpaid call.
func (g *gate) decide(ctx context.Context, c caller, r *reservation,
	script func(context.Context, string, reservation) (pass, error)) (pass, error) {
	var asked reservation
	if r != nil {
		asked = *r
	}
	if p, err := g.refusals.look(c.name(), asked.tokens.good); err != nil {
		g.metrics.Remembered(&p.decision)
		return p, err
	}
	organisation := g.shared.hint(c.account)
	certain := organisation == 0 // the account's shard has said, or is to say, which one it is
	for range organisationsMost {
		s, err := g.shared.take(ctx, c.account, organisation, r)
		if err != nil && !certain && s.name != "" && !errors.Is(err, billing.ErrClosed) {
			organisation = 0 // a hint refuses nobody, the account may have left: its shard is asked
			continue
		}
		if err != nil {
			return g.judged(c, pass{decision: s.decision, limited: len(s.decision.Results) > 0}, err)
		}
		p, err := script(ctx, s.name, s.narrow(asked))
		if name, is := strings.CutPrefix(p.status, "org|"); is && err == nil {
			organisation, certain = g.shared.learn(c.account, name), true
			g.back.giveBack(s.taken)
			continue
		}
		if err == nil && organisation == 0 && !certain {
			g.shared.learn(c.account, "")
		}
		p.taken = s.taken
		if p.status == "ok" || p.status == billing.HoldHeld {
			p.taken.own = ratelimit.Ticket{ID: asked.holdID, Taken: p.decision.Results}
		}
		p.decision.Results = append(p.decision.Results[:len(p.decision.Results):len(p.decision.Results)], s.decision.Results...)
		p, err = g.judged(c, p, err)
		if err != nil || p.status != "ok" && p.status != billing.HoldHeld {
			g.back.giveBack(p.taken)
			p.taken = taken{}
		}
		return p, err
	}
	return pass{}, fmt.Errorf("%w: the account changes its organisation", billing.ErrClosed)
}

// judged counts and remembers what the limits said, and turns a denial into its error.
func (g *gate) judged(c caller, p pass, err error) (pass, error) {
	if !p.limited {
		if strange(err) { // a key that ended says so at once, whatever limit denied it before
			g.refusals.forget(c.name())
		}
		return p, err
	}
	g.metrics.Decided(&p.decision)
	if err == nil {
		err = p.decision.Err()
	}
	var exceeded *ratelimit.ExceededError
	switch {
	case errors.As(err, &exceeded):
		g.refusals.remember(c.name(), exceeded, p.decision)
	default: // whatever else it is denied by, no limit does any more
		g.refusals.forget(c.name())
	}
	return p, err
}

// unsent says that a command certainly did not reach Redis.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, ratelimit.ErrBreakerOpen)
}
