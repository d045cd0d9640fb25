package ratelimit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

const life = time.Minute

// asked is a source under a test, whose faults end it.
type asked struct {
	t *testing.T
	source
	*clock
}

// onAll runs a test on every source, each on its own clock.
func onAll(t *testing.T, test func(t *testing.T, s asked)) {
	for name, open := range sources(t) {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			test(t, asked{t, open(c), c})
		})
	}
}

func (s asked) take(id string, limits ...ratelimit.Limit) (ratelimit.Decision, ratelimit.Ticket) {
	s.t.Helper()
	d, ticket, err := s.Take(s.t.Context(), id, life, limits)
	if err != nil {
		s.t.Fatal(err)
	}
	return d, ticket
}

func (s asked) finish(ticket ratelimit.Ticket, used ratelimit.Used) {
	s.t.Helper()
	if err := s.Finish(s.t.Context(), ticket, used); err != nil {
		s.t.Fatal(err)
	}
}

func (s asked) giveBack(ticket ratelimit.Ticket) {
	s.t.Helper()
	if err := s.GiveBack(s.t.Context(), ticket); err != nil {
		s.t.Fatal(err)
	}
}

// left looks at what is left of a limit.
func (s asked) left(l ratelimit.Limit) int64 {
	s.t.Helper()
	l.Cost = 0
	d, _ := s.take("looks", l)
	if !d.Allowed {
		s.t.Fatalf("a look was denied: %+v", d)
	}
	return d.Results[0].Remaining
}

func (s asked) wantLeft(l ratelimit.Limit, want int64) {
	s.t.Helper()
	if got := s.left(l); got != want {
		s.t.Errorf("%s: %d left, want %d", l.Name, got, want)
	}
}

func requests(most int64) ratelimit.Limit {
	return ratelimit.Limit{Kind: ratelimit.Window, Name: "requests", Scope: "key", Key: "lim:{s00}:key:k", Max: most, Span: time.Minute, Cost: 1}
}

func tokens(most, cost int64) ratelimit.Limit {
	return ratelimit.Limit{Kind: ratelimit.Window, Name: "tokens", Scope: "key", Key: "lim:{s00}:key:k:t", Max: most, Span: time.Minute, Cost: cost}
}

func burst(most int64, span time.Duration) ratelimit.Limit {
	return ratelimit.Limit{Kind: ratelimit.Bucket, Name: "burst", Scope: "key", Key: "lim:{s00}:key:k:b", Max: most, Span: span, Cost: 1}
}

func slots(most int64) ratelimit.Limit {
	return ratelimit.Limit{Kind: ratelimit.Concurrency, Name: "concurrency", Scope: "key", Key: "lim:{s00}:key:k:c", Max: most, Cost: 1}
}

// TestAllOrNothing: a call that one limit denies takes nothing of the others, and of
// several that deny the one with the longest wait is named.
func TestAllOrNothing(t *testing.T) {
	onAll(t, func(t *testing.T, s asked) {
		all := []ratelimit.Limit{requests(10), tokens(1000, 400), burst(5, 10*time.Second), slots(3)}
		for i := range 2 {
			if d, _ := s.take(fmt.Sprint("call", i), all...); !d.Allowed {
				t.Fatalf("call %d: %+v", i, d)
			}
		}
		s.Advance(time.Second)
		d, ticket := s.take("call2", all...)
		if d.Allowed || len(ticket.Taken) != 0 || d.Results[d.Denied].Name != "tokens" {
			t.Fatalf("%+v", d)
		}
		for i, want := range []int64{8, 200, 3, 1} {
			s.wantLeft(all[i], want)
			if d.Results[i].Remaining != want {
				t.Errorf("%s: remaining %d, want %d", all[i].Name, d.Results[i].Remaining, want)
			}
		}
		all[2].Max, all[3].Max = 1, 1
		if d, _ = s.take("call3", all...); d.Allowed || d.Results[d.Denied].Name != "tokens" {
			t.Errorf("%+v", d)
		}
		var exceeded *ratelimit.ExceededError
		if err := d.Err(); !errors.As(err, &exceeded) || exceeded.RetryAfter < 50*time.Second || exceeded.Never {
			t.Errorf("%v", err)
		}
	})
}

// TestFinish: what was not used is given back to its moment, what was used beyond is
// added over the limit, and neither happens twice.
func TestFinish(t *testing.T) {
	for _, most := range []int64{100, 1000} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			onAll(t, func(t *testing.T, s asked) {
				limit := tokens(most, most*3/10)
				_, first := s.take("first", limit)
				s.Advance(10 * time.Second)
				_, second := s.take("second", limit)
				s.wantLeft(limit, most*4/10)
				for range 3 {
					s.finish(first, ratelimit.Used{"tokens": most / 10, "requests": 7})
				}
				s.giveBack(first)
				s.wantLeft(limit, most*6/10)
				for range 3 {
					s.finish(second, ratelimit.Used{"tokens": 2 * most})
				}
				s.giveBack(second)
				s.wantLeft(limit, 0)
				if d, _ := s.take("third", limit); d.Allowed {
					t.Errorf("over the limit: %+v", d)
				}
				s.Advance(62 * time.Second)
				s.wantLeft(limit, most)
				s.giveBack(first)
				s.wantLeft(limit, most)
			})
		})
	}
}

// TestGiveBackOfWhatLeft: what has left the window is not given back from what others took.
func TestGiveBackOfWhatLeft(t *testing.T) {
	for _, most := range []int64{100, 1000} {
		onAll(t, func(t *testing.T, s asked) {
			limit := tokens(most, most)
			_, old := s.take("old", limit)
			s.Advance(61*time.Second + time.Second)
			if d, _ := s.take("new", limit); !d.Allowed {
				t.Fatalf("%+v", d)
			}
			s.giveBack(old)
			s.wantLeft(limit, 0)
		})
	}
}

// TestBucket: a burst passes at once, then as much as refills, and what is given back
// passes again.
func TestBucket(t *testing.T) {
	onAll(t, func(t *testing.T, s asked) {
		limit := burst(7, 3500*time.Millisecond) // two a second
		var last ratelimit.Ticket
		for range 7 {
			d, ticket := s.take("burst", limit)
			if !d.Allowed {
				t.Fatalf("%+v", d)
			}
			last = ticket
		}
		d, _ := s.take("one more", limit)
		if d.Allowed || d.Results[0].Reset != 500*time.Millisecond {
			t.Fatalf("%+v", d)
		}
		s.Advance(500*time.Millisecond - time.Microsecond)
		if d, _ = s.take("early", limit); d.Allowed {
			t.Fatalf("a µs early: %+v", d)
		}
		s.Advance(time.Microsecond)
		if d, _ = s.take("in time", limit); !d.Allowed {
			t.Fatalf("in time: %+v", d)
		}
		s.giveBack(last)
		s.giveBack(last)
		s.wantLeft(limit, 1)
		limit.Cost = 8
		var exceeded *ratelimit.ExceededError
		if d, _ = s.take("too much", limit); !errors.As(d.Err(), &exceeded) || !exceeded.Never {
			t.Errorf("%v", d.Err())
		}
		s.Advance(time.Hour)
		s.wantLeft(limit, 7)
		limit.Cost = 7
		if _, all := s.take("all", limit); len(all.Taken) == 1 {
			s.Advance(time.Second)
			s.finish(all, ratelimit.Used{"burst": 1})
			s.wantLeft(limit, 7)
			s.finish(all, ratelimit.Used{"burst": 100})
		}
		s.wantLeft(limit, 7)
	})
}

// TestPlaces: a place is held once by an id, until it is given back or its lease ends.
func TestPlaces(t *testing.T) {
	onAll(t, func(t *testing.T, s asked) {
		limit := slots(2)
		_, a := s.take("a", limit)
		if d, _ := s.take("a", limit); !d.Allowed || d.Results[0].Remaining != 1 {
			t.Fatalf("the same call again: %+v", d)
		}
		s.Advance(30 * time.Second)
		_, b := s.take("b", limit)
		d, _ := s.take("c", limit)
		var exceeded *ratelimit.ExceededError
		if !errors.As(d.Err(), &exceeded) || exceeded.RetryAfterSeconds() != 1 || exceeded.Never {
			t.Fatalf("%v", d.Err())
		}
		s.giveBack(b)
		s.giveBack(b)
		if d, _ = s.take("c", limit); !d.Allowed {
			t.Fatalf("after a place was given back: %+v", d)
		}
		if err := s.Renew(t.Context(), []ratelimit.Ticket{a, b}, life); err != nil {
			t.Fatal(err)
		}
		s.Advance(life - time.Microsecond) // a and c end with this minute, b is no more
		s.wantLeft(limit, 0)
		s.Advance(time.Microsecond)
		s.wantLeft(limit, 2)
		if err := s.Renew(t.Context(), []ratelimit.Ticket{a}, life); err != nil {
			t.Fatal(err)
		}
		s.wantLeft(limit, 2)
	})
}

// TestManyRenewals: each of many places on several shards is renewed.
func TestManyRenewals(t *testing.T) {
	onAll(t, func(t *testing.T, s asked) {
		var tickets []ratelimit.Ticket
		for i := range 300 {
			limit := slots(1)
			limit.Key = fmt.Sprintf("lim:{s%02d}:key:many:%d:c", i%2, i)
			_, ticket := s.take(fmt.Sprint("id", i), limit)
			tickets = append(tickets, ticket)
		}
		s.Advance(life / 2)
		if err := s.Renew(t.Context(), tickets, life); err != nil {
			t.Fatal(err)
		}
		s.Advance(life - time.Microsecond)
		for _, ticket := range tickets {
			s.wantLeft(ticket.Taken[0].Limit, 0)
		}
	})
}
