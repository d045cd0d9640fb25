package billing

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	reapEvery = 2 * time.Second
	reapMost  = 200 // holds of one run
	reapRuns  = 20  // runs of one look
	reapIn    = 10 * time.Second
	// defaultReapGrace is how long Redis must have answered its new owner, or have
	// been back, before orphans are resolved: calls under way renew their holds every
	// few seconds, and must have had the chance to.
	defaultReapGrace = 10 * time.Second
)

// reaper resolves the holds of a shard that nobody resolved before their deadline:
// the process that made the call is dead. It needs nothing but Redis, so that money
// is not held for longer because Postgres is away.
type reaper struct {
	redis   redis.UniversalClient
	scripts *scripts
	metrics *metrics
	log     *slog.Logger
	shard   stream.Shard
	grace   time.Duration
	calm    time.Time // since when Redis has answered every look; zero: it did not
}

func (e *Engine) newReaper(s stream.Shard) *reaper {
	return &reaper{redis: e.redis, scripts: e.scripts, metrics: e.metrics,
		log: e.log.With("shard", s.String()), shard: s, grace: e.reapGrace}
}

// run looks for orphans until ctx ends.
func (r *reaper) run(ctx context.Context) {
	tick := time.NewTicker(min(reapEvery, max(r.grace, time.Millisecond)))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.look(ctx)
		}
	}
}

// look resolves what is due, unless Redis has only just begun to answer.
func (r *reaper) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reapIn)
	defer cancel()
	due, open, err := r.due(ctx, 0)
	switch {
	case err != nil || !open: // the shard's owner says why
		r.calm = time.Time{}
		return
	case r.calm.IsZero():
		r.calm = time.Now()
	}
	if time.Since(r.calm) < r.grace {
		return
	}
	var settled, released, left int
	for run := 0; len(due) > 0; run++ {
		s, g, l, err := r.resolve(ctx, due)
		settled, released, left = settled+s, released+g, left+l
		if err != nil {
			r.calm = time.Time{}
			break
		}
		if len(due) < reapMost || run == reapRuns {
			break
		}
		if due, open, err = r.due(ctx, left); err != nil || !open {
			r.calm = time.Time{}
			break
		}
	}
	if settled+released > 0 {
		r.log.InfoContext(ctx, "orphaned holds resolved", "settled", settled, "released", released)
	}
}

// due lists hold ids past their deadline, but for so many that were left there.
func (r *reaper) due(ctx context.Context, left int) (ids []string, open bool, err error) {
	answer, err := r.scripts.due.Run(ctx, r.redis, []string{epochKey(r.shard), expKey(r.shard)}, left, reapMost).StringSlice()
	if err != nil || len(answer) == 0 {
		return nil, false, redisError("look for orphans", err)
	}
	return answer[1:], true, nil
}

// resolve resolves a run of holds. Those it cannot are left where they are.
func (r *reaper) resolve(ctx context.Context, ids []string) (settled, released, left int, err error) {
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = r.shard.Key("hold", id)
	}
	holds, err := r.redis.MGet(ctx, keys...).Result()
	if err != nil {
		return 0, 0, 0, redisError("read orphans", err)
	}
	for i, id := range ids {
		account := int64(r.shard) // any of the shard will do where there is no hold
		if record, is := holds[i].(string); is {
			if account, err = holder(record); err != nil {
				r.log.ErrorContext(ctx, "an orphan cannot be read", "hold_id", id, "err", err)
				left++
				continue
			}
		}
		how, err := r.scripts.expireHold(ctx, r.redis, account, id)
		switch {
		case errors.Is(err, errNoHash): // the owner is told by the script, and rebuilds
			left++
		case err != nil:
			return settled, released, left, err
		case how == orphanExpired:
			settled++
			r.metrics.reapedSettled.Inc()
		case how == orphanReleased:
			released++
			r.metrics.reapedReleased.Inc()
		}
	}
	return settled, released, left, nil
}
