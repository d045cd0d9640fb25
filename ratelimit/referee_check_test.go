package ratelimit_test

import (
	"testing"
	"time"
)

// TestReferee: the referee sees what is one too many, and no more than that.
func TestReferee(t *testing.T) {
	second := time.Second.Microseconds()
	for name, row := range map[string]struct{ got, want int64 }{
		"none in a window": {mostInWindow(nil, time.Second), 0},
		"a window is open at its beginning": {
			mostInWindow([]admission{{at: second, cost: 1}, {at: 0, cost: 2}}, time.Second), 2},
		"and holds what came a microsecond later": {
			mostInWindow([]admission{{at: 1, cost: 2}, {at: second, cost: 1}}, time.Second), 3},
		"a full bucket at once": {
			mostFromBucket([]admission{{at: 0, cost: 1}, {at: 0, cost: 1}, {at: 0, cost: 3}}, 1000), 5},
		"what flowed in may be taken": {
			mostFromBucket([]admission{{at: 0, cost: 5}, {at: second, cost: 1}}, 1000), 5},
		"a microsecond early it may not": {
			mostFromBucket([]admission{{at: 0, cost: 5}, {at: second - 1, cost: 1}}, 1000), 6},
		"a bucket does not flow over into credit": {
			mostFromBucket([]admission{{at: 0, cost: 1}, {at: 100 * second, cost: 5}, {at: 100 * second, cost: 1}}, 1000), 6},
		"leases one after another": {
			mostAtOnce([]admission{{at: 0, gone: 5}, {at: 5, gone: 9}}), 1},
		"leases that meet": {
			mostAtOnce([]admission{{at: 0, gone: 6}, {at: 5, gone: 9}, {at: 5, gone: 6}}), 3},
	} {
		if row.got != row.want {
			t.Errorf("%s: %d, want %d", name, row.got, row.want)
		}
	}
}
