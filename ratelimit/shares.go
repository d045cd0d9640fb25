package ratelimit

import (
	"math"
	"sync"
	"time"
)

const (
	sharesMost = 64 << 10 // limits that are kept
	evictLooks = 32       // limits that are looked at to make room for another
	sweepLooks = 4 << 10  // limits that one sweep looks at

	never = math.MaxInt64
)

// shares is what this instance has let through, limit by limit. It is bounded: to make
// room it forgets what counts no longer, else the limit that stops counting first. What
// it has forgotten too early it makes good by letting nothing through alone, of limits
// of that name that it does not know, until then.
type shares struct {
	now       func() time.Time
	begun     time.Time
	most      int
	instances func() int

	mu      sync.Mutex
	live    map[string]*share
	owing   map[string]struct{} // keys of live that may owe
	forgot  map[string]int64    // by a limit's label: until when
	numbers uint64              // of the newest arrear of all; never begun anew, for Redis remembers longer than a share lives
	turns   uint64              // of those who asked
}

// debt is what Redis has yet to be told of one limit.
type debt struct {
	limit   Limit
	arrears []arrear
	places  map[string]time.Duration // by id: how long it lasts still
	now     int64
}

func newShares(now func() time.Time, most int, instances func() int) *shares {
	return &shares{
		now: now, begun: now(), most: most, instances: instances,
		live: map[string]*share{}, owing: map[string]struct{}{}, forgot: map[string]int64{},
	}
}

func (s *shares) clock() int64 { return int64(s.now().Sub(s.begun)) }

// send notes that Redis is about to be asked for the limits, and returns what it must be
// told first. Each send is followed by one answer.
func (s *shares) send(limits []Limit) (debts []debt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	s.turns++
	for i := range limits {
		l := &limits[i]
		if l.Cost == 0 {
			continue
		}
		sh := s.visit(l, now)
		if d, owes := s.debt(sh, now); owes {
			debts = append(debts, d)
		}
		sh.flying += l.Cost
	}
	return debts
}

// answer notes what Redis said: that it let the call through, or not, or nothing.
func (s *shares) answer(id string, life time.Duration, limits []Limit, allowed bool) (at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	for i := range limits {
		l := &limits[i]
		if l.Cost == 0 {
			continue
		}
		sh := s.live[l.Key] // what Redis is being asked for is never forgotten
		sh.flying -= l.Cost
		if allowed {
			sh.add(id, l.Cost, now, life)
		}
		if sh.guest && sh.flying == 0 {
			if idle := sh.idle(); idle > now {
				s.forget(&sh.limit, idle)
			}
			s.drop(sh)
		}
	}
	return now
}

// take decides without Redis, on this instance's part.
func (s *shares) take(id string, life time.Duration, limits []Limit) (d Decision, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, n := s.clock(), s.instances()
	s.turns++
	d = Decision{Allowed: true, Local: true, Results: make([]Result, len(limits))}
	asked := make([]*share, len(limits))
	for i := range limits {
		l, r := &limits[i], &d.Results[i]
		v := verdict{reset: localRetry}
		if asked[i] = s.known(l, now); asked[i] != nil {
			v = asked[i].decide(id, l.Cost, now, n)
		}
		r.Limit, r.Remaining, r.Reset, r.At = *l, v.left, v.reset, now/int64(time.Microsecond)
		if l.Cost > 0 && !v.allowed && (d.Allowed || v.reset > d.Results[d.Denied].Reset) {
			d.Allowed, d.Denied = false, i
		}
	}
	if !d.Allowed {
		return d, now
	}
	for i := range limits {
		if l := &limits[i]; l.Cost > 0 {
			asked[i].add(id, l.Cost, now, life)
			s.owe(asked[i], id, l.Cost, now)
			if d.Results[i].Remaining -= l.Cost; d.Results[i].Remaining < 0 {
				d.Results[i].Remaining = 0
			}
		}
	}
	return d, now
}

// known returns the share of a limit whose past is known here; nil where some of it may
// have been forgotten, or where there is no room to note anything.
func (s *shares) known(l *Limit, now int64) *share {
	sh := s.live[l.Key]
	if sh == nil && s.blind(l) > now || sh != nil && sh.blind > now {
		return nil
	}
	return s.share(l, now)
}

// blind is until when the past of a limit that is not kept is unknown.
func (s *shares) blind(l *Limit) int64 {
	if len(s.forgot) == 0 {
		return 0
	}
	return s.forgot[l.label()]
}

// share returns the share of a limit, new if need be; nil where there is no room.
func (s *shares) share(l *Limit, now int64) *share {
	sh := s.live[l.Key]
	switch {
	case sh == nil && len(s.live) >= s.most && !s.evict(now), sh != nil && sh.guest:
		return nil
	case sh == nil:
		sh = s.begin(l)
	}
	s.ask(sh, l, now)
	return sh
}

// visit is share for as long as Redis is being asked. Where there is no room it goes
// beyond, so what is under way counts everywhere, and the calls under way bound that.
func (s *shares) visit(l *Limit, now int64) *share {
	if sh := s.share(l, now); sh != nil {
		return sh
	}
	sh := s.live[l.Key]
	if sh == nil {
		sh = s.begin(l)
		sh.guest = true
	}
	s.ask(sh, l, now)
	return sh
}

func (s *shares) begin(l *Limit) *share {
	sh := &share{limit: *l, blind: s.blind(l)}
	s.live[l.Key] = sh
	return sh
}

// ask has a share take over the limit as the caller has it now.
func (s *shares) ask(sh *share, l *Limit, now int64) {
	sh.turn = s.turns
	if l.Kind == Bucket { // its part is drawn from by what Redis lets through, too
		sh.divide(s.instances())
	}
	sh.ask(l, now)
}

// owe has a share owe what was added to it at now.
func (s *shares) owe(sh *share, id string, units, now int64) {
	s.numbers++
	sh.owe(id, units, now, s.numbers)
	s.owing[sh.limit.Key] = struct{}{}
}

// evict makes room for one more: what counts no longer goes first; what is owed never,
// nor what the same call has just asked for.
func (s *shares) evict(now int64) bool {
	var victim *share
	soonest, looks := int64(never), 0
	for _, sh := range s.live {
		sh.prune(now)
		if idle := sh.idle(); idle < soonest && !sh.owes() && sh.turn != s.turns {
			victim, soonest = sh, idle
		}
		if looks++; looks == evictLooks || soonest <= now {
			break
		}
	}
	if victim == nil {
		return false
	}
	if soonest > now {
		s.forget(&victim.limit, soonest)
	}
	s.drop(victim)
	return true
}

func (s *shares) forget(l *Limit, until int64) {
	s.forgot[l.label()] = max(s.forgot[l.label()], until)
}

func (s *shares) drop(sh *share) {
	delete(s.live, sh.limit.Key)
	delete(s.owing, sh.limit.Key)
}

// debt collects what a share owes, and from then on keeps what is added apart from it.
func (s *shares) debt(sh *share, now int64) (d debt, owes bool) {
	if _, may := s.owing[sh.limit.Key]; !may {
		return debt{}, false
	}
	if !sh.owes() {
		delete(s.owing, sh.limit.Key)
		return debt{}, false
	}
	d = debt{limit: sh.limit, arrears: append([]arrear(nil), sh.owed...), now: now}
	if n := len(d.arrears); n > 0 {
		sh.told = d.arrears[n-1].number
	}
	for id, p := range sh.places {
		if p.owed {
			if d.places == nil {
				d.places = map[string]time.Duration{}
			}
			d.places[id] = time.Duration(p.ends - now)
		}
	}
	return d, true
}

// debts returns what some limits owe, up to most of them.
func (s *shares) debts(most int) (list []debt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	for key := range s.owing {
		sh := s.live[key]
		sh.prune(now)
		if d, owes := s.debt(sh, now); owes {
			list = append(list, d)
		}
		if len(list) == most {
			break
		}
	}
	return list
}

// paid notes that Redis knows what d tells.
func (s *shares) paid(d *debt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.live[d.limit.Key]
	if sh == nil {
		return
	}
	for n := len(d.arrears); len(sh.owed) > 0 && n > 0 && sh.owed[0].number <= d.arrears[n-1].number; {
		sh.owed = sh.owed[1:]
	}
	for id, left := range d.places {
		if p, holds := sh.places[id]; holds && p.ends <= d.now+int64(left) { // else renewed meanwhile
			p.owed = false
			sh.places[id] = p
		}
	}
	if !sh.owes() {
		delete(s.owing, d.limit.Key)
	}
}

// finish trues up a call that was noted at that moment. What it used beyond its cost is
// owed where Redis is not told.
func (s *shares) finish(t *Ticket, used func(*Result) int64, owe bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	s.turns++
	for i := range t.Taken {
		r := &t.Taken[i]
		if r.Cost == 0 {
			continue
		}
		sh := s.share(&r.Limit, now)
		if sh == nil {
			s.forget(&r.Limit, now+int64(r.Span))
			continue
		}
		units := min(max(0, used(r)), MostUnits)
		switch {
		case r.Kind == Concurrency:
			sh.undo(t.ID, 1, t.at)
		case units < r.Cost:
			sh.undo(t.ID, r.Cost-units, t.at)
			if t.local { // what Redis let through, Redis itself takes back
				sh.forgive(r.Cost-units, t.at)
			}
		case units > r.Cost:
			sh.add(t.ID, units-r.Cost, now, 0)
			if owe {
				s.owe(sh, t.ID, units-r.Cost, now)
			}
		}
	}
}

// renew lets calls hold their places for life from now.
func (s *shares) renew(tickets []Ticket, life time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	ends := now + int64(life)
	for i := range tickets {
		for j := range tickets[i].Taken {
			r := &tickets[i].Taken[j]
			sh := s.live[r.Key]
			if sh == nil || r.Kind != Concurrency {
				continue
			}
			if p, holds := sh.places[tickets[i].ID]; holds && p.ends > now {
				p.ends = max(p.ends, ends)
				sh.places[tickets[i].ID] = p
			}
		}
	}
}

// sweep forgets some of what counts no longer.
func (s *shares) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, looks := s.clock(), 0
	for _, sh := range s.live {
		if sh.prune(now); sh.idle() <= now {
			s.drop(sh)
		}
		if looks++; looks == sweepLooks {
			break
		}
	}
	for label, until := range s.forgot {
		if until <= now {
			delete(s.forgot, label)
		}
	}
}
