package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// several is a site with as many servers, none running yet, and a witness. Telegram
// reaches them through a front. The changes come before anything is opened.
func several(t *testing.T, servers int, changes ...func(*site)) (sites []*site, w *witness) {
	t.Helper()
	s := newSite(t, func(o *telegramsim.Options) { o.RetryScale = 0.05 })
	s.env["WELCOME_CREDIT_USD"] = "5"
	for _, change := range changes {
		change(s)
	}
	w = newWitness(s)
	sites = []*site{s}
	for range servers - 1 {
		sites = append(sites, s.another())
	}
	behindBalancer(t, sites...)
	s.arrange("webhook", "set")
	return sites, w
}

// killed lets one server after another be killed, at random, under mixed load; then
// the books agree with themselves, with Redis, and with what was seen.
func killed(t *testing.T, servers int, length, every time.Duration) {
	sites, w := several(t, servers)
	s := sites[0]
	serves := make([]*process, servers)
	for i, one := range sites {
		serves[i] = one.serve()
	}
	l := newLoad(w, length, sites...)
	kills := 0
	result := l.during(length, func(ctx context.Context) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			i := rand.IntN(servers)
			serves[i].kill()
			serves[i].log.forget()
			kills++
			l.administer(n)
			serves[i] = sites[i].spawn("serve")
		}
	})
	for _, serve := range serves {
		serve.waitReady()
	}
	v := w.settled(time.Minute)
	s.reconciled()
	for _, serve := range serves {
		serve.stop()
	}
	s.reconciled()
	v.exact(t)
	t.Logf("crashes: %d kills of %d servers in %s: calls %s; %d of them answered to their end, %d updates, %d credits, %d keys: missing %d, duplicates %d, differences 0",
		kills, servers, length, result, v.calls, v.updates, v.credits, v.keys, v.missing(), v.duplicates)
}

// administer credits an account and makes a key, each once.
func (l *load) administer(n int) {
	s := l.w.s
	id, key := fmt.Sprint(9_500_000+n%20), fmt.Sprintf("while-%d", n)
	s.operator("credit", "--telegram-id", id, "--usd", "0.10", "--idempotency-key", key)
	l.w.credited("admin:" + key)
	var made struct {
		KeyID int64 `json:"key_id"`
	}
	s.arranged(&made, "key", "--telegram-id", id, "--name", "while")
	l.w.keyed(made.KeyID)
}

// TestE2EKills: a few kills of one of two servers under mixed load.
func TestE2EKills(t *testing.T) {
	t.Parallel()
	killed(t, 2, 12*time.Second, 3*time.Second)
}
