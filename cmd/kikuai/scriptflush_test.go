package main

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestE2EScriptFlush: a Redis that forgets its scripts in the middle of the load is told
// them again, and no client notices.
func TestE2EScriptFlush(t *testing.T) {
	t.Parallel()
	const workers, each = 4, 40
	s := newSite(t)
	serve := s.serve()
	c := s.customer(personID, workers*each*callNano)
	client := s.redis.Client()
	ctx, cancel := context.WithCancel(t.Context())
	var flusher, group sync.WaitGroup
	flushes := 0
	flusher.Go(func() {
		for ctx.Err() == nil {
			if client.ScriptFlush(ctx).Err() == nil {
				flushes++
			}
			sleep(ctx, 10*time.Millisecond)
		}
	})
	var paid atomic.Int64
	for range workers {
		group.Go(func() {
			for range each {
				if status, body := s.chat(c.key, "exact", "go", 100); status == http.StatusOK {
					paid.Add(1)
				} else {
					t.Errorf("a paid call answers %d %s", status, body)
				}
			}
		})
	}
	group.Wait()
	cancel()
	flusher.Wait()
	if available, held := s.balance(c.key); available != 0 || held != 0 || paid.Load() != workers*each {
		t.Errorf("%d of %d calls paid, %d nano-USD left, %d held", paid.Load(), workers*each, available, held)
	}
	serve.stop()
	s.reconciled()
	t.Logf("script flush: %d paid calls over %d flushes, all answered; balance exact", paid.Load(), flushes)
}
