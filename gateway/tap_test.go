package gateway

import (
	"context"
	"net"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// tap counts what the meter's gate asks Redis.
type tap struct {
	gate    atomic.Pointer[gate] // nil: nothing is counted yet
	scripts atomic.Int64         // runs of its scripts
	moments atomic.Int64         // round trips that speak of a call's hold, limits or claim
}

func (p *tap) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (p *tap) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if p.note(cmd) {
			p.moments.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (p *tap) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		spoken := false
		for _, cmd := range cmds {
			spoken = p.note(cmd) || spoken
		}
		if spoken {
			p.moments.Add(1)
		}
		return next(ctx, cmds)
	}
}

// note counts a script and says whether it is one of a call's. What renews and checkpoints
// is not: nobody waits for it.
func (p *tap) note(cmd redis.Cmder) (ofCall bool) {
	g := p.gate.Load()
	if g == nil || cmd.Name() != "evalsha" {
		return false
	}
	for _, d := range []decider{g.admits, g.visits} {
		if hash := cmd.Args()[1]; hash == d.plain.Hash() || hash == d.whole.Hash() {
			p.scripts.Add(1)
		}
	}
	for _, arg := range cmd.Args()[3:] {
		if key, is := arg.(string); is && (strings.HasPrefix(key, "hold:{") || strings.HasPrefix(key, "lim:{") || strings.HasPrefix(key, "claim:{")) {
			return true
		}
	}
	return false
}
