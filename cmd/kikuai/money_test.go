package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// callNano is what a call to the model "exact" costs: 100 tokens at 1 USD per million.
const callNano = 100_000

// rush sends as many calls at once as there are workers, to the sites in turn, and
// counts those that were paid and those refused for want of money. Where a busy machine
// left calls without an answer of Redis, they are made again once nothing is held for
// them, and with them those that were refused meanwhile.
func (s *site) rush(key string, workers int, sites ...*site) (paid, refused int64) {
	s.t.Helper()
	const tries = 10
	for range tries {
		w := s.wave(key, workers, sites...)
		paid, refused = paid+w.paid, w.refused
		if w.away == 0 {
			return paid, refused
		}
		s.until(time.Minute, "given back", func() bool { _, held := s.balance(key); return held == 0 })
		workers = int(w.refused + w.away)
	}
	s.t.Errorf("%d calls without an answer, %d times", workers, tries)
	return paid, refused
}

// wave is what became of calls that were made at once.
type wave struct{ paid, refused, away int64 }

func (s *site) wave(key string, workers int, sites ...*site) (result wave) {
	s.t.Helper()
	var paid, refused, away atomic.Int64
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			switch status, body := sites[worker%len(sites)].chat(key, "exact", "go", 100); status {
			case http.StatusOK:
				paid.Add(1)
			case http.StatusPaymentRequired:
				refused.Add(1)
			case http.StatusServiceUnavailable:
				away.Add(1)
			default:
				s.t.Errorf("status %d: %s", status, body)
			}
		})
	}
	group.Wait()
	return wave{paid.Load(), refused.Load(), away.Load()}
}

// overdraft gives a new account money for some calls, sends more of them at once, and
// says whether exactly those that the money was for were admitted.
func (s *site) overdraft(telegramID, workers int, affordable int64, sites ...*site) bool {
	s.t.Helper()
	const remainder = 7 // nano-USD
	c := s.customer(telegramID, affordable*callNano+remainder)
	paid, refused := s.rush(c.key, workers, sites...)
	available, held := s.balance(c.key)
	if paid != affordable || refused != int64(workers)-affordable || available != remainder || held != 0 {
		s.t.Errorf("money for %d calls: paid %d, refused %d, available %d, held %d", affordable, paid, refused, available, held)
		return false
	}
	return true
}

// TestE2EMoney: 200 workers on two servers, money for 100 calls, then for one.
func TestE2EMoney(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := s.another()
	first, second := s.serve(), other.serve()
	s.overdraft(personID, 200, 100, s, other)
	s.overdraft(personID+1, 200, 1, s, other)
	second.stop()
	first.stop()
	s.reconciled()
	if calls := s.model.Count(); calls != 101 {
		t.Errorf("the model was called %d times for 101 paid calls", calls)
	}
}
