package ratelimit_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// mostInAnyWindow is the largest number of admissions in any window (t-w, t].
func mostInAnyWindow(admitted []int64, w time.Duration) int {
	slices.Sort(admitted)
	most, from := 0, 0
	for to := range admitted {
		for admitted[from] <= admitted[to]-w.Microseconds() {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// TestWindowIsNeverOver drives random arrivals, clock steps back and changes of the
// limit; no trailing window ever holds more than the largest limit in force in it.
func TestWindowIsNeverOver(t *testing.T) {
	for name, open := range sources(t) {
		t.Run(name, func(t *testing.T) {
			var run atomic.Int64
			rapid.Check(t, func(t *rapid.T) {
				limit := rapid.SampledFrom([]int64{1, 2, 7, 128, 129, 140}).Draw(t, "limit")
				length := rapid.SampledFrom([]time.Duration{20 * time.Second, time.Minute}).Draw(t, "window")
				key := fmt.Sprintf("lim:{s00}:never:%d", run.Add(1))
				c := newClock()
				w := open(c)
				var admitted []int64
				var highest int64
				for range rapid.IntRange(1, 8).Draw(t, "bursts") {
					step := rapid.OneOf(
						rapid.Int64Range(-length.Microseconds()/10, length.Microseconds()*11/10),
						rapid.SampledFrom([]int64{length.Microseconds() - 1, length.Microseconds()}),
					).Draw(t, "step")
					c.Advance(time.Duration(step) * time.Microsecond)
					for range rapid.IntRange(1, int(limit)+5).Draw(t, "burst") {
						d, err := takeOne(t.Context(), w, key, limit, length)
						if err != nil {
							t.Fatal(err)
						}
						highest = max(highest, c.Now().UnixMicro())
						if d.Allowed {
							admitted = append(admitted, highest)
						}
					}
				}
				if most := mostInAnyWindow(admitted, length); most > int(limit) {
					t.Fatalf("%d admitted in one window of %s, limit %d", most, length, limit)
				}
			})
		})
	}
}

// TestLogIsExact: up to 128 the window admits precisely what the definition admits.
func TestLogIsExact(t *testing.T) {
	for name, open := range sources(t) {
		t.Run(name, func(t *testing.T) {
			var run atomic.Int64
			rapid.Check(t, func(t *rapid.T) {
				limit := rapid.Int64Range(1, 20).Draw(t, "limit")
				key := fmt.Sprintf("lim:{s00}:exact:%d", run.Add(1))
				c := newClock()
				w := open(c)
				var log []int64
				for range rapid.IntRange(1, 60).Draw(t, "arrivals") {
					c.Advance(time.Duration(rapid.OneOf(
						rapid.Int64Range(0, 12_000_000),
						rapid.SampledFrom([]int64{0, 1, 59_999_999, 60_000_000}),
					).Draw(t, "gap")) * time.Microsecond)
					now := c.Now().UnixMicro()
					log = slices.DeleteFunc(log, func(at int64) bool { return at <= now-time.Minute.Microseconds() })
					d, err := takeOne(t.Context(), w, key, limit, time.Minute)
					if err != nil {
						t.Fatal(err)
					}
					if want := len(log) < int(limit); d.Allowed != want {
						t.Fatalf("allowed %v, want %v with %d of %d in the window", d.Allowed, want, len(log), limit)
					}
					if !d.Allowed {
						if want := log[len(log)-int(limit)] + time.Minute.Microseconds() - now; d.Reset.Microseconds() != want {
							t.Fatalf("reset %d µs, want %d", d.Reset.Microseconds(), want)
						}
						continue
					}
					log = append(log, now)
					if want := limit - int64(len(log)); d.Remaining != want {
						t.Fatalf("remaining %d, want %d", d.Remaining, want)
					}
				}
			})
		})
	}
}

// TestResetIsTrue: after a denial's Reset one more request passes, and not a bucket earlier.
func TestResetIsTrue(t *testing.T) {
	for _, open := range sources(t) {
		for _, limit := range []int64{1, 5, 128, 129, 600} {
			c := newClock()
			w := open(c)
			key := fmt.Sprintf("lim:{s00}:reset:%d", limit)
			take := func() verdict {
				t.Helper()
				d, err := takeOne(t.Context(), w, key, limit, time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			for range limit {
				if !take().Allowed {
					t.Fatalf("limit %d: denied below the limit", limit)
				}
				c.Advance(7 * time.Millisecond)
			}
			denied := take()
			if denied.Allowed || denied.Reset <= 0 || denied.Reset > 62*time.Second {
				t.Fatalf("limit %d: %+v", limit, denied)
			}
			c.Advance(denied.Reset - time.Microsecond)
			if take().Allowed {
				t.Fatalf("limit %d: passed before its reset", limit)
			}
			c.Advance(time.Microsecond)
			if !take().Allowed {
				t.Fatalf("limit %d: denied at its reset", limit)
			}
		}
	}
}

// TestLimitChangeForgetsNothing moves the limit across the two representations.
func TestLimitChangeForgetsNothing(t *testing.T) {
	for name, open := range sources(t) {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			w := open(c)
			admit := func(limit int64) (n int) {
				t.Helper()
				for range 400 {
					d, err := takeOne(t.Context(), w, "lim:{s00}:change", limit, time.Minute)
					if err != nil {
						t.Fatal(err)
					}
					if d.Allowed {
						n++
					}
				}
				return n
			}
			for i, step := range []struct {
				limit int64
				want  int
			}{{100, 100}, {200, 100}, {128, 0}, {100, 0}, {300, 100}} {
				if got := admit(step.limit); got != step.want {
					t.Fatalf("step %d: limit %d admitted %d, want %d", i, step.limit, got, step.want)
				}
			}
		})
	}
}

// TestWindowUnderConcurrency: 64 goroutines on Redis' own clock admit exactly the limit.
func TestWindowUnderConcurrency(t *testing.T) {
	client := testenv.Redis(t)
	for _, limit := range []int64{100, 1000} {
		w := ratelimit.NewRedis(client)
		var admitted atomic.Int64
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range 40 {
					d, err := takeOne(context.Background(), w, fmt.Sprintf("lim:{s00}:many:%d", limit), limit, time.Hour)
					if err != nil {
						t.Error(err)
						return
					}
					if d.Allowed {
						admitted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if admitted.Load() != limit {
			t.Fatalf("admitted %d, want %d", admitted.Load(), limit)
		}
	}
}
