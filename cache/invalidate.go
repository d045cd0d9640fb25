package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	scanBatch    = 256
	scanPatience = 30 * time.Second
)

// invalidate carries out an order here and in Redis, and sends it to the others. It
// takes the values out of memory before, so that what is under way is not kept, and
// after, since one may have come from Redis meanwhile.
func (s *space) invalidate(ctx context.Context, o order) error {
	c := s.cache
	o.text = strings.Clone(o.text)
	c.metrics.invalidations.WithLabelValues(string(o.kind)).Inc()
	c.obey(s, o)
	if c.level2 == nil || o.kind != wildcard && len(o.text) > maxKeyBytes {
		return nil
	}
	err := c.tell(ctx, s, o)
	if err != nil {
		c.metrics.invalidations.WithLabelValues("put off").Inc()
		c.backlog.add(o)
		err = fmt.Errorf("%w: %w", ErrUnshared, err)
	}
	c.obey(s, o)
	return err
}

// obey carries out an order in level one.
func (c *Cache) obey(s *space, o order) {
	switch o.kind {
	case oneKey:
		c.memory.drop(s.at(o.text))
	case oneTag:
		c.memory.dropIf(func(at place, _ *entry) bool {
			return at.space == s.number && slices.Contains(s.tags(at.key), o.text)
		})
	case wildcard:
		p := compile(o.text)
		c.memory.dropIf(func(at place, _ *entry) bool { return at.space == s.number && p.match(at.key) })
	}
}

// tell carries out an order in Redis and publishes it.
func (c *Cache) tell(ctx context.Context, s *space, o order) error {
	l, note := c.level2, message{from: c.id, order: o}.String()
	b := budget{left: c.o.RedisPatience}
	switch o.kind {
	case oneKey:
		name := valueKey(o.space, o.text)
		return l.call(ctx, &b, func(ctx context.Context) error {
			return l.scripts.invalidate.Run(ctx, l.redis, []string{name, name + stateSuffix},
				l.state.Milliseconds(), channel, note).Err()
		})
	case oneTag:
		// As long as a value that was loaded before can live in Redis, its tag's version
		// must be remembered.
		life := max(s.o.TTL+s.o.Grace, s.o.Negative) + l.state
		return l.call(ctx, &b, func(ctx context.Context) error {
			return l.scripts.tag.Run(ctx, l.redis, []string{tagKey(o.space, o.text)}, life.Milliseconds(), channel, note).Err()
		})
	case wildcard:
		if l.outage.passed() {
			return errAway
		}
		ctx, cancel := context.WithTimeout(ctx, scanPatience)
		defer cancel()
		if err := l.sweep(ctx, s, compile(o.text)); err != nil {
			l.outage.heard(err)
			return err
		}
		return l.redis.Publish(ctx, channel, note).Err()
	}
	return errors.New("cache: unknown order")
}

// sweep invalidates all keys of a space that match, on each master. A load that is
// under way has a state in Redis, and so is found, too.
func (l *level2) sweep(ctx context.Context, s *space, p pattern) error {
	if cluster, is := l.redis.(*redis.ClusterClient); is {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			return l.sweepNode(ctx, master, s, p)
		})
	}
	return l.sweepNode(ctx, l.redis, s, p)
}

func (l *level2) sweepNode(ctx context.Context, node redis.Cmdable, s *space, p pattern) error {
	match := p.scan(s.o.Name)
	for cursor := uint64(0); ; {
		names, next, err := node.Scan(ctx, cursor, match, scanBatch).Result()
		if err != nil {
			return err
		}
		if err := l.invalidateAll(ctx, node, s, p, names); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// invalidateAll invalidates those of the found keys that match indeed.
func (l *level2) invalidateAll(ctx context.Context, node redis.Cmdable, s *space, p pattern, names []string) error {
	keys := map[string]bool{}
	for _, name := range names {
		if key, err := keyOf(s.o.Name, name); err == nil && p.match(key) {
			keys[valueKey(s.o.Name, key)] = true
		}
	}
	if len(keys) == 0 {
		return nil
	}
	_, err := node.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for name := range keys { // EVAL, since a pipeline cannot mend a NOSCRIPT in its midst
			l.scripts.invalidate.Eval(ctx, pipe, []string{name, name + stateSuffix}, l.state.Milliseconds(), "", "")
		}
		return nil
	})
	return err
}

// put writes a value that the caller knows to be the newest.
func (s *space) put(ctx context.Context, key string, value any) error {
	key = strings.Clone(key)
	c, at := s.cache, s.at(key)
	e := &entry{value: value}
	encoded, err := s.encode(e)
	if err != nil || len(key) > maxKeyBytes {
		gone := s.invalidate(ctx, order{space: s.o.Name, kind: oneKey, text: key})
		if errors.Is(err, errTooLarge) {
			err = nil
		}
		return errors.Join(err, gone)
	}
	generation := c.memory.generation(at)
	if c.level2 != nil {
		e.ticket, err = s.write(ctx, key, frame{grace: s.o.Grace, value: encoded})
		if err != nil {
			c.metrics.invalidations.WithLabelValues("put off").Inc()
			c.backlog.add(order{space: s.o.Name, kind: oneKey, text: key})
			err = fmt.Errorf("%w: %w", ErrUnshared, err)
		}
	}
	s.date(e)
	c.memory.replace(at, e, generation)
	return err
}

// write puts a frame into Redis and tells the other instances that what they hold of
// the key is old.
func (s *space) write(ctx context.Context, key string, f frame) (ticket string, err error) {
	l, b := s.cache.level2, budget{left: s.cache.o.RedisPatience}
	if len(s.tags(key)) > 0 {
		seen, err := l.look(ctx, &b, s, key)
		if err != nil {
			return "", err
		}
		f.tags = seen.tags
	}
	note := message{from: s.cache.id, order: order{space: s.o.Name, kind: oneKey, text: key}}
	return l.put(ctx, &b, s, key, s.cache.pack(s, key, f), s.life(false), note)
}

// repeat carries out what could not be told to Redis, until ctx ends.
func (c *Cache) repeat(ctx context.Context) {
	tick := time.NewTicker(outageProbe)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.catchUp(ctx)
		}
	}
}

func (c *Cache) catchUp(ctx context.Context) {
	orders, at := c.backlog.waiting()
	for _, o := range orders {
		if err := c.tell(ctx, c.space(o.space), o); err != nil {
			if !errors.Is(err, errAway) {
				c.log.Debug("invalidations wait for Redis", "waiting", len(orders), "error", err)
			}
			return
		}
		c.backlog.done(o, at[o])
	}
}
