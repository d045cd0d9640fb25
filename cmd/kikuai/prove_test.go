//go:build prove

package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestProveInbox: 200 chats × 50 messages, kill -9 and restart every two seconds.
func TestProveInbox(t *testing.T) {
	crashes(t, crowd{chats: 200, each: 50, killEvery: 2 * time.Second, within: 25 * time.Minute})
}

// TestProveMoney: 200 workers on money for 100 calls, twenty times over, through two
// servers on one Redis and one Postgres.
func TestProveMoney(t *testing.T) {
	const rounds, workers, affordable = 20, 200, 100
	s := newSite(t)
	first := s.serve()
	one, addr, ops := s.url, s.env["LISTEN_ADDR"], s.env["OPS_ADDR"]
	s.env["LISTEN_ADDR"], s.env["OPS_ADDR"] = freeAddr(t), freeAddr(t)
	s.url = "http://" + s.env["LISTEN_ADDR"]
	second := s.serve()
	two := *s
	s.url, s.env["LISTEN_ADDR"], s.env["OPS_ADDR"] = one, addr, ops

	exact := 0
	for round := range rounds {
		key := s.key(personID+round, "0.010000003")
		var paid, refused atomic.Int64
		var group sync.WaitGroup
		for worker := range workers {
			at := s
			if worker%2 == 1 {
				at = &two
			}
			group.Go(func() {
				switch status, body := at.chat(key, "exact", "go", 100); status {
				case http.StatusOK:
					paid.Add(1)
				case http.StatusPaymentRequired:
					refused.Add(1)
				default:
					t.Errorf("status %d: %s", status, body)
				}
			})
		}
		group.Wait()
		available, held := s.balance(key)
		if paid.Load() == affordable && refused.Load() == workers-affordable && available == 3 && held == 0 {
			exact++
		} else {
			t.Errorf("round %d: paid %d, refused %d, available %d, held %d", round, paid.Load(), refused.Load(), available, held)
		}
	}
	second.stop()
	first.stop()
	s.balanced(s.ledger())
	t.Logf("money: %d of %d rounds admitted exactly %d of %d calls over two servers, drift 0", exact, rounds, affordable, workers)
}
