package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// plea is what a caller asks the gate's scripts for.
type plea struct {
	caller caller
	keys   []string     // of the plain and the whole script
	hold   *reservation // nil: an unpaid call's
}

// finding is what a script says of a plea.
type finding struct {
	pass      pass
	mac       string // of the key that was found
	candidate int    // which of the caller's it is
}

// ask runs the script in its plain form, with others where the caller makes several calls
// at a time, or in its whole form if the caller is known to need that.
func (g *gate) ask(ctx context.Context, d decider, p plea, plain bool, args ...any) (pass, error) {
	if plain {
		_, involved := g.involved.get(p.caller.name())
		plain = !involved
	}
	_, span := telemetry.StartSpan(ctx, "redis admit", trace.SpanKindClient)
	var f finding
	var err error
	if plain {
		f, err = g.plainly(ctx, d, p, args[:d.args])
	} else { // with what restrictions speak of, which the common call has none of
		f, err = g.run(ctx, d.whole, readPass, p, p.keys, append(args[:len(args):len(args)], p.caller.model, p.caller.from()))
	}
	span.End()
	switch {
	case err != nil:
		return pass{}, err
	case f.pass.status == "more":
		g.involved.keep(p.caller.name())
		return g.ask(ctx, d, p, false, args...)
	case f.pass.status == "closed":
		return f.pass, billing.ErrClosed
	case f.pass.status == "unknown":
		return f.pass, errKeyUnknown
	}
	if key := p.caller.key; key != nil && !key.Verify(f.candidate, f.mac) {
		f.pass.limited = false
		return f.pass, errKeyUnknown
	}
	return f.pass, p.caller.restriction(f.pass)
}

// plainly asks for the common call; for those of one key together, as far as they come at
// the same time.
func (g *gate) plainly(ctx context.Context, d decider, p plea, args []any) (finding, error) {
	one := func() (finding, error) { return g.run(ctx, d.plain, p.caller.readPlain, p, p.keys, args) }
	if p.caller.key == nil {
		return one()
	}
	return d.crowd.ask(p.caller.name(), p, one, func(pleas []plea) ([]finding, error) {
		return g.together(context.WithoutCancel(ctx), d, pleas)
	})
}

// together asks for several common calls of one key, or says errAlone.
func (g *gate) together(ctx context.Context, d decider, pleas []plea) ([]finding, error) {
	p := pleas[0]
	shared := len(p.keys) - 2*p.caller.candidates()
	keys := append(make([]string, 0, 5+len(pleas)), p.keys[:2]...) // epoch and account
	args := append(make([]any, 0, 3+4*len(pleas)), g.house, p.caller.account)
	record := p.keys[shared : shared+2]
	if p.hold == nil {
		keys, args = append(keys, record...), append(args, len(pleas))
	} else {
		keys = append(append(keys, p.keys[3]), record...) // the deadlines before it
		for _, other := range pleas {
			keys = append(keys, other.keys[2])
			args = append(args, other.hold.holdID, other.hold.fingerprint, other.hold.want, other.hold.life.Milliseconds())
		}
	}
	f, err := g.run(ctx, d.several, p.caller.readSeveral, p, keys, args)
	switch {
	case err != nil:
		return nil, err
	case f.pass.status == "apart":
		return nil, errApart
	case f.pass.status == "alone":
		return nil, errAlone
	}
	return f.share(pleas), nil
}

// share tells what was found after the last of several calls as each of them finds it. Each
// took one request, and what it wants.
func (f finding) share(pleas []plea) []finding {
	found := make([]finding, len(pleas))
	for i := len(pleas) - 1; i >= 0; i-- {
		found[i] = f
		found[i].pass.decision.Results = slices.Clone(f.pass.decision.Results)
		f.pass.decision.Results[0].Remaining++
		if hold := pleas[i].hold; hold != nil {
			found[i].pass.n = hold.want
			f.pass.available += hold.want
		}
	}
	return found
}

// run runs a script. read reads its reply, as from the plea's own keys.
func (g *gate) run(ctx context.Context, script *redis.Script, read func([]string, []any) (finding, error), p plea, keys []string, args []any) (finding, error) {
	reply, err := ask(ctx, g.link, func(ctx context.Context) ([]any, error) {
		return script.Run(ctx, g.redis, keys, args...).Slice()
	})
	if err != nil {
		return finding{}, fmt.Errorf("%w: %w", billing.ErrClosed, err)
	}
	return read(p.keys, reply)
}
