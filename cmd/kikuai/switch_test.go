package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
)

// TestE2ERedisSwitch: Redis gone for a few seconds, once refused and once a black hole.
func TestE2ERedisSwitch(t *testing.T) { switched(t, 1, 4*time.Second, nil) }

// answerMost is how long a request may wait for a Redis that is away.
const answerMost = 250 * time.Millisecond

// outage is one way of Redis to be away.
type outage struct {
	name       string
	begin, end func()
}

// waits are how long requests took.
type waits []time.Duration

func (w waits) at(percent int) time.Duration {
	if len(w) == 0 {
		return 0
	}
	slices.Sort(w)
	return w[min(len(w)-1, len(w)*percent/100)].Round(time.Millisecond / 10)
}

func (w waits) over(most time.Duration) (n int) {
	for _, took := range w {
		if took > most {
			n++
		}
	}
	return n
}

func (w waits) String() string {
	return fmt.Sprintf("%d answers, p50 %s, p99 %s, max %s, %d over %s", len(w), w.at(50), w.at(99), w.at(100), w.over(answerMost), answerMost)
}

// switched takes Redis away again and again under mixed load, refused and as a black
// hole in turn. Every request is answered in bounded time; no call is answered unpaid;
// afterwards the books agree. judge sees how long the answers took that began during an
// outage: the time at the client, which a busy machine adds to.
func switched(t *testing.T, rounds int, each time.Duration, judge func(waits)) {
	const between = 4 * time.Second
	sites, w := several(t, 2, onDisk) // a Redis that is back has its data
	s := sites[0]
	// The model answers at once, so that what a call takes is what it waits for us.
	s.model.Assign("sim-paced", llmsim.Script{Tokens: 12})
	for _, one := range sites {
		one.serve()
	}
	outages := []outage{
		{"refused", s.redis.Stop, s.redis.Start},
		{"black hole", s.redis.Pause, s.redis.Resume},
	}
	length := time.Duration(rounds*len(outages))*(each+between) + between
	l := newLoad(w, length, sites...)
	visitor := s.customer(9_900_000, 0)
	var spans [][2]time.Time
	var visits []callMade
	result := l.during(length, func(ctx context.Context) {
		var group sync.WaitGroup
		group.Go(func() { visits = visit(ctx, visitor, sites...) })
		for n := range rounds * len(outages) {
			sleep(ctx, between)
			o := outages[n%len(outages)]
			o.begin()
			began := time.Now()
			sleep(ctx, each)
			spans = append(spans, [2]time.Time{began, time.Now()})
			o.end()
		}
		sleep(ctx, between)
		group.Wait()
	})
	v := w.settled(time.Minute)
	s.reconciled()
	v.exact(t)
	var took waits
	refused, unpaid := 0, 0
	for _, call := range slices.Concat(result.calls, visits) {
		for _, span := range spans {
			if call.began.Before(span[0]) || !call.began.Before(span[1]) {
				continue
			}
			took = append(took, call.took)
			switch {
			case call.status == http.StatusServiceUnavailable:
				refused++
			case call.began.Add(call.took).Before(span[1]):
				unpaid++
			}
		}
	}
	// Every answer is in the books, or the witness would have said so. The model may be asked
	// more often: for a chat message whose answer could not be kept, under the same hold.
	made, booked := w.modelCalls()
	if made < booked || unpaid > 0 || refused == 0 || result.statuses[0] > 0 {
		t.Errorf("calls %s; %d refused and %d answered while Redis was away; the model was called %d times, the books have %d calls",
			result, refused, unpaid, made, booked)
	}
	if judge != nil {
		judge(took)
	}
	t.Logf("switch: Redis away %d× for %s (refused and black hole in turn) under load: %s while it was away, %d of them refused and %d answered otherwise; in all calls %s; the model was called %d times, the books have %d calls; %d updates: missing %d, duplicates %d, differences 0",
		len(spans), each, took, refused, unpaid, result, made, booked, v.updates, v.missing(), v.duplicates)
}

// visit asks for a balance again and again, which costs nothing, until ctx ends.
func visit(ctx context.Context, c customer, sites ...*site) (made []callMade) {
	for n := 0; ctx.Err() == nil; n++ {
		one := callMade{began: time.Now()}
		one.status, _ = sites[n%len(sites)].get("/api/v1/balance", c.key)
		one.took = time.Since(one.began)
		made = append(made, one)
		sleep(ctx, 50*time.Millisecond-one.took)
	}
	return made
}
