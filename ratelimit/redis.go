package ratelimit

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed scripts/clock.lua
	clockLua string
	//go:embed scripts/window.lua
	windowLua string
	//go:embed scripts/steady.lua
	steadyLua string
	//go:embed scripts/bucket.lua
	bucketLua string
	//go:embed scripts/lease.lua
	leaseLua string
	//go:embed scripts/decide.lua
	decideLua string
	//go:embed scripts/limits.lua
	limitsLua string
	//go:embed scripts/take.lua
	takeLua string
	//go:embed scripts/finish.lua
	finishLua string
	//go:embed scripts/renew.lua
	renewLua string
)

// Lua is the source of the Lua functions now_us, limits_int, limits_expand,
// limits_check, limits_add and limits_report, to be
// prepended to a script that calls them. Their contract stands in scripts/limits.lua.
func Lua() string { return clockLua + windowLua + bucketLua + leaseLua + decideLua + limitsLua }

// WindowLua is the source of the Lua functions now_us, limits_int, window_check and
// window_add alone, for scripts whose calls have one window and no other limit: each
// function costs each call. Their contract stands in scripts/window.lua.
func WindowLua() string { return clockLua + windowLua }

// SteadyLua is the source of the Lua function window_steady alone, for scripts that leave
// what it does not decide to WindowLua's functions. Its contract stands in
// scripts/steady.lua.
func SteadyLua() string { return steadyLua }

// renewMost bounds the places that one script renews.
const renewMost = 128

var errNoID = errors.New("ratelimit: a call without an id")

// Redis decides limits in Redis, on Redis' clock. The limits of one call must live
// on one shard.
type Redis struct {
	redis  redis.Scripter
	count  *redis.Script // take, where all limits are windows: made of less, and quicker
	take   *redis.Script
	finish *redis.Script
	renew  *redis.Script
	now    func() time.Time
}

// NewRedis asks by way of r.
func NewRedis(r redis.Scripter) *Redis {
	return &Redis{
		redis:  r,
		count:  redis.NewScript(clockLua + windowLua + decideLua + takeLua),
		take:   redis.NewScript(clockLua + windowLua + bucketLua + leaseLua + decideLua + takeLua),
		finish: redis.NewScript(Lua() + finishLua),
		renew:  redis.NewScript(Lua() + renewLua),
	}
}

// NewRedisAt is NewRedis on a clock of the caller's, for simulations and tests.
func NewRedisAt(r redis.Scripter, now func() time.Time) *Redis {
	source := NewRedis(r)
	source.now = now
	return source
}

// micros is the time that a script is told; 0 is Redis' own.
func (r *Redis) micros() int64 {
	if r.now == nil {
		return 0
	}
	return r.now().UnixMicro()
}

// Take asks for one call and takes its cost from all limits, or from none. id names
// the call: places of concurrency limits are held under it for life. It may be empty
// where no limit is one of concurrency and nothing will be finished. A denial is not
// an error; an error leaves open whether the cost was taken.
func (r *Redis) Take(ctx context.Context, id string, life time.Duration, limits []Limit) (Decision, Ticket, error) {
	if len(limits) == 0 {
		return Decision{Allowed: true}, Ticket{}, nil
	}
	if err := checkCall(id, life, limits); err != nil {
		return Decision{}, Ticket{}, err
	}
	keys := make([]string, len(limits))
	args := make([]any, 3, 3+4*len(limits))
	args[0], args[1], args[2] = r.micros(), id, life.Milliseconds()
	script := r.count
	for i := range limits {
		l := &limits[i]
		keys[i] = l.Key
		args = append(args, string(l.Kind), l.Max, l.Span.Microseconds(), l.Cost)
		if l.Kind != Window {
			script = r.take
		}
	}
	reply, err := script.Run(ctx, r.redis, keys, args...).Int64Slice()
	if err != nil {
		return Decision{}, Ticket{}, fmt.Errorf("ratelimit: take: %w", err)
	}
	d, err := decisionOf(limits, reply)
	if err != nil {
		return Decision{}, Ticket{}, err
	}
	return d, d.Ticket(id), nil
}

// decisionOf reads what take.lua returned about the limits.
func decisionOf(limits []Limit, reply []int64) (Decision, error) {
	if len(reply) != 1+3*len(limits) || reply[0] < 0 || int(reply[0]) > len(limits) {
		return Decision{}, errReport
	}
	d := Decision{Allowed: reply[0] == 0, Denied: int(max(0, reply[0]-1)), Results: make([]Result, len(limits))}
	for i := range limits {
		said := reply[1+3*i:]
		r := Result{Limit: limits[i], Remaining: said[0], Reset: micros(said[1]), At: said[2]}
		if d.Allowed {
			r.Remaining = max(0, r.Remaining-r.Cost)
		}
		d.Results[i] = r
	}
	return d, nil
}

// checkCall says what a source cannot be asked.
func checkCall(id string, life time.Duration, limits []Limit) error {
	if err := checkAll(limits); err != nil {
		return err
	}
	for i := range limits {
		if limits[i].Kind != Concurrency || limits[i].Cost == 0 {
			continue
		}
		if id == "" {
			return errNoID
		}
		if life < time.Millisecond || life > MostSpan {
			return fmt.Errorf("%w: a place for %s", errLimit, life)
		}
	}
	return nil
}

// Finish trues up what a call took: what it did not use is given back to the moment it
// was taken at, what it used beyond is added now, over the limit if need be, and its
// place is free. A repeated Finish of the same ticket does nothing.
func (r *Redis) Finish(ctx context.Context, t Ticket, used Used) error {
	return r.settle(ctx, t, used.of)
}

// GiveBack is Finish of a call that came to nothing.
func (r *Redis) GiveBack(ctx context.Context, t Ticket) error {
	return r.settle(ctx, t, nothing)
}

func (r *Redis) settle(ctx context.Context, t Ticket, used func(*Result) int64) error {
	entries := t.differing(used)
	if len(entries) == 0 {
		return nil
	}
	if t.ID == "" {
		return errNoID
	}
	keys := make([]string, 1, 1+len(entries))
	args := make([]any, 2, 2+6*len(entries))
	keys[0], args[0], args[1] = t.mark(), r.micros(), t.ID
	for _, e := range entries {
		keys = append(keys, e.Key)
		args = append(args, string(e.Kind), e.Max, e.Span.Microseconds(), e.At, e.Cost, e.used)
	}
	if err := r.finish.Run(ctx, r.redis, keys, args...).Err(); err != nil {
		return fmt.Errorf("ratelimit: finish: %w", err)
	}
	return nil
}

// Renew lets the calls that still hold places hold them for life from now. A place
// whose lease has ended stays lost. It asks once for each shard and 128 places.
func (r *Redis) Renew(ctx context.Context, tickets []Ticket, life time.Duration) error {
	type batch struct {
		keys []string
		args []any
	}
	shards := map[string]*batch{}
	for _, t := range tickets {
		for i := range t.Taken {
			taken := &t.Taken[i]
			if taken.Kind != Concurrency || taken.Cost == 0 {
				continue
			}
			tag := hashTag(taken.Key)
			b := shards[tag]
			if b == nil {
				b = &batch{args: []any{r.micros(), life.Milliseconds()}}
				shards[tag] = b
			}
			b.keys, b.args = append(b.keys, taken.Key), append(b.args, t.ID)
		}
	}
	var faults []error
	for _, b := range shards {
		for len(b.keys) > 0 {
			n := min(len(b.keys), renewMost)
			if err := r.renew.Run(ctx, r.redis, b.keys[:n], append(b.args[:2:2], b.args[2:2+n]...)...).Err(); err != nil {
				faults = append(faults, fmt.Errorf("ratelimit: renew: %w", err))
			}
			b.keys, b.args = b.keys[n:], append(b.args[:2:2], b.args[2+n:]...)
		}
	}
	return errors.Join(faults...)
}

// hashTag is what Redis Cluster places a key by: what stands between the first '{'
// and the next '}', if that is anything, else the whole key.
func hashTag(key string) string {
	_, after, found := strings.Cut(key, "{")
	if tag, _, closed := strings.Cut(after, "}"); found && closed && tag != "" {
		return tag
	}
	return key
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
