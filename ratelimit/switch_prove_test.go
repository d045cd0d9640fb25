//go:build prove

package ratelimit_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
	"github.com/kikuai/kikuai/ratelimit"
)

// TestProveLimitsFlood: three processes with clocks seconds apart, on Redis' own.
func TestProveLimitsFlood(t *testing.T) {
	drops := flooded(t, flood{Addr: testenv.RedisServer(t).Addr, Length: floodLength, Stamped: true}, func() {})
	t.Logf("limits, in real time: %s", floodReport(t, drops))
}

// TestProveSwitchLimits takes Redis away from three processes that ask as much as they
// can, refused and as a black hole in turn. PROVE_OUTAGE and PROVE_ROUNDS set how long
// and how often.
func TestProveSwitchLimits(t *testing.T) {
	each, rounds := 15*time.Second, 2
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
	const between = 4 * floodSpan
	server := testenv.RedisServerWith(t, redisserver.Options{AppendOnly: true})
	var changes []int64 // µs, of Redis going and coming back
	length := time.Duration(2*rounds)*(each+between) + between
	drops := flooded(t, flood{Addr: server.Addr, Length: length}, func() {
		for n := range 2 * rounds {
			time.Sleep(between)
			changes = append(changes, micros(time.Now()))
			if n%2 == 0 {
				server.Stop()
			} else {
				server.Pause()
			}
			time.Sleep(each)
			if n%2 == 0 {
				server.Start()
			} else {
				server.Resume()
			}
			changes = append(changes, micros(time.Now()))
		}
	})
	t.Logf("switch, limits: Redis away %d× for %s, refused and black hole in turn; %s", 2*rounds, each, switchReport(t, drops, changes))
}

// switchReport holds each limit to itself while nothing changes, and to itself and the
// parts of all but one instance in the windows of a change.
func switchReport(t *testing.T, drops []drop, changes []int64) string {
	t.Helper()
	const settles = 2 * time.Second // breakers open and close, and what was let through alone is told
	steady := func(end int64) bool {
		return !slices.ContainsFunc(changes, func(at int64) bool {
			return end >= at && end <= at+(floodSpan+settles).Microseconds()
		})
	}
	var tooks []int64
	local := 0
	for _, d := range drops {
		tooks = append(tooks, d.Took)
		if d.Local && !d.Denied {
			local++
		}
	}
	slices.Sort(tooks)
	slow := len(tooks) - slices.IndexFunc(append(tooks, 1<<62), func(took int64) bool { return took > answerMost.Microseconds() })
	report := fmt.Sprintf("%d calls let through, %d of them without Redis, the slowest decision %s, %d over %s",
		len(passed(drops, -1)), local, time.Duration(tooks[len(tooks)-1])*time.Microsecond, slow, answerMost)
	for i, l := range floodLimits() {
		bound := l.Max + (floodProcesses-1)*(l.Max/floodProcesses)
		list := passed(drops, i)
		var most, mostSteady int64
		switch l.Kind {
		case ratelimit.Window:
			most, mostSteady = surely(list, l.Span, nil), surely(list, l.Span, steady)
		case ratelimit.Bucket: // a demand that does not cease leaves a bucket no time to forget a switch
			for n, from := range changes {
				to := int64(math.MaxInt64)
				if n+1 < len(changes) {
					to = changes[n+1]
				}
				span := slices.DeleteFunc(slices.Clone(list), func(d drop) bool { return d.Before < from || d.After >= to })
				most = max(most, fromBucket(span, l))
			}
		case ratelimit.Concurrency:
			most = mostAtOnce(leases(list))
		}
		if most > bound || mostSteady > l.Max {
			t.Errorf("%s: %d in the window of a switch, bound %d; %d in a steady one, limit %d", l.Name, most, bound, mostSteady, l.Max)
		}
		report += fmt.Sprintf("; %d calls of %s: at most %d, bound %d", len(list), l.Name, most, bound)
		if l.Kind == ratelimit.Window {
			report += fmt.Sprintf(", and %d of %d while nothing changes", mostSteady, l.Max)
		}
	}
	if local == 0 {
		t.Error("nothing was let through without Redis")
	}
	return report
}
