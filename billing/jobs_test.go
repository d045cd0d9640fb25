package billing

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/testenv"
)

// running runs jobs on an instance of its own until the test's end or stop.
func runJobs(t *testing.T, j *Jobs, jobs ...Job) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- j.Run(ctx, jobs) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// TestJobsRunOnOneInstance: three instances, one job; never two at once, and the work
// goes on when the one that has it stops or never comes back.
func TestJobsRunOnOneInstance(t *testing.T) {
	pool := testenv.Postgres(t)
	var atOnce, most, runs atomic.Int64
	job := Job{Name: "count", Every: 5 * time.Millisecond, Do: func(context.Context) error {
		most.Store(max(most.Load(), atOnce.Add(1)))
		time.Sleep(2 * time.Millisecond)
		atOnce.Add(-1)
		runs.Add(1)
		return nil
	}}
	instances := make([]*Jobs, 3)
	for i := range instances {
		instances[i] = newJobs(pool, testenv.Logger(t), prometheus.NewRegistry())
		runJobs(t, instances[i], job)
	}
	testenv.Until(t, "ten runs", func() bool { return runs.Load() >= 10 })
	if most.Load() != 1 {
		t.Errorf("%d at once", most.Load())
	}
	var ok bool
	err := pool.QueryRow(t.Context(), `select last_ok_at is not null from jobs where name = 'count'`).Scan(&ok)
	if err != nil || !ok {
		t.Errorf("last_ok_at: %v, %v", ok, err)
	}
}

func TestJobIsTakenOver(t *testing.T) {
	pool := testenv.Postgres(t)
	dead, live := newJobs(pool, testenv.Logger(t), nil), newJobs(pool, testenv.Logger(t), nil)
	var runs atomic.Int64
	job := Job{Name: "orphan", Every: time.Hour, Within: 400 * time.Millisecond, Do: func(context.Context) error {
		runs.Add(1)
		return nil
	}}
	if _, _, err := dead.claim(t.Context(), job); err != nil { // makes the row
		t.Fatal(err)
	}
	held, _, err := dead.claim(t.Context(), job)
	if err != nil || held.IsZero() { // and dies
		t.Fatalf("held %v, %v", held, err)
	}
	if again, wait, err := live.claim(t.Context(), job); err != nil || !again.IsZero() || wait <= 0 || wait > job.Within {
		t.Fatalf("claimed twice: %v, %v, %v", again, wait, err)
	}
	runJobs(t, live, job)
	far := func() (is bool) {
		err := pool.QueryRow(t.Context(), `select next_at > now() + interval '50 minutes' from jobs where name = 'orphan'`).Scan(&is)
		if err != nil {
			t.Error(err)
		}
		return is
	}
	testenv.Until(t, "the take-over", func() bool { return runs.Load() == 1 && far() })
	// The dead one comes back to life and fails: it may not shorten what the other put down.
	job.Do = func(context.Context) error { return errors.New("no") }
	dead.turn(t.Context(), job, held, 0)
	if !far() {
		t.Error("next run is near")
	}
}

func TestJobsFailingPanickingStopped(t *testing.T) {
	pool := testenv.Postgres(t)
	j := newJobs(pool, testenv.Logger(t), nil)
	var tries, panics atomic.Int64
	started := make(chan struct{}, 1)
	stop := runJobs(t, j,
		Job{Name: "fails", Every: 10 * time.Millisecond, Do: func(context.Context) error {
			tries.Add(1)
			return errors.New("no")
		}},
		Job{Name: "panics", Every: 10 * time.Millisecond, Do: func(context.Context) error {
			panics.Add(1)
			panic("no")
		}},
		Job{Name: "long", Every: time.Hour, Do: func(ctx context.Context) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}},
		Job{Name: "late", Every: 10 * time.Millisecond, Within: 50 * time.Millisecond, Do: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}})
	<-started
	testenv.Until(t, "tries after failures", func() bool { return tries.Load() >= 3 && panics.Load() >= 3 })
	stop()
	var due int
	err := pool.QueryRow(t.Context(), `select count(*) from jobs where name = 'long' and next_at <= now() and last_ok_at is null`).Scan(&due)
	if err != nil || due != 1 {
		t.Errorf("a stopped job is left to the next instance: %d, %v", due, err)
	}
	if err := j.Run(t.Context(), []Job{{Name: "nothing to do", Every: time.Second}}); err == nil {
		t.Error("a job without Do is accepted")
	}
}

func TestJobKeepsItsState(t *testing.T) {
	j := newJobs(testenv.Postgres(t), testenv.Logger(t), nil)
	type state struct{ Offset int }
	got := state{Offset: -1}
	if err := j.Load(t.Context(), "stars", &got); err != nil || got.Offset != -1 {
		t.Errorf("nothing kept: %+v, %v", got, err)
	}
	for _, offset := range []int{7, 9} {
		if err := j.Save(t.Context(), "stars", state{offset}); err != nil {
			t.Fatal(err)
		}
		if err := j.Load(t.Context(), "stars", &got); err != nil || got.Offset != offset {
			t.Errorf("%+v, %v", got, err)
		}
	}
}
