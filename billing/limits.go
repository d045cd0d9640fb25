package billing

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// MaxLimit bounds every number of Limits.
const MaxLimit = math.MaxInt32

// ErrLimits is found by errors.Is in what is wrong with Limits.
var ErrLimits = errors.New("billing: limits out of bounds")

// Limits are what an API key, the accounts of a tier or an organisation may do. 0: no
// limit of that kind.
type Limits struct {
	RequestsPerMinute int64
	TokensPerMinute   int64
	Concurrency       int64 // calls under way at once
	// A token bucket holds Burst requests and regains RefillMilli thousandths of one per
	// second. There is one where both are given, and neither is given alone.
	RefillMilli int64
	Burst       int64
}

// NoLimits is the packed form of no limit at all.
const NoLimits = "0|0|0|0|0"

// Packed is the form in which Redis has limits, and in which scripts read them:
// requests|tokens|concurrency|refill|burst.
func (l Limits) Packed() string {
	text := make([]byte, 0, len(NoLimits)+16)
	for i, n := range l.numbers() {
		if i > 0 {
			text = append(text, '|')
		}
		text = strconv.AppendInt(text, n, 10)
	}
	return string(text)
}

func (l Limits) numbers() [5]int64 {
	return [5]int64{l.RequestsPerMinute, l.TokensPerMinute, l.Concurrency, l.RefillMilli, l.Burst}
}

// check returns an error that wraps ErrLimits and says which number is wrong.
func (l Limits) check() error {
	for i, n := range l.numbers() {
		if n < 0 || n > MaxLimit {
			return fmt.Errorf("%w: %s is %d, and may be from 0 (none) to %d", ErrLimits, limitNames[i], n, MaxLimit)
		}
	}
	if (l.RefillMilli == 0) != (l.Burst == 0) {
		return fmt.Errorf("%w: requests per second and a burst come together", ErrLimits)
	}
	return nil
}

var limitNames = [5]string{"requests per minute", "tokens per minute", "calls at once", "thousandths of a request per second", "burst"}

// details are what the audit log says of limits.
func (l Limits) details() map[string]any {
	return map[string]any{"requests_per_minute": l.RequestsPerMinute, "tokens_per_minute": l.TokensPerMinute,
		"concurrency": l.Concurrency, "refill_milli": l.RefillMilli, "burst": l.Burst}
}

// LimitChange changes those limits that are given; 0: no limit of that kind any more.
type LimitChange struct {
	RequestsPerMinute, TokensPerMinute, Concurrency, RefillMilli, Burst *int64
}

// Empty says that nothing is given.
func (c LimitChange) Empty() bool { return c == LimitChange{} }

// Of is l with what is given.
func (c LimitChange) Of(l Limits) Limits {
	for _, change := range []struct{ from, into *int64 }{
		{c.RequestsPerMinute, &l.RequestsPerMinute}, {c.TokensPerMinute, &l.TokensPerMinute},
		{c.Concurrency, &l.Concurrency}, {c.RefillMilli, &l.RefillMilli}, {c.Burst, &l.Burst},
	} {
		if change.from != nil {
			*change.into = *change.from
		}
	}
	return l
}

// scan are the places for limitFields, in their order.
func (l *Limits) scan() []any {
	return []any{&l.RequestsPerMinute, &l.TokensPerMinute, &l.Concurrency, &l.RefillMilli, &l.Burst}
}

// limitFields select a row's limits, number by number.
const limitFields = `coalesce(requests_per_minute, 0), coalesce(tokens_per_minute, 0), coalesce(concurrency, 0),
	coalesce(refill_milli, 0), coalesce(burst, 0)`

// packedLimits selects them packed.
const packedLimits = `coalesce(requests_per_minute, 0) || '|' || coalesce(tokens_per_minute, 0) || '|' ||
	coalesce(concurrency, 0) || '|' || coalesce(refill_milli, 0) || '|' || coalesce(burst, 0)`
