package ratelimit

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	limiterTick  = 250 * time.Millisecond
	tellTogether = 256 // limits of which Redis is told in one go
	tellAtOnce   = 16  // calls of that under way
	lastTell     = 500 * time.Millisecond
	askMost      = 200 * time.Millisecond // a caller's wait for Redis, what it is told first included
)

// LimiterOptions are what [NewLimiter] needs.
type LimiterOptions struct {
	Redis     *Redis
	Breaker   *Breaker
	Instances func() int // live instances, this one included; 0: not known, nothing passes without Redis
	Log       *slog.Logger
	Metrics   *Metrics         // nil: nothing is counted
	Now       func() time.Time // whose monotonic reading decides without Redis; time.Now if nil
	Keeps     int              // limits whose past is kept for the time without Redis; 65,536 if zero
}

// Limiter decides limits in Redis, and while Redis is away on this instance's part of
// each: the limit divided by the number of instances, rounded down. Denials are answered
// from memory until their reset; what was allowed never is.
//
// It notes what Redis lets through by way of this instance, so that at the switch it adds
// only up to its part, and what it let through alone it tells Redis before Redis decides
// again. README.md says what that bounds, and why.
type Limiter struct {
	redis    *Redis
	breaker  *Breaker
	log      *slog.Logger
	metrics  *Metrics
	now      func() time.Time
	denials  *Denials
	shares   *shares
	restorer *restorer
}

// NewLimiter does nothing by itself; [Limiter.Run] tells Redis in the background what it
// has missed.
func NewLimiter(o LimiterOptions) *Limiter {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Keeps <= 0 {
		o.Keeps = sharesMost
	}
	return &Limiter{
		redis: o.Redis, breaker: o.Breaker, log: o.Log, metrics: o.Metrics, now: o.Now,
		denials:  NewDenials(o.Now),
		shares:   newShares(o.Now, o.Keeps, o.Instances),
		restorer: newRestorer(o.Redis, rand.Text()),
	}
}

// Take asks for one call as [Redis.Take] does, and answers without Redis where it must.
// The error says that the call makes no sense, or that ctx has ended; Redis being away is
// none. A denial from memory has the one Result that denies.
func (l *Limiter) Take(ctx context.Context, id string, life time.Duration, limits []Limit) (Decision, Ticket, error) {
	if err := checkCall(id, life, limits); err != nil {
		return Decision{}, Ticket{}, err
	}
	if d, denied := l.remembered(limits); denied {
		l.metrics.Remembered(&d)
		return d, Ticket{}, nil
	}
	d, at, err := l.ask(ctx, id, life, limits)
	if err != nil {
		if ctxErr := ctx.Err(); ctxErr != nil {
			return Decision{}, Ticket{}, ctxErr
		}
		if !errors.Is(err, ErrBreakerOpen) && !away(err) {
			l.log.Warn("Redis cannot decide a limit, it is decided here", "error", err)
		}
		d, at = l.shares.take(id, life, limits)
	}
	l.metrics.Decided(&d)
	t := d.Ticket(id)
	t.local, t.at = d.Local, at
	return d, t, nil
}

// remembered returns the denial that is known of one of the limits, of several the one
// with the longest wait.
func (l *Limiter) remembered(limits []Limit) (d Decision, denied bool) {
	for i := range limits {
		limit := &limits[i]
		if limit.Cost == 0 || limit.Kind == Concurrency {
			continue
		}
		wait, is := l.denials.Denied(limit.Key, limit.Cost)
		if !is || denied && wait <= d.Results[0].Reset {
			continue
		}
		d.Results, denied = []Result{{Limit: *limit, Reset: wait}}, true
	}
	return d, denied
}

// ask has Redis decide, and tells it first what it has missed of these limits.
func (l *Limiter) ask(ctx context.Context, id string, life time.Duration, limits []Limit) (d Decision, at int64, err error) {
	if l.breaker.Open() {
		return Decision{}, 0, ErrBreakerOpen
	}
	debts := l.shares.send(limits)
	if len(debts) > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, askMost)
		defer cancel()
	}
	for i := 0; i < len(debts) && err == nil; i++ {
		err = l.tell(ctx, &debts[i])
	}
	if err == nil {
		err = l.breaker.Do(ctx, func(ctx context.Context) error {
			began := l.now()
			var err error
			d, _, err = l.redis.Take(ctx, id, life, limits)
			l.metrics.Took(l.now().Sub(began))
			return err
		})
	}
	at = l.shares.answer(id, life, limits, err == nil && d.Allowed)
	if err == nil {
		l.learn(limits, &d)
	}
	return d, at, err
}

// learn remembers a denial, or forgets those that a call which passed has refuted.
func (l *Limiter) learn(limits []Limit, d *Decision) {
	if !d.Allowed {
		if r := &d.Results[d.Denied]; r.Kind != Concurrency {
			l.denials.Remember(r.Key, r.Cost, r.Reset)
		}
		return
	}
	for i := range limits {
		if limits[i].Cost > 0 {
			l.denials.Forget(limits[i].Key)
		}
	}
}

func (l *Limiter) tell(ctx context.Context, d *debt) error {
	err := l.breaker.Do(ctx, func(ctx context.Context) error { return l.restorer.tell(ctx, d) })
	if err == nil {
		l.shares.paid(d)
	}
	return err
}

// Finish trues up what a call took, as [Redis.Finish] does. While Redis is away, units
// that were not used stay charged there until they leave the window, places until their
// lease ends, and what was used beyond the cost is told later. A ticket is finished once.
func (l *Limiter) Finish(ctx context.Context, t Ticket, used Used) error {
	return l.settle(ctx, t, used.of, func(ctx context.Context) error { return l.redis.Finish(ctx, t, used) })
}

// GiveBack is Finish of a call that came to nothing.
func (l *Limiter) GiveBack(ctx context.Context, t Ticket) error {
	return l.settle(ctx, t, nothing, func(ctx context.Context) error { return l.redis.GiveBack(ctx, t) })
}

func (l *Limiter) settle(ctx context.Context, t Ticket, used func(*Result) int64, finish func(context.Context) error) error {
	owe := true // units beyond the cost, because Redis will not hear of them otherwise
	if !t.local {
		err := l.breaker.Do(ctx, finish)
		if errors.Is(err, errNoID) {
			return err
		}
		owe = err != nil
	}
	l.shares.finish(&t, used, owe)
	if places := t.places(); t.local && len(places.Taken) > 0 {
		// Redis may have been told of them; where it has not, nothing is given back.
		_ = l.breaker.Do(ctx, func(ctx context.Context) error { return l.redis.GiveBack(ctx, places) })
	}
	return nil
}

// places is the part of a ticket that holds places.
func (t *Ticket) places() Ticket {
	held := Ticket{ID: t.ID}
	for i := range t.Taken {
		if t.Taken[i].Kind == Concurrency && t.Taken[i].Cost > 0 {
			held.Taken = append(held.Taken, t.Taken[i])
		}
	}
	return held
}

// Renew lets calls keep their places for life from now.
func (l *Limiter) Renew(ctx context.Context, tickets []Ticket, life time.Duration) error {
	l.shares.renew(tickets, life)
	return l.breaker.Do(ctx, func(ctx context.Context) error { return l.redis.Renew(ctx, tickets, life) })
}

// Run tells Redis, whenever it is there, what was let through without it, and forgets
// what counts no longer, until ctx ends; then it tells a last time.
func (l *Limiter) Run(ctx context.Context) error {
	tick := time.NewTicker(limiterTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTell)
			defer cancel()
			l.settleUp(last)
			return nil
		case <-tick.C:
			l.settleUp(ctx)
			l.shares.sweep()
		}
	}
}

// settleUp tells Redis everything that it has missed, until it fails.
func (l *Limiter) settleUp(ctx context.Context) {
	for !l.breaker.Open() {
		debts := l.shares.debts(tellTogether)
		if len(debts) == 0 || !l.tellAll(ctx, debts) {
			return
		}
	}
}

// tellAll tells the debts side by side, so that a pipeline can gather them.
func (l *Limiter) tellAll(ctx context.Context, debts []debt) bool {
	var tellers sync.WaitGroup
	next := make(chan *debt)
	failed := make(chan error, len(debts))
	for range min(tellAtOnce, len(debts)) {
		tellers.Go(func() {
			for d := range next {
				if err := l.tell(ctx, d); err != nil {
					failed <- err
				}
			}
		})
	}
	for i := range debts {
		next <- &debts[i]
	}
	close(next)
	tellers.Wait()
	return len(failed) == 0
}
