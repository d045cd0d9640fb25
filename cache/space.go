package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	maxTags     = 8
	warmWorkers = 4
)

// Space is one kind of value in a [Cache]. Values are encoded as JSON, []byte as it is.
// Its methods are safe for concurrent use; the values they return are shared and must
// not be changed.
type Space[T any] struct{ s *space }

// space is a Space without its type.
type space struct {
	cache    *Cache
	number   uint32 // in places
	o        SpaceOptions
	encoding encoding
}

// NewSpace adds a space to c. Options that cannot be, or a name that c has already,
// are a mistake in the wiring, and it panics.
func NewSpace[T any](c *Cache, o SpaceOptions) *Space[T] {
	o, err := o.filled(c.o)
	if err != nil {
		panic(fmt.Sprintf("cache: space %q: %v", o.Name, err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, taken := c.spaces[o.Name]; taken {
		panic(fmt.Sprintf("cache: space %q is there already", o.Name))
	}
	s := &space{cache: c, number: uint32(len(c.spaces)), o: o, encoding: encodingOf[T]()}
	c.spaces[o.Name] = s
	return &Space[T]{s: s}
}

// Fetch returns the value of key: from memory, from Redis, or by load, which is called
// once for all who ask at the same time, with a context that lives as long as it does
// and not as long as the caller's. Its error is load's own, a *[LoadTimeoutError], a
// *[PanicError], [ErrBusy], or ctx's; a remembered absence is the space's NotFound.
func (f *Space[T]) Fetch(ctx context.Context, key string, load func(context.Context) (T, error)) (T, error) {
	e, fresh := f.s.recall(key)
	if !fresh {
		untyped := func(ctx context.Context) (any, error) { return load(ctx) }
		var err error
		if e, err = f.s.fetch(ctx, key, e, untyped); err != nil {
			var none T
			return none, err
		}
	}
	return open[T](f.s, e)
}

// Lookup returns the value of key if the cache holds one. The source is not asked.
func (f *Space[T]) Lookup(ctx context.Context, key string) (T, bool) {
	e, _ := f.s.recall(key)
	if e == nil {
		e = f.s.lookup(ctx, key)
	}
	if e == nil || e.negative {
		var none T
		return none, false
	}
	return e.value.(T), true
}

// Put keeps a value that is newer than whatever is being loaded, here and elsewhere.
// A value that cannot be kept, too large for one, takes the old one away all the same.
// The error is ErrUnshared, or of the encoding.
func (f *Space[T]) Put(ctx context.Context, key string, value T) error {
	return f.s.put(ctx, key, value)
}

// Invalidate makes all that is held of key a miss, on all instances. nil: it is in
// force for Redis and for this instance, and on its way to the memory of the others.
// [ErrUnshared]: it is in force on this instance, and repeated until Redis is told.
func (f *Space[T]) Invalidate(ctx context.Context, key string) error {
	return f.s.invalidate(ctx, order{space: f.s.o.Name, kind: oneKey, text: key})
}

// InvalidateTag is Invalidate for all keys that have the tag, at the price of one.
func (f *Space[T]) InvalidateTag(ctx context.Context, tag string) error {
	return f.s.invalidate(ctx, order{space: f.s.o.Name, kind: oneTag, text: tag})
}

// InvalidatePattern is Invalidate for all keys that match: '*' is any run of bytes,
// '?' one byte, '\' takes the next one as it is. It walks through the keys of Redis and
// may take as long as ctx lets it, half a minute at most.
func (f *Space[T]) InvalidatePattern(ctx context.Context, pattern string) error {
	return f.s.invalidate(ctx, order{space: f.s.o.Name, kind: wildcard, text: pattern})
}

// Warm fetches keys before anybody asks for them, four at a time. What cannot be
// loaded is in the error; the rest is warm.
func (f *Space[T]) Warm(ctx context.Context, keys []string, load func(ctx context.Context, key string) (T, error)) error {
	var (
		mu    sync.Mutex
		errs  []error
		queue = make(chan string)
		done  sync.WaitGroup
	)
	for range warmWorkers {
		done.Go(func() {
			for key := range queue {
				_, err := f.Fetch(ctx, key, func(ctx context.Context) (T, error) { return load(ctx, key) })
				if err != nil && !errors.Is(err, f.s.o.NotFound) {
					mu.Lock()
					errs = append(errs, fmt.Errorf("cache: warm %s %q: %w", f.s.o.Name, key, err))
					mu.Unlock()
				}
			}
		})
	}
	for _, key := range keys {
		queue <- key
	}
	close(queue)
	done.Wait()
	return errors.Join(errs...)
}

// open takes the value out of an entry.
func open[T any](s *space, e *entry) (T, error) {
	if e.negative {
		var none T
		return none, s.o.NotFound
	}
	return e.value.(T), nil
}

func (s *space) at(key string) place { return place{space: s.number, key: key} }

// recall looks into level one. An entry that is not fresh may be served, but is to be
// loaded anew; nil: there is none.
func (s *space) recall(key string) (e *entry, fresh bool) {
	e, found := s.cache.memory.store.load(s.at(key))
	if !found {
		return nil, false
	}
	now := s.cache.now()
	if now >= e.leaves {
		return nil, false
	}
	m := &s.cache.metrics.l1
	switch {
	case e.negative:
		m.negative.Inc()
	case now >= e.expires:
		m.stale.Inc()
	default:
		m.hit.Inc()
	}
	return e, !e.due(now, s.o.Beta)
}

// tags are the names that a key is invalidated by.
func (s *space) tags(key string) []string {
	if s.o.Tags == nil {
		return nil
	}
	tags := s.o.Tags(key)
	return tags[:min(len(tags), maxTags)]
}

// life is how long an entry is kept in Redis.
func (s *space) life(negative bool) time.Duration {
	if negative {
		return s.o.Negative
	}
	return s.o.TTL + s.o.Grace
}
