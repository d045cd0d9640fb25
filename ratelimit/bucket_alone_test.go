package ratelimit_test

import (
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// TestBucketWithoutRedis: however long Redis is away from all instances, together they
// let through no more than the bucket holds and what flows into it.
func TestBucketWithoutRedis(t *testing.T) {
	const n, most, span = 3, 40, 2 * time.Second
	c := newClock()
	instances := newInstances(unbreakable(t), testenv.Redis(t), n, c.Now)
	for _, i := range instances {
		i.link.set(refused)
	}
	limit := ratelimit.Limit{Kind: ratelimit.Bucket, Name: ratelimit.NameBurst, Scope: "user", Key: "lim:{s00}:alone", Max: most, Span: span, Cost: 1}
	var passed []admission
	for range 10 * 100 { // ten times as long as the bucket takes to fill
		c.Advance(span / 100)
		for _, i := range instances {
			d, _, err := i.Take(t.Context(), "", 0, []ratelimit.Limit{limit})
			if err != nil {
				t.Fatal(err)
			}
			if d.Allowed {
				passed = append(passed, admission{at: c.Now().UnixMicro(), cost: 1})
			}
		}
	}
	if needed := mostFromBucket(passed, most*1000/int64(span/time.Second)); needed > most {
		t.Errorf("a bucket of %d would be needed, limit %d", needed, most)
	}
	if want := 9 * most * 9 / 10; len(passed) < want {
		t.Errorf("%d passed in ten times the span, at least %d should", len(passed), want)
	}
}

// TestBucketEmptiedThroughRedis: a bucket that was taken from through Redis for longer
// than it takes to fill is empty when Redis goes away, not full.
func TestBucketEmptiedThroughRedis(t *testing.T) {
	const most, span = 60, 10 * time.Second
	c := newClock()
	i := newInstances(unbreakable(t), testenv.Redis(t), 1, c.Now)[0]
	limit := ratelimit.Limit{Kind: ratelimit.Bucket, Name: ratelimit.NameBurst, Scope: "user", Key: "lim:{s00}:emptied", Max: most, Span: span, Cost: 1}
	var passed []admission
	for range 3 * 100 {
		for take(t, i, limit).Allowed {
			passed = append(passed, admission{at: c.Now().UnixMicro(), cost: 1})
		}
		c.Advance(span / 100)
	}
	i.link.set(refused)
	for take(t, i, limit).Allowed {
		passed = append(passed, admission{at: c.Now().UnixMicro(), cost: 1})
	}
	if needed := mostFromBucket(passed, most*1000/int64(span/time.Second)); needed > most {
		t.Errorf("a bucket of %d would be needed, limit %d", needed, most)
	}
}
