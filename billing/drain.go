package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	batchMost   = 1000 // events of one transaction
	blockFor    = 250 * time.Millisecond
	drainGap    = 40 * time.Millisecond // between two batches that are not full: what comes meanwhile is taken together
	portionMost = 200                   // events that a shard brings into a transaction with others
	applyIn     = 15 * time.Second
)

// drain applies the next events, at most batchMost, and says how many. Events
// that are applied are trimmed from the stream but for the last one: it stays as
// the proof that the stream is the one that Postgres has followed.
func (o *owner) drain(ctx context.Context) (int, error) {
	events, err := o.fetch(ctx)
	if err != nil {
		return 0, err
	}
	if len(events) == 0 {
		o.oldest[o.shard].Store(0)
		return 0, nil
	}
	o.oldest[o.shard].Store(events[0].id.ms)
	to := position{epoch: o.at.epoch, last: events[len(events)-1].id}
	if err := o.step("fetched"); err != nil {
		return 0, err
	}
	if err := o.apply(ctx, events, to, false); err != nil {
		return 0, err
	}
	o.at = to
	if len(events) < batchMost {
		o.oldest[o.shard].Store(0)
	}
	if err := o.step("committed"); err != nil {
		return 0, err
	}
	announce(ctx, o.redis, ledgerNews(events))
	err = o.scripts.trim.Run(ctx, o.redis, []string{epochKey(o.shard), evKey(o.shard)}, to.epoch, to.last.String()).Err()
	if err != nil {
		return 0, redisError("trim the stream", err)
	}
	if err := o.step("trimmed"); err != nil {
		return 0, err
	}
	return len(events), nil
}

// catchUp applies all that is in the stream now.
func (o *owner) catchUp(ctx context.Context) error {
	newest, err := o.redis.XRevRangeN(ctx, evKey(o.shard), "+", "-", 1).Result()
	if err != nil {
		return redisError("find the end of the stream", err)
	}
	if len(newest) > 0 {
		end, err := parseEventID(newest[0].ID)
		if err != nil {
			return err
		}
		for o.at.last.before(end) {
			if _, err := o.drain(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch reads the events after the position, and makes sure on the way that the
// stream still is what it was: same epoch, and the last applied event in place.
func (o *owner) fetch(ctx context.Context) ([]event, error) {
	pipe := o.redis.Pipeline()
	epoch := pipe.Get(ctx, epochKey(o.shard))
	messages := pipe.XRangeN(ctx, evKey(o.shard), o.at.last.String(), "+", batchMost+1)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, redisError("read events", err)
	}
	if epoch.Val() != strconv.FormatInt(o.at.epoch, 10) {
		return nil, fmt.Errorf("%w: epoch %q instead of %d", errLost, epoch.Val(), o.at.epoch)
	}
	found := messages.Val()
	if !o.at.last.zero() {
		if len(found) == 0 || found[0].ID != o.at.last.String() {
			return nil, fmt.Errorf("%w: event %s is not there", errLost, o.at.last)
		}
		found = found[1:]
	}
	events, err := decodeEvents(o.shard, found[:min(len(found), batchMost)])
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		if e.epoch != o.at.epoch {
			return nil, fmt.Errorf("%w: event %s is of epoch %d, not %d", errLost, e.id, e.epoch, o.at.epoch)
		}
	}
	return events, nil
}

func decodeEvents(s stream.Shard, messages []redis.XMessage) ([]event, error) {
	events := make([]event, len(messages))
	for i, m := range messages {
		var err error
		if events[i], err = decodeEvent(m); err != nil {
			return nil, err
		}
		events[i].shard = s
	}
	return events, nil
}

// apply writes the events' effects and the position in one transaction. An event
// whose hold the ledger has already is written under a name of its own, since
// Redis did take the money; with skip it is left out, which is right where Redis
// is about to be rebuilt from the ledger.
func (o *owner) apply(ctx context.Context, events []event, to position, skip bool) error {
	mine := portion{shard: o.shard, events: events, from: o.at, to: to}
	repeats, err := 0, errApart
	if !skip && !o.ailing && len(events) <= portionMost {
		repeats, err = o.together(ctx, mine)
	}
	if errors.Is(err, errApart) {
		repeats, err = o.alone(ctx, mine, skip)
	}
	if err != nil {
		return fmt.Errorf("apply events: %w", err)
	}
	for _, e := range events {
		if e.unreadable {
			o.metrics.unreadable.Inc()
		}
	}
	if skip {
		o.metrics.drained.Add(float64(len(events) - repeats))
		return nil
	}
	if repeats > 0 {
		o.metrics.repeats.Add(float64(repeats))
		o.log.ErrorContext(ctx, "holds settled more than once", "events", repeats)
	}
	o.metrics.drained.Add(float64(len(events)))
	return nil
}

// alone applies one shard's portion.
func (e *Engine) alone(ctx context.Context, p portion, skip bool) (repeats int, err error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-e.slots }()
	ctx, cancel := context.WithTimeout(ctx, applyIn)
	defer cancel()

	// Nearly never does the ledger have one: asking first would cost every event a look-up.
	repeats, err = e.post(ctx, []portion{p}, byCause, skip)
	if errors.Is(err, errRepeated) {
		repeats, err = e.post(ctx, []portion{p}, byCauseIfNew, skip)
	}
	return repeats, err
}

// post is the transaction of one or more portions. repeats are the events whose causes the
// ledger, or another of them, had already; with byCause it is errRepeated where the ledger
// has one.
func (e *Engine) post(ctx context.Context, portions []portion, named naming, skip bool) (repeats int, err error) {
	events := slices.Clip(portions[0].events) // which is its owner's
	for _, p := range portions[1:] {
		events = append(events, p.events...)
	}
	err = postgres.InTx(ctx, e.postgres, func(tx pgx.Tx) error {
		if err := movePositions(ctx, tx, portions); err != nil {
			return err
		}
		repeated, err := insertEvents(ctx, tx, events, named, e.lowBalance)
		if err != nil {
			return err
		}
		if repeats = len(repeated); repeats > 0 && !skip {
			if repeated, err = insertEvents(ctx, tx, repeated, byEvent, e.lowBalance); err == nil && len(repeated) > 0 {
				err = fmt.Errorf("billing: %d events are in the ledger beyond the position", len(repeated))
			}
			if err != nil {
				return err
			}
		}
		return e.step("applied")
	})
	return repeats, err
}
