package route

import (
	"fmt"
	"math/bits"
	"time"
)

// MostMembers is how many deployments a model may have.
const MostMembers = 64

// Routing is how a model's deployments are chosen among: by chance and weight, unless
// it says otherwise.
type Routing struct {
	// Sticky keeps a conversation with one deployment, whose provider may have its
	// beginning in a cache, and spreads conversations by weight.
	Sticky bool
	// LeastLatency sends most requests to where answers begin soonest, and a few
	// elsewhere to find out whether that has changed. A sticky conversation is not moved
	// by it.
	LeastLatency bool
}

// Member is a deployment of a model.
type Member struct {
	Name        string
	Weight      int // at least 1
	Concurrency int // calls at a time that the catalogue allows; 0: 256 at first
}

// Model chooses among a model's deployments.
type Model struct {
	router  *Router
	routing Routing
	members []member
	all     Set
}

type member struct {
	*Deployment
	weight uint64
}

// Model makes a model's deployments known, 1 to [MostMembers] of them. It is for the
// time before the first Pick.
func (r *Router) Model(routing Routing, members []Member) (*Model, error) {
	if len(members) == 0 || len(members) > MostMembers {
		return nil, fmt.Errorf("route: a model has 1 to %d deployments, not %d", MostMembers, len(members))
	}
	m := &Model{router: r, routing: routing, all: ^Set(0) >> (MostMembers - len(members))}
	for _, one := range members {
		d := r.deployment(one)
		d.timed = d.timed || routing.LeastLatency
		m.members = append(m.members, member{d, uint64(max(1, one.Weight))})
	}
	return m, nil
}

// All of the model's deployments.
func (m *Model) All() Set { return m.all }

// Set is a set of a model's deployments, by their places in its list.
type Set uint64

// With is the set with one more.
func (s Set) With(index int) Set { return s | 1<<index }

// Has says whether one is in the set.
func (s Set) Has(index int) bool { return s&(1<<index) != 0 }

// Query is what a request asks of its model.
type Query struct {
	Now    time.Time
	Key    uint64 // of the conversation; 0: none
	Stream bool   // the answer is streamed
	Never  Set    // cannot take the request
	Tried  Set    // have been tried: only where nothing else is available
}

// Attempt is one call of a deployment under way. It must be ended, once.
type Attempt struct {
	deployment *Deployment
	index      int
	stream     bool
	ended      bool
	round      uint32
	permit     permit
	began      time.Duration
}

// Index of the deployment among the model's.
func (a *Attempt) Index() int { return a.index }

// NoneError says that no deployment is available, and why: how many of those that could
// take the request are shut off by their breakers, want to be left alone, or are full.
type NoneError struct {
	Broken, Waiting, Full int
	RetryAfter            time.Duration // until the first of those shut off or waiting may be asked; 0: not known
}

func (e *NoneError) Error() string {
	return fmt.Sprintf("route: no deployment is available: %d shut off by their breakers, %d rate limited, %d full", e.Broken, e.Waiting, e.Full)
}

// Pick chooses an available deployment and begins an attempt at it. [*NoneError].
func (m *Model) Pick(q Query) (Attempt, error) {
	now := q.Now.Sub(m.router.began)
	able := m.all &^ q.Never
	for _, pool := range [...]Set{able &^ q.Tried, able & q.Tried} {
		open := m.open(pool, now)
		for open != 0 {
			i := m.choose(open, &q)
			d := m.members[i].Deployment
			if p, round, entered := d.enter(now); entered {
				return Attempt{deployment: d, index: i, stream: q.Stream, round: round, permit: p, began: now}, nil
			}
			open &^= 1 << i // taken by another call since
		}
	}
	return Attempt{}, m.none(able, now)
}

// open are those of a set that are available.
func (m *Model) open(s Set, now time.Duration) (open Set) {
	for left := uint64(s); left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		if why, _ := m.members[i].look(now); why == available {
			open = open.With(i)
		}
	}
	return open
}

func (m *Model) none(able Set, now time.Duration) error {
	e := &NoneError{}
	for left := uint64(able); left != 0; left &= left - 1 {
		why, rest := m.members[bits.TrailingZeros64(left)].look(now)
		switch why {
		case broken:
			e.Broken++
		case waiting:
			e.Waiting++
		default: // or it has become available in this moment
			e.Full++
			continue
		}
		if rest > 0 && (e.RetryAfter == 0 || rest < e.RetryAfter) {
			e.RetryAfter = rest
		}
	}
	return e
}

// Began tells that the first byte of the answer has come.
func (a *Attempt) Began(now time.Time) {
	d := a.deployment
	at := now.Sub(d.router.began)
	if d.timed {
		d.latency[kind(a.stream)].add(at - a.began)
	}
	d.breaker.began(&a.permit, at)
}

// End gives the attempt's place back and tells how it ended. wait is how long the
// provider wants to be left alone, 0 where it has not said. Only the first End counts.
func (a *Attempt) End(now time.Time, o Outcome, wait time.Duration) {
	if a.ended || a.deployment == nil {
		return
	}
	a.ended = true
	d := a.deployment
	at := now.Sub(d.router.began)
	if d.timed && o == Timeout { // so that who falls silent does not seem quick
		d.latency[kind(a.stream)].add(at - a.began)
	}
	if wait > 0 {
		d.leaveAlone(at + wait)
	}
	d.breaker.leave(&a.permit, o.verdict(), at)
	d.last.Store(int64(at))
	d.counts[o].Inc()
	d.calls.leave(o, a.round)
}

func kind(stream bool) int {
	if stream {
		return 1
	}
	return 0
}
