//go:build prove

package main

import (
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
		paid, refused := s.rush(key, workers, s, &two)
		available, held := s.balance(key)
		if paid == affordable && refused == workers-affordable && available == 3 && held == 0 {
			exact++
		} else {
			t.Errorf("round %d: paid %d, refused %d, available %d, held %d", round, paid, refused, available, held)
		}
	}
	second.stop()
	first.stop()
	s.balanced(s.ledger())
	t.Logf("money: %d of %d rounds admitted exactly %d of %d calls over two servers, drift 0", exact, rounds, affordable, workers)
}
