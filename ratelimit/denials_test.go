package ratelimit_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/ratelimit"
)

func TestDenialsLastUntilTheReset(t *testing.T) {
	c := newClock()
	d := ratelimit.NewDenials(c.Now)
	d.Remember("a", 1, 700*time.Millisecond)
	if wait, denied := d.Denied("a", 1); !denied || wait != 700*time.Millisecond {
		t.Fatalf("%s, %v", wait, denied)
	}
	if _, denied := d.Denied("b", 1); denied {
		t.Fatal("another limit is denied")
	}
	c.Advance(700*time.Millisecond - time.Microsecond)
	if wait, denied := d.Denied("a", 1); !denied || wait != time.Microsecond {
		t.Fatalf("%s, %v", wait, denied)
	}
	c.Advance(time.Microsecond)
	if _, denied := d.Denied("a", 1); denied {
		t.Fatal("denied at its reset")
	}
	d.Remember("a", 1, 0)
	if _, denied := d.Denied("a", 1); denied {
		t.Fatal("a denial without a wait was remembered")
	}
}

// TestDenialsLookAgain: one request a second goes through, so that a raised limit shows.
func TestDenialsLookAgain(t *testing.T) {
	c := newClock()
	d := ratelimit.NewDenials(c.Now)
	d.Remember("a", 1, time.Minute)
	through := 0
	for range 100 {
		c.Advance(100 * time.Millisecond)
		if _, denied := d.Denied("a", 1); !denied {
			through++
		}
	}
	if through != 10 {
		t.Fatalf("%d requests in ten seconds went through to look, want 10", through)
	}
	d.Forget("a")
	if _, denied := d.Denied("a", 1); denied {
		t.Fatal("denied after it was forgotten")
	}
	d.Forget("a")
}

// TestDenialsByCost: a denial says nothing about smaller costs, and the smallest denied
// cost is the one that is kept.
func TestDenialsByCost(t *testing.T) {
	c := newClock()
	d := ratelimit.NewDenials(c.Now)
	is := func(cost int64, want bool) {
		t.Helper()
		if _, denied := d.Denied("a", cost); denied != want {
			t.Fatalf("cost %d denied: %v", cost, denied)
		}
	}
	d.Remember("a", 10, 30*time.Second)
	is(9, false)
	is(10, true)
	is(11, true)
	d.Remember("a", 50, 40*time.Second) // keeps what denies more
	is(10, true)
	d.Remember("a", 2, 500*time.Millisecond)
	is(1, false)
	is(2, true)
	c.Advance(500 * time.Millisecond)
	is(2, false)
	d.Remember("a", 7, time.Second)
	c.Advance(time.Second)
	d.Remember("a", 9, time.Second) // an expired one gives way to a larger cost
	is(9, true)
}

// TestDenialsAreBounded: a flood of limits pushes out the oldest and no more memory is
// taken than for 65,536.
func TestDenialsAreBounded(t *testing.T) {
	c := newClock()
	d := ratelimit.NewDenials(c.Now)
	const flood = 200_000
	for i := range flood {
		d.Remember(strconv.Itoa(i), 1, time.Minute)
	}
	held, oldest := 0, flood
	for i := range flood {
		if _, denied := d.Denied(strconv.Itoa(i), 1); denied {
			held++
			oldest = min(oldest, i)
		}
	}
	if held != 65_536 {
		t.Errorf("%d denials are held, want 65,536", held)
	}
	// Shards fill unevenly, by chance; none of them keeps an old one for long.
	if oldest < flood-2*65_536 {
		t.Errorf("denial %d of %d is still held", oldest, flood)
	}
	for i := range flood {
		d.Forget(strconv.Itoa(i))
	}
	d.Remember("again", 1, time.Minute)
	if _, denied := d.Denied("again", 1); !denied {
		t.Error("nothing is remembered after all was forgotten")
	}
}

// TestDenialsModel compares with a map that keeps everything, in a small world.
func TestDenialsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		d := ratelimit.NewDenials(c.Now)
		type entry struct {
			cost        int64
			until, look time.Time
		}
		model := map[string]entry{}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			c.Advance(rapid.SampledFrom([]time.Duration{0, time.Microsecond, 300 * time.Millisecond, time.Second}).Draw(t, "gap"))
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key")
			cost := rapid.Int64Range(1, 4).Draw(t, "cost")
			e, known := model[key]
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				wait := time.Duration(rapid.IntRange(1, 5000).Draw(t, "wait")) * time.Millisecond
				d.Remember(key, cost, wait)
				if !known || cost <= e.cost || !c.Now().Before(e.until) {
					model[key] = entry{cost, c.Now().Add(wait), c.Now().Add(time.Second)}
				}
			case 1:
				d.Forget(key)
				delete(model, key)
			default:
				want := known && c.Now().Before(e.until) && cost >= e.cost
				if want && !c.Now().Before(e.look) {
					want = false
					e.look = c.Now().Add(time.Second)
					model[key] = e
				}
				wait, denied := d.Denied(key, cost)
				if denied != want || denied && wait != e.until.Sub(c.Now()) {
					t.Fatalf("denied %v for %s, want %v", denied, wait, want)
				}
			}
		}
	})
}

// TestDenialsMissCostsNothing: what every allowed request pays.
func TestDenialsMissCostsNothing(t *testing.T) {
	d := ratelimit.NewDenials(time.Now)
	for i := range 1000 {
		d.Remember(strconv.Itoa(i), 1, time.Minute)
	}
	if allocs := testing.AllocsPerRun(1000, func() { d.Denied("lim:{s03}:key:1234", 1) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestDenialsAtOnce(t *testing.T) {
	d := ratelimit.NewDenials(time.Now)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 5000 {
				key := strconv.Itoa(i % 700)
				switch (i + g) % 3 {
				case 0:
					d.Remember(key, 1, time.Millisecond)
				case 1:
					d.Denied(key, 1)
				default:
					d.Forget(key)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkDenialsMiss(b *testing.B) {
	d := ratelimit.NewDenials(time.Now)
	for i := range 50_000 {
		d.Remember(strconv.Itoa(i), 1, time.Hour)
	}
	b.ReportAllocs()
	for b.Loop() {
		d.Denied("lim:{s03}:key:1234", 1)
	}
}
