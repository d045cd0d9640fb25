//go:build prove

package ratelimit_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/ratelimit"
)

const (
	floodVariable  = "KIKUAI_TEST_FLOOD" // what a child of TestProveLimits is to do, as JSON
	floodLength    = 20 * time.Second
	floodSpan      = 2 * time.Second
	floodLife      = 400 * time.Millisecond
	floodWorkers   = 2 // for each limit, in each process
	floodProcesses = 3
	answerMost     = 250 * time.Millisecond
)

// flood is what one of several processes is told.
type flood struct {
	Addr    string
	Out     string        // where it writes what it was let through with
	Skew    time.Duration // of the process' clock
	Length  time.Duration
	Stamped bool // each decision is dated by Redis' clock; else by the machine's
}

// drop is one call that a process was let through with, or that took too long.
type drop struct {
	Limit         int
	Cost          int64
	Before, After int64 // µs, around the decision
	Gone          int64 // of a concurrency lease
	Took          int64 // µs, as the caller saw it
	Local, Denied bool
}

// floodLimits are the limits that all processes share, shorter than a minute: this
// part runs in real time.
func floodLimits() []ratelimit.Limit {
	limits := []ratelimit.Limit{
		{Kind: ratelimit.Window, Name: ratelimit.NameRequests, Max: 60, Span: floodSpan, Cost: 1},
		{Kind: ratelimit.Window, Name: ratelimit.NameRequests, Max: 600, Span: floodSpan, Cost: 1},
		{Kind: ratelimit.Window, Name: ratelimit.NameTokens, Max: 20_000, Span: floodSpan, Cost: 50},
		{Kind: ratelimit.Bucket, Name: ratelimit.NameBurst, Max: 40, Span: floodSpan, Cost: 1},
		{Kind: ratelimit.Concurrency, Name: ratelimit.NameConcurrency, Max: 8, Cost: 1},
	}
	for i := range limits {
		limits[i].Scope, limits[i].Key = ratelimit.ScopeKey, "lim:{s00}:flood:"+strconv.Itoa(i)
	}
	return limits
}

// TestFloodProcess is one of the processes that flooded starts, and nothing by itself.
func TestFloodProcess(t *testing.T) {
	spec := os.Getenv(floodVariable)
	if spec == "" {
		return
	}
	var f flood
	if err := json.Unmarshal([]byte(spec), &f); err != nil {
		t.Fatal(err)
	}
	drops, err := f.run()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(drops)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Out, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run asks as much as it can and returns what it was let through with.
func (f flood) run() ([]drop, error) {
	client := redis.NewClient(hotOptions(f.Addr))
	defer client.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	breaker := ratelimit.NewBreaker(ratelimit.BreakerOptions{Probe: ratelimit.Ping(client), Log: log})
	defer breaker.Close()
	var through redis.Scripter = client
	if f.Stamped {
		through = stamping{client, client}
	}
	limiter := ratelimit.NewLimiter(ratelimit.LimiterOptions{
		Redis: ratelimit.NewRedis(through), Breaker: breaker, Log: log,
		Instances: func() int { return floodProcesses },
		Now:       func() time.Time { return time.Now().Add(f.Skew) },
	})
	ctx, cancel := context.WithTimeout(context.Background(), f.Length)
	defer cancel()
	var mu sync.Mutex
	var all []drop
	var group sync.WaitGroup
	group.Go(func() { _ = limiter.Run(ctx) })
	limits := floodLimits()
	faults := make(chan error, len(limits)*floodWorkers)
	for i, limit := range limits {
		for worker := range floodWorkers {
			group.Go(func() {
				drops, err := pour(ctx, limiter, i, limit, fmt.Sprintf("%s-%d-%d", f.Skew, i, worker))
				mu.Lock()
				defer mu.Unlock()
				all = append(all, drops...)
				faults <- err
			})
		}
	}
	group.Wait()
	close(faults)
	for err := range faults {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// hotOptions bound a call as those of the request path are.
func hotOptions(addr string) *redis.Options {
	const most = 200 * time.Millisecond
	return &redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: most, ReadTimeout: most, WriteTimeout: most, PoolTimeout: most,
	}
}

// pour asks for one limit until ctx ends.
func pour(ctx context.Context, limiter *ratelimit.Limiter, i int, limit ratelimit.Limit, name string) (drops []drop, err error) {
	within := context.WithoutCancel(ctx)
	most := limit.Cost
	for n := 0; ctx.Err() == nil; n++ {
		limit.Cost = 1 + rand.Int64N(most)
		one := drop{Limit: i, Cost: limit.Cost, Before: micros(time.Now())}
		stamped, when := withMoment(within)
		d, ticket, err := limiter.Take(stamped, name+"-"+strconv.Itoa(n), floodLife, []ratelimit.Limit{limit})
		if err != nil {
			return nil, err
		}
		one.After = micros(time.Now())
		one.Took = one.After - one.Before
		if when.before > 0 {
			one.Before, one.After = when.before, when.after
		}
		if one.Took > answerMost.Microseconds() || d.Allowed {
			one.Local, one.Denied = d.Local, !d.Allowed
			one.Gone = one.Before + floodLife.Microseconds()
			if d.Allowed && limit.Kind == ratelimit.Concurrency {
				if err := hold(ctx, limiter, ticket, &one); err != nil {
					return nil, err
				}
			}
			drops = append(drops, one)
		}
		if !d.Allowed {
			sleepUntil(ctx, time.Duration(rand.Int64N(int64(time.Millisecond))))
		}
	}
	return drops, nil
}

// hold keeps a place for a while and gives it back, or is never heard of again.
func hold(ctx context.Context, limiter *ratelimit.Limiter, ticket ratelimit.Ticket, one *drop) error {
	sleepUntil(ctx, time.Duration(rand.Int64N(int64(50*time.Millisecond))))
	if rand.IntN(8) == 0 {
		return nil
	}
	one.Gone = min(one.Gone, micros(time.Now()))
	stamped, when := withMoment(context.WithoutCancel(ctx))
	err := limiter.Finish(stamped, ticket, nil)
	if when.before > 0 {
		one.Gone = min(one.Gone, when.before)
	}
	return err
}

func sleepUntil(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// flooded lets three processes whose clocks are seconds apart ask for the same limits
// at once while something happens, and returns what they were let through with.
func flooded(t *testing.T, f flood, happens func()) []drop {
	t.Helper()
	var children []*exec.Cmd
	var outs []string
	var said []*strings.Builder
	dir := t.TempDir()
	for i := range floodProcesses {
		f.Out = filepath.Join(dir, strconv.Itoa(i))
		f.Skew = time.Duration(i-1) * 5 * time.Second
		spec, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFloodProcess$")
		child.Env = append(os.Environ(), floodVariable+"="+string(spec))
		text := new(strings.Builder)
		child.Stdout, child.Stderr = text, text
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		children, outs, said = append(children, child), append(outs, f.Out), append(said, text)
	}
	happens()
	var all []drop
	for i, child := range children {
		if err := child.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, said[i])
		}
		text, err := os.ReadFile(outs[i])
		if err != nil {
			t.Fatal(err)
		}
		var drops []drop
		if err := json.Unmarshal(text, &drops); err != nil {
			t.Fatal(err)
		}
		let := make([]int, len(floodLimits()))
		for _, d := range drops {
			let[d.Limit]++
		}
		for limit, n := range let {
			if n == 0 {
				t.Errorf("process %d got nothing of limit %d", i, limit)
			}
		}
		all = append(all, drops...)
	}
	return all
}

// passed are the drops of one limit, below 0 of all, that were let through.
func passed(drops []drop, limit int) (list []drop) {
	for _, d := range drops {
		if (limit < 0 || d.Limit == limit) && !d.Denied {
			list = append(list, d)
		}
	}
	return list
}

// surely is the most that was let through in any trailing window whose end passes the
// filter, counting only what was surely in it: a decision fell between two moments.
func surely(list []drop, span time.Duration, filter func(end int64) bool) (most int64) {
	slices.SortFunc(list, func(a, b drop) int { return cmp.Compare(a.After, b.After) })
	for i, last := range list {
		if filter != nil && !filter(last.After) {
			continue
		}
		sum := int64(0)
		for j := i; j >= 0 && list[j].After > last.After-span.Microseconds(); j-- {
			if list[j].Before > last.After-span.Microseconds() {
				sum += list[j].Cost
			}
		}
		most = max(most, sum)
	}
	return most
}

// leases are admissions of concurrency as long as they were surely held.
func leases(list []drop) (held []admission) {
	for _, d := range list {
		if d.Gone > d.After {
			held = append(held, admission{at: d.After, gone: d.Gone})
		}
	}
	return held
}

// fromBucket is what a bucket surely must have held for the list, less what may have
// flowed into it while a moment was not known.
func fromBucket(list []drop, l ratelimit.Limit) int64 {
	var taken []admission
	var unknown int64
	for _, d := range list {
		taken = append(taken, admission{at: d.Before, cost: d.Cost})
		unknown = max(unknown, d.After-d.Before)
	}
	flowed := (l.Max*unknown + l.Span.Microseconds() - 1) / l.Span.Microseconds()
	return mostFromBucket(taken, l.Max*1000/int64(l.Span/time.Second)) - flowed
}

// share is how much of a window's limit was let through from the second window on, over
// as many whole windows as there are.
func share(list []drop, l ratelimit.Limit) float64 {
	span := l.Span.Microseconds()
	first, last := list[0].Before, list[len(list)-1].Before
	windows := (last - first - span) / span
	var sum int64
	for _, d := range list {
		if d.Before > first+span && d.Before <= first+span+windows*span {
			sum += d.Cost
		}
	}
	return float64(sum) / float64(max(1, windows)*l.Max)
}

// floodReport counts by Redis' clock.
func floodReport(t *testing.T, drops []drop) string {
	t.Helper()
	report := fmt.Sprintf("%d processes with clocks 5 s apart", floodProcesses)
	for i, l := range floodLimits() {
		list := passed(drops, i)
		var most int64
		switch l.Kind {
		case ratelimit.Window:
			most = surely(list, l.Span, nil)
		case ratelimit.Bucket:
			most = fromBucket(list, l)
		case ratelimit.Concurrency:
			most = mostAtOnce(leases(list))
		}
		if most > l.Max {
			t.Errorf("%s: %d of %d", l.Name, most, l.Max)
		}
		report += fmt.Sprintf("; %d calls of %s: at most %d of %d", len(list), l.Name, most, l.Max)
		if l.Kind == ratelimit.Window {
			report += fmt.Sprintf(", %.3f of it let through", share(list, l))
		}
	}
	return report
}
