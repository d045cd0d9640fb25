package postgres

import (
	"testing"
	"time"
)

// TestTrail: the lag is counted between what the primary had, and when, by one clock.
func TestTrail(t *testing.T) {
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var marks trail
	want := func(what string, end int64, lag time.Duration, known bool) {
		t.Helper()
		if got, is := marks.lag(end); got != lag || is != known {
			t.Errorf("%s: %s, %v; want %s, %v", what, got, is, lag, known)
		}
	}
	want("nothing known", 100, 0, false)
	marks.add(mark{at(0), 1000})
	want("not there yet", 999, 0, false)
	want("there", 1000, 0, true)
	for n := 1; n <= 10; n++ {
		marks.add(mark{at(n), 1000}) // an idle primary
	}
	want("idle for ten seconds", 1000, 0, true)
	for n := 11; n <= 20; n++ {
		marks.add(mark{at(n), int64(n) * 1000})
	}
	want("stands still", 1000, 10*time.Second, true)
	want("half way", 15_500, 5*time.Second, true)
	want("goes back, as a replica made anew does", 1000, 0, false)
	want("all of it", 30_000, 0, true)
	for n := 21; n <= 2*trailMost; n++ {
		marks.add(mark{at(n), int64(n) * 1000})
	}
	if len(marks) > trailMost {
		t.Errorf("%d marks are kept", len(marks))
	}
	want("away for long", 20_500, (2*trailMost-20)*time.Second, true)
}

// TestGuard: one look beyond the most turns away; only several calm ones turn back.
func TestGuard(t *testing.T) {
	const most = 2 * time.Second
	g := guard{most: most}
	for i, look := range []struct {
		lag   time.Duration
		known bool
		near  bool
	}{
		{0, true, false}, {0, true, false}, {0, true, false}, {time.Second, true, true},
		{most, true, true}, {most + 1, true, false},
		{most, true, false}, {0, true, false}, {0, true, false}, {most/2 + 1, true, false}, // at the edge: from the beginning
		{0, true, false}, {0, true, false}, {0, true, false}, {0, true, true},
		{0, false, false},
		{0, true, false},
	} {
		if near := g.judge(look.lag, look.known); near != look.near {
			t.Errorf("look %d, %s, %v: near is %v", i, look.lag, look.known, near)
		}
	}
}
