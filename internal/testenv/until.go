package testenv

import (
	"testing"
	"time"
)

const (
	untilMost  = time.Minute // a busy machine is no failure
	untilEvery = 5 * time.Millisecond
)

// Until looks until something is so for which there is no signal, and fails the test where
// it is not within a minute. what says what is waited for.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(untilMost); !is(); time.Sleep(untilEvery) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", untilMost, what)
		}
	}
}
