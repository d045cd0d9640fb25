package ratelimit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// TestExtremes: limits of nothing, of one, and of more than 32 bits.
func TestExtremes(t *testing.T) {
	onAll(t, func(t *testing.T, s asked) {
		for i, row := range []struct {
			most, cost int64
			passes     int
			never      bool
		}{
			{0, 1, 0, true},
			{1, 1, 1, false},
			{1, 2, 0, true},
			{128, 129, 0, true},
			{128, 128, 1, false},
			{129, 130, 0, true},
			{1 << 31, 1 << 30, 2, false},
			{1<<31 + 1, 1<<31 + 1, 1, false},
			{ratelimit.MostUnits, ratelimit.MostUnits - 1, 1, false},
			{ratelimit.MostUnits - 1, ratelimit.MostUnits, 0, true},
		} {
			for _, kind := range []ratelimit.Kind{ratelimit.Window, ratelimit.Bucket} {
				if kind == ratelimit.Bucket && row.most > ratelimit.MostBucket {
					continue
				}
				limit := ratelimit.Limit{Kind: kind, Name: "units", Scope: "key", Key: fmt.Sprintf("lim:{s00}:x:%d:%c", i, kind),
					Max: row.most, Span: time.Minute, Cost: row.cost}
				for n := range 4 {
					d, _ := s.take("id", limit)
					if d.Allowed != (n < row.passes) {
						t.Errorf("%c %d of %d: number %d allowed %v", kind, row.cost, row.most, n, d.Allowed)
					}
					var exceeded *ratelimit.ExceededError
					if errors.As(d.Err(), &exceeded) && (exceeded.Never != row.never || exceeded.RetryAfter <= 0 || row.never && exceeded.RetryAfter != time.Minute) {
						t.Errorf("%c %d of %d: %+v", kind, row.cost, row.most, exceeded)
					}
				}
			}
		}
		none := slots(0)
		var exceeded *ratelimit.ExceededError
		if d, _ := s.take("id", none); !errors.As(d.Err(), &exceeded) || !exceeded.Never {
			t.Errorf("%v", d.Err())
		}
	})
}

// TestRefusedLimits: what is no limit is an error, not an allowance.
func TestRefusedLimits(t *testing.T) {
	good := requests(5)
	bend := func(f func(*ratelimit.Limit)) []ratelimit.Limit {
		l := good
		f(&l)
		return []ratelimit.Limit{l}
	}
	onAll(t, func(t *testing.T, s asked) {
		for name, limits := range map[string][]ratelimit.Limit{
			"negative maximum": bend(func(l *ratelimit.Limit) { l.Max = -1 }),
			"negative cost":    bend(func(l *ratelimit.Limit) { l.Cost = -1 }),
			"huge":             bend(func(l *ratelimit.Limit) { l.Max = ratelimit.MostUnits + 1 }),
			"huge cost":        bend(func(l *ratelimit.Limit) { l.Cost = ratelimit.MostUnits + 1 }),
			"no span":          bend(func(l *ratelimit.Limit) { l.Span = 0 }),
			"a year":           bend(func(l *ratelimit.Limit) { l.Span = 365 * 24 * time.Hour }),
			"no key":           bend(func(l *ratelimit.Limit) { l.Key = "" }),
			"no kind":          bend(func(l *ratelimit.Limit) { l.Kind = 0 }),
			"huge bucket":      bend(func(l *ratelimit.Limit) { l.Kind, l.Max = ratelimit.Bucket, ratelimit.MostBucket+1 }),
			"two places":       bend(func(l *ratelimit.Limit) { l.Kind, l.Span, l.Cost = ratelimit.Concurrency, 0, 2 }),
			"one key twice":    {good, good},
			"too many":         make([]ratelimit.Limit, ratelimit.MostLimits+1),
		} {
			if d, _, err := s.Take(t.Context(), "id", life, limits); err == nil || d.Allowed {
				t.Errorf("%s: %+v", name, d)
			}
		}
		if _, _, err := s.Take(t.Context(), "", life, []ratelimit.Limit{slots(1)}); err == nil {
			t.Error("a place without an id")
		}
		if _, _, err := s.Take(t.Context(), "id", 0, []ratelimit.Limit{slots(1)}); err == nil {
			t.Error("a place for no time")
		}
		if d, _ := s.take("id"); !d.Allowed || d.Err() != nil || d.Headers() != nil {
			t.Errorf("nothing limits: %+v", d)
		}
	})
}

// TestAnyKey: a key of any bytes is counted as itself.
func TestAnyKey(t *testing.T) {
	onAll(t, func(t *testing.T, s asked) {
		for _, key := range []string{"a|b;c%", "%7C", "|", ";", "\x00\xff{}", "a\r\nb", "}{", "lim:{s00}:key:\"\\", "{}{s01}"} {
			limit := requests(1)
			limit.Key = key
			for n := range 2 {
				if d, _ := s.take("id|;%", limit); d.Allowed != (n == 0) || d.Results[0].Key != key {
					t.Errorf("%q: number %d: %+v", key, n, d)
				}
			}
		}
	})
}

// TestForeignKeys: what somebody else left under our key neither lets more through than
// the limit nor breaks it for good.
func TestForeignKeys(t *testing.T) {
	client := testenv.Redis(t)
	put := map[string]func(key string) error{
		"string": func(k string) error { return client.Set(t.Context(), k, "somebody's", 0).Err() },
		"bucket": func(k string) error { return client.Set(t.Context(), k, "1|2|0|0", 0).Err() },
		"list":   func(k string) error { return client.RPush(t.Context(), k, "a", "b").Err() },
		"hash":   func(k string) error { return client.HSet(t.Context(), k, "a", "b").Err() },
		"state":  func(k string) error { return client.HSet(t.Context(), k, "h", "9", "s", "-1e9", "w", "1000000").Err() },
		"set":    func(k string) error { return client.SAdd(t.Context(), k, "a").Err() },
		"zset":   func(k string) error { return client.ZAdd(t.Context(), k, redis.Z{Score: 1, Member: "a"}).Err() },
		"stream": func(k string) error {
			return client.XAdd(t.Context(), &redis.XAddArgs{Stream: k, Values: []string{"a", "b"}}).Err()
		},
	}
	c := newClock()
	s := asked{t, ratelimit.NewRedisAt(client, c.Now), c}
	for what, put := range put {
		for _, limit := range []ratelimit.Limit{requests(2), tokens(200, 100), burst(2, time.Minute), slots(2)} {
			limit.Key += ":" + what
			if err := put(limit.Key); err != nil {
				t.Fatal(err)
			}
			passed, last := 0, ratelimit.Ticket{}
			for i := range 5 {
				d, ticket := s.take(fmt.Sprint("id", i), limit)
				if d.Allowed {
					passed, last = passed+1, ticket
				}
			}
			if passed != 2 {
				t.Errorf("%s under %s: %d passed, want 2", what, limit.Name, passed)
			}
			if err := client.Del(t.Context(), limit.Key).Err(); err != nil {
				t.Fatal(err)
			}
			if err := put(limit.Key); err != nil {
				t.Fatal(err)
			}
			s.giveBack(last)
			if err := s.Renew(t.Context(), []ratelimit.Ticket{last}, life); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestClockFarBack: a clock that was an hour ahead and is put right locks nobody out for
// longer than a window, and forgets nothing.
func TestClockFarBack(t *testing.T) {
	onAll(t, func(t *testing.T, s asked) {
		all := []ratelimit.Limit{requests(3), tokens(300, 100), burst(3, time.Minute)}
		s.Advance(time.Hour)
		for range 3 {
			s.take("id", all...)
		}
		s.Advance(-time.Hour)
		if d, _ := s.take("id", all...); d.Allowed {
			t.Fatalf("forgotten: %+v", d)
		}
		for _, l := range all {
			s.wantLeft(l, 0)
		}
		s.Advance(61 * time.Second)
		for _, l := range all {
			s.wantLeft(l, l.Max)
		}
	})
}
