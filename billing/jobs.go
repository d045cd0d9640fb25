package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	defaultWithin = time.Minute
	jobLookFirst  = 100 * time.Millisecond
	jobLookMost   = 15 * time.Second // so that a hand that moves next_at is soon obeyed
	jobRetryFirst = time.Second
	jobStore      = 5 * time.Second // for one statement on the jobs table
)

// Job is work that one instance at a time does for the house, on a schedule. It must
// be safe to repeat: an instance that dies in its middle leaves it to the next.
type Job struct {
	Name   string
	Every  time.Duration // from the end of one run to the start of the next
	Within time.Duration // most that a run may take, and until then no other starts; a minute if zero
	Do     func(ctx context.Context) error
}

// Jobs runs jobs on whichever instance comes first. Postgres' clock and one row per
// job decide: who moves the row's next_at ahead has the job until then. No lock is
// held meanwhile, so it works behind PgBouncer and keeps no connection.
type Jobs struct {
	postgres *pgxpool.Pool
	log      *slog.Logger
	runs     *prometheus.CounterVec // name, outcome
}

func newJobs(pool *pgxpool.Pool, log *slog.Logger, r prometheus.Registerer) *Jobs {
	runs := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "house_job_runs_total", Help: "Runs of scheduled jobs by this process, by how they ended.",
	}, []string{"name", "outcome"})
	if r != nil {
		r.MustRegister(runs)
	}
	return &Jobs{postgres: pool, log: log, runs: runs}
}

// Run does the jobs as they fall due, side by side, until ctx ends and what is under
// way has returned. Postgres being away is not an error: it waits.
func (j *Jobs) Run(ctx context.Context, jobs []Job) error {
	for _, job := range jobs {
		if job.Name == "" || job.Every <= 0 || job.Do == nil {
			return fmt.Errorf("billing: job %q has no name, no schedule or nothing to do", job.Name)
		}
	}
	var running sync.WaitGroup
	for _, job := range jobs {
		if job.Within <= 0 {
			job.Within = defaultWithin
		}
		running.Go(func() { j.keep(ctx, job) })
	}
	<-ctx.Done()
	running.Wait()
	return nil
}

// keep does one job again and again.
func (j *Jobs) keep(ctx context.Context, job Job) {
	ailing, failures := false, 0
	for ctx.Err() == nil {
		held, wait, err := j.claim(ctx, job)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !ailing {
				j.log.WarnContext(ctx, "job waits for Postgres", "job", job.Name, "err", err)
			}
			ailing, wait = true, jobLookMost
		case held.IsZero():
			ailing = false
		default:
			ailing = false
			if failures, wait = j.turn(ctx, job, held, failures); wait == 0 {
				continue
			}
		}
		wait = min(max(wait, jobLookFirst), jobLookMost)
		timer := time.NewTimer(wait + rand.N(wait/8+1))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// claim takes the job if it is due, and says until when it is held; otherwise it says
// how long to wait.
func (j *Jobs) claim(ctx context.Context, job Job) (held time.Time, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, jobStore)
	defer cancel()
	const take = `update jobs set next_at = now() + $2::interval where name = $1 and next_at <= now() returning next_at`
	err = j.postgres.QueryRow(ctx, take, job.Name, job.Within).Scan(&held)
	if !errors.Is(err, pgx.ErrNoRows) {
		return held, 0, err
	}
	err = j.postgres.QueryRow(ctx, `select greatest(next_at - now(), interval '0') from jobs where name = $1`, job.Name).Scan(&wait)
	if errors.Is(err, pgx.ErrNoRows) {
		_, err = j.postgres.Exec(ctx, `insert into jobs (name) values ($1) on conflict (name) do nothing`, job.Name)
		wait = 0
	}
	return time.Time{}, wait, err
}

// turn does the job once and puts the next run down. It returns how often the job has
// failed in a row.
func (j *Jobs) turn(ctx context.Context, job Job, held time.Time, failures int) (failed int, wait time.Duration) {
	err := j.do(ctx, job)
	stopped := err != nil && ctx.Err() != nil
	wait, outcome := job.Every, "done"
	switch {
	case stopped:
		wait, outcome = 0, "stopped" // for another instance, at once
	case err != nil:
		outcome = "failed"
		wait = min(jobRetryFirst<<min(failures, 10), job.Every)
		if failures++; failures == 1 {
			j.log.ErrorContext(ctx, "job failed", "job", job.Name, "err", err)
		}
	default:
		failures = 0
	}
	j.runs.WithLabelValues(job.Name, outcome).Inc()
	done, cancel := context.WithTimeout(context.WithoutCancel(ctx), jobStore)
	defer cancel()
	// Where this fails, the job comes back when the time it was held for is over.
	_, err = j.postgres.Exec(done, `update jobs set next_at = now() + $3::interval,
		last_ok_at = case when $4 then now() else last_ok_at end where name = $1 and next_at = $2`,
		job.Name, held, wait, outcome == "done")
	if err != nil {
		j.log.WarnContext(ctx, "end of a job not noted", "job", job.Name, "err", err)
	}
	return failures, wait
}

// do runs the job within its time.
func (j *Jobs) do(ctx context.Context, job Job) (err error) {
	ctx, cancel := context.WithTimeout(ctx, job.Within)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			j.log.ErrorContext(ctx, "job panicked", "job", job.Name, "stack", string(debug.Stack()))
			err = fmt.Errorf("billing: job %s panicked", job.Name)
		}
	}()
	return job.Do(ctx)
}

// Load reads what the job kept with Save into into; nothing kept leaves it as it is.
func (j *Jobs) Load(ctx context.Context, name string, into any) error {
	var state []byte
	err := j.postgres.QueryRow(ctx, `select state from jobs where name = $1`, name).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(state, into)
	}
	if err != nil {
		return fmt.Errorf("read what job %s kept: %w", name, err)
	}
	return nil
}

// Save keeps the job's state, a JSON object, for its next run, wherever that is.
func (j *Jobs) Save(ctx context.Context, name string, state any) error {
	text, err := json.Marshal(state)
	if err == nil {
		_, err = j.postgres.Exec(ctx, `insert into jobs (name, state) values ($1, $2)
			on conflict (name) do update set state = excluded.state`, name, string(text))
	}
	if err != nil {
		return fmt.Errorf("keep the state of job %s: %w", name, err)
	}
	return nil
}
