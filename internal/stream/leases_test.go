package stream_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

const (
	shortTTL = time.Second
	patience = time.Minute
	poll     = 5 * time.Millisecond
)

// quick are options of a client whose calls fail well within a short lease.
func quick(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: 100 * time.Millisecond, ReadTimeout: 100 * time.Millisecond, WriteTimeout: 100 * time.Millisecond,
	}
}

func connect(t *testing.T, addr string) *redis.Client {
	t.Helper()
	client := redis.NewClient(quick(addr))
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// deed is the log of who owned which shard when; it notices two owners at once.
type deed struct {
	t     *testing.T
	mu    sync.Mutex
	owner [stream.Shards]string
	runs  int
}

func (d *deed) own(name string) func(context.Context, stream.Shard) error {
	return func(ctx context.Context, s stream.Shard) error {
		d.mu.Lock()
		if other := d.owner[s]; other != "" {
			d.t.Errorf("%s owns %s while %s does", name, s, other)
		}
		d.owner[s] = name
		d.runs++
		d.mu.Unlock()
		<-ctx.Done()
		d.mu.Lock()
		d.owner[s] = ""
		d.mu.Unlock()
		return ctx.Err()
	}
}

func (d *deed) counts() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := map[string]int{}
	for _, name := range d.owner {
		if name != "" {
			counts[name]++
		}
	}
	return counts
}

// instance runs leases and returns a function that ends it and waits.
func instance(t *testing.T, client redis.UniversalClient, name string, own func(context.Context, stream.Shard) error) (*stream.Leases, func()) {
	t.Helper()
	leases := stream.NewLeases(stream.LeasesOptions{
		Name: "work", Redis: client, Log: testenv.Logger(t), TTL: shortTTL, Instance: name,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := leases.Run(ctx, own); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop := func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return leases, stop
}

// servers are the kinds of Redis that the package must work on.
func servers(t *testing.T, test func(t *testing.T, addr string)) {
	t.Run("redis", func(t *testing.T) { test(t, testenv.RedisServer(t).Addr) })
	t.Run("miniredis", func(t *testing.T) {
		server := miniredis.RunT(t)
		// Its clock stands still unless it is moved.
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			const step = 10 * time.Millisecond
			tick := time.NewTicker(step)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					server.FastForward(step)
				}
			}
		}()
		t.Cleanup(func() { close(stop); <-done })
		test(t, server.Addr())
	})
}

func TestLeasesAreSharedFairly(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		d := &deed{t: t}
		balanced := func(want map[string]int) func() bool {
			return func() bool {
				counts := d.counts()
				total := 0
				for name, n := range counts {
					if n > want[name] {
						return false
					}
					total += n
				}
				return total == stream.Shards
			}
		}
		client := connect(t, addr)
		_, stopA := instance(t, client, "a", d.own("a"))
		testenv.Until(t, "one instance holds all", balanced(map[string]int{"a": 16}))
		b, stopB := instance(t, connect(t, addr), "b", d.own("b"))
		testenv.Until(t, "two hold eight each", balanced(map[string]int{"a": 8, "b": 8}))
		_, stopC := instance(t, connect(t, addr), "c", d.own("c"))
		testenv.Until(t, "three hold six at most", balanced(map[string]int{"a": 6, "b": 6, "c": 6}))
		stopA()
		testenv.Until(t, "two hold eight again", balanced(map[string]int{"b": 8, "c": 8}))
		if held := b.Held(); len(held) != 8 {
			t.Errorf("Held() = %v", held)
		}
		stopC()
		testenv.Until(t, "one holds all again", balanced(map[string]int{"b": 16}))
		stopB()
		keys, err := client.Keys(context.Background(), "lease:*").Result()
		if err != nil || len(keys) != 0 {
			t.Errorf("left behind after all have ended: %v (%v)", keys, err)
		}
		if members, err := client.ZCard(context.Background(), "members:work").Result(); err != nil || members != 0 {
			t.Errorf("%d members left (%v)", members, err)
		}
	})
}

// TestMembers: the count is none before the first look, follows who comes and goes, and
// neither an outage nor a Redis that forgot everyone makes it smaller at once.
func TestMembers(t *testing.T) {
	server := testenv.RedisServer(t)
	// A Redis that forgets everyone may give a shard two owners for a moment; that is
	// not what is looked at here.
	own := func(ctx context.Context, _ stream.Shard) error {
		<-ctx.Done()
		return nil
	}
	idle := stream.NewLeases(stream.LeasesOptions{Name: "work", Redis: connect(t, server.Addr), Log: testenv.Logger(t)})
	if n := idle.Members(); n != 0 {
		t.Fatalf("%d members before Redis was seen", n)
	}
	a, _ := instance(t, connect(t, server.Addr), "a", own)
	members := func(want int) func() bool { return func() bool { return a.Members() == want } }
	testenv.Until(t, "one is alone", members(1))
	_, stopB := instance(t, connect(t, server.Addr), "b", own)
	_, stopC := instance(t, connect(t, server.Addr), "c", own)
	testenv.Until(t, "three are counted", members(3))

	server.Pause()
	testenv.Until(t, "none is held", func() bool { return len(a.Held()) == 0 })
	if n := a.Members(); n != 3 {
		t.Fatalf("%d members while Redis is away, want the 3 of before", n)
	}
	server.Resume()
	server.FlushAll()
	for range 20 { // looks at an empty Redis come first, then everyone is back
		if n := a.Members(); n != 3 {
			t.Fatalf("%d members after Redis forgot them, want 3", n)
		}
		time.Sleep(poll)
	}
	stopC()
	testenv.Until(t, "two are left", members(2))
	stopB()
	testenv.Until(t, "one is left", members(1))
}

// Instances that start and stop all at once reach for the same shards; each shard goes
// to one of them.
func TestLeasesUnderContention(t *testing.T) {
	addr := testenv.RedisServer(t).Addr
	d := &deed{t: t}
	for round := range 4 {
		var stops []func()
		var mu sync.Mutex
		var starting sync.WaitGroup
		for i := range 4 {
			starting.Go(func() {
				name := fmt.Sprint(round, "-", i)
				_, stop := instance(t, connect(t, addr), name, d.own(name))
				mu.Lock()
				defer mu.Unlock()
				stops = append(stops, stop)
			})
		}
		starting.Wait()
		testenv.Until(t, "all are held", func() bool {
			total := 0
			for _, n := range d.counts() {
				total += n
			}
			return total == stream.Shards
		})
		for _, stop := range stops {
			stop()
		}
	}
}

func TestOwnerIsRestartedWhileTheLeaseIsHeld(t *testing.T) {
	client := connect(t, testenv.RedisServer(t).Addr)
	var mu sync.Mutex
	calls := map[stream.Shard]int{}
	_, stop := instance(t, client, "a", func(ctx context.Context, s stream.Shard) error {
		mu.Lock()
		calls[s]++
		n := calls[s]
		mu.Unlock()
		switch n {
		case 1:
			return errors.New("broken")
		case 2:
			panic("worse")
		}
		<-ctx.Done()
		return nil
	})
	testenv.Until(t, "every owner has been called three times", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for s := range stream.Shards {
			if calls[stream.Shard(s)] != 3 {
				return false
			}
		}
		return true
	})
	stop()
}

// An owner that takes longer to stop than the lease lives keeps the lease until it
// has returned, when it was asked to stop in good order.
func TestHandOverWaitsForTheOwner(t *testing.T) {
	addr := testenv.RedisServer(t).Addr
	d := &deed{t: t}
	slow := func(ctx context.Context, s stream.Shard) error {
		d.mu.Lock()
		d.owner[s] = "slow"
		d.mu.Unlock()
		<-ctx.Done()
		time.Sleep(2 * shortTTL)
		d.mu.Lock()
		d.owner[s] = ""
		d.mu.Unlock()
		return nil
	}
	_, stop := instance(t, connect(t, addr), "slow", slow)
	testenv.Until(t, "the slow one holds all", func() bool { return d.counts()["slow"] == stream.Shards })
	instance(t, connect(t, addr), "next", d.own("next"))
	stop()
	testenv.Until(t, "the next one holds all", func() bool { return d.counts()["next"] == stream.Shards })
}

// While Redis does not answer, owners stop before their leases can expire, and start
// again when it does.
func TestRedisFrozen(t *testing.T) {
	server := testenv.RedisServer(t)
	d := &deed{t: t}
	var mu sync.Mutex
	var last time.Time
	causes := map[error]int{}
	own := func(ctx context.Context, s stream.Shard) error {
		err := d.own("a")(ctx, s)
		mu.Lock()
		defer mu.Unlock()
		last = time.Now()
		causes[context.Cause(ctx)]++
		return err
	}
	leases, stop := instance(t, connect(t, server.Addr), "a", own)
	held := func() bool { return d.counts()["a"] == stream.Shards }
	testenv.Until(t, "all are held", held)
	server.Pause()
	paused := time.Now()
	testenv.Until(t, "none is held", func() bool { return len(d.counts()) == 0 })
	mu.Lock()
	if took := last.Sub(paused); took > shortTTL {
		t.Errorf("the last owner stopped %v after Redis froze; leases live %v", took, shortTTL)
	}
	if causes[stream.ErrLeaseLost] != stream.Shards {
		t.Errorf("causes: %v", causes)
	}
	mu.Unlock()
	if held := leases.Held(); len(held) != 0 {
		t.Errorf("Held() = %v while Redis is away", held)
	}
	server.Resume()
	testenv.Until(t, "all are held again", held)
	stop()
}

// Two instances, Redis frozen longer than a lease: whoever comes first afterwards, no
// shard has two owners.
func TestRedisFrozenWithTwoInstances(t *testing.T) {
	server := testenv.RedisServer(t)
	d := &deed{t: t}
	instance(t, connect(t, server.Addr), "a", d.own("a"))
	instance(t, connect(t, server.Addr), "b", d.own("b"))
	shared := func() bool { c := d.counts(); return c["a"] == 8 && c["b"] == 8 }
	testenv.Until(t, "shared", shared)
	server.Pause()
	testenv.Until(t, "none is held", func() bool { return len(d.counts()) == 0 })
	time.Sleep(shortTTL) // every lease has expired when Redis wakes
	server.Resume()
	testenv.Until(t, "shared again", shared)
}

func TestRedisWiped(t *testing.T) {
	server := testenv.RedisServer(t)
	d := &deed{t: t}
	instance(t, connect(t, server.Addr), "a", d.own("a"))
	testenv.Until(t, "all are held", func() bool { return d.counts()["a"] == stream.Shards })
	server.FlushAll()
	client := connect(t, server.Addr)
	testenv.Until(t, "the leases are back", func() bool {
		keys, err := client.Keys(context.Background(), "lease:*").Result()
		return err == nil && len(keys) == stream.Shards
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.runs != stream.Shards {
		t.Errorf("owners were started %d times, want %d", d.runs, stream.Shards)
	}
}

// holdLeases is the child process of TestKilledHolderIsReplacedAtOnce.
func holdLeases(addr string) {
	leases := stream.NewLeases(stream.LeasesOptions{
		Name: "work", Redis: redis.NewClient(quick(addr)), Log: slog.New(slog.DiscardHandler),
	})
	err := leases.Run(context.Background(), func(ctx context.Context, _ stream.Shard) error {
		<-ctx.Done()
		return nil
	})
	fmt.Fprintln(os.Stderr, "child ended:", err)
}

func TestKilledHolderIsReplacedAtOnce(t *testing.T) {
	addr := testenv.RedisServer(t).Addr
	client := connect(t, addr)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+addr)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "the child holds all", func() bool {
		keys, err := client.Keys(context.Background(), "lease:*").Result()
		return err == nil && len(keys) == stream.Shards
	})
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	killed := time.Now()
	d := &deed{t: t}
	leases := stream.NewLeases(stream.LeasesOptions{Name: "work", Redis: client, Log: testenv.Logger(t)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- leases.Run(ctx, d.own("next")) }()
	testenv.Until(t, "the next one holds all", func() bool { return d.counts()["next"] == stream.Shards })
	if took := time.Since(killed); took > 4*time.Second {
		t.Errorf("taken over after %v", took)
	} else {
		t.Logf("taken over after %v; the lease would have lived 5 s", took)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A holder on another host, or one that cannot be proven dead, is waited for.
func TestUnprovenHolderIsWaitedFor(t *testing.T) {
	client := connect(t, testenv.RedisServer(t).Addr)
	ctx := context.Background()
	key := stream.Shard(3).Key("lease:work")
	if err := client.Set(ctx, key, "other-boot/pid:[1]/1/1/random", 3*shortTTL).Err(); err != nil {
		t.Fatal(err)
	}
	set := time.Now()
	d := &deed{t: t}
	instance(t, client, "a", d.own("a"))
	testenv.Until(t, "all others are held", func() bool { return d.counts()["a"] == stream.Shards-1 })
	testenv.Until(t, "all are held", func() bool { return d.counts()["a"] == stream.Shards })
	if took := time.Since(set); took < 3*shortTTL-100*time.Millisecond {
		t.Errorf("taken after %v, before it expired", took)
	}
}
