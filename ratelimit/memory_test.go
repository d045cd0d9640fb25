package ratelimit

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Memory decides limits in this process alone. It is what [Redis] is held to: the same
// questions on the same clock get the same answers. It keeps what it counts until
// Sweep finds that it counts no more.
type Memory struct {
	now func() time.Time

	mu       sync.Mutex
	windows  map[string]*window
	buckets  map[string]*bucket
	places   map[string]places
	finished map[string]int64 // by a ticket's mark: until when, in µs
}

// NewMemory decides on the clock now.
func NewMemory(now func() time.Time) *Memory {
	return &Memory{
		now:      now,
		windows:  map[string]*window{},
		buckets:  map[string]*bucket{},
		places:   map[string]places{},
		finished: map[string]int64{},
	}
}

// opinion is what one limit says to a call, in units and µs.
type opinion struct {
	allowed bool
	used    int64 // of a coarse window, before the call
	left    int64 // before the call
	reset   int64 // allowed: until nothing counts any more; denied: until the cost passes
	at      int64 // the moment that the cost is dated to
	take    func()
}

// Take is [Redis.Take].
func (m *Memory) Take(_ context.Context, id string, life time.Duration, limits []Limit) (Decision, Ticket, error) {
	if len(limits) == 0 {
		return Decision{Allowed: true}, Ticket{}, nil
	}
	if err := checkCall(id, life, limits); err != nil {
		return Decision{}, Ticket{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now().UnixMicro()
	opinions := make([]opinion, len(limits))
	d := Decision{Allowed: true, Results: make([]Result, len(limits))}
	for i := range limits {
		o := m.opinion(&limits[i], now, id, life)
		if !o.allowed && (d.Allowed || o.reset > opinions[d.Denied].reset) {
			d.Allowed, d.Denied = false, i // of several the longest wait, of equals the first
		}
		opinions[i] = o
	}
	for i, o := range opinions {
		r := Result{Limit: limits[i], Remaining: o.left, Reset: micros(o.reset), At: o.at}
		if d.Allowed {
			r.Remaining = max(0, o.left-limits[i].Cost)
			if limits[i].Cost > 0 {
				o.take()
			}
		}
		d.Results[i] = r
	}
	return d, d.Ticket(id), nil
}

// opinion asks one limit.
func (m *Memory) opinion(l *Limit, now int64, id string, life time.Duration) opinion {
	switch l.Kind {
	case Window:
		w := m.windows[l.Key]
		if w == nil {
			w = &window{}
			m.windows[l.Key] = w
		}
		return w.ask(l, now)
	case Bucket:
		b := m.buckets[l.Key]
		if b == nil {
			b = &bucket{}
			m.buckets[l.Key] = b
		}
		return b.ask(l, now)
	}
	p := m.places[l.Key]
	if p == nil {
		p = places{}
		m.places[l.Key] = p
	}
	return p.ask(l, now, id, life)
}

// Finish is [Redis.Finish].
func (m *Memory) Finish(_ context.Context, t Ticket, used Used) error {
	return m.settle(t, used.of)
}

// GiveBack is [Redis.GiveBack].
func (m *Memory) GiveBack(_ context.Context, t Ticket) error {
	return m.settle(t, nothing)
}

func (m *Memory) settle(t Ticket, used func(*Result) int64) error {
	entries := t.differing(used)
	if len(entries) == 0 {
		return nil
	}
	if t.ID == "" {
		return errNoID
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now().UnixMicro()
	var longest time.Duration
	counted := false
	for _, e := range entries {
		if e.Kind == Concurrency {
			delete(m.places[e.Key], t.ID)
			continue
		}
		counted, longest = true, max(longest, e.Span)
	}
	if !counted || m.finished[t.mark()] > now {
		return nil
	}
	m.finished[t.mark()] = now + longest.Microseconds() + time.Minute.Microseconds()
	for _, e := range entries {
		switch e.Kind {
		case Window:
			w := m.windows[e.Key]
			if w == nil {
				w = &window{}
				m.windows[e.Key] = w
			}
			w.trueUp(&e.Limit, now, e.At, e.used)
		case Bucket:
			b := m.buckets[e.Key]
			if b == nil {
				b = &bucket{}
				m.buckets[e.Key] = b
			}
			b.trueUp(&e.Limit, now, e.At, e.used)
		}
	}
	return nil
}

// Renew is [Redis.Renew].
func (m *Memory) Renew(_ context.Context, tickets []Ticket, life time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now().UnixMicro()
	for _, t := range tickets {
		for i := range t.Taken {
			r := &t.Taken[i]
			if p := m.places[r.Key]; r.Kind == Concurrency && r.Cost > 0 && p[t.ID] > now {
				p.hold(t.ID, now+life.Milliseconds()*1000)
			}
		}
	}
	return nil
}

// Sweep forgets what counts nothing any more.
func (m *Memory) Sweep() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now().UnixMicro()
	maps.DeleteFunc(m.windows, func(_ string, w *window) bool { return w.idle(now) })
	maps.DeleteFunc(m.buckets, func(_ string, b *bucket) bool { return b.full < now })
	maps.DeleteFunc(m.places, func(_ string, p places) bool { return p.held(now) == 0 })
	maps.DeleteFunc(m.finished, func(_ string, until int64) bool { return until <= now })
}
