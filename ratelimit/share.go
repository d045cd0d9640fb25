package ratelimit

import (
	"slices"
	"time"
)

const (
	shareCells = 60  // of a span
	shareOwes  = 256 // arrears at most; then only Redis lets something through
	// localRetry is when to come back to a limit that only Redis could let through.
	localRetry = time.Second
)

// share is what this instance has let through of one limit: by way of Redis, or alone,
// in which case it is owed until Redis has been told. It is small: what a window or a
// bucket let through in one sixtieth of its span is kept as one sum, dated to the last
// of it, so that nothing stops counting too early.
//
// Times are ns since the shares began.
type share struct {
	limit  Limit // as last asked for
	flying int64 // units that Redis is being asked for: they count until it has answered
	cells  []cell
	places map[string]place
	owed   []arrear // oldest first
	told   uint64   // number of the newest arrear that was handed out, so may have reached Redis
	blind  int64    // until when what was let through before may have been forgotten
	guest  bool     // there is no room: it stays until Redis has answered, and is no base to decide on
	turn   uint64   // of who asked for it last

	parts  int   // of a bucket: by how many it is shared, as was known last; 0: not yet
	refill int64 // of a bucket: when all that is no longer in cells has flowed back
}

// cell is what was let through in one sixtieth of the span.
type cell struct {
	at    int64 // the last of it
	units int64
}

// place is a call's place under a concurrency limit.
type place struct {
	ends int64
	owed bool
}

// arrear is something let through that Redis has not confirmed to know: all of one
// sixtieth of the span, dated to the last of it. No two arrears of a share overlap.
type arrear struct {
	number   uint64
	from, at int64 // the first and the last of it
	units    int64
}

// verdict is what a share says to a cost.
type verdict struct {
	allowed bool
	left    int64 // before the cost
	reset   time.Duration
}

// ask takes over the limit as the caller has it now, and drops what counts no longer.
func (s *share) ask(l *Limit, now int64) {
	s.limit = *l
	s.prune(now)
}

// divide says by how many a bucket is shared; 0: not known.
func (s *share) divide(n int) {
	if n > 0 {
		s.parts = n
	}
}

func (s *share) width() int64 {
	return max(1, (int64(s.limit.Span)+shareCells-1)/shareCells)
}

func (s *share) prune(now int64) {
	gone := 0
	for gone < len(s.cells) && s.ends(s.cells[gone]) <= now {
		if s.limit.Kind == Bucket && s.limit.Max > 0 && s.parts > 0 {
			s.refill = s.drawn(s.refill, s.cells[gone].units, s.cells[gone].at, s.parts)
		}
		gone++
	}
	s.cells = slices.Delete(s.cells, 0, gone)
	for id, p := range s.places {
		if p.ends <= now {
			delete(s.places, id)
		}
	}
	gone = 0
	for gone < len(s.owed) && s.owed[gone].at+int64(s.limit.Span) <= now {
		gone++
	}
	s.owed = slices.Delete(s.owed, 0, gone)
}

// same says whether two moments are in one sixtieth.
func (s *share) same(a, b int64) bool { return a/s.width() == b/s.width() }

// ends is when a cell counts no longer. A bucket's part may take a little longer than
// the span to refill, because the time for one unit is rounded up.
func (s *share) ends(c cell) int64 {
	if s.limit.Kind == Bucket {
		return c.at + int64(s.limit.Span) + s.width()
	}
	return c.at + int64(s.limit.Span)
}

// idle is when everything that s knows has stopped counting; until then it must not be
// forgotten. Never is a time that does not come.
func (s *share) idle() (at int64) {
	if s.flying > 0 {
		return never
	}
	if n := len(s.cells); n > 0 {
		at = s.ends(s.cells[n-1])
	}
	at = max(at, s.refill)
	for _, p := range s.places {
		at = max(at, p.ends)
	}
	return at
}

// owes says whether Redis has yet to be told of something.
func (s *share) owes() bool {
	if len(s.owed) > 0 {
		return true
	}
	for _, p := range s.places {
		if p.owed {
			return true
		}
	}
	return false
}

// decide says whether the limit's n-th part has room for cost more by the call id.
// Without a known n there is no part.
func (s *share) decide(id string, cost, now int64, n int) verdict {
	var part int64
	if n > 0 {
		part = s.limit.Max / int64(n)
	}
	var v verdict
	switch s.limit.Kind {
	case Window:
		v = s.decideWindow(cost, now, part)
	case Bucket:
		v = s.decideBucket(cost, now, part, n)
	default:
		v = s.decidePlace(id, now, part)
	}
	if cost == 0 {
		v.allowed = true
	} else if v.allowed && s.limit.Kind != Concurrency && len(s.owed) >= shareOwes {
		v.allowed, v.reset = false, localRetry
	}
	return v
}

func (s *share) decideWindow(cost, now, part int64) verdict {
	used := s.flying
	for _, c := range s.cells {
		used += c.units
	}
	v := verdict{allowed: cost <= part && used <= part-cost, left: max(0, part-used)}
	if v.allowed {
		v.reset = s.limit.Span
		return v
	}
	v.reset = localRetry
	for _, c := range s.cells {
		used -= c.units
		if used <= part-cost {
			v.reset = time.Duration(s.ends(c) - now)
			break
		}
	}
	return v
}

// drawn is when the n-th part of the bucket, which was to be full at that moment, is full
// once units were taken from it at another. A part's refill takes the whole span, too, so
// such a moment holds good for another n.
func (s *share) drawn(full, units, at int64, n int) int64 {
	part, every := s.limit.Max/int64(n), s.every(n)
	return min(max(full, at)+min(units, part)*every, at+part*every)
}

// every is how long one unit of the n-th part takes to flow back, in ns.
func (s *share) every(n int) int64 {
	return (int64(s.limit.Span)*int64(n) + s.limit.Max - 1) / s.limit.Max
}

// decideBucket replays the cells on a bucket of part units, in the state that those which
// are gone have left it in.
func (s *share) decideBucket(cost, now, part int64, n int) verdict {
	if part == 0 {
		return verdict{reset: localRetry}
	}
	every, full := s.every(n), s.refill
	for _, c := range s.cells {
		full = s.drawn(full, c.units, c.at, n)
	}
	if s.flying > 0 {
		full = s.drawn(full, s.flying, now, n)
	}
	full = max(full, now)
	holds := part * every
	v := verdict{left: (now + holds - full) / every}
	if v.allowed = cost <= v.left; v.allowed {
		v.reset = time.Duration(full + cost*every - now)
	} else if v.reset = localRetry; cost <= part {
		v.reset = time.Duration(full + cost*every - holds - now)
	}
	return v
}

func (s *share) decidePlace(id string, now, part int64) verdict {
	held := int64(len(s.places)) + s.flying
	v := verdict{allowed: held < part, left: max(0, part-held)}
	if _, holds := s.places[id]; holds { // asked again: the place counts once
		v.allowed, v.left = true, v.left+1
	}
	if v.allowed {
		return v
	}
	v.reset = localRetry
	for _, p := range s.places {
		v.reset = min(v.reset, time.Duration(p.ends-now))
	}
	return v
}

// add notes what was let through at now; life is that of a place.
func (s *share) add(id string, units, now int64, life time.Duration) {
	if s.limit.Kind != Concurrency {
		s.count(units, now)
		return
	}
	if s.places == nil {
		s.places = map[string]place{}
	}
	p := s.places[id]
	p.ends = max(p.ends, now+int64(life))
	s.places[id] = p
}

// owe notes that Redis does not know of what was added at now. The number is greater than
// any that Redis was ever told of this limit, or Redis would take it for known.
func (s *share) owe(id string, units, now int64, number uint64) {
	if s.limit.Kind == Concurrency {
		p := s.places[id]
		p.owed = true
		s.places[id] = p
		return
	}
	if n := len(s.owed); n > 0 && s.owed[n-1].number > s.told && s.same(s.owed[n-1].at, now) {
		last := &s.owed[n-1]
		last.at, last.units = now, min(last.units+units, MostUnits)
		return
	}
	s.owed = append(s.owed, arrear{number: number, from: now, at: now, units: units})
}

// count adds units to those of this sixtieth.
func (s *share) count(units, now int64) {
	if n := len(s.cells); n > 0 && s.same(s.cells[n-1].at, now) {
		last := &s.cells[n-1]
		last.at, last.units = now, min(last.units+units, MostUnits)
		return
	}
	s.cells = append(s.cells, cell{at: now, units: min(units, MostUnits)})
}

// undo takes back units of what was added at then, as far as they still count.
func (s *share) undo(id string, units, then int64) {
	if s.limit.Kind == Concurrency {
		delete(s.places, id)
		return
	}
	for i := range s.cells {
		if c := &s.cells[i]; s.same(c.at, then) {
			c.units -= min(c.units, units)
		}
	}
}

// forgive takes units of what was let through alone at then off what is owed, unless
// Redis may have been told already.
func (s *share) forgive(units, then int64) {
	for i := len(s.owed) - 1; i >= 0 && s.owed[i].number > s.told; i-- {
		if o := &s.owed[i]; o.from <= then && then <= o.at {
			o.units -= min(o.units, units)
			return
		}
	}
}
