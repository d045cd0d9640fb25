package cache

import (
	"context"
	"errors"
	"strings"
	"time"
)

const (
	maxJoins   = 4 // flights that one reader joins before it asks the source itself
	maxNewer   = 8 // times that a flight finds the value replaced under its hands
	maxLate    = 2 // loads that came too late to be written, before one is served as it is
	firstPause = 5 * time.Millisecond
	mostPause  = 40 * time.Millisecond
)

// fetch is Fetch behind level one. stale is what level one has, if it may be served.
func (s *space) fetch(ctx context.Context, key string, stale *entry, load loader) (*entry, error) {
	c := s.cache
	key = strings.Clone(key) // it outlives the request whose memory it may be
	if stale != nil {
		s.refresh(ctx, key, stale, load)
		return stale, nil
	}
	c.metrics.l1.miss.Inc()
	if len(key) > maxKeyBytes {
		c.metrics.refused.WithLabelValues("key").Inc()
		return s.past(ctx, load)
	}
	for range maxJoins {
		a := aim{place: s.at(key), generation: c.memory.generation(s.at(key))}
		f, _ := c.flights.join(a, c.spawn, func() (*entry, error) { return s.read(ctx, a, load) })
		if f == nil {
			break
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if errors.Is(f.err, errRefresh) { // which is nothing to who needs a value: an old one may serve
			continue
		}
		if f.err == nil && f.entry.ticket != "" && f.entry.due(c.now(), s.o.Beta) {
			s.refresh(ctx, key, f.entry, load)
		}
		return f.entry, f.err
	}
	return s.past(ctx, load)
}

// past asks the source with nothing kept.
func (s *space) past(ctx context.Context, load loader) (*entry, error) {
	r := s.cache.loads.run(ctx, s.o.Name, load)
	if errors.Is(r.err, errClosed) { // the Cache; the source can still answer
		value, err := load(ctx)
		return &entry{value: value}, err
	}
	return &entry{value: r.value}, r.err
}

// refresh loads a value anew in the background while the old one is served. One at a
// time per key, and a bounded number in all: what is left out is due at the next read.
func (s *space) refresh(ctx context.Context, key string, old *entry, load loader) {
	c := s.cache
	at := s.at(key)
	if _, under := c.refreshing.LoadOrStore(at, struct{}{}); under {
		return
	}
	select {
	case c.refreshes <- struct{}{}:
	default:
		c.refreshing.Delete(at)
		c.metrics.refreshes.WithLabelValues("skipped").Inc()
		return
	}
	a := aim{place: at, generation: c.memory.generation(at)}
	over := func() {
		<-c.refreshes
		c.refreshing.Delete(at)
	}
	_, began := c.flights.join(a, c.spawn, func() (*entry, error) {
		defer over()
		e, err := s.renew(ctx, a, old, load)
		if err != nil {
			return nil, errRefresh
		}
		return e, nil
	})
	if !began {
		over()
	}
}

// reading is one read of a key below level one, by one goroutine.
type reading struct {
	*space
	aim    aim
	load   loader
	budget budget
	tags   uint64 // the tags' versions before the source is asked
	seen   string // ticket of the value in Redis that does not serve; empty: there is none
}

func (s *space) reading(a aim, load loader) *reading {
	return &reading{space: s, aim: a, load: load, budget: budget{left: s.cache.o.RedisPatience}}
}

// shared says whether level two may be asked for this key.
func (r *reading) shared() bool {
	return r.cache.level2 != nil && !r.cache.backlog.holds(r.o.Name, r.aim.key)
}

// read is a flight: level two, then the source.
func (s *space) read(ctx context.Context, a aim, load loader) (*entry, error) {
	ctx, cancel := s.cache.detached(ctx)
	defer cancel()
	if e, found := s.cache.memory.store.load(a.place); found && s.cache.now() < e.leaves {
		return e, nil // the flight before this one has just brought it
	}
	r := s.reading(a, load)
	if !r.shared() {
		return r.alone(ctx)
	}
	e, err := r.look(ctx)
	if err != nil {
		return r.alone(ctx)
	}
	if e != nil {
		return e, nil
	}
	return r.contend(ctx, true)
}

// renew is the flight of a refresh. errElsewhere: another instance is at it.
func (s *space) renew(ctx context.Context, a aim, old *entry, load loader) (*entry, error) {
	ctx, cancel := s.cache.detached(ctx)
	defer cancel()
	count := func(how string) { s.cache.metrics.refreshes.WithLabelValues(how).Inc() }
	if e, found := s.cache.memory.store.load(a.place); found && e != old && s.cache.now() < min(e.leaves, e.expires) {
		return e, nil // another flight was quicker
	}
	r := s.reading(a, load)
	if r.shared() {
		e, err := r.look(ctx)
		if err == nil && e != nil && e.ticket != old.ticket && s.cache.now() < e.expires {
			count("taken")
			return e, nil
		}
		if err == nil {
			e, err = r.contend(ctx, false)
			switch {
			case err == nil:
				count("loaded")
			case errors.Is(err, errElsewhere):
				count("elsewhere")
			default:
				count("failed")
			}
			return e, err
		}
	}
	e, err := r.alone(ctx)
	if err != nil {
		count("failed")
	} else {
		count("loaded")
	}
	return e, err
}

// detached is a context that outlives the caller's but not the Cache.
func (c *Cache) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(c.life, cancel)
	return ctx, func() { stop(); cancel() }
}
