package gateway

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

const (
	strangersMost = 64 << 10         // addresses that are refused at once; the oldest half is forgotten first
	friendsMost   = 64 << 10         // keys known to be good; likewise
	friendFor     = 10 * time.Minute // a good key is known for so long at least, if there are no more
	countIn       = 250 * time.Millisecond
)

// failureLimit limits how many failed authentications an address may cause.
type failureLimit interface {
	// Take counts one more failure. [*ratelimit.ExceededError].
	Take(ctx context.Context, address netip.Addr) error
}

// strangers keeps those out who try keys. Only failures count. An address that caused too
// many is told to wait, without anybody being asked, unless it comes with a key that was
// good here lately: whoever shares the address goes on.
type strangers struct {
	limit   failureLimit // nil: failures are not limited
	now     func() time.Time
	refused *recent[netip.Addr, refusedFor]
	friends *recent[string, struct{}] // by a key's locator
}

// refusedFor is why an address is refused, and until when.
type refusedFor struct {
	until time.Time
	err   ratelimit.ExceededError
}

func newStrangers(limit failureLimit, now func() time.Time) *strangers {
	return &strangers{
		limit: limit, now: now,
		refused: newRecent[netip.Addr, refusedFor](strangersMost, 0, now),
		friends: newRecent[string, struct{}](friendsMost, friendFor, now),
	}
}

// admit says whether a call with that key may be looked at. [*ratelimit.ExceededError].
func (s *strangers) admit(from netip.Addr, locator string) error {
	if s.limit == nil {
		return nil
	}
	known, is := s.refused.get(from)
	if !is {
		return nil
	}
	wait := known.until.Sub(s.now())
	if wait <= 0 {
		return nil
	}
	if _, friend := s.friends.get(locator); friend {
		return nil
	}
	err := known.err
	err.RetryAfter = wait
	return &err
}

// welcome notes that a key is good.
func (s *strangers) welcome(locator string) {
	if s.limit != nil {
		s.friends.keep(locator)
	}
}

// failed counts a failed authentication, with a key if it had the form of one. It returns
// what the caller is told: the fault, or that there were too many of them.
func (s *strangers) failed(ctx context.Context, from netip.Addr, locator string, fault error) error {
	if s.limit == nil {
		return fault
	}
	s.friends.drop(locator)
	if err := s.admit(from, locator); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, countIn)
	defer cancel()
	var exceeded *ratelimit.ExceededError
	if !errors.As(s.limit.Take(ctx, from), &exceeded) {
		return fault // counted, or nobody can count at present
	}
	s.refused.put(from, refusedFor{until: s.now().Add(exceeded.RetryAfter), err: *exceeded})
	return exceeded
}

// recent is a bounded map of what was put lately. It has two halves: a full or old one
// takes the place of the other, which is forgotten.
type recent[K comparable, V any] struct {
	most int           // entries of a half
	life time.Duration // of a half; 0: until it is full
	now  func() time.Time

	mu       sync.RWMutex
	young    map[K]V
	old      map[K]V
	youngest time.Time // when young was begun
}

func newRecent[K comparable, V any](most int, life time.Duration, now func() time.Time) *recent[K, V] {
	return &recent[K, V]{most: most / 2, life: life, now: now, young: map[K]V{}, youngest: now()}
}

func (r *recent[K, V]) get(key K) (value V, is bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if value, is = r.young[key]; !is {
		value, is = r.old[key]
	}
	return value, is
}

func (r *recent[K, V]) put(key K, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.young) >= r.most || r.aged() {
		r.old, r.young, r.youngest = r.young, map[K]V{}, r.now()
	}
	r.young[key] = value
}

// keep is put for a key that most often is there already.
func (r *recent[K, V]) keep(key K) {
	r.mu.RLock()
	_, is := r.young[key]
	is = is && !r.aged()
	r.mu.RUnlock()
	if !is {
		var none V
		r.put(key, none)
	}
}

func (r *recent[K, V]) aged() bool { return r.life > 0 && r.now().Sub(r.youngest) >= r.life }

func (r *recent[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, key)
	delete(r.old, key)
}
