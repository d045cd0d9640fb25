package gateway

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// tap counts what the meter's gate asks Redis.
type tap struct {
	gate    atomic.Pointer[gate] // nil: nothing is counted yet
	scripts atomic.Int64         // runs of its scripts
}

func (p *tap) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (p *tap) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		p.note(cmd)
		return next(ctx, cmd)
	}
}

func (p *tap) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			p.note(cmd)
		}
		return next(ctx, cmds)
	}
}

func (p *tap) note(cmd redis.Cmder) {
	g := p.gate.Load()
	if g == nil || cmd.Name() != "evalsha" {
		return
	}
	if hash := cmd.Args()[1]; hash == g.admits.Hash() || hash == g.visits.Hash() {
		p.scripts.Add(1)
	}
}
