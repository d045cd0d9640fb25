package cache

import (
	"math/rand/v2"
	"time"
)

// place is where a value belongs: its space and its key.
type place struct {
	space uint32 // number of the space in its Cache
	key   string
}

// entry is a value in level one. It is never changed. Times are since the Cache was
// made, by its clock.
type entry struct {
	value    any
	negative bool          // there is no such value, and value is nil
	ticket   string        // of its writing in level two; empty: it is not from there
	delta    time.Duration // how long its load took
	expires  time.Duration // end of its TTL: from now on it is stale
	leaves   time.Duration // end of this copy in memory, at the latest that of its grace
	bytes    int           // encoded
}

// due says whether the entry should be loaded anew, before it expires: with the chance
// that grows towards the expiry, and the sooner the longer a load takes. So of many
// readers a few, at best one, begin early, and none waits.
//
// This is XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache
// Stampede Prevention", PVLDB 8(8), 2015: refresh when
// now − delta·beta·ln(random) ≥ expiry. −ln of a uniform number is an exponential one.
func (e *entry) due(now time.Duration, beta float64) bool {
	left := e.expires - now
	if left <= 0 {
		return true
	}
	scale := float64(e.delta) * beta
	return float64(left) < scale*40 && // beyond it the chance is below 10^-17
		scale*rand.ExpFloat64() >= float64(left)
}
