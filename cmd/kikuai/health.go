package main

import (
	"context"
	"fmt"
	"time"
)

// cacheProbed bounds the wait for the cache's Redis.
const cacheProbed = 500 * time.Millisecond

// health is what the operations listener tells of the program's state.
func (a *App) health(probes map[string]func(context.Context) error) func(context.Context) map[string]any {
	return func(ctx context.Context) map[string]any {
		state := map[string]any{
			"version": version(),
			"shards":  map[string]int{"inbox": len(a.inboxLeases.Held()), "money": len(a.moneyLeases.Held())},
		}
		if err := a.cacheProbe(ctx); err != nil {
			state["cache"] = err.Error()
		} else {
			state["cache"] = "ok"
		}
		for name, ask := range probes {
			state[name] = "ok"
			if err := ask(ctx); err != nil {
				state[name] = err.Error()
			}
		}
		return state
	}
}

// cacheProbe tells whether the cache's Redis answers. Without it the program serves on.
func (a *App) cacheProbe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cacheProbed)
	defer cancel()
	if err := a.cacheRedis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("the cache's Redis: %w", err)
	}
	return nil
}
