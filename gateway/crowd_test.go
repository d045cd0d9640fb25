package gateway

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// someLink is a way to Redis that is waited for as long as anybody does.
func someLink() *link { return newLink(nil, unbroken{}, silenceMost, nil) }

// Who asks alone is answered alone; who comes meanwhile is asked for together, in order and
// no more at a time than may be; who is told to asks alone after all.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd[string, int, string](someLink(), time.Now)
		var mu sync.Mutex
		var scripts []int // how many were asked for by each
		var alone []int
		hold := make(chan struct{})
		ask := func(name string, n int, several error) (string, error) {
			one := func() (string, error) {
				mu.Lock()
				alone = append(alone, n)
				first := len(alone) == 1
				mu.Unlock()
				if first {
					<-hold
				}
				return fmt.Sprint("one ", n), nil
			}
			return c.ask(name, n, one, func(all []int) ([]string, error) {
				mu.Lock()
				scripts = append(scripts, len(all))
				mu.Unlock()
				if !slices.IsSorted(all) {
					t.Errorf("asked for in the order %v", all)
				}
				answers := make([]string, len(all))
				for i, n := range all {
					answers[i] = fmt.Sprint("several ", n)
				}
				return answers, several
			})
		}
		var all sync.WaitGroup
		begin := func(name string, n int, several error, want string, fault error) {
			all.Go(func() {
				got, err := ask(name, n, several)
				if got != want && fault == nil || !errors.Is(err, fault) {
					t.Errorf("%s %d is answered %q, %v; want %q, %v", name, n, got, err, want, fault)
				}
			})
			synctest.Wait() // it asks or waits by now
		}
		begin("a", 0, nil, "one 0", nil)
		for n := 1; n <= crowdMost+6; n++ {
			begin("a", n, nil, fmt.Sprint("several ", n), nil)
		}
		begin("b", 7, nil, "one 7", nil)
		close(hold)
		all.Wait()
		if !slices.Equal(scripts, []int{crowdMost, 6}) || !slices.Equal(alone, []int{0, 7}) || len(c.waiting) != 0 {
			t.Errorf("asked for %v together and for %v alone, %d names left", scripts, alone, len(c.waiting))
		}

		fault := errors.New("fault")
		for _, with := range []struct {
			err  error
			want string
		}{{errAlone, "one"}, {fault, ""}} {
			scripts, alone, hold = nil, nil, make(chan struct{})
			begin("a", 0, nil, "one 0", nil)
			for n := 1; n <= 3; n++ {
				if with.want != "" {
					begin("a", n, with.err, fmt.Sprint(with.want, " ", n), nil)
				} else {
					begin("a", n, with.err, "", fault)
				}
			}
			begin("c", 5, nil, "one 5", nil)
			close(hold)
			all.Wait()
			if !slices.Equal(scripts, []int{3}) || len(alone) != map[string]int{"one": 5, "": 2}[with.want] {
				t.Errorf("%v: asked for %v together and for %v alone", with.err, scripts, alone)
			}
		}
	})
}

// Should asking for several break off, nobody waits for ever and the name is free again.
func TestCrowdBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, hold := newCrowd[int, int, int](someLink(), time.Now), make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = c.ask(1, 0, func() (int, error) { <-hold; return 0, nil }, nil)
		})
		synctest.Wait()
		var unanswered, panicked atomic.Int64
		for range 4 {
			all.Go(func() {
				defer func() {
					if recover() != nil {
						panicked.Add(1)
					}
				}()
				_, err := c.ask(1, 0, func() (int, error) { return 0, nil }, func([]int) ([]int, error) { panic("broken") })
				if errors.Is(err, errUnanswered) {
					unanswered.Add(1)
				}
			})
			synctest.Wait()
		}
		close(hold)
		all.Wait()
		if panicked.Load() != 1 || unanswered.Load() != 3 || len(c.waiting) != 0 {
			t.Errorf("%d broke off, %d were told so, %d names are left", panicked.Load(), unanswered.Load(), len(c.waiting))
		}
	})
}

// Whoever is not to be asked for together is not for a minute, and then is again.
func TestCrowdApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd[int, int, int](someLink(), time.Now)
		ask := func(several error) (together int) {
			hold := make(chan struct{})
			var all sync.WaitGroup
			for n := range 3 {
				all.Go(func() {
					_, err := c.ask(1, n, func() (int, error) {
						<-hold
						return n, nil
					}, func(all []int) ([]int, error) {
						together = len(all)
						return all, several
					})
					if err != nil {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
			close(hold)
			all.Wait()
			return together
		}
		for _, step := range []struct {
			later time.Duration
			with  error
			want  int
		}{{0, errAlone, 2}, {0, errApart, 2}, {0, nil, 0}, {apartFor - time.Second, nil, 0}, {time.Second, nil, 2}} {
			time.Sleep(step.later)
			if got := ask(step.with); got != step.want {
				t.Errorf("%s later %d are asked for together, want %d", step.later, got, step.want)
			}
		}
	})
}

// Whoever asks may not be answered: the others wait no longer than patience lasts and half as
// much, and ask by themselves then, unless somebody has begun to ask for them.
func TestCrowdIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, silent := newCrowd[int, int, int](someLink(), time.Now), make(chan struct{})
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			_, _ = c.ask(1, 0, func() (int, error) { <-silent; return 0, nil }, nil)
		})
		synctest.Wait()
		var alone atomic.Int64
		for n := range 3 * crowdMost {
			all.Go(func() {
				_, err := c.ask(1, n, func() (int, error) { alone.Add(1); return n, nil }, func([]int) ([]int, error) {
					return nil, errors.New("nobody is left to ask for")
				})
				if took := time.Since(began); err != nil || took > silenceMost*3/2+time.Millisecond*time.Duration(n) {
					t.Errorf("%d is answered after %s, %v", n, took, err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * silenceMost)
		close(silent)
		all.Wait()
		if alone.Load() != 3*crowdMost || len(c.waiting) != 0 {
			t.Errorf("%d asked by themselves, %d names are left", alone.Load(), len(c.waiting))
		}

		// One who is asked for already waits for the answer.
		slow := make(chan struct{})
		all.Go(func() {
			_, _ = c.ask(2, 0, func() (int, error) { <-slow; return 0, nil }, nil)
		})
		synctest.Wait()
		for n := range 2 {
			all.Go(func() {
				got, err := c.ask(2, n, func() (int, error) { t.Error("asked by itself"); return 0, nil }, func(asked []int) ([]int, error) {
					time.Sleep(5 * silenceMost)
					return asked, nil
				})
				if got != n || err != nil {
					t.Errorf("%d is answered %d, %v", n, got, err)
				}
			})
		}
		synctest.Wait()
		close(slow)
		all.Wait()
	})
}
