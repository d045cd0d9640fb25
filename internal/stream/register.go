package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// The scripts of the leases. Each touches one key, so that they work on a cluster,
// and is sent whole, because a pipeline cannot fall back from a forgotten digest.
const (
	// heartbeatLua enters ARGV[1] into the members, drops those that have been silent
	// for ARGV[2] ms, and returns who is left.
	heartbeatLua = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - ARGV[2]))
return redis.call('ZRANGE', KEYS[1], 0, -1)`

	// renewLua renews the lease of ARGV[1] for ARGV[2] ms, also where it has vanished,
	// and returns its holder.
	renewLua = `
local holder = redis.call('GET', KEYS[1])
if not holder or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return ARGV[1]
end
return holder`

	// claimLua gives the lease to ARGV[1] for ARGV[2] ms if its holder is still
	// ARGV[3], where empty means none.
	claimLua = `
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[3] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`

	// releaseLua ends the lease if it is ARGV[1]'s.
	releaseLua = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`
)

// Fence names a lease, so that a script can refuse one who no longer holds it.
// The zero value refuses nobody.
type Fence struct{ Key, Token string }

type fenceKey struct{}

// FenceFrom returns the fence of the lease under which an owner runs, from the context
// that [Leases.Run] gave it.
func FenceFrom(ctx context.Context) Fence {
	f, _ := ctx.Value(fenceKey{}).(Fence)
	return f
}

// view is what one look at Redis showed.
type view struct {
	members int            // live instances with this one; 0 where unknown
	holders [Shards]string // token of each shard's holder; "" free, unknownPart unknown
}

func (l *Leases) leaseKey(s Shard) string { return s.Key("lease:" + l.name) }

func (l *Leases) membersKey() string { return "members:" + l.name }

// look sends one pipeline: it registers this instance, renews what is held and asks
// who holds the rest. What came back is in the view even where there is an error.
func (l *Leases) look(ctx context.Context) (view, error) {
	ctx, cancel := context.WithTimeout(ctx, l.callTime())
	defer cancel()
	life := l.ttl.Milliseconds()
	pipe := l.redis.Pipeline()
	members := pipe.Eval(ctx, heartbeatLua, []string{l.membersKey()}, l.token, life)
	var held [Shards]bool
	var answers [Shards]*redis.Cmd
	for i := range answers {
		s := Shard(i)
		if held[s] = l.tenure(s) != nil; held[s] {
			answers[s] = pipe.Eval(ctx, renewLua, []string{l.leaseKey(s)}, l.token, life)
		} else {
			answers[s] = pipe.Do(ctx, "GET", l.leaseKey(s))
		}
	}
	started := time.Now()
	_, _ = pipe.Exec(ctx) // each answer carries its own error

	var v view
	errs := make([]error, 0, 1)
	for i, answer := range answers {
		s := Shard(i)
		holder, err := answer.Text()
		switch {
		case errors.Is(err, redis.Nil):
		case err != nil:
			v.holders[s] = unknownPart
			errs = append(errs[:0], fmt.Errorf("lease of %s: %w", s, err))
		case !held[s]:
			v.holders[s] = holder
		case holder == l.token:
			v.holders[s] = holder
			l.renewed(s, started)
		default:
			v.holders[s] = holder
			l.lost(s)
		}
	}
	names, err := members.StringSlice()
	if err != nil {
		return v, errors.Join(fmt.Errorf("register: %w", err), errors.Join(errs...))
	}
	v.members = len(names) - l.bury(ctx, names)
	l.saw(v.members)
	return v, errors.Join(errs...)
}

// bury removes the members that are provably dead and returns how many there were.
func (l *Leases) bury(ctx context.Context, names []string) int {
	var dead []any
	for _, name := range names {
		if l.self.provablyDead(name) {
			dead = append(dead, name)
		}
	}
	if len(dead) > 0 {
		// Not urgent: they also vanish when they have been silent for long.
		_ = l.redis.ZRem(ctx, l.membersKey(), dead...).Err()
	}
	return len(dead)
}

// claim takes the wanted shards from the holders seen and returns those it got.
func (l *Leases) claim(ctx context.Context, wanted []Shard, holders [Shards]string) ([]Shard, error) {
	ctx, cancel := context.WithTimeout(ctx, l.callTime())
	defer cancel()
	pipe := l.redis.Pipeline()
	answers := make([]*redis.Cmd, len(wanted))
	for i, s := range wanted {
		answers[i] = pipe.Eval(ctx, claimLua, []string{l.leaseKey(s)}, l.token, l.ttl.Milliseconds(), holders[s])
	}
	_, _ = pipe.Exec(ctx) // each answer carries its own error
	var taken []Shard
	var failed error
	for i, s := range wanted {
		got, err := answers[i].Int()
		if err != nil {
			failed = fmt.Errorf("take %s: %w", s, err)
		} else if got == 1 {
			taken = append(taken, s)
		}
	}
	return taken, failed
}

func (l *Leases) release(ctx context.Context, s Shard) error {
	return l.redis.Eval(ctx, releaseLua, []string{l.leaseKey(s)}, l.token).Err()
}

// signOff releases every lease in this instance's name and its membership.
func (l *Leases) signOff(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.callTime())
	defer cancel()
	pipe := l.redis.Pipeline()
	for i := range Shards {
		pipe.Eval(ctx, releaseLua, []string{l.leaseKey(Shard(i))}, l.token)
	}
	pipe.ZRem(ctx, l.membersKey(), l.token)
	_, err := pipe.Exec(ctx)
	return err
}
