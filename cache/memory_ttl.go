package cache

import (
	"container/heap"
	"sync"
)

// byExpiry is the pure TTL policy: nothing but time ages an entry, and a full store
// gives up the entry that would leave next anyway.
type byExpiry struct {
	mu    sync.RWMutex
	most  int
	items map[place]*timed
	order expiries
	count *tally
}

// timed is an entry with its index in the heap.
type timed struct {
	at    place
	entry *entry
	index int
}

func newByExpiry(most int, count *tally) *byExpiry {
	return &byExpiry{most: most, items: map[place]*timed{}, count: count}
}

func (s *byExpiry) load(at place) (*entry, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t, found := s.items[at]; found {
		return t.entry, true
	}
	return nil, false
}

func (s *byExpiry) save(at place, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.items[at], false)
	if len(s.items) >= s.most {
		s.drop(s.order[0], true)
	}
	t := &timed{at: at, entry: e}
	s.items[at] = t
	heap.Push(&s.order, t)
}

func (s *byExpiry) remove(at place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(s.items[at], false)
}

func (s *byExpiry) removeIf(match func(at place, e *entry) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, t := range s.items {
		if match(at, t.entry) {
			s.drop(t, false)
		}
	}
}

func (s *byExpiry) size() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.items)
}

func (s *byExpiry) drop(t *timed, evicted bool) {
	if t == nil {
		return
	}
	heap.Remove(&s.order, t.index)
	delete(s.items, t.at)
	s.count.removed(t.entry, evicted)
}

// expiries is a heap of entries, the next to leave first.
type expiries []*timed

func (h expiries) Len() int           { return len(h) }
func (h expiries) Less(i, j int) bool { return h[i].entry.leaves < h[j].entry.leaves }

func (h expiries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push appends a *timed, as container/heap wants it.
func (h *expiries) Push(x any) {
	t := x.(*timed)
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop removes the last one.
func (h *expiries) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}
