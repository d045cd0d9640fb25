package ratelimit

import (
	"context"
	_ "embed" // the script
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/restore.lua
var restoreLua string

// restorer tells Redis what this instance let through without it.
type restorer struct {
	source   *Redis
	script   *redis.Script
	instance string // names this instance in Redis
}

func newRestorer(source *Redis, instance string) *restorer {
	return &restorer{source: source, script: redis.NewScript(Lua() + restoreLua), instance: instance}
}

// tell enters a debt, once however often it is told.
func (r *restorer) tell(ctx context.Context, d *debt) error {
	args := make([]any, 4, 4+3*len(d.arrears)+2*len(d.places))
	args[0], args[1] = r.source.micros(), string(d.limit.Kind)
	args[2], args[3] = d.limit.Max, d.limit.Span.Microseconds()
	for _, c := range d.arrears {
		args = append(args, c.number, time.Duration(d.now-c.at).Microseconds(), c.units)
	}
	for id, left := range d.places {
		args = append(args, id, left.Milliseconds())
	}
	keys := []string{d.limit.Key, d.limit.Key + ":o:" + r.instance}
	if err := r.script.Run(ctx, r.source.redis, keys, args...).Err(); err != nil {
		return fmt.Errorf("ratelimit: tell Redis what was let through without it: %w", err)
	}
	return nil
}
