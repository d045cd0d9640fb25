package cache

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// backlog holds the invalidations that Redis could not be told of. Until it is, what
// they are about is not read from level two by this instance.
type backlog struct {
	mu      sync.Mutex
	most    int
	last    uint64
	pending map[order]uint64 // when each was added last, by count
	wide    map[string]int   // pending orders of a space that are not about one key
	size    atomic.Int64
}

func newBacklog(most int) *backlog {
	return &backlog{most: most, pending: map[order]uint64{}, wide: map[string]int{}}
}

// add remembers an order. When there are too many, all of its space become one that is
// about everything in it: at most one more per space is ever held.
func (b *backlog) add(o order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := order{space: o.space, kind: wildcard, text: "*"}
	if _, known := b.pending[o]; !known && len(b.pending) >= b.most {
		for other := range b.pending {
			if other.space == o.space {
				b.remove(other)
			}
		}
		o = all
	}
	b.last++
	if _, known := b.pending[o]; !known && o.kind != oneKey {
		b.wide[o.space]++
	}
	b.pending[o] = b.last
	b.size.Store(int64(len(b.pending)))
}

func (b *backlog) remove(o order) {
	delete(b.pending, o)
	if o.kind != oneKey {
		b.wide[o.space]--
	}
	b.size.Store(int64(len(b.pending)))
}

// done forgets an order, unless it was added again after at.
func (b *backlog) done(o order, at uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending[o] == at {
		b.remove(o)
	}
}

// holds says whether level two may hold what was invalidated of this key.
func (b *backlog) holds(space, key string) bool {
	if b.size.Load() == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, pending := b.pending[order{space: space, kind: oneKey, text: key}]
	return pending || b.wide[space] > 0
}

// waiting returns the orders, the oldest first, with when they were added.
func (b *backlog) waiting() (orders []order, at map[order]uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at = maps.Clone(b.pending)
	return slices.SortedFunc(maps.Keys(at), func(x, y order) int { return int(at[x]) - int(at[y]) }), at
}
