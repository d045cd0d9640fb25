package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/telegramsim/crowd"
)

// throng is the size of a crash test.
type throng struct {
	chats, each int
	rate        float64       // messages a second of all
	killEvery   time.Duration // of a server that is ready
	life        int64         // calls of the model that each server makes at the least
	within      time.Duration
}

func TestE2ECrashes(t *testing.T) {
	t.Parallel()
	crashes(t, throng{chats: 20, each: 10, rate: 15, killEvery: time.Second, life: 30, within: 4 * time.Minute})
}

// crashes kills the only server again and again while people write and it answers: every
// acknowledged update takes effect, in its chat's order, and the books balance.
func crashes(t *testing.T, c throng) {
	s := newSite(t, func(o *telegramsim.Options) { o.RetryScale = 0.05 })
	s.env["WELCOME_CREDIT_USD"] = "5"
	serve := s.serve()
	s.arrange("webhook", "set")

	ctx, cancel := context.WithTimeout(t.Context(), c.within)
	defer cancel()
	var writing sync.WaitGroup
	var result *crowd.Result
	var failed error
	answered := make(chan struct{})
	writing.Go(func() {
		defer close(answered)
		result, failed = crowd.Run(ctx, s.telegram, crowd.Options{Chats: c.chats, Each: c.each, FirstChat: 3_000_001, Rate: c.rate, Topics: true, Wait: c.within})
	})
	kills, called := 0, int64(0)
	tick := time.NewTicker(c.killEvery)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-answered:
			running = false
		case <-tick.C:
			if s.model.Count()-called < c.life {
				continue // one that has not come to work yet shows nothing
			}
			serve.kill()
			kills++
			serve = s.serve()
			called = s.model.Count()
			tick.Reset(c.killEvery)
		}
	}
	writing.Wait()
	if failed != nil {
		t.Fatalf("not all answered after %s and %d kills: %v", c.within, kills, failed)
	}
	serve.waitReady()
	serve.stop()
	s.reconciled()
	result.Kills = kills
	if !result.Kept() {
		t.Errorf("lost %d, reordered %d, unacknowledged %d, given up %d", result.Lost, result.Reordered, result.Unacknowledged, result.GivenUp)
	}
	if kills == 0 {
		t.Error("nothing was killed, so nothing was shown")
	}
	t.Logf("crashes:\n%s", result)
}
