package gateway

import (
	"encoding/json"
	"math"
	"testing"
)

// What is written by hand is what would be written otherwise.
func TestBalanceJSON(t *testing.T) {
	for _, v := range []Visit{
		{}, {AccountID: 7, Available: 1_234_567_890, Held: 5}, {AccountID: 1, Available: -1, Held: 1},
		{AccountID: math.MaxInt64, Available: math.MaxInt64, Held: math.MaxInt64}, {Available: math.MinInt64, Held: math.MinInt64},
	} {
		b := balanceOf(v)
		want, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if got := b.append(nil); string(got) != string(want) || len(got) > balanceMost {
			t.Errorf("%d bytes: %s, want %s", len(got), got, want)
		}
	}
}
