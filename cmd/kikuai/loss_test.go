package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

// flushed wipes Redis again and again under mixed load. The ledger and Redis agree
// afterwards; what was answered and is forgotten is measured; credits and keys are not.
func flushed(t *testing.T, times int, every time.Duration) {
	sites, w := several(t, 2)
	s := sites[0]
	for _, one := range sites {
		one.serve()
	}
	length := time.Duration(times)*every + every/2
	l := newLoad(w, length, sites...)
	var losses []loss
	result := l.during(length, func(ctx context.Context) {
		for n := range times {
			sleep(ctx, every)
			l.administer(n)
			s.redis.FlushAll()
			now := time.Now()
			losses = append(losses, loss{kept: now.Add(-published), at: now})
		}
	})
	v := w.settled(time.Minute)
	s.reconciled()
	v.forgot(t, losses)
	t.Logf("flush: %d× FLUSHALL under load: calls %s; forgotten %s; %d credits and %d keys all there, duplicates %d, differences 0",
		times, result, v.forgotten(losses), v.credits, v.keys, v.duplicates)
}

const (
	// published is what a Redis without its file may forget: what is on its way from
	// there to the ledger, and a busy machine.
	published = 3 * time.Second
	// handling is what a message may take from its writing to its call's end: Telegram
	// tells it again after the outage, and its chat's queue is before it.
	handling = 10 * time.Second
	// arriving is what an answer may take to its client, whose call was booked before it.
	arriving = time.Second
)

// loss is that Redis lost what came to it after a moment, kept, and until another.
type loss struct{ kept, at time.Time }

// window is how long before its loss the first lost call had been answered. Of the
// calls that are missing some had been answered before that loss began: early.
func (v *verdict) window(losses []loss) (window time.Duration, early int) {
	for _, call := range v.lostCalls {
		of := slices.IndexFunc(losses, func(l loss) bool { return call.at.Before(l.at.Add(arriving)) })
		if of < 0 || call.at.Before(losses[of].kept) {
			early++
			continue
		}
		window = max(window, losses[of].at.Sub(call.at))
	}
	return window, early
}

// earlyUpdates counts the messages that are missing and were written too early for
// any of the losses.
func (v *verdict) earlyUpdates(losses []loss) (early int) {
	for _, m := range v.lostUpdates {
		if !slices.ContainsFunc(losses, func(l loss) bool {
			return m.at.Before(l.at) && m.at.After(l.kept.Add(-handling))
		}) {
			early++
		}
	}
	return early
}

// forgot fails the test where anything is missing that no loss explains.
func (v *verdict) forgot(t *testing.T, losses []loss) {
	t.Helper()
	window, early := v.window(losses)
	earlyUpdates := v.earlyUpdates(losses)
	if v.lostOthers > 0 || v.duplicates > 0 || early > 0 || earlyUpdates > 0 {
		t.Errorf("credits and keys lost %d, duplicates %d, calls lost up to %s before a loss, %d calls and %d updates from before it:\n%s",
			v.lostOthers, v.duplicates, window, early, earlyUpdates, strings.Join(v.details, "\n"))
	}
}

func (v *verdict) forgotten(losses []loss) string {
	window, early := v.window(losses)
	return fmt.Sprintf("%d of %d calls worth $%s, answered up to %s before the loss (%d before what was kept), and %d of %d updates",
		len(v.lostCalls), v.calls, billing.FormatUSD(v.lostNano()), window.Round(time.Millisecond), early, len(v.lostUpdates), v.updates)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// onDisk gives the site a Redis that writes an append-only file, as production has.
func onDisk(s *site) {
	s.redis = testenv.RedisServerWith(s.t, redisserver.Options{AppendOnly: true, Args: []string{"--auto-aof-rewrite-percentage", "0"}})
	s.env["REDIS_URL"] = s.redis.URL()
}

// journal watches how an append-only file grows.
type journal struct {
	file string
	stop func()

	mu    sync.Mutex
	sizes []journalSize
}

type journalSize struct {
	at   time.Time
	size int64
}

func watchJournal(s *site) *journal {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.redis.Dir(), "appendonlydir", "*.incr.aof"))
	if err != nil || len(found) != 1 {
		s.t.Fatalf("append-only files %v, %v", found, err)
	}
	j := &journal{file: found[0]}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			at := time.Now() // what was written by now is in the size
			if info, err := os.Stat(j.file); err == nil {
				j.mu.Lock()
				j.sizes = append(j.sizes, journalSize{at, info.Size()})
				j.mu.Unlock()
			}
			sleep(ctx, 20*time.Millisecond)
		}
	})
	j.stop = func() { cancel(); done.Wait() }
	return j
}

// cut takes away what was written after a time, or a little before it, and says what it
// kept: all that was written by then.
func (j *journal) cut(after time.Time) (kept time.Time, bytes int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	info, err := os.Stat(j.file)
	if err != nil || len(j.sizes) == 0 {
		return kept, 0, fmt.Errorf("an unwatched file, or none: %w", err)
	}
	found := j.sizes[0]
	for _, known := range slices.Backward(j.sizes) {
		if known.at.Before(after) {
			found = known
			break
		}
	}
	return found.at, info.Size() - found.size, os.Truncate(j.file, found.size)
}

// truncation is how often Redis' file is cut, and what happens meanwhile.
type truncation struct {
	times  int
	every  time.Duration
	most   time.Duration // of what is cut each time
	behind time.Duration // that Postgres has been away when it happens; 0: it is there
}

// truncated kills Redis under mixed load and cuts the last writes from its file, again
// and again: as a machine does that loses its power. What was decided in Postgres is
// not forgotten, nor is what the ledger had, nor what Redis had on its disk; the rest is
// measured.
func truncated(t *testing.T, c truncation) {
	changes := []func(*site){onDisk}
	var database *testenv.PostgresHandle
	if c.behind > 0 {
		database = testenv.PostgresServer(t)
		changes = append(changes, func(s *site) { s.useDatabase(database.URL()) })
	}
	sites, w := several(t, 2, changes...)
	s := sites[0]
	for _, one := range sites {
		one.serve()
	}
	length := time.Duration(c.times) * (c.every + c.behind + 3*time.Second)
	l := newLoad(w, 2*length, sites...)
	var losses []loss
	var cut int64
	var revoked []string
	result := l.while(length, func(ctx context.Context) {
		for n := range c.times {
			sleep(ctx, c.every)
			j := watchJournal(s)
			customer := s.customer(9_600_000+n, 0)
			l.administer(n)
			s.revoke(customer)
			revoked = append(revoked, customer.key)
			if database != nil {
				database.Stop()
			}
			sleep(ctx, max(c.behind, time.Second/2))
			s.redis.Kill()
			now := time.Now()
			j.stop()
			kept, bytes, err := j.cut(now.Add(-rand.N(c.most)))
			if err != nil {
				t.Error(err)
			}
			losses, cut = append(losses, loss{kept, now}), cut+bytes
			s.redis.Start()
			if database != nil {
				database.Start()
			}
		}
		sleep(ctx, c.every)
	})
	v := w.settled(time.Minute)
	s.reconciled()
	for _, key := range revoked {
		if status, body := s.get("/v1/models", key); status != 401 {
			t.Errorf("a revoked key answers %d %s", status, body)
		}
	}
	v.forgot(t, losses)
	t.Logf("truncation, Postgres away for %s: Redis killed %d× under load and %d KB, up to %s, cut from its file: calls %s; forgotten %s; %d credits, %d keys and %d revocations all there, duplicates %d, differences 0",
		c.behind, c.times, cut>>10, longest(losses).Round(time.Millisecond), result, v.forgotten(losses), v.credits, v.keys, len(revoked), v.duplicates)
}

// longest is the longest time that was cut.
func longest(losses []loss) (most time.Duration) {
	for _, l := range losses {
		most = max(most, l.at.Sub(l.kept))
	}
	return most
}

// TestE2EFlush: what Postgres knows is back after Redis was wiped under load.
func TestE2EFlush(t *testing.T) {
	t.Parallel()
	flushed(t, 2, 3*time.Second)
}

// TestE2ETruncation: what Redis had on its disk, too, after its file was cut under load.
func TestE2ETruncation(t *testing.T) {
	t.Parallel()
	truncated(t, truncation{times: 2, every: 2 * time.Second, most: time.Second})
}

// revoke ends a customer's key.
func (s *site) revoke(c customer) {
	s.t.Helper()
	desk := s.desk()
	key, err := desk.Keys.FindToken(s.t.Context(), c.key)
	if err == nil {
		err = desk.Keys.Revoke(s.t.Context(), c.account, key.ID, billing.House)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// waiting is how many events the ledger does not have yet.
func (s *site) waiting(ctx context.Context) int64 {
	client := s.redis.Client()
	defer func() { _ = client.Close() }()
	var events int64
	for shard := range stream.Shards {
		events += max(0, client.XLen(ctx, stream.Shard(shard).Key("ev")).Val()-1)
	}
	return events
}
