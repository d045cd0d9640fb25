package route

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// For any sequence of requests and attempts, from the beginning: extra attempts are at
// most a fifth of the requests and ten a second; in any stretch, ten more.
func TestBudgetBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type moment struct {
			at       time.Duration
			requests int
			extra    int
		}
		var b budget
		now := moment{}
		past := []moment{now}
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now.at += time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "wait"))
			},
			"requests": func(t *rapid.T) {
				for range rapid.IntRange(1, 50).Draw(t, "n") {
					b.earn(now.at)
					now.requests++
				}
			},
			"attempts": func(t *rapid.T) {
				for range rapid.IntRange(1, 50).Draw(t, "n") {
					if b.spend(now.at) {
						now.extra++
					}
				}
				past = append(past, now)
			},
			"": func(t *rapid.T) {
				for i, from := range past {
					// In twentieths of an attempt, to be exact: a request is worth 4, 5 ms are worth 1.
					most := 4*(now.requests-from.requests) + int((now.at-from.at+5*time.Millisecond-1)/(5*time.Millisecond))
					if i > 0 {
						most += 20 * 10
					}
					if 20*(now.extra-from.extra) > most {
						t.Fatalf("%d extra attempts for %d requests in %v", now.extra-from.extra, now.requests-from.requests, now.at-from.at)
					}
				}
			},
		})
	})
}

// What may be spent is there to be spent: the budget is not stricter than it says.
func TestBudgetGivesWhatItHas(t *testing.T) {
	var b budget
	if b.spend(0) {
		t.Fatal("it begins with something")
	}
	spent := 0
	for range 1000 {
		b.earn(0)
		if b.spend(0) {
			spent++
		}
	}
	if spent != 200 {
		t.Fatalf("%d attempts of 1,000 requests, want 200", spent)
	}
	for at := time.Duration(0); at <= 10*time.Second; at += time.Millisecond {
		if b.spend(at) {
			spent++
		}
	}
	if spent != 300 {
		t.Fatalf("%d attempts of 10 s, want 100", spent-200)
	}
	for at, n := time.Hour, 0; ; n++ {
		if !b.spend(at) {
			if n != 10 {
				t.Fatalf("%d attempts after an hour of rest, want 10", n)
			}
			break
		}
	}
}

func TestBudgetShared(t *testing.T) {
	var b budget
	var spent atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				b.earn(0)
				if b.spend(0) {
					spent.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got := spent.Load(); got > 800 || got < 780 {
		t.Fatalf("%d attempts of 4,000 requests, want 800", got)
	}
}
