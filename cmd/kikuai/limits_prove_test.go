//go:build prove

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// admitted is one request that was let through, some time between the two moments.
type admitted struct{ before, after time.Time }

// TestProveLimitsServers: workers ask as much as they can with keys of several limits,
// paid calls and unpaid ones, at three servers on one Redis. No trailing minute has more
// than a key's limit, and nearly all of it is used.
func TestProveLimitsServers(t *testing.T) {
	const (
		minutes = 3
		workers = 8 // of each key
		pause   = 5 * time.Millisecond
	)
	s := newSite(t)
	sites := []*site{s, s.another(), s.another()}
	serves := make([]*process, len(sites))
	for i, one := range sites {
		serves[i] = one.serve()
	}
	limits := []int{1, 60, 128, 129, 600}
	seen := make([][]admitted, len(limits))
	var mu sync.Mutex
	var group sync.WaitGroup
	asked, away := 0, 0
	keys := make([]string, len(limits))
	for i, limit := range limits {
		keys[i] = s.key(personID+i, "1")
		s.operator("limit", "--key-id", strconv.Itoa(i+1), "--rpm", strconv.Itoa(limit))
	}
	end := time.Now().Add(minutes*time.Minute - 5*time.Second)
	for i := range limits {
		for worker := range workers {
			group.Go(func() {
				for n := worker; time.Now().Before(end); n++ {
					before := time.Now()
					status := s.spend(sites[n%len(sites)], keys[i], n%4 == 0)
					after := time.Now()
					mu.Lock()
					asked++
					switch status {
					case http.StatusOK:
						seen[i] = append(seen[i], admitted{before, after})
					case http.StatusServiceUnavailable: // Redis was not heard in time on a busy machine
						away++
					}
					mu.Unlock()
					time.Sleep(pause)
				}
			})
		}
	}
	group.Wait()
	for _, serve := range serves {
		serve.stop()
	}
	s.reconciled()
	var figures []string
	for i, limit := range limits {
		most, share := surelyWithin(seen[i], time.Minute), float64(len(seen[i]))/float64(minutes*limit)
		if most > limit {
			t.Errorf("%d requests in a minute of a key with %d", most, limit)
		}
		if share < 0.97 {
			t.Errorf("of a key with %d requests a minute %.3f was let through", limit, share)
		}
		figures = append(figures, fmt.Sprintf("at most %d of %d (%.3f used)", most, limit, share))
	}
	t.Logf("limits, three servers: %d requests in %d minutes, %d of them answered 503; in any minute %s; differences 0", asked, minutes, away, strings.Join(figures, ", "))
}

// spend makes one request, paid or not, and returns its status.
func (s *site) spend(at *site, key string, paid bool) int {
	if !paid {
		status, _ := at.models(key)
		return status
	}
	status, body := at.chat(key, "exact", "go", 100)
	if status != http.StatusOK && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		s.t.Errorf("a call answers %d: %s", status, body)
	}
	return status
}

// surelyWithin is the most that was surely admitted in any trailing span.
func surelyWithin(list []admitted, span time.Duration) (most int) {
	slices.SortFunc(list, func(a, b admitted) int { return a.after.Compare(b.after) })
	for i, last := range list {
		n := 0
		for j := i; j >= 0; j-- {
			if last.after.Sub(list[j].before) < span {
				n++
			} else if last.after.Sub(list[j].after) > span {
				break
			}
		}
		most = max(most, n)
	}
	return most
}
