package hall

import (
	"testing"
	"time"
)

func TestWaitsInWords(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		-time.Second:                          "1 second",
		0:                                     "1 second",
		time.Millisecond:                      "1 second",
		time.Second:                           "1 second",
		1001 * time.Millisecond:               "2 seconds",
		59 * time.Second:                      "59 seconds",
		59001 * time.Millisecond:              "1 minute",
		time.Minute:                           "1 minute",
		61 * time.Second:                      "1 minute and 1 second",
		2*time.Minute + 5*time.Second:         "2 minutes and 5 seconds",
		time.Hour - time.Second:               "59 minutes and 59 seconds",
		time.Hour:                             "1 hour",
		time.Hour + time.Second:               "1 hour and 1 minute",
		2*time.Hour + 30*time.Minute:          "2 hours and 30 minutes",
		24*time.Hour - time.Second:            "24 hours",
		24 * time.Hour:                        "1 day",
		49*time.Hour + 59*time.Minute:         "2 days and 2 hours",
		2000*24*time.Hour + 23*time.Hour + 10: "2,001 days",
	} {
		if got := InWords(english(t), wait); got != want {
			t.Errorf("%v is %q, want %q", wait, got, want)
		}
	}
}

// TestRememberedIsBounded: what was put first makes way.
func TestRememberedIsBounded(t *testing.T) {
	t.Parallel()
	m := newRemembered[int](3)
	now := time.Now()
	for i := range 5 {
		if !m.claim(i, now, now.Add(time.Minute)) || m.claim(i, now, now.Add(time.Minute)) {
			t.Errorf("%d was not claimed once", i)
		}
	}
	for i, want := range []bool{false, false, true, true, true} {
		if m.has(i, now) != want {
			t.Errorf("%d is remembered: %v", i, !want)
		}
	}
	if m.has(4, now.Add(time.Minute)) || !m.claim(4, now.Add(time.Minute), now.Add(2*time.Minute)) {
		t.Error("what is over still holds")
	}
	if len(m.until) != 3 || len(m.order) != 3 {
		t.Errorf("%d and %d are kept of 3", len(m.until), len(m.order))
	}
}
