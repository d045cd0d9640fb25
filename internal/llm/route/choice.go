package route

import (
	"math"
	"math/bits"
)

const (
	// explore is how many requests in a hundred go by weight although latency decides.
	explore = 5
	// alike is how much slower than the quickest a deployment may be and still share
	// its requests: differences below it are noise.
	alike = 1.2
)

// choose one of a set that is not empty.
func (m *Model) choose(open Set, q *Query) int {
	if open&(open-1) == 0 {
		return bits.TrailingZeros64(uint64(open))
	}
	switch {
	case m.routing.Sticky && q.Key != 0:
		return m.sticky(open, q.Key)
	case m.routing.LeastLatency:
		return m.quickest(open, kind(q.Stream))
	}
	return m.weighted(open)
}

// weighted chooses at random, by weight.
func (m *Model) weighted(open Set) int {
	total := uint64(0)
	for left := uint64(open); left != 0; left &= left - 1 {
		total += m.members[bits.TrailingZeros64(left)].weight
	}
	n, _ := bits.Mul64(m.router.options.Random(), total)
	for left := uint64(open); ; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		if w := m.members[i].weight; n >= w && left&(left-1) != 0 {
			n -= w
			continue
		}
		return i
	}
}

// sticky is weighted rendezvous hashing: each key has an order of preference among all
// deployments, so one that goes away moves only its own keys, and has them back when it
// returns.
func (m *Model) sticky(open Set, key uint64) int {
	best, least := 0, math.Inf(1)
	for left := uint64(open); left != 0; left &= left - 1 {
		i := bits.TrailingZeros64(left)
		u := (float64(mix(key^m.members[i].seed)>>11) + 0.5) / (1 << 53)
		if score := -math.Log(u) / float64(m.members[i].weight); score < least {
			best, least = i, score
		}
	}
	return best
}

// quickest chooses by weight among those whose answers begin soonest. One that has not
// answered yet is tried first.
func (m *Model) quickest(open Set, kind int) int {
	if m.router.options.Random()%100 < explore {
		return m.weighted(open)
	}
	least := math.Inf(1)
	for left := uint64(open); left != 0; left &= left - 1 {
		least = min(least, m.members[bits.TrailingZeros64(left)].latency[kind].value())
	}
	var quick Set
	for left := uint64(open); left != 0; left &= left - 1 {
		if i := bits.TrailingZeros64(left); m.members[i].latency[kind].value() <= alike*least {
			quick = quick.With(i)
		}
	}
	return m.weighted(quick)
}

// seedOf hashes a name (FNV-1a), alike in every process.
func seedOf(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

// mix spreads a number over all bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
