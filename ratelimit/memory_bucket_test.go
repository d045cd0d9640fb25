package ratelimit

import "math/bits"

// bucket is the state of one token bucket: it will be full at full µs and part/max of
// another, under the limit of max tokens in span µs that it was last used with. The
// zero bucket is full.
type bucket struct{ full, part, max, span int64 }

// mulDiv is a·b/c rounded down, and the rest; the quotient must fit.
func mulDiv(a, b, c int64) (quotient, rest int64) {
	hi, lo := bits.Mul64(uint64(a), uint64(b)) // none is negative
	q, r := bits.Div64(hi, lo, uint64(c))
	return int64(q), int64(r)
}

// since returns full and part for a bucket of most tokens and span µs at now, which is
// not before now. An empty bucket gets no emptier. Under a changed limit as many
// tokens are out as before, as far as there are that many.
func (b *bucket) since(now, most, span int64) (full, part int64) {
	if b.max == 0 || b.full < now {
		return now, 0
	}
	if b.full >= now+b.span {
		b.full, b.part = now+b.span, 0
	}
	full, part = b.full, b.part
	if b.max == most && b.span == span {
		return full, part
	}
	out, rest := mulDiv(full-now, b.max, b.span)
	out += (rest + part + b.span - 1) / b.span
	full, part = mulDiv(span, min(most, out), most)
	return now + full, part
}

// after is the moment at which the bucket is full if it would be so at full and part
// and units more are taken out.
func after(full, part, units, most, span int64) (int64, int64) {
	step, over := mulDiv(span, units, most)
	full, part = full+step, part+over
	if part >= most {
		return full + 1, part - most
	}
	return full, part
}

func (b *bucket) ask(l *Limit, now int64) opinion {
	span := l.Span.Microseconds()
	if l.Max == 0 {
		return opinion{allowed: l.Cost == 0, reset: span, at: now, take: func() {}}
	}
	full, part := b.since(now, l.Max, span)
	left, rest := mulDiv(now+span-full, l.Max, span)
	if rest < part {
		left -= (part - rest + span - 1) / span
	}
	full, part = after(full, part, min(l.Cost, l.Max), l.Max, span)
	o := opinion{left: left, at: now, take: func() { b.set(full, part, now, l.Max, span) }}
	o.reset = full - now
	if part > 0 {
		o.reset++
	}
	switch {
	case l.Cost == 0 || l.Cost <= l.Max && o.reset <= span:
		o.allowed = true
	case l.Cost > l.Max:
		o.reset = span
	default:
		o.reset -= span
	}
	return o
}

func (b *bucket) set(full, part, now, most, span int64) {
	if full > now+span {
		full, part = now+span, 0
	}
	*b = bucket{full, part, most, span}
}

// trueUp makes of cost tokens taken at a moment the used ones. A span later the bucket
// has refilled by itself, and nothing is put back.
func (b *bucket) trueUp(l *Limit, now, at, used int64) {
	most, span := l.Max, l.Span.Microseconds()
	if used < l.Cost && now-at >= span {
		return
	}
	if b.max > 0 {
		most, span = b.max, b.span
	}
	if most == 0 {
		return
	}
	full, part := b.since(now, most, span)
	if used > l.Cost {
		full, part = after(full, part, min(used-l.Cost, most), most, span)
		b.set(full, part, now, most, span)
		return
	}
	step, over := mulDiv(span, min(l.Cost-used, most), most)
	full, part = full-step, part-over
	if part < 0 {
		full, part = full-1, part+most
	}
	if full < now {
		*b = bucket{}
		return
	}
	b.set(full, part, now, most, span)
}
