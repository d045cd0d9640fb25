package gateway

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/ratelimit"
)

// errKeyUnknown means that the API key has the form of one and is none.
var errKeyUnknown = errors.New("gateway: no such API key")

const (
	defaultLimit = 120 // requests per minute

	scopeKey = "key" // of windows that belong to an API key
)

var (
	//go:embed scripts/pass.lua
	passLua string
	//go:embed scripts/admit.lua
	admitLua string
	//go:embed scripts/visit.lua
	visitLua string
)

// gate decides in Redis who may come in. How long it may wait for Redis is the
// client's to bound: a gathered command heeds no context.
type gate struct {
	redis   redis.Scripter
	limit   int64 // of keys without one of their own
	admits  *redis.Script
	visits  *redis.Script
	allowed prometheus.Counter
	denied  prometheus.Counter
}

func newGate(r redis.Scripter, limit int64, registerer prometheus.Registerer) *gate {
	if limit <= 0 {
		limit = defaultLimit
	}
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ratelimit_decisions_total", Help: "Requests that a limit allowed or denied.",
	}, []string{"limit", "result"})
	if registerer != nil {
		registerer.MustRegister(decisions)
	}
	return &gate{
		redis:   r,
		limit:   limit,
		admits:  redis.NewScript(ratelimit.Lua() + billing.ReserveLua + passLua + admitLua),
		visits:  redis.NewScript(ratelimit.Lua() + billing.ReserveLua + passLua + visitLua),
		allowed: decisions.WithLabelValues("requests", "allowed"),
		denied:  decisions.WithLabelValues("requests", "denied"),
	}
}

// caller is who makes a call: an API key, or an account by way of its chat.
type caller struct {
	account int64
	key     *billing.PresentedKey // nil: no key
	scope   string                // without a key: whose window counts
	id      string
}

// windows appends the keys of what decides whether the caller may come in.
func (c caller) windows(keys []string) []string {
	shard := stream.ShardOf(c.account)
	if c.key == nil {
		return append(keys, shard.Key("lim", c.scope, c.id))
	}
	for _, locator := range c.key.Locator {
		keys = append(keys, billing.KeyKey(c.account, locator), shard.Key("lim", scopeKey, locator))
	}
	return keys
}

// limitScope is whose window counts.
func (c caller) limitScope() string {
	if c.key == nil {
		return c.scope
	}
	return scopeKey
}

func (c caller) candidates() int {
	if c.key == nil {
		return 0
	}
	return len(c.key.Locator)
}

// pass is what the gate found out about a caller.
type pass struct {
	status    string
	n         int64 // of reserve_plan, or available
	available int64 // after the reservation, or held
	keyID     int64
	decision  ratelimit.Decision
	limited   bool // decision is meaningful: the limiter was asked
}

// reservation is what admit asks for, in nano-USD.
type reservation struct {
	holdID, fingerprint string
	want, least         int64
	life                time.Duration // of the hold, by Redis' clock
}

// admit asks for a paid call. The error says that the answer is not known, in
// which case the hold may exist, or that the caller is not who it claims to be.
func (g *gate) admit(ctx context.Context, c caller, r reservation) (pass, error) {
	keys := make([]string, 4, 8)
	keys[0], keys[1] = billing.EpochKey(c.account), billing.AcctKey(c.account)
	keys[2], keys[3] = billing.HoldKey(c.account, r.holdID), billing.ExpKey(c.account)
	return g.ask(ctx, g.admits, c, c.windows(keys),
		c.candidates(), g.limit, c.limitScope(), c.account,
		r.holdID, r.fingerprint, r.want, r.least, r.life.Milliseconds())
}

// visit asks for an unpaid call; the pass holds the balance.
func (g *gate) visit(ctx context.Context, c caller) (pass, error) {
	keys := make([]string, 2, 6)
	keys[0], keys[1] = billing.EpochKey(c.account), billing.AcctKey(c.account)
	p, err := g.ask(ctx, g.visits, c, c.windows(keys), c.candidates(), g.limit, c.limitScope(), c.account)
	if err == nil && p.status == "missing" {
		return p, fmt.Errorf("%w: the account has no balance in Redis", billing.ErrClosed)
	}
	return p, err
}

func (g *gate) ask(ctx context.Context, script *redis.Script, c caller, keys []string, args ...any) (pass, error) {
	reply, err := script.Run(ctx, g.redis, keys, args...).Slice()
	if err != nil {
		return pass{}, fmt.Errorf("%w: %w", billing.ErrClosed, err)
	}
	p, mac, candidate, err := readPass(reply)
	if err != nil {
		return pass{}, err
	}
	switch p.status {
	case "closed":
		return p, billing.ErrClosed
	case "unknown":
		return p, errKeyUnknown
	}
	p.limited = true
	if p.status == "limited" {
		g.denied.Inc()
		return p, p.decision.Err()
	}
	g.allowed.Inc()
	if c.key != nil && !c.key.Verify(candidate, mac) {
		p.limited = false
		return p, errKeyUnknown
	}
	return p, nil
}

var errReply = errors.New("gateway: a script's reply makes no sense")

func readPass(reply []any) (p pass, mac string, candidate int, err error) {
	if len(reply) != 7 {
		return pass{}, "", 0, errReply
	}
	fail := func(v any, ok bool) bool {
		if !ok && err == nil {
			err = fmt.Errorf("%w: %T", errReply, v)
		}
		return ok
	}
	text := func(v any) string {
		s, ok := v.(string)
		fail(v, ok)
		return s
	}
	number := func(v any) int64 {
		if n, ok := v.(int64); ok {
			return n
		}
		n, convErr := strconv.ParseInt(text(v), 10, 64)
		fail(v, convErr == nil)
		return n
	}
	p.status, p.n, p.available = text(reply[0]), number(reply[1]), number(reply[2])
	p.keyID, mac, candidate = number(reply[4]), text(reply[5]), int(number(reply[6]))
	decision, reportErr := ratelimit.ParseReport(text(reply[3]))
	p.decision = decision
	return p, mac, candidate, errors.Join(err, reportErr)
}

// unsent says that a command certainly did not reach Redis.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
