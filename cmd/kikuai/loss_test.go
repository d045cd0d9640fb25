package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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
	var losses []time.Time
	result := l.during(length, func(ctx context.Context) {
		for n := range times {
			sleep(ctx, every)
			l.administer(n)
			s.redis.FlushAll()
			losses = append(losses, time.Now())
		}
	})
	v := w.settled(time.Minute)
	s.reconciled()
	v.forgot(t, losses)
	t.Logf("flush: %d× FLUSHALL under load: calls %s; forgotten %s; %d credits and %d keys all there, duplicates %d, differences 0",
		times, result, v.forgotten(losses), v.credits, v.keys, v.duplicates)
}

// forgot fails the test where more was lost than the published window explains.
func (v *verdict) forgot(t *testing.T, losses []time.Time) {
	t.Helper()
	const published = 3 * time.Second // what Redis has not on its disk, and a busy machine
	if v.lostOthers > 0 || v.duplicates > 0 || v.window(losses...) > published {
		t.Errorf("credits and keys lost %d, duplicates %d, lost over %s:\n%v", v.lostOthers, v.duplicates, v.window(losses...), v.details)
	}
}

func (v *verdict) forgotten(losses []time.Time) string {
	return fmt.Sprintf("%d of %d calls worth $%s answered up to %s before the loss, and %d of %d updates",
		len(v.lostCalls), v.calls, billing.FormatUSD(v.lostNano()), v.window(losses...).Round(time.Millisecond), v.lostUpdates, v.updates)
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
			if info, err := os.Stat(j.file); err == nil {
				j.mu.Lock()
				j.sizes = append(j.sizes, journalSize{time.Now(), info.Size()})
				j.mu.Unlock()
			}
			sleep(ctx, 20*time.Millisecond)
		}
	})
	j.stop = func() { cancel(); done.Wait() }
	return j
}

// cut takes away what was written in the last moments before a time.
func (j *journal) cut(before time.Time) (bytes int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	last := j.sizes[len(j.sizes)-1].size
	size := last
	for _, known := range slices.Backward(j.sizes) {
		if size = known.size; known.at.Before(before) {
			break
		}
	}
	j.sizes = nil
	return last - size, os.Truncate(j.file, size)
}

// truncated kills Redis under mixed load and cuts the last writes from its file, again
// and again: as a machine does that loses its power. What was decided in Postgres is
// not forgotten, nor is what the ledger had; the rest is measured.
func truncated(t *testing.T, times int) {
	const every = 5 * time.Second
	sites, w := several(t, 2, onDisk)
	s := sites[0]
	for _, one := range sites {
		one.serve()
	}
	length := time.Duration(times)*every + every
	l := newLoad(w, length, sites...)
	var losses []time.Time
	var cut int64
	var revoked []string
	result := l.during(length, func(ctx context.Context) {
		for n := range times {
			sleep(ctx, every)
			j := watchJournal(s)
			c := s.customer(9_600_000+n, 0)
			sleep(ctx, time.Second)
			l.administer(n)
			s.revoke(c)
			revoked = append(revoked, c.key)
			s.redis.Kill()
			loss := time.Now()
			losses = append(losses, loss)
			j.stop()
			bytes, err := j.cut(loss.Add(-time.Duration(rand.Int64N(int64(2 * time.Second)))))
			if err != nil {
				t.Error(err)
			}
			cut += bytes
			s.redis.Start()
		}
	})
	v := w.settled(time.Minute)
	s.reconciled()
	for _, key := range revoked {
		if status, body := s.get("/v1/models", key); status != 401 {
			t.Errorf("a revoked key answers %d %s", status, body)
		}
	}
	v.forgot(t, losses)
	t.Logf("truncation: Redis killed %d× under load and %d KB cut from its file: calls %s; forgotten %s; %d credits, %d keys and %d revocations all there, duplicates %d, differences 0",
		times, cut>>10, result, v.forgotten(losses), v.credits, v.keys, len(revoked), v.duplicates)
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
