package gateway

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/billing"
)

const (
	resolveIn    = time.Second // one attempt
	resolveFirst = 50 * time.Millisecond
	resolveMost  = 2 * time.Second  // pause between attempts
	resolveFor   = 10 * time.Minute // then the hold is left to its deadline
	maxPending   = 4096             // holds waiting for Redis
)

var errUnsure = errors.New("gateway: the hold may yet come to be")

// holds is what a call does with its money in the end.
type holds interface {
	Settle(ctx context.Context, s billing.Settlement) (billing.Captured, error)
	Release(ctx context.Context, accountID int64, holdID string) error
}

// resolver settles and releases holds. What Redis does not take at once it
// repeats in the background, a bounded number at a time, until Redis does.
type resolver struct {
	holds   holds
	log     *slog.Logger
	slots   chan struct{}
	stop    chan struct{}
	halt    sync.Once
	pending sync.WaitGroup
	lost    *prometheus.CounterVec
}

func newResolver(h holds, log *slog.Logger, registerer prometheus.Registerer) *resolver {
	r := &resolver{
		holds: h, log: log,
		slots: make(chan struct{}, maxPending),
		stop:  make(chan struct{}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_holds_given_up_total", Help: "Holds that could not be resolved and were left to their deadline.",
		}, []string{"kind"}),
	}
	if registerer != nil {
		registerer.MustRegister(r.lost, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gateway_holds_pending", Help: "Resolutions of holds that wait for Redis.",
		}, func() float64 { return float64(len(r.slots)) }))
	}
	return r
}

// settle resolves a hold by a call's cost, whatever became of the caller: now, or
// soon where Redis is away, and then done is false and the result not known yet; nor
// is it where Redis had lost the hold and the cost was recorded to be taken.
func (r *resolver) settle(s billing.Settlement) (captured billing.Captured, done bool) {
	captured, err := r.settleOnce(context.Background(), s)
	if err == nil {
		return captured, !captured.Late
	}
	r.later("settle", s.HoldID, err, func(ctx context.Context) error {
		_, err := r.settleOnce(ctx, s)
		return err
	})
	return billing.Captured{}, false
}

// settleOnce settles now. A hold that was resolved at its deadline is settled too:
// the difference is in the books.
func (r *resolver) settleOnce(ctx context.Context, s billing.Settlement) (billing.Captured, error) {
	captured, err := r.holds.Settle(ctx, s)
	var expired *billing.HoldExpiredError
	if errors.As(err, &expired) {
		r.log.Warn("a call outlived its hold", "hold_id", s.HoldID, "captured", expired.Captured, "write_off", expired.WriteOff)
		return billing.Captured{Nano: expired.Captured, WriteOff: expired.WriteOff, Available: expired.Available}, nil
	}
	if err == nil && captured.Late && !captured.Replayed {
		r.log.Warn("a call is settled late: Redis had lost its hold", "hold_id", s.HoldID, "cost", s.Cost)
	}
	return captured, err
}

// release gives a hold back, now or soon. One that Redis has lost meanwhile is given back.
func (r *resolver) release(account int64, holdID string) {
	err := r.holds.Release(context.Background(), account, holdID)
	if err != nil && !errors.Is(err, billing.ErrHoldUnknown) {
		r.releaseLater(account, holdID, err)
	}
}

// releaseLater makes sure that a hold which may or may not exist does not.
func (r *resolver) releaseLater(account int64, holdID string, cause error) {
	unknown := 0
	r.later("release", holdID, cause, func(ctx context.Context) error {
		err := r.holds.Release(ctx, account, holdID)
		if !errors.Is(err, billing.ErrHoldUnknown) {
			return err
		}
		// A Redis that hung may still come to the reservation after this: only
		// the second look says that it was never made.
		if unknown++; unknown < 2 {
			return errUnsure
		}
		return nil
	})
}

// later repeats a resolution until it succeeds or cannot any more.
func (r *resolver) later(kind, holdID string, cause error, resolve func(context.Context) error) {
	if final(cause) {
		r.giveUp(kind, holdID, cause)
		return
	}
	select {
	case r.slots <- struct{}{}:
	default:
		r.giveUp(kind, holdID, errors.New("too many holds wait already"))
		return
	}
	r.pending.Go(func() {
		defer func() { <-r.slots }()
		deadline := time.Now().Add(resolveFor)
		for pause := resolveFirst; ; pause = min(2*pause, resolveMost) {
			wait := time.NewTimer(pause)
			select {
			case <-wait.C:
			case <-r.stop:
				wait.Stop()
				r.giveUp(kind, holdID, cause)
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), resolveIn)
			err := resolve(ctx)
			cancel()
			if err == nil {
				return
			}
			if cause = err; final(err) || time.Now().After(deadline) {
				r.giveUp(kind, holdID, err)
				return
			}
		}
	})
}

// final says that repeating would not help.
func final(err error) bool {
	return errors.Is(err, billing.ErrHoldUnknown) || errors.Is(err, billing.ErrHoldConflict) || errors.Is(err, billing.ErrAmount)
}

func (r *resolver) giveUp(kind, holdID string, err error) {
	r.lost.WithLabelValues(kind).Inc()
	r.log.Error("hold left to its deadline", "kind", kind, "hold_id", holdID, "err", err)
}

// close waits for what is pending; when ctx ends first, the rest is given up.
func (r *resolver) close(ctx context.Context) {
	waited := make(chan struct{})
	go func() {
		r.pending.Wait()
		close(waited)
	}()
	select {
	case <-waited:
	case <-ctx.Done():
		r.halt.Do(func() { close(r.stop) })
		<-waited
	}
}
