package bot

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
)

const (
	ackBatch        = 128
	ackLinger       = 3 * time.Millisecond // for more acks to gather; longer would send more messages twice after a crash
	ackTimeout      = time.Second
	ackBackoff      = 50 * time.Millisecond
	ackBackoffMost  = time.Second
	ackFinalTries   = 3 // after the worker has ended
	countTimeout    = time.Second
	countRetryAfter = 200 * time.Millisecond
)

// ack is an update that has come to its end, with those that were handled with it:
// one transaction acknowledges them all.
type ack struct {
	items []*item
	dead  *DeadLetter // where it was given up
}

// finish enters that updates had their effect, or need none.
func (w *worker) finish(outcome string, together ...*item) bool {
	w.settle(ack{items: together}, outcome)
	return true
}

// giveUp makes the update a dead letter.
func (w *worker) giveUp(i *item, tries int, cause error) bool {
	w.d.o.Log.Error("update given up", "update_id", i.envelope.id, "type", i.kind, "tries", tries, "error", cause)
	w.settle(ack{items: []*item{i}, dead: &DeadLetter{
		Raw: i.entry.Fields[fieldRaw], Kind: i.kind, Error: cause.Error(), At: time.Now(), Tries: tries,
	}}, outcomeDead)
	return true
}

func (w *worker) settle(a ack, outcome string) {
	w.mu.Lock()
	for _, i := range a.items {
		i.done = true
	}
	w.mu.Unlock()
	for _, i := range a.items {
		w.d.metrics.updates.WithLabelValues(i.kind, outcome).Inc()
	}
	w.acks <- a // never full: it holds as many as may be open
}

// acknowledge takes acks to Redis, many at a time, until quit is closed and none is
// left. While Redis is away they are kept and the window fills up.
func (w *worker) acknowledge() {
	var batch []ack
	backoff := ackBackoff
	for final := 0; final < ackFinalTries; {
		var ended bool
		if batch, ended = w.gather(batch); ended {
			final++
		}
		if len(batch) == 0 {
			if ended {
				return
			}
			continue
		}
		left, err := w.send(batch)
		if batch = left; err == nil {
			backoff = ackBackoff
			if ended {
				final = 0 // there may be more
			}
			continue
		}
		if w.quiet.may() {
			w.d.o.Log.Warn("updates not acknowledged yet", "shard", w.shard.String(), "updates", len(batch), "error", err)
		}
		select {
		case <-w.quit:
		case <-time.After(backoff):
			backoff = min(2*backoff, ackBackoffMost)
		}
	}
	if len(batch) > 0 {
		w.d.o.Log.Warn("updates not acknowledged, they will be handled again", "shard", w.shard.String(), "updates", len(batch))
	}
}

// gather waits for an ack if batch has none, then for a moment for more, and takes what
// is there. It reports whether the worker has ended.
func (w *worker) gather(batch []ack) ([]ack, bool) {
	if len(batch) == 0 {
		select {
		case a := <-w.acks:
			batch = append(batch, a)
		case <-w.quit:
		}
	}
	linger := time.NewTimer(ackLinger)
	defer linger.Stop()
	for gathering := true; gathering && len(batch) < ackBatch; {
		select {
		case a := <-w.acks:
			batch = append(batch, a)
		case <-linger.C:
			gathering = false
		case <-w.quit:
			gathering = false
		}
	}
	for len(batch) < ackBatch && len(w.acks) > 0 { // after quit nobody adds any
		batch = append(batch, <-w.acks)
	}
	select {
	case <-w.quit:
		return batch, true
	default:
		return batch, false
	}
}

// send acknowledges a batch in one transaction and returns what is left of it. Where
// Redis refuses the transaction, each goes alone, so that one does not hold up the rest.
func (w *worker) send(batch []ack) ([]ack, error) {
	err := w.transact(batch)
	if err == nil {
		return nil, nil
	}
	if !isRefusal(err) || len(batch) == 1 {
		return batch, err
	}
	var left []ack
	for _, a := range batch {
		if err = w.transact([]ack{a}); err != nil {
			left = append(left, a)
		}
	}
	return left, err
}

func (w *worker) transact(batch []ack) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.running), ackTimeout)
	defer cancel()
	var ids, counted []string
	for _, a := range batch {
		for _, i := range a.items {
			ids = append(ids, i.entry.ID)
			if i.entry.Redelivered {
				counted = append(counted, i.entry.ID)
			}
		}
	}
	err := w.group.Ack(ctx, ids, func(p redis.Pipeliner) {
		if len(counted) > 0 {
			p.HDel(ctx, w.triesKey(), counted...)
		}
		for _, a := range batch {
			if a.dead != nil {
				p.XAdd(ctx, a.dead.args(w.shard))
			}
		}
	})
	if err != nil {
		return err
	}
	failpoint.Here("update.acknowledged")
	w.mu.Lock()
	for _, a := range batch {
		for _, i := range a.items {
			delete(w.open, i)
		}
	}
	w.mu.Unlock()
	select {
	case w.room <- struct{}{}:
	default:
	}
	return nil
}

func (w *worker) triesKey() string { return w.shard.Key("tries") }

// countStart enters that a redelivered update is about to be handled, and returns how
// often that has happened. It waits for Redis, and returns false if the worker must
// stop first.
func (w *worker) countStart(i *item) (int, bool) {
	for {
		ctx, cancel := context.WithTimeout(w.ctx, countTimeout)
		n, err := w.d.o.Redis.HIncrBy(ctx, w.triesKey(), i.entry.ID, 1).Result()
		cancel()
		if err == nil {
			i.counted = true
			return int(n), true
		}
		if w.quiet.may() {
			w.d.o.Log.Warn("start of an update not counted yet", "shard", w.shard.String(), "error", err)
		}
		if !sleep(w.ctx, countRetryAfter) {
			return 0, false
		}
	}
}

// uncountStart takes a start back: the update was left in good order, not by a crash.
func (w *worker) uncountStart(i *item) {
	if !i.counted {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.running), countTimeout)
	defer cancel()
	// Where this fails, the update has one crash too many on its account, of twenty.
	_ = w.d.o.Redis.HIncrBy(ctx, w.triesKey(), i.entry.ID, -1).Err()
}
