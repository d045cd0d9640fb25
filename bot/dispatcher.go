package bot

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	defaultConcurrency = 256
	defaultDeadline    = 5 * time.Minute
	defaultDrain       = 20 * time.Second
	window             = 512 // entries of one lane of a shard that are read and not acknowledged
	lostGrace          = 300 * time.Millisecond
	abandonAfter       = 5 * time.Second // what a handler gets to return after its context has ended
)

// DispatcherOptions are what [NewDispatcher] needs.
type DispatcherOptions struct {
	Redis       redis.UniversalClient // reads and acknowledges; should fail fast
	Blocking    redis.UniversalClient // waits; three connections for every shard held
	Leases      *stream.Leases
	Handler     Handler
	Log         *slog.Logger
	Registerer  prometheus.Registerer
	Concurrency int           // handlers at once in each lane; 256 if zero
	Deadline    time.Duration // of one try of a handler; 5 min if zero
	Drain       time.Duration // what running handlers get at shutdown or hand-over; 20 s if zero
}

// Dispatcher takes updates from the inbox to the handler.
type Dispatcher struct {
	o       DispatcherOptions
	slots   [laneCount]chan struct{} // one for each handler at work; first come, first served
	metrics dispatcherMetrics
	waits   sync.WaitGroup // reads that outlive the shard they were for
	timing  timing

	mu    sync.Mutex
	lanes map[*worker]struct{} // at work, for the lag
}

// NewDispatcher prepares a dispatcher.
func NewDispatcher(o DispatcherOptions) *Dispatcher {
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Deadline <= 0 {
		o.Deadline = defaultDeadline
	}
	if o.Drain <= 0 {
		o.Drain = defaultDrain
	}
	d := &Dispatcher{o: o, lanes: make(map[*worker]struct{}), timing: defaultTiming()}
	for l := range d.slots {
		d.slots[l] = make(chan struct{}, o.Concurrency)
	}
	d.metrics = newDispatcherMetrics(o.Registerer, d.lag)
	return d
}

// Run handles the updates of the shards that the leases give this instance until ctx
// ends. Then it reads no more, lets running handlers finish for as long as the drain
// time allows, and returns. What is unfinished is left for the shard's next owner.
func (d *Dispatcher) Run(ctx context.Context) error {
	err := d.o.Leases.Run(ctx, d.own)
	d.waits.Wait()
	return err
}

// own works on one shard until ctx ends.
func (d *Dispatcher) own(ctx context.Context, s stream.Shard) error {
	handlers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var workers [laneCount]*worker
	for l := range workers {
		workers[l] = newWorker(ctx, handlers, d, s, lane(l))
	}
	var readers, ackers sync.WaitGroup
	for _, w := range workers {
		d.enter(w)
		defer d.leave(w)
		readers.Go(w.read)
		ackers.Go(w.acknowledge)
	}
	readers.Wait() // until ctx ends
	grace := d.o.Drain
	if errors.Is(context.Cause(ctx), stream.ErrLeaseLost) {
		grace = lostGrace
	}
	finished := make(chan struct{})
	go func() {
		for _, w := range workers {
			w.handlers.Wait()
		}
		close(finished)
	}()
	if !closedWithin(finished, grace) {
		cancel()
		if !closedWithin(finished, abandonAfter) {
			d.o.Log.Error("a handler does not return after its context has ended; its update will be handled again", "shard", s.String())
		}
	}
	for _, w := range workers {
		close(w.quit)
		d.waits.Go(w.group.Close)
	}
	ackers.Wait()
	return nil
}

func closedWithin(c <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c:
		return true
	case <-timer.C:
		return false
	}
}

func (d *Dispatcher) enter(w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lanes[w] = struct{}{}
}

func (d *Dispatcher) leave(w *worker) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.lanes, w)
}

// lag returns the age of the oldest update here that is not handled, in seconds.
func (d *Dispatcher) lag() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var oldest time.Duration
	for w := range d.lanes {
		oldest = max(oldest, w.oldest(time.Now()))
	}
	return oldest.Seconds()
}
