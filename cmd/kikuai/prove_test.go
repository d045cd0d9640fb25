//go:build prove

package main

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim/crowd"
)

// TestProveInbox: 200 chats × 50 messages, kill -9 and restart every two seconds.
func TestProveInbox(t *testing.T) {
	crashes(t, throng{chats: 200, each: 50, rate: 50, killEvery: 2 * time.Second, within: 25 * time.Minute})
}

// TestProveMoney: 200 workers on money for K calls, a hundred times over with another K
// and another account, through three servers on one Redis and one Postgres.
func TestProveMoney(t *testing.T) {
	const rounds, workers = 100, 200
	s := newSite(t)
	sites := []*site{s, s.another(), s.another()}
	serves := make([]*process, len(sites))
	for i, one := range sites {
		serves[i] = one.serve()
	}
	began := time.Now()
	exact, calls := 0, int64(0)
	for round := range rounds {
		affordable := int64(1 + (round*37)%(workers-1))
		if s.overdraft(personID+round, workers, affordable, sites...) {
			exact++
		}
		calls += affordable
	}
	took := time.Since(began)
	for _, serve := range serves {
		serve.stop()
	}
	s.reconciled()
	if paid := s.model.Count(); paid != calls {
		t.Errorf("the model was called %d times for %d paid calls", paid, calls)
	}
	t.Logf("money: %d of %d rounds of %d workers through %d servers admitted exactly what the money was for (%d calls in all), drift 0, in %s",
		exact, rounds, workers, len(sites), calls, took.Round(time.Second))
}

// TestProveFailpoints kills the server at every mark between two durable steps.
func TestProveFailpoints(t *testing.T) { failpoints(t, allMarks(t)) }

// TestProveCrashes kills one of three servers at random for five minutes.
func TestProveCrashes(t *testing.T) { killed(t, 3, 5*time.Minute, 1500*time.Millisecond) }

// TestProveFlush wipes Redis under load.
func TestProveFlush(t *testing.T) { flushed(t, 8, 10*time.Second) }

// TestProveTruncation takes the last writes from Redis' file, under load: while the
// ledger follows, and while Postgres is away, so that they are nowhere else.
func TestProveTruncation(t *testing.T) {
	t.Run("the ledger near", func(t *testing.T) {
		truncated(t, truncation{times: 15, every: 4 * time.Second, most: 2 * time.Second})
	})
	t.Run("the ledger behind", func(t *testing.T) {
		truncated(t, truncation{times: 8, every: 4 * time.Second, most: 2 * time.Second, behind: 2500 * time.Millisecond})
	})
}

// TestProveBlackhole freezes Redis under load.
func TestProveBlackhole(t *testing.T) { blackholed(t, 10, 6*time.Second) }

// TestProveOutage stops Postgres for two minutes: once calls go on all the while, once
// until the ledger is further behind than it may be.
func TestProveOutage(t *testing.T) {
	t.Run("within the cap", func(t *testing.T) { withoutPostgres(t, 2*time.Minute, 0) })
	t.Run("beyond the cap", func(t *testing.T) { withoutPostgres(t, time.Minute, 15*time.Second) })
}

// TestProveSwitch takes Redis away for a minute at a time, refused and as a black hole.
// PROVE_OUTAGE and PROVE_ROUNDS set how long and how often. Times are taken at the
// client, and what the race detector costs the servers is in them.
func TestProveSwitch(t *testing.T) {
	each, rounds := time.Minute, 2
	if text := os.Getenv("PROVE_OUTAGE"); text != "" {
		var err error
		if each, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("PROVE_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	switched(t, rounds, each, func(took waits) {
		if n := took.over(answerMost); n > len(took)/1000 {
			t.Errorf("%d of %d answers took longer than %s", n, len(took), answerMost)
		}
	})
}

// TestProveRolling restarts two servers in turn under 500 live streams.
func TestProveRolling(t *testing.T) {
	rolling(t, rollout{streams: 500, cadence: 250 * time.Millisecond, short: 40, drain: 20 * time.Second})
}

// TestProveChats: how soon people are answered at 100 messages a second, and then 2,000 people with 20 messages each
// through kills of one of two servers every five seconds, while Telegram answers 10 % of calls with 429 and 2 % with
// 502. PROVE_CHATS and PROVE_EACH make it smaller.
func TestProveChats(t *testing.T) {
	size := chatting{chats: proveInt(t, "PROVE_CHATS", 2000), each: proveInt(t, "PROVE_EACH", 20), rate: 100, killEvery: 5 * time.Second, within: 30 * time.Minute}
	c := newChatters(t, plainBinary, 3*size.chats*size.each)
	quick, err := crowd.Run(t.Context(), c.telegram, crowd.Options{Chats: size.chats, Each: 3, Rate: size.rate, FirstChat: 8_000_001})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("response at %.0f messages a second:\n%s", size.rate, quick)
	if !quick.Kept() || quick.Duplicated > 0 {
		t.Errorf("lost %d, reordered %d, duplicated %d", quick.Lost, quick.Reordered, quick.Duplicated)
	}
	if p50, p99 := time.Duration(quick.FirstFrame.P50), time.Duration(quick.FirstFrame.P99); p50 > 500*time.Millisecond || p99 > 2*time.Second {
		t.Errorf("first frame p50 %s, p99 %s", p50, p99)
	}
	chats(t, c, size)
}

// proveInt is a size of a proof that the environment may change.
func proveInt(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: %q", name, text)
	}
	return n
}
