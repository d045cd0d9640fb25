package cache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestDue: XFetch begins early with the chance that the paper states, and in any case
// at the expiry.
func TestDue(t *testing.T) {
	e := &entry{delta: 100 * time.Millisecond, expires: 10 * time.Second}
	for _, row := range []struct {
		left time.Duration
		beta float64
		from float64
		to   float64
	}{
		{0, 1, 1, 1},
		{-time.Second, 1, 1, 1},
		{100 * time.Millisecond, 1, .35, .39}, // e^-1
		{200 * time.Millisecond, 1, .12, .15}, // e^-2
		{200 * time.Millisecond, 2, .35, .39},
		{9 * time.Second, 1, 0, 0},
	} {
		const tries = 20_000
		due := 0
		for range tries {
			if e.due(e.expires-row.left, row.beta) {
				due++
			}
		}
		if got := float64(due) / tries; got < row.from || got > row.to {
			t.Errorf("%s before the expiry, beta %g: due with %.3f, want %g to %g", row.left, row.beta, got, row.from, row.to)
		}
	}
}

// refreshing is a fleet whose one value is in all memories and about to expire, by the
// clock in its hands.
type refreshing struct {
	fleet []*instance
	now   *clock
	src   *source
}

func newRefreshing(t *testing.T, client redis.UniversalClient, instances int, grace time.Duration) *refreshing {
	t.Helper()
	r := &refreshing{now: newClock(), src: &source{}}
	so := spaceOptions()
	so.Grace = grace
	o := Options{LockWait: patience, RedisPatience: patience, Now: r.now.Now}
	if client != nil {
		o.Redis = client
	}
	for range instances {
		i := start(t, o, so)
		r.fleet = append(r.fleet, i)
		must(t, i, "k", r.src.load, 0)
	}
	if n := r.src.asked.Load(); n != 1 {
		t.Fatalf("%d loads to begin with, want 1", n)
	}
	return r
}

// readers fetch from all instances at once, a thousand in all; slow loads last until
// all have been answered, where all can be.
func (r *refreshing) readers(t *testing.T, load func(context.Context) (thing, error)) map[int]int {
	t.Helper()
	var mu sync.Mutex
	got := map[int]int{}
	var wg sync.WaitGroup
	for _, i := range r.fleet {
		wg.Go(func() {
			values, errs := rush(i, 1000/len(r.fleet), "k", load)
			mu.Lock()
			defer mu.Unlock()
			for n := range values {
				if errs[n] != nil {
					t.Error(errs[n])
				}
				got[values[n].Number]++
			}
		})
	}
	wg.Wait()
	return got
}

// TestThousandAtExpiry: a thousand readers of a value that has just expired, on one
// instance or three, cause one load; all get the new value.
func TestThousandAtExpiry(t *testing.T) {
	for name, instances := range map[string]int{"memory alone": 1, "one instance": 1, "three instances": 3} {
		t.Run(name, func(t *testing.T) {
			var client redis.UniversalClient
			if name != "memory alone" {
				client = testenv.Redis(t)
			}
			r := newRefreshing(t, client, instances, 0)
			if client != nil { // its clock is its own: it has expired there, too
				client.Del(t.Context(), valueKey("things", "k"))
			}
			r.now.Advance(time.Minute)
			r.src.number.Store(1)
			got := r.readers(t, func(ctx context.Context) (thing, error) {
				time.Sleep(50 * time.Millisecond) // others arrive meanwhile
				return r.src.load(ctx)
			})
			if n := r.src.asked.Load() - 1; n != 1 || got[1] < 999 {
				t.Errorf("%d loads, want 1; values %v", n, got)
			}
		})
	}
}

// TestThousandBeforeExpiry: a thousand readers of a value that is due for an early
// refresh, on one instance or three, cause one load, and none of them waits for it.
func TestThousandBeforeExpiry(t *testing.T) {
	for name, instances := range map[string]int{"memory alone": 1, "one instance": 1, "three instances": 3} {
		t.Run(name, func(t *testing.T) {
			var client redis.UniversalClient
			if name != "memory alone" {
				client = testenv.Redis(t)
			}
			r := newRefreshing(t, client, instances, time.Hour)
			r.now.Advance(time.Minute - time.Nanosecond) // what is left is less than any load takes
			for _, i := range r.fleet {
				at := i.things.s.at("k")
				if e, found := i.memory.store.load(at); !found {
					t.Fatal("it has left level one")
				} else {
					e.delta = max(e.delta, time.Millisecond)
				}
			}
			if client != nil { // Redis' clock is its own
				client.PExpire(t.Context(), valueKey("things", "k"), time.Hour+time.Millisecond)
			}
			r.src.number.Store(1)
			release := make(chan struct{})
			got := r.readers(t, func(ctx context.Context) (thing, error) {
				<-release
				return r.src.load(ctx)
			})
			if got[0] < 999 {
				t.Errorf("values %v: some waited", got)
			}
			close(release)
			testenv.Until(t, "bring the new value everywhere", func() bool {
				for _, i := range r.fleet {
					if v, err := i.things.Fetch(t.Context(), "k", r.src.load); err != nil || v.Number != 1 {
						return false
					}
				}
				return true
			})
			if n := r.src.asked.Load() - 1; n != 1 {
				t.Errorf("%d loads, want 1", n)
			}
		})
	}
}

// TestGrace: beyond its TTL a value is served while a new one cannot be loaded, and not
// beyond its grace.
func TestGrace(t *testing.T) {
	client := testenv.Redis(t)
	so := spaceOptions()
	so.TTL, so.L1TTL, so.Grace = 20*time.Millisecond, 10*time.Millisecond, time.Hour
	i := start(t, options(client), so)
	var src source
	must(t, i, "k", src.load, 0)
	broken := errors.New("broken")
	failing := func(context.Context) (thing, error) { return thing{}, broken }
	testenv.Until(t, "try a refresh", func() bool {
		must(t, i, "k", failing, 0)
		return i.count(t, "cache_refreshes_total", "how=failed") > 0
	})
	if i.count(t, "cache_hits_total", "result=stale") == 0 {
		t.Error("nobody counted what was stale")
	}
	src.number.Store(1)
	testenv.Until(t, "bring the new value", func() bool {
		v, err := i.things.Fetch(t.Context(), "k", src.load)
		return err == nil && v.Number == 1
	})
	if err := client.PExpire(t.Context(), valueKey("things", "k"), time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "end the grace", func() bool {
		_, err := i.things.Fetch(t.Context(), "k", failing)
		return errors.Is(err, broken)
	})
}

// TestFailedRefresh: who comes while a value is loaded anew, and finds none in memory, waits
// for it; where that fails it is served the old one, and not the error.
func TestFailedRefresh(t *testing.T) {
	client, now := testenv.Redis(t), newClock()
	o, so := options(client), spaceOptions()
	o.Now = now.Now
	so.L1TTL, so.Grace = time.Second, time.Hour
	i := start(t, o, so)
	var src source
	must(t, i, "k", src.load, 0)
	at := i.things.s.at("k")
	old, _ := i.memory.store.load(at)
	broken, entered, release := errors.New("broken"), make(chan struct{}), make(chan struct{})
	i.things.s.refresh(t.Context(), "k", old, func(context.Context) (any, error) {
		close(entered)
		<-release
		return nil, broken
	})
	<-entered
	now.Advance(so.L1TTL)
	misses := i.count(t, "cache_hits_total", "level=l1", "result=miss")
	answer := make(chan error, 1)
	go func() {
		v, err := i.things.Fetch(context.Background(), "k", func(context.Context) (thing, error) { return thing{}, broken })
		if err == nil && v.Number != 0 {
			err = errors.New("another value")
		}
		answer <- err
	}()
	testenv.Until(t, "miss level one", func() bool { return i.count(t, "cache_hits_total", "level=l1", "result=miss") > misses })
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("the old value may be served for an hour: %v", err)
	}
}

// TestLockWaits: an instance without a value waits for the one that loads, and loads
// itself when that takes too long.
func TestLockWaits(t *testing.T) {
	client := testenv.Redis(t)
	o := options(client)
	a := start(t, o, spaceOptions())
	hurried := o
	hurried.LockWait = 20 * time.Millisecond
	b, c := start(t, o, spaceOptions()), start(t, hurried, spaceOptions())
	entered, release := make(chan struct{}), make(chan struct{})
	answers := make(chan int, 2)
	fetch := func(i *instance, load func(context.Context) (thing, error)) {
		v, err := i.things.Fetch(context.Background(), "k", load)
		if err != nil {
			t.Error(err)
		}
		answers <- v.Number
	}
	go fetch(a, func(context.Context) (thing, error) {
		close(entered)
		<-release
		return thing{Number: 1}, nil
	})
	<-entered
	go fetch(b, never(t))
	testenv.Until(t, "wait", func() bool { return b.count(t, "cache_lock_waits_total") == 1 })
	must(t, c, "k", func(context.Context) (thing, error) { return thing{Number: 2}, nil }, 2)
	if n := c.count(t, "cache_lock_waits_total"); n != 1 {
		t.Errorf("%v waits, want 1", n)
	}
	if n := <-answers; n != 2 { // b's, from what c has written
		t.Errorf("the waiting instance got %d", n)
	}
	close(release)
	if n := <-answers; n != 2 { // a's own came too late: c began after it
		t.Errorf("the slow instance got %d", n)
	}
	must(t, idle(t, o, spaceOptions()), "k", never(t), 2)
}
