package ratelimit

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	denialShards   = 64
	denialsInShard = 1 << 10 // 65,536 in all
	denialLook     = time.Second
)

// Denials remembers, in this instance's memory, which limits have denied what, until
// the moment they said they would let it through. It holds 65,536 limits at most; the
// one that was entered first makes room.
//
// Once a second it lets one request of a denied limit through to Redis, so that a limit
// that was raised, or given something back, is in force within a second.
type Denials struct {
	now    func() time.Time
	seed   maphash.Seed
	shards [denialShards]denialShard
}

type denialShard struct {
	count atomic.Int32 // of live; read without mu
	mu    sync.Mutex
	live  map[string]int32 // by the limit's key: its place in ring
	ring  []denial         // grows to denialsInShard, then its oldest is replaced
	next  int32            // place of the oldest once the ring is full
}

// denial says that cost and anything above it is denied until then.
type denial struct {
	key   string // "" in a place whose denial was forgotten
	cost  int64
	until time.Time
	look  time.Time // when a request is to ask Redis again
}

// NewDenials remembers by the clock now, whose monotonic reading decides.
func NewDenials(now func() time.Time) *Denials {
	d := &Denials{now: now, seed: maphash.MakeSeed()}
	for i := range d.shards {
		d.shards[i].live = map[string]int32{}
	}
	return d
}

func (d *Denials) shard(key string) *denialShard {
	return &d.shards[maphash.String(d.seed, key)%denialShards]
}

// Denied says whether the limit at key is known to deny cost, and for how long still.
// A denial of a smaller cost denies this one too; its time is then the least there is
// to wait.
func (d *Denials) Denied(key string, cost int64) (wait time.Duration, denied bool) {
	s := d.shard(key)
	if s.count.Load() == 0 {
		return 0, false
	}
	now := d.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	place, known := s.live[key]
	if !known {
		return 0, false
	}
	entry := &s.ring[place]
	wait = entry.until.Sub(now)
	if wait <= 0 {
		s.drop(place)
		return 0, false
	}
	if cost < entry.cost {
		return 0, false
	}
	if !now.Before(entry.look) {
		entry.look = now.Add(denialLook)
		return 0, false
	}
	return wait, true
}

// Remember notes that the limit at key has just denied cost and will not let it through
// before wait has passed.
func (d *Denials) Remember(key string, cost int64, wait time.Duration) {
	if wait <= 0 {
		return
	}
	now := d.now()
	fresh := denial{key: key, cost: cost, until: now.Add(wait), look: now.Add(denialLook)}
	s := d.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	place, known := s.live[key]
	if known {
		if entry := &s.ring[place]; cost <= entry.cost || !now.Before(entry.until) {
			*entry = fresh
		}
		return
	}
	if len(s.ring) < denialsInShard {
		place = int32(len(s.ring))
		s.ring = append(s.ring, fresh)
	} else {
		place = s.next
		s.next = (s.next + 1) % denialsInShard
		if s.ring[place].key != "" {
			s.drop(place)
		}
		s.ring[place] = fresh
	}
	s.live[key] = place
	s.count.Store(int32(len(s.live)))
}

// Forget drops what is remembered of the limit at key: it has just let something
// through.
func (d *Denials) Forget(key string) {
	s := d.shard(key)
	if s.count.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if place, known := s.live[key]; known {
		s.drop(place)
	}
}

func (s *denialShard) drop(place int32) {
	delete(s.live, s.ring[place].key)
	s.ring[place] = denial{}
	s.count.Store(int32(len(s.live)))
}
