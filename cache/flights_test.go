package cache

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

// rush fetches key with n readers at once and returns what each got.
func rush(i *instance, n int, key string, load func(context.Context) (thing, error)) (values []thing, errs []error) {
	values, errs = make([]thing, n), make([]error, n)
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for r := range n {
		wg.Go(func() {
			<-gate
			values[r], errs[r] = i.things.Fetch(context.Background(), key, load)
		})
	}
	close(gate)
	wg.Wait()
	return values, errs
}

// TestOneLoad: a thousand readers of a cold key are one load, with Redis and without.
func TestOneLoad(t *testing.T) {
	for name, o := range map[string]Options{"memory": {}, "redis": options(testenv.Redis(t))} {
		t.Run(name, func(t *testing.T) {
			i := start(t, o, spaceOptions())
			var src source
			src.number.Store(7)
			values, errs := rush(i, 1000, "k", func(ctx context.Context) (thing, error) {
				testenv.Until(t, "ask, all of them", func() bool { return i.count(t, "cache_hits_total", "level=l1", "result=miss") == 1000 })
				return src.load(ctx)
			})
			for r := range values {
				if errs[r] != nil || values[r].Number != 7 {
					t.Fatalf("%v, %v", values[r], errs[r])
				}
			}
			if n := src.asked.Load(); n != 1 {
				t.Errorf("%d loads, want 1", n)
			}
		})
	}
}

// TestLeaderLeaves: the context of who asked first ends, and the others get the value.
func TestLeaderLeaves(t *testing.T) {
	i := idle(t, Options{}, spaceOptions())
	entered, release := make(chan struct{}), make(chan struct{})
	load := func(ctx context.Context) (thing, error) {
		close(entered)
		<-release
		return thing{Number: 1}, ctx.Err()
	}
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() {
		_, err := i.things.Fetch(ctx, "k", load)
		first <- err
	}()
	<-entered
	second := make(chan error, 1)
	go func() {
		_, err := i.things.Fetch(context.Background(), "k", never(t))
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the leader got %v", err)
	}
	close(release)
	if err := <-second; err != nil {
		t.Errorf("a waiter got %v", err)
	}
}

// TestBadLoaders: one that panics, ends its goroutine or never returns is an error for
// all who wait, the process lives, and the next one is asked as if nothing had been.
func TestBadLoaders(t *testing.T) {
	stuck := make(chan struct{})
	for name, row := range map[string]struct {
		load func(context.Context) (thing, error)
		is   func(error) bool
	}{
		"panics": {func(context.Context) (thing, error) { panic("no") }, func(err error) bool {
			var p *PanicError
			return errors.As(err, &p) && p.Value == "no"
		}},
		"exits": {func(context.Context) (thing, error) { runtime.Goexit(); return thing{}, nil }, func(err error) bool {
			return errors.Is(err, errExited)
		}},
		"never returns": {func(context.Context) (thing, error) { <-stuck; return thing{}, nil }, func(err error) bool {
			var late *LoadTimeoutError
			return errors.As(err, &late)
		}},
		"heeds its context": {func(ctx context.Context) (thing, error) { <-ctx.Done(); return thing{}, ctx.Err() }, func(err error) bool {
			var late *LoadTimeoutError
			return errors.As(err, &late) || errors.Is(err, context.DeadlineExceeded)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(testenv.Redis(t))
			o.LoadTimeout = 50 * time.Millisecond
			i := start(t, o, spaceOptions())
			if name == "never returns" {
				t.Cleanup(func() { close(stuck) }) // before Close, which waits for it
			}
			_, errs := rush(i, 20, "k", row.load)
			for _, err := range errs {
				if !row.is(err) {
					t.Fatalf("a reader got %v", err)
				}
			}
			must(t, i, "k", func(context.Context) (thing, error) { return thing{Number: 1}, nil }, 1)
		})
	}
}

// TestStuckLoadersAreBounded: with every slot taken by loaders that do not return, a
// read fails at once instead of adding another.
func TestStuckLoadersAreBounded(t *testing.T) {
	i := idle(t, Options{LoadTimeout: time.Millisecond}, spaceOptions())
	release := make(chan struct{})
	for n := range maxLoads {
		_, err := i.things.Fetch(t.Context(), string(rune('a'+n)), func(context.Context) (thing, error) { <-release; return thing{}, nil })
		var late *LoadTimeoutError
		if !errors.As(err, &late) {
			t.Fatalf("load %d: %v", n, err)
		}
	}
	if _, err := i.things.Fetch(t.Context(), "one more", never(t)); !errors.Is(err, ErrBusy) {
		t.Errorf("one load more: %v", err)
	}
	close(release)
	testenv.Until(t, "free the slots", func() bool { return len(i.loads.slots) == 0 })
	i.loads.timeout = patience
	must(t, i, "one more", func(context.Context) (thing, error) { return thing{Number: 1}, nil }, 1)
}

// TestInvalidatedInFlight: who asks after an invalidation does not get what was being
// loaded before it, nor is that kept.
func TestInvalidatedInFlight(t *testing.T) {
	for name, o := range map[string]Options{"memory": {}, "redis": options(testenv.Redis(t))} {
		for kind, invalidate := range map[string]func(*instance) error{
			"key":     func(i *instance) error { return i.things.Invalidate(context.Background(), "k") },
			"tag":     func(i *instance) error { return i.things.InvalidateTag(context.Background(), "all") },
			"pattern": func(i *instance) error { return i.things.InvalidatePattern(context.Background(), "*") },
			"put":     func(i *instance) error { return i.things.Put(context.Background(), "k", thing{Number: 2}) },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				so := spaceOptions()
				so.Tags = func(string) []string { return []string{"all"} }
				i := start(t, o, so)
				entered, release := make(chan struct{}), make(chan struct{})
				slow := make(chan thing, 1)
				go func() {
					v, err := i.things.Fetch(context.Background(), "k", func(context.Context) (thing, error) {
						select {
						case <-entered: // again: what came late was not written
							return thing{Number: 2}, nil
						default:
							close(entered)
						}
						<-release
						return thing{Number: 1}, nil
					})
					if err != nil {
						t.Error(err)
					}
					slow <- v
				}()
				<-entered
				if err := invalidate(i); err != nil {
					t.Fatal(err)
				}
				second := func(context.Context) (thing, error) { return thing{Number: 2}, nil }
				must(t, i, "k", second, 2)
				close(release)
				<-slow
				must(t, i, "k", second, 2)
				if o.Redis != nil {
					must(t, start(t, o, so), "k", second, 2)
					if err := i.things.Invalidate(t.Context(), "k"); err != nil { // for the next run on this server
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// TestClosed: a closed cache answers from the source.
func TestClosed(t *testing.T) {
	i := idle(t, options(testenv.Redis(t)), spaceOptions())
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	must(t, i, "k", func(context.Context) (thing, error) { return thing{Number: 1}, nil }, 1)
}
