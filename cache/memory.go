package cache

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// store holds the entries of level one and decides what leaves when it is full. It is
// safe for concurrent use and has no goroutines.
type store interface {
	load(at place) (*entry, bool)
	save(at place, e *entry)
	remove(at place)
	removeIf(match func(at place, e *entry) bool)
	size() int
}

// stripes divide the keys, so that writes of different keys seldom meet.
const stripes = 256

// memory is level one: a store that cannot take back what was invalidated meanwhile.
//
// Whoever is going to fetch a value notes the generation of its key first, and may
// keep what it got only while the generation is the same. An invalidation raises the
// generation and removes the entry under the lock that keeping takes, so that nothing
// that was read before it is kept after it. Reads of entries take no such lock.
type memory struct {
	store   store
	count   *tally
	seed    maphash.Seed
	stripes [stripes]stripe
}

type stripe struct {
	mu         sync.Mutex
	generation atomic.Uint64 // written under mu
	_          [48]byte      // a cache line each
}

func newMemory(o Options, count *tally) (*memory, error) {
	m := &memory{count: count, seed: maphash.MakeSeed()}
	var err error
	switch o.Policy {
	case LRU:
		m.store, err = newLRU(o.MaxEntries, count)
	case TTL:
		m.store = newByExpiry(o.MaxEntries, count)
	default:
		m.store, err = newTinyLFU(o.MaxEntries, o.Log, count)
	}
	return m, err
}

func (m *memory) stripe(at place) *stripe {
	return &m.stripes[maphash.String(m.seed, at.key)%stripes]
}

func (m *memory) generation(at place) uint64 { return m.stripe(at).generation.Load() }

// keep saves the entry if nothing was invalidated since generation was noted.
func (m *memory) keep(at place, e *entry, generation uint64) bool {
	s := m.stripe(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation.Load() != generation {
		return false
	}
	m.save(at, e)
	return true
}

// replace keeps an entry that is newer than all that is being fetched, unless
// something was invalidated since generation was noted; then there is none.
func (m *memory) replace(at place, e *entry, generation uint64) {
	s := m.stripe(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.generation.Add(1) != generation+1 {
		m.store.remove(at)
		return
	}
	m.save(at, e)
}

func (m *memory) save(at place, e *entry) {
	m.count.bytes.Add(int64(e.bytes))
	m.store.save(at, e)
}

// drop invalidates one key.
func (m *memory) drop(at place) {
	s := m.stripe(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation.Add(1)
	m.store.remove(at)
}

// dropIf invalidates the entries that match, and whatever is being fetched: nobody can
// know yet whether that matches.
func (m *memory) dropIf(match func(at place, e *entry) bool) {
	for i := range m.stripes {
		s := &m.stripes[i]
		s.mu.Lock()
		s.generation.Add(1)
		s.mu.Unlock()
	}
	m.store.removeIf(match)
}
