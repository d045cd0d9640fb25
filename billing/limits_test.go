package billing

import (
	"errors"
	"math"
	"testing"
)

// Limits are five plain integers, and what Redis' scripts could misread is refused.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		packed string
		bad    bool
	}{
		{Limits{}, NoLimits, false},
		{Limits{RequestsPerMinute: 1, TokensPerMinute: 2, Concurrency: 3, RefillMilli: 4, Burst: 5}, "1|2|3|4|5", false},
		{Limits{RequestsPerMinute: MaxLimit, TokensPerMinute: MaxLimit, Concurrency: MaxLimit, RefillMilli: MaxLimit, Burst: MaxLimit},
			"2147483647|2147483647|2147483647|2147483647|2147483647", false},
		{Limits{RequestsPerMinute: -1}, "-1|0|0|0|0", true},
		{Limits{TokensPerMinute: MaxLimit + 1}, "0|2147483648|0|0|0", true},
		{Limits{Concurrency: math.MinInt64}, "0|0|-9223372036854775808|0|0", true},
		{Limits{RefillMilli: 1}, "0|0|0|1|0", true},
		{Limits{Burst: 1}, "0|0|0|0|1", true},
	} {
		if got := c.limits.Packed(); got != c.packed {
			t.Errorf("%+v is packed as %q, want %q", c.limits, got, c.packed)
		}
		if err := c.limits.check(); (err != nil) != c.bad || c.bad && !errors.Is(err, ErrLimits) {
			t.Errorf("%+v: %v", c.limits, err)
		}
	}
}
