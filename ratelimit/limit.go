package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Kind is what a limit counts.
type Kind byte

// The kinds of limits.
const (
	Window      Kind = 'w' // at most Max units in any trailing Span
	Bucket      Kind = 'b' // a token bucket of Max units that an empty one is full again in Span
	Concurrency Kind = 'c' // at most Max calls at a time; Span is 0
)

// The bounds of a limit.
const (
	MostUnits  = 1<<53 - 1           // of a window, and of a cost
	MostBucket = 1<<40 - 1           // of a token bucket
	MostPacked = math.MaxInt32       // of a number in a packed string
	MostSpan   = 31 * 24 * time.Hour // of a window or a bucket
	MostLimits = 16                  // in one call
	MostKey    = 512                 // bytes
)

const windowPieces = 60 // buckets of a large window

// Names of the limits that a packed string stands for.
const (
	NameRequests    = "requests"
	NameTokens      = "tokens"
	NameBurst       = "burst"
	NameConcurrency = "concurrency"
)

// ScopeKey is the scope whose limits carry no prefix in headers.
const ScopeKey = "key"

// packedSpan is the length of the windows in a packed string.
const packedSpan = time.Minute

// Limit is one limit that a call must keep.
type Limit struct {
	Kind  Kind
	Name  string // what is counted, such as "requests"
	Scope string // whose it is, such as "account"
	Key   string // where it is counted
	Max   int64  // units; 0 lets nothing pass
	Span  time.Duration
	Cost  int64 // units this call takes; 0 only looks and is never denied
}

var (
	errLimit  = errors.New("ratelimit: not a limit")
	errPacked = errors.New("ratelimit: not a packed limits string")
)

// check returns an error that names what is wrong with l.
func (l *Limit) check() error {
	most, span := int64(MostUnits), l.Span >= time.Microsecond && l.Span <= MostSpan
	switch l.Kind {
	case Window:
		span = span && l.Span >= windowPieces*time.Microsecond
	case Bucket:
		most = MostBucket
	case Concurrency:
		most, span = MostPacked, l.Span == 0 && l.Cost <= 1
	default:
		return fmt.Errorf("%w: kind %q", errLimit, l.Kind)
	}
	switch {
	case !span:
		return fmt.Errorf("%w: %s has a span of %s and a cost of %d", errLimit, l.Name, l.Span, l.Cost)
	case l.Max < 0 || l.Max > most || l.Cost < 0 || l.Cost > MostUnits:
		return fmt.Errorf("%w: %s has a maximum of %d and a cost of %d", errLimit, l.Name, l.Max, l.Cost)
	case l.Key == "" || len(l.Key) > MostKey:
		return fmt.Errorf("%w: %s has a key of %d bytes", errLimit, l.Name, len(l.Key))
	}
	return nil
}

// checkAll is check of each, and of what they must not be together.
func checkAll(limits []Limit) error {
	if len(limits) > MostLimits {
		return fmt.Errorf("%w: %d of them in one call", errLimit, len(limits))
	}
	for i := range limits {
		if err := limits[i].check(); err != nil {
			return err
		}
		for j := range i {
			if limits[j].Key == limits[i].Key {
				return fmt.Errorf("%w: %s and %s have one key", errLimit, limits[j].Name, limits[i].Name)
			}
		}
	}
	return nil
}

// Expand returns the limits that a packed string "rpm|tpm|concurrency|refill|burst"
// stands for, as the Lua function limits_expand does: windows of a minute, a bucket
// that gets refill thousandths of a token per second, and 0 for no such limit.
// Their keys begin with base; tokens is the cost of the token window.
func Expand(packed, base, scope string, tokens int64) ([]Limit, error) {
	var numbers [5]int64
	rest := packed
	for i := range numbers {
		digits, after, more := strings.Cut(rest, "|")
		n, err := strconv.ParseUint(digits, 10, 64)
		if errors.Is(err, strconv.ErrRange) && strings.Trim(digits, "0123456789") == "" {
			n, err = MostPacked, nil
		}
		if more != (i < len(numbers)-1) || err != nil {
			return nil, fmt.Errorf("%w: %q", errPacked, packed)
		}
		numbers[i], rest = int64(min(n, MostPacked)), after
	}
	rpm, tpm, slots, refill, burst := numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
	limits := make([]Limit, 0, 4)
	if rpm > 0 {
		limits = append(limits, Limit{Window, NameRequests, scope, base, rpm, packedSpan, 1})
	}
	if tpm > 0 {
		limits = append(limits, Limit{Window, NameTokens, scope, base + ":t", tpm, packedSpan, tokens})
	}
	if burst > 0 && refill > 0 {
		burst, span := bucketOf(refill, burst)
		limits = append(limits, Limit{Bucket, NameBurst, scope, base + ":b", burst, span, 1})
	}
	if slots > 0 {
		limits = append(limits, Limit{Concurrency, NameConcurrency, scope, base + ":c", slots, 0, 1})
	}
	return limits, nil
}

// bucketOf returns the bucket of burst tokens that gets refill thousandths of one per
// second, no larger than what fills in MostSpan.
func bucketOf(refill, burst int64) (most int64, span time.Duration) {
	most = max(1, min(burst, refill*int64(MostSpan/time.Second)/1000))
	micros := (most*1_000_000_000 + refill - 1) / refill
	return most, min(MostSpan, time.Duration(micros)*time.Microsecond)
}
