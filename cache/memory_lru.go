package cache

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// lru is hashicorp's simplelru under a lock. (Its expirable cache starts a goroutine
// that nothing ends, and otter has no such policy.)
type lru struct {
	mu    sync.Mutex
	most  int
	list  *simplelru.LRU[place, *entry]
	count *tally
}

func newLRU(most int, count *tally) (*lru, error) {
	list, err := simplelru.NewLRU[place, *entry](most, nil)
	if err != nil {
		return nil, err
	}
	return &lru{most: most, list: list, count: count}, nil
}

func (s *lru) load(at place) (*entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list.Get(at)
}

func (s *lru) save(at place, e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(at)
	if s.list.Len() >= s.most {
		if _, oldest, found := s.list.RemoveOldest(); found {
			s.count.removed(oldest, true)
		}
	}
	s.list.Add(at, e)
}

func (s *lru) remove(at place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(at)
}

func (s *lru) drop(at place) {
	if old, found := s.list.Peek(at); found {
		s.list.Remove(at)
		s.count.removed(old, false)
	}
}

func (s *lru) removeIf(match func(at place, e *entry) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.list.Keys() {
		if e, found := s.list.Peek(at); found && match(at, e) {
			s.drop(at)
		}
	}
}

func (s *lru) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list.Len()
}
