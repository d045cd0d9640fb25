package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv/redisserver"
	"github.com/kikuai/kikuai/ratelimit"
)

// holders is how many keys the limits are asked for, in turn.
const holders = 256

// plainWindow is the sliding window as it is commonly written: a sorted set with a
// member for each request, by this server's clock.
var plainWindow = redis.NewScript(`
local now = redis.call('TIME')
now = now[1] * 1000000 + now[2]
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, now - ARGV[2])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2] / 1000)
return 1`)

// limiter is a way of asking for one request of a limit per minute.
type limiter struct {
	name string
	key  func(holder string) string // as Redis has it
	ask  func(ctx context.Context, holder, request string, limit int) error
}

// limiters are the contenders on one Redis, ours first.
func limiters(r redis.Cmdable, ours *ratelimit.Redis) []limiter {
	theirs := redis_rate.NewLimiter(r)
	own := func(holder string) string { return ratelimit.Key("s00", ratelimit.ScopeKey, holder) }
	return []limiter{
		{"kikuai", own, func(ctx context.Context, holder, _ string, limit int) error {
			_, _, err := ours.Take(ctx, "", 0, []ratelimit.Limit{requestsOf(own(holder), limit)})
			return err
		}},
		{"redis_rate", func(holder string) string { return "rate:" + holder }, func(ctx context.Context, holder, _ string, limit int) error {
			_, err := theirs.Allow(ctx, holder, redis_rate.PerMinute(limit))
			return err
		}},
		{"sorted set", func(holder string) string { return "zset:" + holder }, func(ctx context.Context, holder, request string, limit int) error {
			return plainWindow.Run(ctx, r, []string{"zset:" + holder}, limit, time.Minute.Microseconds(), request).Err()
		}},
	}
}

func requestsOf(key string, limit int) ratelimit.Limit {
	return ratelimit.Limit{
		Kind: ratelimit.Window, Name: ratelimit.NameRequests, Scope: ratelimit.ScopeKey,
		Key: key, Max: int64(limit), Span: time.Minute, Cost: 1,
	}
}

// measureLimits compares decisions per second and bytes per key of one Redis.
func measureLimits(ctx context.Context, rounds int, length time.Duration, workers int) (_ string, err error) {
	store, err := redisserver.Start(ctx, redisserver.Options{})
	if err != nil {
		return "", err
	}
	client := redis.NewClient(&redis.Options{Addr: store.Addr, MaxRetries: -1, PoolSize: 96, ContextTimeoutEnabled: true})
	defer func() { err = errors.Join(err, client.Close(), store.Close()) }()
	gathered, err := client.AutoPipeline()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| decisions | kikuai | redis_rate | ratio | sorted set | ratio |\n|---|--:|--:|--:|--:|--:|\n")
	for _, work := range []struct {
		name  string
		limit int
	}{
		{"of 120 a minute, mostly denials", 120},
		{"of 1000000 a minute, all allowed", 1_000_000},
	} {
		rates, err := decisions(ctx, client, limiters(gathered, ratelimit.NewRedis(gathered)), work.limit, rounds, length, workers)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %.0f/s | %.0f/s | **%.2f** | %.0f/s | **%.2f** |\n",
			work.name, rates[0], rates[1], rates[0]/rates[1], rates[2], rates[0]/rates[2])
	}
	b.WriteString("\n| bytes of a key | kikuai | redis_rate | ratio | sorted set | ratio |\n|---|--:|--:|--:|--:|--:|\n")
	for _, taken := range []int{1, 100, 10_000} {
		sizes, err := keyBytes(ctx, client, taken)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| with %d taken of as many | %d | %d | **%.2g** | %d | **%.2g** |\n", taken,
			sizes[0], sizes[1], float64(sizes[0])/float64(sizes[1]), sizes[2], float64(sizes[0])/float64(sizes[2]))
	}
	all, err := fourAtOnce(ctx, client, ratelimit.NewRedis(gathered), length, workers)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "\nFour limits of a call in one decision (requests, tokens, burst, concurrency), then its end with the tokens trued up: %.0f calls/s. "+
		"redis_rate is a GCRA: it keeps one number for a key, and lets nearly 2 L pass within a window; the two others never let more than L. "+
		"%d keys, %d workers on one Redis by calls gathered as serve gathers them, medians of %d rounds of %s in turn. %s",
		all, holders, workers, rounds, length, machine())
	return b.String(), nil
}

// decisions returns how many each limiter takes in a second: the median of rounds in
// which all have their turn on an empty Redis.
func decisions(ctx context.Context, client *redis.Client, all []limiter, limit, rounds int, length time.Duration, workers int) ([]float64, error) {
	samples := make([][]sample, len(all))
	for round := range rounds + 1 {
		for i, l := range all {
			if err := client.FlushAll(ctx).Err(); err != nil {
				return nil, err
			}
			s, err := together(ctx, workers, length, func(ctx context.Context, worker, n int) error {
				holder := strconv.Itoa((worker*7 + n) % holders)
				return l.ask(ctx, holder, strconv.Itoa(worker)+":"+strconv.Itoa(n), limit)
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
			if round > 0 { // the first one warms up
				samples[i] = append(samples[i], s)
			}
		}
	}
	rates := make([]float64, len(all))
	for i := range all {
		rates[i] = medianSample(samples[i]).perSecond
	}
	return rates, nil
}

// keyBytes returns what each limiter's key holds in Redis' memory once as many requests
// were taken as its limit allows. Ours sees them spread over the minute, which is when
// its key is largest; to the others it makes no difference.
func keyBytes(ctx context.Context, client *redis.Client, taken int) ([]int64, error) {
	now := time.Now()
	all := limiters(client, ratelimit.NewRedisAt(client, func() time.Time {
		now = now.Add(time.Minute / time.Duration(taken+1))
		return now
	}))
	if err := client.FlushAll(ctx).Err(); err != nil {
		return nil, err
	}
	sizes := make([]int64, len(all))
	for i, l := range all {
		for n := range taken {
			if err := l.ask(ctx, "one", strconv.Itoa(n), taken); err != nil {
				return nil, fmt.Errorf("%s: %w", l.name, err)
			}
		}
		size, err := client.MemoryUsage(ctx, l.key("one"), 0).Result()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.name, err)
		}
		sizes[i] = size
	}
	return sizes, nil
}

// fourAtOnce returns how many calls a second ask for all their limits, and end.
func fourAtOnce(ctx context.Context, client *redis.Client, source *ratelimit.Redis, length time.Duration, workers int) (float64, error) {
	if err := client.FlushAll(ctx).Err(); err != nil {
		return 0, err
	}
	const tokens = 500
	used := ratelimit.Used{ratelimit.NameTokens: tokens / 2}
	s, err := together(ctx, workers, length, func(ctx context.Context, worker, n int) error {
		base := ratelimit.Key("s00", ratelimit.ScopeKey, strconv.Itoa((worker*7+n)%holders))
		limits, err := ratelimit.Expand("1000000|100000000|1000|100000000|1000000", base, ratelimit.ScopeKey, tokens)
		if err != nil {
			return err
		}
		d, ticket, err := source.Take(ctx, strconv.Itoa(worker)+":"+strconv.Itoa(n), time.Minute, limits)
		if err != nil {
			return err
		}
		if err := d.Err(); err != nil {
			return err
		}
		return source.Finish(ctx, ticket, used)
	})
	return s.perSecond, err
}
