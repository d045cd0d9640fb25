package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// callNano is what a call to the model "exact" costs: 100 tokens at 1 USD per million.
const callNano = 100_000

// rush sends as many calls at once as there are workers, to the sites in turn, and
// counts those that were paid and those refused for want of money.
func (s *site) rush(key string, workers int, sites ...*site) (paid, refused int64) {
	s.t.Helper()
	var paidCalls, refusedCalls atomic.Int64
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			switch status, body := sites[worker%len(sites)].chat(key, "exact", "go", 100); status {
			case http.StatusOK:
				paidCalls.Add(1)
			case http.StatusPaymentRequired:
				refusedCalls.Add(1)
			default:
				s.t.Errorf("status %d: %s", status, body)
			}
		})
	}
	group.Wait()
	return paidCalls.Load(), refusedCalls.Load()
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
