package bot

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := newPacer(func() time.Time { return now })
	take := func(chat int64, frame bool) time.Duration {
		t.Helper()
		return p.take(chat, frame)
	}
	for range privateBurst - privateSpare {
		if take(7, true) != 0 {
			t.Fatal("a frame within the burst waits")
		}
	}
	if take(7, true) == 0 {
		t.Error("a frame took what is kept for the final")
	}
	if take(7, false) != 0 {
		t.Error("the final waits")
	}
	if wait := take(7, false); wait != privateEvery {
		t.Errorf("beyond the burst: %v", wait)
	}
	now = now.Add(privateEvery)
	if take(7, false) != 0 {
		t.Error("after a second it still waits")
	}

	for i := range groupMost - groupSpare {
		if take(-7, true) != 0 {
			t.Fatalf("frame %d in a group waits", i)
		}
	}
	if take(-7, true) == 0 {
		t.Error("a frame took what is kept for finals")
	}
	for range groupSpare {
		if take(-7, false) != 0 {
			t.Error("a final in a group waits")
		}
	}
	if wait := take(-7, false); wait != groupWindow {
		t.Errorf("beyond twenty: %v", wait)
	}
	now = now.Add(groupWindow)
	if take(-7, false) != 0 {
		t.Error("after a minute it still waits")
	}
	for chat := range int64(2 * pacesKept) {
		take(1000+chat, false)
		now = now.Add(time.Second)
	}
	if n := len(p.chats); n > pacesKept {
		t.Errorf("%d chats are remembered", n)
	}
}
