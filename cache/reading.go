package cache

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"
)

// look asks level two and keeps what it has. nil: nothing that may be served.
func (r *reading) look(ctx context.Context) (*entry, error) {
	c, m := r.cache, &r.cache.metrics.l2
	asked := c.now()
	f, err := c.level2.look(ctx, &r.budget, r.space, r.aim.key)
	if err != nil {
		m.failed.Inc()
		return nil, err
	}
	r.tags, r.seen = f.tags, f.seen
	if !f.usable() {
		m.miss.Inc()
		return nil, nil
	}
	e := &entry{
		negative: f.frame.negative, ticket: f.frame.ticket, delta: f.frame.delta,
		expires: asked + f.left - f.frame.grace, bytes: len(f.frame.value),
		leaves: asked + min(f.left, r.o.L1TTL),
	}
	if !e.negative {
		if e.value, err = r.encoding.decode(f.frame.value); err != nil { // of another shape
			c.level2.discard(ctx, &r.budget, valueKey(r.o.Name, r.aim.key))
			m.miss.Inc()
			return nil, nil //nolint:nilerr // a value that cannot be read is a miss
		}
	}
	switch {
	case e.negative:
		m.negative.Inc()
	case c.now() >= e.expires:
		m.stale.Inc()
	default:
		m.hit.Inc()
	}
	c.memory.keep(r.aim.place, e, r.aim.generation)
	return e, nil
}

// contend loads the value if no other instance does, and else waits for theirs; a
// refresh does not wait: errElsewhere.
func (r *reading) contend(ctx context.Context, wait bool) (*entry, error) {
	c := r.cache
	until := time.Now().Add(c.o.LockWait)
	pause, waited, newer, late := firstPause, false, 0, 0
	for {
		begun, err := c.level2.begin(ctx, &r.budget, r.space, r.aim.key, r.seen, r.tags, wait && time.Now().After(until))
		switch {
		case err != nil:
			return r.alone(ctx)
		case begun.ticket != "":
			e, kept, err := r.load2(ctx, begun.ticket)
			if kept || err != nil || late == maxLate {
				return e, err
			}
			late++ // something came meanwhile that is newer: another value, or an invalidation
		case begun.newer:
			if newer++; newer > maxNewer {
				return r.alone(ctx)
			}
		case !wait:
			return nil, errElsewhere
		default:
			if !waited {
				waited = true
				c.metrics.lockWaits.Inc()
			}
			if err := sleep(ctx, pause/2+rand.N(pause)); err != nil {
				return nil, errClosed
			}
			pause = min(2*pause, mostPause)
			continue
		}
		e, err := r.look(ctx)
		if err != nil {
			return r.alone(ctx)
		}
		if e != nil {
			return e, nil
		}
	}
}

// alone asks the source and keeps the value in memory only.
func (r *reading) alone(ctx context.Context) (*entry, error) {
	e, _, err := r.ask(ctx)
	if err != nil || e.bytes > r.o.MaxBytes {
		return e, err
	}
	r.date(e)
	r.cache.memory.keep(r.aim.place, e, r.aim.generation)
	return e, nil
}

// load2 asks the source under a ticket. kept: the value is in level two, or there is
// nothing to keep.
func (r *reading) load2(ctx context.Context, ticket string) (e *entry, kept bool, err error) {
	c := r.cache
	free := func() { // its lock; if that fails, it frees itself in time
		_, _ = c.level2.finish(ctx, &r.budget, r.space, r.aim.key, ticket, nil, 0)
	}
	e, encoded, err := r.ask(ctx)
	if err != nil || e.bytes > r.o.MaxBytes || r.life(e.negative) == 0 {
		free()
		return e, true, err
	}
	f := frame{negative: e.negative, delta: e.delta, tags: r.tags, value: encoded}
	if !e.negative {
		f.grace = r.o.Grace
	}
	blob := c.pack(r.space, r.aim.key, f)
	r.date(e) // before it is kept: an invalidation after that takes it back
	kept, err = c.level2.finish(ctx, &r.budget, r.space, r.aim.key, ticket, blob, r.life(e.negative))
	if err != nil { // Redis went away: this value is as good as one loaded without it
		c.memory.keep(r.aim.place, e, r.aim.generation)
		return e, true, nil //nolint:nilerr // the source has answered
	}
	if !kept {
		c.metrics.refused.WithLabelValues("late").Inc()
		return e, false, nil
	}
	e.ticket = ticket
	c.memory.keep(r.aim.place, e, r.aim.generation)
	return e, true, nil
}

// ask calls the loader and encodes what it gives. An entry whose bytes are above the
// cap is not to be kept.
func (r *reading) ask(ctx context.Context) (*entry, []byte, error) {
	m := r.cache.metrics
	got := r.cache.loads.run(ctx, r.o.Name, r.load)
	if got.err != nil {
		if r.o.Negative > 0 && errors.Is(got.err, r.o.NotFound) {
			m.source.negative.Inc()
			return &entry{negative: true, delta: got.delta}, nil, nil
		}
		m.source.failed.Inc()
		return nil, nil, got.err
	}
	m.source.hit.Inc()
	e := &entry{value: got.value, delta: got.delta}
	encoded, err := r.encode(e)
	if err != nil { // the caller has its value all the same
		e.bytes = r.o.MaxBytes + 1
	}
	return e, encoded, nil
}

// encode fills in the entry's size, and counts values that cannot be kept.
func (s *space) encode(e *entry) ([]byte, error) {
	encoded, err := s.encoding.encode(e.value)
	why := "large"
	if err == nil && len(encoded) > s.o.MaxBytes {
		err = errTooLarge
	} else if err != nil {
		why = "encoding"
	}
	if err != nil {
		s.cache.metrics.refused.WithLabelValues(why).Inc()
		return nil, err
	}
	e.bytes = len(encoded)
	return encoded, nil
}

// date gives an entry that is loaded now its times.
func (s *space) date(e *entry) {
	now, life := s.cache.now(), s.life(e.negative)
	e.expires = now + life
	if !e.negative {
		e.expires -= s.o.Grace
	}
	e.leaves = now + min(life, s.o.L1TTL)
}

// pack makes a frame and counts its compression.
func (c *Cache) pack(s *space, key string, f frame) []byte {
	blob := c.packer.pack(valueKey(s.o.Name, key), s.o.Schema, f)
	if stored := len(blob) + ticketBytes - frameBytes; stored < len(f.value) {
		c.metrics.raw.Add(int64(len(f.value)))
		c.metrics.zipped.Add(int64(stored))
	}
	return blob
}

// lookup is Lookup behind level one.
func (s *space) lookup(ctx context.Context, key string) *entry {
	s.cache.metrics.l1.miss.Inc()
	if len(key) > maxKeyBytes {
		return nil
	}
	key = strings.Clone(key)
	r := s.reading(aim{place: s.at(key), generation: s.cache.memory.generation(s.at(key))}, nil)
	if !r.shared() {
		return nil
	}
	e, err := r.look(ctx)
	if err != nil {
		return nil // as if there were none
	}
	return e
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
