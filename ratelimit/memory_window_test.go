package ratelimit

import "slices"

const logMost = 128 // units that a window keeps one by one; above are windowPieces buckets

// window is the state of one sliding window. While limit and units are at most 128 it
// is a log: each charge counts until a span after its moment. Above, moments are
// rounded up to the end of a bucket of a sixtieth of the span, and a bucket counts until
// the window has left all of it behind. So it is never over, and harsh by one bucket.
type window struct {
	coarse bool
	width  int64    // coarse: of a bucket, µs
	head   int64    // coarse: the newest bucket's index; bucket i is [i·width, (i+1)·width)
	taken  []charge // oldest first
	ends   int64    // nothing counts from then on, µs
}

// charge is units taken at a moment; in a coarse window at the last µs of its bucket.
type charge struct{ at, units int64 }

func sum(of []charge) (units int64) {
	for _, c := range of {
		units += c.units
	}
	return units
}

func (w *window) idle(now int64) bool { return w.ends <= now }

// clock is the window's time: it does not step back behind what was taken. Where that
// is more than a span ahead, a clock was wrong and has been put right.
func (w *window) clock(now, span int64) (clock int64, wrong bool) {
	newest := now
	if w.coarse {
		newest = w.head * w.width
	} else if len(w.taken) > 0 {
		newest = w.taken[len(w.taken)-1].at
	}
	if newest > now+span {
		return now, true
	}
	return max(now, newest), false
}

// flatten makes the window a log, of any size, of what counts by its clock, which it
// returns. What lies ahead of the clock dates from now.
func (w *window) flatten(now, span int64) (clock int64) {
	clock, _ = w.clock(now, span)
	for i := range w.taken {
		w.taken[i].at = min(w.taken[i].at, clock)
	}
	w.coarse = false
	w.leave(clock - span)
	return clock
}

// leave forgets what was taken at gone or before.
func (w *window) leave(gone int64) {
	w.taken = slices.DeleteFunc(w.taken, func(c charge) bool { return c.at <= gone })
}

// round makes a log a coarse window.
func (w *window) round(clock, width int64) {
	w.coarse, w.width, w.head = true, width, clock/width
	log := w.taken
	w.taken = nil
	for _, c := range log {
		w.put(c.at/width, c.units)
	}
}

// put adds units to a bucket no older than any other.
func (w *window) put(index, units int64) {
	at := (index+1)*w.width - 1
	if n := len(w.taken); n > 0 && w.taken[n-1].at == at {
		w.taken[n-1].units += units
		return
	}
	w.taken = append(w.taken, charge{at, units})
}

func (w *window) ask(l *Limit, now int64) opinion {
	if l.Max > logMost {
		return w.askBuckets(l, now)
	}
	if w.coarse {
		o := w.askBuckets(l, now)
		if o.used > logMost {
			return o
		}
		now = w.flatten(now, l.Span.Microseconds())
	}
	return w.askLog(l, now)
}

func (w *window) askLog(l *Limit, now int64) opinion {
	span := l.Span.Microseconds()
	clock, wrong := w.clock(now, span)
	if wrong {
		w.flatten(now, span)
	}
	w.leave(clock - span)
	used := sum(w.taken)
	o := opinion{allowed: true, left: max(0, l.Max-used), at: clock, reset: span}
	switch {
	case l.Cost == 0 && used == 0:
		o.reset = 0
	case l.Cost == 0:
		o.reset = w.taken[len(w.taken)-1].at + span - clock
	case l.Cost > l.Max:
		o.allowed = false
	case used > l.Max-l.Cost:
		o.allowed = false
		for _, c := range w.taken {
			if used -= c.units; used <= l.Max-l.Cost {
				o.reset = c.at + span - clock
				break
			}
		}
	}
	o.take = func() {
		w.ends = clock + 2*span
		if sum(w.taken)+l.Cost <= logMost {
			w.taken = append(w.taken, charge{clock, l.Cost})
			return
		}
		w.taken = append(w.taken, charge{clock, min(l.Cost, MostUnits-sum(w.taken))})
		w.round(clock, pieceOf(span))
	}
	return o
}

// pieceOf rounds up, so that 60 buckets never cover less than a span.
func pieceOf(span int64) int64 { return (span + windowPieces - 1) / windowPieces }

func (w *window) askBuckets(l *Limit, now int64) opinion {
	span := l.Span.Microseconds()
	width := pieceOf(span)
	if _, wrong := w.clock(now, span); wrong || !w.coarse || w.width != width {
		if clock := w.flatten(now, span); len(w.taken) > 0 {
			w.round(clock, width)
		}
	}
	clock, index := now, now/width
	if w.coarse && w.head > index {
		clock, index = w.head*width, w.head
	}
	oldest := index - windowPieces
	var used int64
	for _, c := range w.taken {
		if c.at/width >= oldest {
			used += c.units
		}
	}
	o := opinion{allowed: true, left: max(0, l.Max-used), used: used, at: clock}
	switch {
	case l.Cost == 0 && used == 0:
	case l.Cost == 0 || used <= l.Max-l.Cost:
		o.reset = (index+windowPieces+1)*width - clock
	case l.Cost > l.Max:
		o.allowed, o.reset = false, span
	default:
		o.allowed = false
		left := used
		for _, c := range w.taken {
			if c.at/width < oldest {
				continue
			}
			if left -= c.units; left <= l.Max-l.Cost {
				o.reset = (c.at/width+windowPieces+1)*width - clock
				break
			}
		}
	}
	o.take = func() {
		w.ends = clock + 2*span
		w.leave(oldest*width - 1)
		w.coarse, w.width, w.head = true, width, index
		w.put(index, min(l.Cost, MostUnits-used))
	}
	return o
}

// trueUp makes of cost units taken at a moment the used ones. What is given back is
// what counts in that moment's place, if that is still told from others; what is
// added dates from now.
func (w *window) trueUp(l *Limit, now, at, used int64) {
	if used > l.Cost {
		more := *l
		more.Cost = used - l.Cost
		w.ask(&more, now).take()
		return
	}
	back := l.Cost - used
	if w.coarse {
		at = (at/w.width+1)*w.width - 1
	}
	w.taken = slices.DeleteFunc(w.taken, func(c charge) bool { return c.units == 0 })
	for i := range w.taken {
		if c := &w.taken[i]; c.at == at {
			n := min(back, c.units)
			c.units -= n
			back -= n
		}
	}
	w.taken = slices.DeleteFunc(w.taken, func(c charge) bool { return c.units == 0 })
}
