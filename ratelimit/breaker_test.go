package ratelimit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

var errRefused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

// probe is a probe that a test answers by hand.
type probe struct {
	asked  chan struct{}
	answer chan error
}

func newProbe() *probe { return &probe{asked: make(chan struct{}), answer: make(chan error)} }

func (p *probe) ask(ctx context.Context) error {
	select {
	case p.asked <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-p.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newBreaker(t *testing.T, o ratelimit.BreakerOptions) *ratelimit.Breaker {
	t.Helper()
	o.Log = testenv.Logger(t)
	if o.Probe == nil {
		o.Probe = func(context.Context) error { return errRefused }
	}
	if o.ProbeEvery == 0 {
		o.ProbeEvery = time.Millisecond
	}
	if o.ProbeTimeout == 0 {
		o.ProbeTimeout = time.Minute // answered by hand
	}
	b := ratelimit.NewBreaker(o)
	t.Cleanup(b.Close)
	return b
}

func failing(context.Context) error { return errRefused }

func well(context.Context) error { return nil }

func do(b *ratelimit.Breaker, call func(context.Context) error) error {
	return b.Do(context.Background(), call)
}

func TestBreakerOpensAfterThreeInARow(t *testing.T) {
	b := newBreaker(t, ratelimit.BreakerOptions{})
	for _, step := range []struct {
		call func(context.Context) error
		open bool
	}{
		{failing, false}, {failing, false}, {well, false}, // the success wipes what was counted
		{failing, false}, {failing, false}, {failing, true},
	} {
		if err := do(b, step.call); errors.Is(err, ratelimit.ErrBreakerOpen) {
			t.Fatal("refused while closed")
		}
		if b.Open() != step.open {
			t.Fatalf("open: %v, want %v", b.Open(), step.open)
		}
	}
	called := false
	err := do(b, func(context.Context) error { called = true; return nil })
	if !errors.Is(err, ratelimit.ErrBreakerOpen) || called {
		t.Fatalf("%v, called: %v", err, called)
	}
}

// TestBreakerCountsABatchOnce: calls that were under way together are one failure,
// however many they are.
func TestBreakerCountsABatchOnce(t *testing.T) {
	b := newBreaker(t, ratelimit.BreakerOptions{})
	for batch := range 3 {
		if b.Open() {
			t.Fatalf("open after %d batches", batch)
		}
		var under, ended sync.WaitGroup
		fail := make(chan struct{})
		for range 64 {
			under.Add(1)
			ended.Go(func() {
				_ = do(b, func(context.Context) error {
					under.Done()
					<-fail
					return io.EOF
				})
			})
		}
		under.Wait()
		close(fail)
		ended.Wait()
	}
	if !b.Open() {
		t.Fatal("closed after three batches that failed")
	}
}

// TestBreakerSecondOpinion: slow calls, and such as were not answered in time, open it
// only if a probe finds Redis slow as well; certain failures open it at once.
func TestBreakerSecondOpinion(t *testing.T) {
	c := newClock()
	slow := func(context.Context) error { c.Advance(101 * time.Millisecond); return nil }
	quick := func(context.Context) error { c.Advance(100 * time.Millisecond); return nil }
	late := func(context.Context) error { return context.DeadlineExceeded }
	for name, calls := range map[string][]func(context.Context) error{
		"slow":         {quick, quick, quick, quick, slow, slow, slow},
		"late":         {failing, failing, well, late, late, late},
		"one was late": {failing, late, failing},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProbe()
			b := newBreaker(t, ratelimit.BreakerOptions{Probe: p.ask, Now: c.Now})
			for _, opinion := range []error{nil, nil, errRefused} {
				for _, call := range calls {
					_ = do(b, call)
				}
				for range 5 { // while it doubts, calls go on and count for nothing
					if err := do(b, late); !errors.Is(err, context.DeadlineExceeded) {
						t.Fatal(err)
					}
				}
				<-p.asked
				if b.Open() {
					t.Fatal("open without a second opinion")
				}
				p.answer <- opinion
				if opinion == nil {
					b.Settled()
					if b.Open() {
						t.Fatal("open though Redis is well")
					}
				}
			}
			<-p.asked // now it is open, and asks when it may close
			if !b.Open() {
				t.Fatal("closed though Redis is slow")
			}
			p.answer <- nil
		})
	}
}

// TestBreakerTellsErrorsApart: an error that Redis answers with shows that it is there,
// unless it says that it cannot serve; who leaves says nothing about Redis.
func TestBreakerTellsErrorsApart(t *testing.T) {
	server := testenv.Redis(t)
	reply := func(text string) error {
		return server.Eval(t.Context(), "return redis.error_reply(ARGV[1])", nil, text).Err()
	}
	for text, opens := range map[string]bool{
		"LOADING Redis is loading the dataset in memory":               true,
		"MOVED 3999 127.0.0.1:6381":                                    true,
		"ASK 3999 127.0.0.1:6381":                                      true,
		"CLUSTERDOWN The cluster is down":                              true,
		"TRYAGAIN Multiple keys request during rehashing of slot":      true,
		"MASTERDOWN Link with MASTER is down":                          true,
		"READONLY You can't write against a read only replica.":        true,
		"OOM command not allowed when used memory > 'maxmemory'.":      true,
		"NOAUTH Authentication required.":                              true,
		"NOPERM this user has no permissions":                          true,
		"NOREPLICAS Not enough good replicas to write.":                true,
		"BUSY Redis is busy running a script.":                         true,
		"MISCONF Redis is configured to save RDB snapshots":            true,
		"WRONGTYPE Operation against a key holding the wrong kind":     false,
		"NOSCRIPT No matching script.":                                 false,
		"ERR user_script:1: attempt to compare nil with number script": false,
	} {
		name, _, _ := strings.Cut(text, " ")
		t.Run(name, func(t *testing.T) {
			err := reply(text)
			if err == nil {
				t.Fatal("no error")
			}
			b := newBreaker(t, ratelimit.BreakerOptions{})
			for range 3 {
				if got := do(b, func(context.Context) error { return err }); !errors.Is(got, err) {
					t.Fatalf("%v came back as %v", err, got)
				}
			}
			if b.Open() != opens {
				t.Errorf("open: %v after %q", b.Open(), text)
			}
		})
	}
	cut := func(err error) error {
		return &net.OpError{Op: "read", Err: &os.SyscallError{Syscall: "read", Err: err}}
	}
	for name, row := range map[string]struct {
		err   error
		opens bool
	}{
		"nothing found":      {redis.Nil, false},
		"caller left":        {context.Canceled, false},
		"connection ended":   {io.EOF, true},
		"connection reset":   {cut(syscall.ECONNRESET), true},
		"connection refused": {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		"no such host":       {&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}, true},
		"not in time":        {cut(os.ErrDeadlineExceeded), false}, // not without a second opinion
		"no connection free": {redis.ErrPoolTimeout, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(t, ratelimit.BreakerOptions{Probe: well})
			for range 3 {
				_ = do(b, func(context.Context) error { return row.err })
			}
			if b.Open() != row.opens {
				t.Errorf("open: %v", b.Open())
			}
		})
	}
}

// TestBreakerIsClosedByAProbe: probes that fail leave it open, one that succeeds closes
// it, and what was counted before is forgotten.
func TestBreakerIsClosedByAProbe(t *testing.T) {
	p := newProbe()
	registry := prometheus.NewRegistry()
	b := newBreaker(t, ratelimit.BreakerOptions{Probe: p.ask, Registerer: registry})
	state := func(want string) {
		t.Helper()
		text := "# HELP ratelimit_breaker_state 0: Redis is asked. 1: Redis is away, limits are decided locally and paid calls refused.\n" +
			"# TYPE ratelimit_breaker_state gauge\nratelimit_breaker_state " + want + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	state("0")
	// A call from before the outage, which ends after it.
	var late sync.WaitGroup
	begun, end := make(chan struct{}), make(chan struct{})
	late.Go(func() {
		_ = do(b, func(context.Context) error { close(begun); <-end; return errRefused })
	})
	<-begun
	for range 3 {
		_ = do(b, failing)
	}
	state("1")
	for range 3 {
		<-p.asked
		if !b.Open() {
			t.Fatal("closed without a probe that succeeded")
		}
		p.answer <- errRefused
	}
	<-p.asked
	p.answer <- nil
	for b.Open() { // the prober is on its way from the answer to the state
		time.Sleep(time.Millisecond)
	}
	state("0")
	close(end)
	late.Wait()
	_ = do(b, failing)
	_ = do(b, failing)
	if b.Open() {
		t.Fatal("failures from before the outage were counted after it")
	}
}

// TestBreakerProbeMustBeQuick: a probe that Redis answers slowly leaves it open.
func TestBreakerProbeMustBeQuick(t *testing.T) {
	c := newClock()
	p := newProbe()
	b := newBreaker(t, ratelimit.BreakerOptions{Probe: p.ask, Now: c.Now})
	for range 3 {
		_ = do(b, failing)
	}
	<-p.asked
	c.Advance(2 * time.Minute) // past ProbeTimeout
	p.answer <- nil
	<-p.asked // it asks again, so it did not close
	if !b.Open() {
		t.Fatal("closed by a slow probe")
	}
	p.answer <- nil
}

// TestBreakerCloseEndsAProbe: Close does not wait for a Redis that hangs.
func TestBreakerCloseEndsAProbe(t *testing.T) {
	p := newProbe()
	b := newBreaker(t, ratelimit.BreakerOptions{Probe: p.ask})
	for range 3 {
		_ = do(b, failing)
	}
	<-p.asked
	b.Close()
	if !b.Open() {
		t.Fatal("Close closed the breaker")
	}
	b.Close() // once more does no harm
}

// patient is a client that does not take a busy machine for a Redis that is away.
func patient(server *testenv.RedisHandle) *redis.Client {
	return server.ClientWith(redis.Options{
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, ReadTimeout: time.Minute, PoolSize: 1,
	})
}

// briefly asks whoever is not expected to answer.
func briefly(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	return ask(ctx)
}

// TestPing goes against a real server: well, frozen, refused.
func TestPing(t *testing.T) {
	server := testenv.RedisServer(t)
	ping := ratelimit.Ping(patient(server))
	if err := ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	if err := briefly(t.Context(), ping); err == nil {
		t.Error("a frozen server answered")
	}
	server.Resume()
	server.Stop()
	if err := ping(t.Context()); err == nil {
		t.Error("a stopped server answered")
	}
}

// TestBreakerOnRedis: what is slow here says nothing about a Redis that is well; one that
// is frozen opens the breaker, and closes it when it wakes.
func TestBreakerOnRedis(t *testing.T) {
	server := testenv.RedisServer(t)
	client := patient(server)
	b := newBreaker(t, ratelimit.BreakerOptions{
		Probe: ratelimit.Ping(patient(server)), Slow: 20 * time.Millisecond, ProbeTimeout: 2 * time.Second,
	})
	ask := func(ctx context.Context) error { return client.Ping(ctx).Err() }
	for range 9 {
		err := do(b, func(ctx context.Context) error {
			time.Sleep(21 * time.Millisecond) // as if nobody had time to read the answer
			return ask(ctx)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if b.Settled(); b.Open() {
		t.Fatal("this process was slow, not Redis")
	}
	server.Pause()
	for !b.Open() {
		if err := do(b, func(ctx context.Context) error { return briefly(ctx, ask) }); err == nil {
			t.Fatal("a frozen Redis answered")
		}
	}
	server.Resume()
	for b.Open() {
		time.Sleep(time.Millisecond)
	}
	if err := do(b, ask); err != nil {
		t.Fatal(err)
	}
}
