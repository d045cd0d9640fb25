package ratelimit

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// WindowLua is the source of the Lua functions now_us, window_check and window_add,
// to be prepended to a script that calls them. Their contract stands in the source.
//
//go:embed window.lua
var WindowLua string

const windowMain = `
local now = tonumber(ARGV[3])
if now == 0 then now = now_us() end
local allowed, remaining, reset, state = window_check(KEYS[1], now, tonumber(ARGV[1]), tonumber(ARGV[2]))
if allowed then window_add(KEYS[1], state) end
return { allowed and 1 or 0, remaining, reset }
`

// Window asks one sliding window at a time.
type Window struct {
	redis  redis.Scripter
	script *redis.Script
	now    func() time.Time
}

// NewWindow asks by way of r, on Redis' clock.
func NewWindow(r redis.Scripter) *Window {
	return &Window{redis: r, script: redis.NewScript(WindowLua + windowMain)}
}

// NewWindowAt is NewWindow on a clock of the caller's, for simulations and tests.
func NewWindowAt(r redis.Scripter, now func() time.Time) *Window {
	w := NewWindow(r)
	w.now = now
	return w
}

// Take asks for one request under key and records it when it is allowed.
// The error is Redis' own; a denial is not an error.
func (w *Window) Take(ctx context.Context, key string, limit int64, window time.Duration) (Decision, error) {
	var now int64
	if w.now != nil {
		now = w.now().UnixMicro()
	}
	reply, err := w.script.Run(ctx, w.redis, []string{key}, limit, window.Microseconds(), now).Int64Slice()
	if err != nil {
		return Decision{}, fmt.Errorf("ratelimit: take: %w", err)
	}
	return Decide(reply[0] == 1, limit, window, reply[1], reply[2]), nil
}

// Decide builds a Decision from what window_check returned; reset is in µs.
func Decide(allowed bool, limit int64, window time.Duration, remaining, resetMicros int64) Decision {
	return Decision{
		Allowed:   allowed,
		Limit:     limit,
		Window:    window,
		Remaining: remaining,
		Reset:     time.Duration(resetMicros) * time.Microsecond,
	}
}
