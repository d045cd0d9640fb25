package requestlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	waitingMost = 4096 // requests that may wait to be written
	batch       = 1024 // requests of one COPY

	defaultEvery = 500 * time.Millisecond
	writeIn      = 5 * time.Second // for one COPY
	retryMost    = 15 * time.Second
)

// Options are what a Writer needs.
type Options struct {
	Postgres   *pgxpool.Pool
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is registered
	Every      time.Duration         // that a request waits at most for others; 0: 500 ms
}

// Writer writes requests in batches. A process has one.
type Writer struct {
	postgres *pgxpool.Pool
	log      *slog.Logger
	every    time.Duration
	written  prometheus.Counter
	dropped  prometheus.Counter

	mu      sync.Mutex
	waiting []Request
	some    chan struct{} // holds one: requests wait
	full    chan struct{} // holds one: a batch of them does
}

// NewWriter connects to nothing.
func NewWriter(o Options) (*Writer, error) {
	if o.Postgres == nil || o.Log == nil {
		return nil, errors.New("requestlog: Postgres and Log are required")
	}
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	w := &Writer{
		postgres: o.Postgres, log: o.Log, every: o.Every, some: make(chan struct{}, 1), full: make(chan struct{}, 1),
		written: prometheus.NewCounter(prometheus.CounterOpts{Name: "request_log_written_total", Help: "Requests written to the request log."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "request_log_dropped_total", Help: "Requests that the request log has no row of, because Postgres was too slow or away."}),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(w.written, w.dropped)
	}
	return w, nil
}

// Record takes a request and never waits: where too many wait already it is dropped. Who
// writes is woken for the first and for a whole batch, not for each.
func (w *Writer) Record(r Request) {
	w.mu.Lock()
	n := len(w.waiting) + 1
	if n <= waitingMost {
		w.waiting = append(w.waiting, r)
	}
	w.mu.Unlock()
	switch {
	case n > waitingMost:
		w.dropped.Inc()
	case n == 1:
		signal(w.some)
	case n == batch:
		signal(w.full)
	}
}

// Run writes what is recorded until ctx ends, and then what is left.
func (w *Writer) Run(ctx context.Context) error {
	rows := make([]Request, 0, batch)
	for {
		rows = w.gather(ctx, rows[:0])
		if len(rows) > 0 && !w.keep(ctx, rows) {
			lost := len(rows) + w.left()
			w.dropped.Add(float64(lost))
			w.log.ErrorContext(ctx, "request log: what was left at the end is lost", "requests", lost)
			return nil
		}
		if ctx.Err() != nil && w.left() == 0 {
			return nil
		}
	}
}

// gather waits for a request and then a little for others, unless ctx has ended, and takes
// what there is, a batch at most.
func (w *Writer) gather(ctx context.Context, rows []Request) []Request {
	select {
	case <-w.some:
	case <-ctx.Done():
	}
	timer := time.NewTimer(w.every)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.full:
	case <-ctx.Done():
	}
	return w.take(rows)
}

func (w *Writer) take(rows []Request) []Request {
	w.mu.Lock()
	n := min(len(w.waiting), batch)
	rows = append(rows, w.waiting[:n]...)
	w.waiting = slices.Delete(w.waiting, 0, n)
	left := len(w.waiting)
	w.mu.Unlock()
	if left > 0 {
		signal(w.some)
	}
	if left >= batch {
		signal(w.full)
	}
	return rows
}

// left is how many requests wait.
func (w *Writer) left() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it holds one already
	}
}

// keep writes a batch. While Postgres is away it tries again, and the queue fills
// meanwhile; once ctx has ended it tries but once, and says false where that fails.
func (w *Writer) keep(ctx context.Context, rows []Request) bool {
	pause := w.every
	for failures := 0; ; failures++ {
		err := w.write(context.WithoutCancel(ctx), rows)
		switch {
		case err == nil:
			w.written.Add(float64(len(rows)))
			if failures > 0 {
				w.log.InfoContext(ctx, "request log is written again")
			}
			return true
		case ctx.Err() != nil:
			return false
		case failures == 0:
			w.log.WarnContext(ctx, "request log waits for Postgres", "err", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, retryMost)
	}
}

func (w *Writer) write(ctx context.Context, rows []Request) error {
	ctx, cancel := context.WithTimeout(ctx, writeIn)
	defer cancel()
	err := w.postgres.AcquireFunc(ctx, func(c *pgxpool.Conn) error { return table(rows).Copy(ctx, c.Conn()) })
	if err != nil {
		return fmt.Errorf("write the request log: %w", err)
	}
	return nil
}
