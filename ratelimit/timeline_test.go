package ratelimit_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestTimeline plays the timeline of README.md.
func TestTimeline(t *testing.T) {
	c := newClock()
	server := testenv.Redis(t)
	both := newInstances(unbreakable(t), server, 2, c.Now)
	a, b := both[0], both[1]
	limit := perMinute("timeline", 5)
	limit.Name = "requests"
	begun := c.Now()
	at := func(seconds float64) {
		c.Advance(begun.Add(time.Duration(seconds * float64(time.Second))).Sub(c.Now()))
	}
	want := func(by *instance, allowed, local bool, remaining int64, reset time.Duration) {
		t.Helper()
		d := take(t, by, limit)
		r := d.Results[0]
		if d.Allowed != allowed || d.Local != local || r.Remaining != remaining || !allowed && r.Reset != reset {
			t.Fatalf("%s: %+v", c.Now().Sub(begun), d)
		}
	}
	want(a, true, false, 4, 0)
	want(a, true, false, 3, 0)
	want(a, true, false, 2, 0)
	at(20)
	want(a, true, false, 1, 0)
	want(a, true, false, 0, 0)
	at(30)
	want(a, false, false, 0, 30*time.Second)
	at(30.4)
	asked := a.link.asked.Load()
	want(a, false, false, 0, 29600*time.Millisecond)
	if a.link.asked.Load() != asked {
		t.Fatal("Redis was asked for what is known")
	}
	at(60)
	want(a, true, false, 2, 0)
	at(70)
	a.link.set(refused)
	b.link.set(refused)
	want(a, false, true, 0, 10*time.Second)
	at(75)
	want(b, true, true, 1, 0)
	want(b, true, true, 0, 0)
	want(b, false, true, 0, time.Minute)
	at(80)
	want(a, true, true, 0, 0)
	want(a, false, true, 0, 40*time.Second)
	at(90)
	a.link.set(fair)
	b.link.set(fair)
	a.SettleUp(t.Context())
	b.SettleUp(t.Context())
	want(b, true, false, 0, 0)
	want(a, false, false, 0, 30*time.Second)
}

const (
	readmeFile = "README.md"
	tableBegin = "<!-- table: go test ./ratelimit -run TestTable -update -->\n"
	tableEnd   = "<!-- end of table -->\n"
)

// TestTable holds the table of README.md to the simulation; -update rewrites it.
func TestTable(t *testing.T) {
	text, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), tableBegin)
	_, after, ended := strings.Cut(rest, tableEnd)
	if !found || !ended {
		t.Fatal("the marks of the table are missing")
	}
	drawn := before + tableBegin + drawTable(t) + tableEnd + after
	if *update {
		if err := os.WriteFile(readmeFile, []byte(drawn), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if drawn != string(text) {
		t.Fatalf("the table in %s is not what the simulation says: go test ./ratelimit -run TestTable -update", readmeFile)
	}
}

func drawTable(t testing.TB) string {
	var b strings.Builder
	b.WriteString("| limiter | limit | most in any minute | at once after a pause | what it keeps for a holder |\n|---|---|---|---|---|\n")
	for _, row := range []struct {
		name  string
		limit int
		begin func() limiter
		keeps string
	}{
		{"fixed window", 120, func() limiter { return fixedWindow(120) }, "a counter"},
		{"sliding counter", 120, func() limiter { return slidingCounter(120) }, "two counters"},
		{"GCRA or token bucket, full burst", 120, func() limiter { return fullBurstGCRA(120) }, "a timestamp"},
		{"GCRA without burst", 120, func() limiter { return gcra(120, 1) }, "a timestamp"},
		{"**ours, to 128**", 120, func() limiter { return ours(t, 120) }, "a stamp for each request let through"},
		{"**ours, above**", 600, func() limiter { return ours(t, 600) }, "64 numbers"},
	} {
		_, most := worst(pictureAttack.against(row.begin()))
		burst := attack{begin: 59 * time.Second, end: 59*time.Second + time.Duration(row.limit), every: 1}
		fmt.Fprintf(&b, "| %s | %d | %d (%.2f ×) | %d | %s |\n", row.name, row.limit, most, float64(most)/float64(row.limit),
			len(burst.against(row.begin())), row.keeps)
	}
	return b.String()
}
