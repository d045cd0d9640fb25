package ratelimit

import (
	"fmt"
	"strconv"
	"time"
)

// Result is what one limit said.
type Result struct {
	Limit
	Remaining int64         // units left after this call; where it was denied, without it
	Reset     time.Duration // allowed: until nothing counts any more; denied by it: until the cost passes
	At        int64         // when the cost was taken, in µs of the source's clock
}

// Decision is the outcome of asking for one call. All limits allowed it and have
// taken their cost, or none has.
type Decision struct {
	Allowed bool
	Denied  int      // not allowed: the index in Results of the limit with the longest wait
	Results []Result // one for each limit, in the order asked; of a denial that was remembered, the one that denies
	Local   bool     // decided without Redis, on this instance's share
}

// Ticket returns what an allowed call took, for Finish, GiveBack and Renew.
func (d *Decision) Ticket(id string) Ticket {
	if !d.Allowed {
		return Ticket{}
	}
	return Ticket{ID: id, Taken: d.Results}
}

// Err is nil when the call was allowed and an [*ExceededError] otherwise.
func (d *Decision) Err() error {
	if d.Allowed {
		return nil
	}
	if d.Denied < 0 || d.Denied >= len(d.Results) {
		return errReport
	}
	r := &d.Results[d.Denied]
	return &ExceededError{
		Kind: r.Kind, Name: r.Name, Scope: r.Scope, Max: r.Max, Cost: r.Cost, Window: r.Span,
		RetryAfter: r.Reset, Never: r.Cost > r.Max,
	}
}

// Ticket is what an allowed call took. The zero Ticket took nothing.
type Ticket struct {
	ID    string
	Taken []Result

	local bool  // taken from a Limiter's part of the limits
	at    int64 // when it was taken, by a Limiter's own clock, in ns
}

// mark is the key under which it is noted that the ticket was finished.
func (t *Ticket) mark() string {
	return t.Taken[0].Key + ":f:" + strconv.FormatInt(t.Taken[0].At, 36) + ":" + t.ID
}

// entry is what one limit is told at the end.
type entry struct {
	*Result
	used int64 // units, 0 to MostUnits
}

// differing returns the limits that have something to be told: those of which more or
// less was used than taken, and all places.
func (t *Ticket) differing(used func(*Result) int64) []entry {
	var entries []entry
	for i := range t.Taken {
		r := &t.Taken[i]
		units := min(max(0, used(r)), MostUnits)
		if r.Cost > 0 && (r.Kind == Concurrency || units != r.Cost) {
			entries = append(entries, entry{r, units})
		}
	}
	return entries
}

// Used tells Finish what a call came to, in units by a limit's name. A name that is
// not in it, and any in a nil Used, was used as estimated.
type Used map[string]int64

func (u Used) of(r *Result) int64 {
	if units, stated := u[r.Name]; stated {
		return units
	}
	return r.Cost
}

func nothing(*Result) int64 { return 0 }

// ExceededError says which limit denied a call and when to come back.
type ExceededError struct {
	Kind        Kind
	Name, Scope string
	Max, Cost   int64         // units
	Window      time.Duration // of a bucket: how long it takes to fill; 0 for concurrency
	RetryAfter  time.Duration // after which the same call passes, if nobody else comes first
	Never       bool          // it never passes: it costs more than the limit allows at once
}

func (e *ExceededError) Error() string {
	switch {
	case e.Never:
		return fmt.Sprintf("ratelimit: %d %s are more than the %s's limit of %d ever allows", e.Cost, e.Name, e.Scope, e.Max)
	case e.Kind == Concurrency:
		return fmt.Sprintf("ratelimit: the %s's limit of %d calls at a time is reached", e.Scope, e.Max)
	}
	return fmt.Sprintf("ratelimit: the %s's limit of %d %s per %s is exceeded, retry after %s", e.Scope, e.Max, e.Name, e.Window, e.RetryAfter)
}

// RetryAfterSeconds is RetryAfter in whole seconds, rounded up, at least 1: at that
// second the call passes.
func (e *ExceededError) RetryAfterSeconds() int64 { return max(1, seconds(e.RetryAfter)) }

// seconds rounds up.
func seconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
