package gateway

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	resolveIn    = time.Second // an attempt that nobody waits for
	resolveFirst = 50 * time.Millisecond
	resolveMost  = 2 * time.Second  // pause between attempts
	resolveFor   = 10 * time.Minute // then the hold is left to its deadline
	trueUpFor    = 90 * time.Second // then there is nothing left in windows or of leases
	maxPending   = 4096             // holds waiting for Redis, and as many calls' limits
)

var (
	errUnsure = errors.New("gateway: the hold may yet come to be")
	errUntold = errors.New("gateway: Redis has not heard of a call's end")
)

// holds is what a call does with its money in the end.
type holds interface {
	Settle(ctx context.Context, s billing.Settlement) (billing.Captured, error)
	SettleSeveral(ctx context.Context, all []billing.Settlement) ([]billing.Captured, error)
	Record(ctx context.Context, s billing.Settlement) (billing.Captured, error)
	Release(ctx context.Context, accountID int64, holdID string) error
}

// resolver settles and releases holds, and trues up what calls took of limits. What Redis
// does not take at once it repeats in the background, a bounded number at a time, until
// Redis does; what a call came to is in Postgres by then, or its answer does not go out.
type resolver struct {
	holds   holds
	tally   *tally
	link    *link
	log     *slog.Logger
	money   line
	booked  line // of these, what is in Postgres already
	trueUps line
	crowd   *crowd[int64, billing.Settlement, billing.Captured] // by account
	stop    chan struct{}
	halt    sync.Once
	pending sync.WaitGroup
	lost    *prometheus.CounterVec
}

// line is what waits for Redis.
type line struct {
	slots  chan struct{}
	most   time.Duration // that each waits
	giveUp func(kind, id string, err error)
}

func newResolver(h holds, t *tally, w *link, log *slog.Logger, registerer prometheus.Registerer) *resolver {
	r := &resolver{
		holds: h, tally: t, link: w, log: log,
		crowd: newCrowd[int64, billing.Settlement, billing.Captured](w, time.Now),
		stop:  make(chan struct{}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_holds_given_up_total", Help: "Holds that could not be resolved and were left to their deadline.",
		}, []string{"kind"}),
	}
	if registerer != nil {
		registerer.MustRegister(r.lost, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gateway_holds_pending", Help: "Resolutions of holds that wait for Redis.",
		}, func() float64 { return float64(len(r.money.slots)) }))
	}
	r.money = line{make(chan struct{}, maxPending), resolveFor, r.giveUp}
	r.booked = line{r.money.slots, resolveFor, func(_, id string, err error) {
		r.log.Debug("settlement left to the shard's owner", "hold_id", id, "err", err)
	}}
	r.trueUps = line{make(chan struct{}, maxPending), trueUpFor, func(_, id string, err error) {
		r.log.Debug("limits left to their windows", "call", id, "err", err)
	}}
	return r
}

// end resolves the hold of a call that has ended, and in the same moment trues up what
// the call took of limits. Redis may not have heard what is untold.
func (r *resolver) end(t taken, tokens, captured int64, resolve func(context.Context) (billing.Captured, error)) (got billing.Captured, untold []word, err error) {
	if !t.open() {
		got, err = soon(r, false, resolve)
		return got, nil, err
	}
	words := r.tally.finish(t, tokens, captured)
	type outcome struct {
		captured billing.Captured
		told     bool
	}
	o, err := soon(r, true, func(ctx context.Context) (o outcome, err error) {
		o.told = together(ctx, append(words, func(ctx context.Context) error {
			o.captured, err = resolve(ctx)
			return nil
		})...) == nil
		return o, err
	})
	if !o.told {
		untold = words
	}
	return o.captured, untold, err
}

// giveBack gives back, now or soon, all that a call took which does not begin.
func (r *resolver) giveBack(t taken) {
	words := r.tally.giveBack(t)
	if len(words) == 0 {
		return
	}
	_, err := soon(r, true, func(ctx context.Context) (struct{}, error) { return struct{}{}, together(ctx, words...) })
	if err != nil {
		r.tellLater(t, err, words)
	}
}

// tellLater repeats what Redis may not have been told. Until it is, limits are harsher
// than they need be, never laxer.
func (r *resolver) tellLater(t taken, cause error, words []word) {
	if len(words) == 0 {
		return
	}
	r.later(&r.trueUps, "limits", t.id(), cause, func(ctx context.Context) error { return together(ctx, words...) })
}

// soon asks once, unless Redis is known to be away, and for no longer than a caller can
// wait. several: for more than one thing at a time. The breaker does not hear how it went:
// what settles late asks Postgres, too.
func soon[T any](r *resolver, several bool, ask func(context.Context) (T, error)) (none T, err error) {
	if r.link.breaker.Open() {
		return none, ratelimit.ErrBreakerOpen
	}
	if several {
		return aside(context.Background(), r.link, ask)
	}
	return await(context.Background(), r.link, ask)
}

// settleSoon settles a call that has nothing of limits to true up; calls of one account
// together, as far as they end at the same time.
func (r *resolver) settleSoon(s billing.Settlement) (billing.Captured, error) {
	one := func() (billing.Captured, error) {
		return soon(r, false, func(ctx context.Context) (billing.Captured, error) { return r.settleOnce(ctx, s) })
	}
	return r.crowd.ask(s.AccountID, s, one, func(all []billing.Settlement) ([]billing.Captured, error) {
		captured, err := soon(r, false, func(ctx context.Context) ([]billing.Captured, error) { return r.holds.SettleSeveral(ctx, all) })
		if errors.Is(err, billing.ErrUncommon) {
			err = errApart
		}
		return captured, err
	})
}

// settleOnce settles now. A hold that was resolved at its deadline is settled too:
// the difference is in the books.
func (r *resolver) settleOnce(ctx context.Context, s billing.Settlement) (billing.Captured, error) {
	captured, err := r.holds.Settle(ctx, s)
	var expired *billing.HoldExpiredError
	if errors.As(err, &expired) {
		r.log.Warn("a call outlived its hold", "hold_id", s.HoldID, "account_id", s.AccountID, "captured", expired.Captured, "write_off", expired.WriteOff)
		return billing.Captured{Nano: expired.Captured, WriteOff: expired.WriteOff, Available: expired.Available}, nil
	}
	if err == nil && captured.Late && !captured.Replayed {
		r.log.Warn("a call is settled late: Redis had lost its hold", "hold_id", s.HoldID, "account_id", s.AccountID, "cost", s.Cost)
	}
	return captured, err
}

// release gives a hold back, now or soon, of a call that came to nothing. One that Redis
// has lost meanwhile is given back.
func (r *resolver) release(account int64, holdID string, t taken) {
	_, untold, err := r.end(t, 0, 0, func(ctx context.Context) (billing.Captured, error) {
		return billing.Captured{}, r.holds.Release(ctx, account, holdID)
	})
	r.tellLater(t, errUntold, untold)
	if err != nil && !errors.Is(err, billing.ErrHoldUnknown) {
		r.releaseLater(account, holdID, err)
	}
}

// undo gives back a call's hold and all that it took of limits, as if it had never been.
// Where that is not certain at once it sees to it later and says so: then nothing may be
// done in the call's place.
func (r *resolver) undo(account int64, holdID string, t taken) bool {
	words := append(r.tally.giveBack(t), func(ctx context.Context) error { return r.holds.Release(ctx, account, holdID) })
	_, err := soon(r, true, func(ctx context.Context) (struct{}, error) { return struct{}{}, together(ctx, words...) })
	if err != nil {
		r.release(account, holdID, t)
		r.giveBack(t)
	}
	return err == nil
}

// releaseLater makes sure that a hold which may or may not exist does not. One that has its
// name from a chat's message is left to its deadline: the message is told again under that
// name, and by then the hold may be the living call's.
func (r *resolver) releaseLater(account int64, holdID string, cause error) {
	if !strings.HasPrefix(holdID, ownHold) {
		return
	}
	unknown := 0
	r.later(&r.money, "release", holdID, cause, func(ctx context.Context) error {
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
func (r *resolver) later(l *line, kind, id string, cause error, resolve func(context.Context) error) {
	if final(cause) {
		l.giveUp(kind, id, cause)
		return
	}
	select {
	case l.slots <- struct{}{}:
	default:
		l.giveUp(kind, id, errors.New("too many wait already"))
		return
	}
	r.pending.Go(func() {
		defer func() { <-l.slots }()
		deadline := time.Now().Add(l.most)
		for pause := resolveFirst; ; pause = min(2*pause, resolveMost) {
			wait := time.NewTimer(pause)
			select {
			case <-wait.C:
			case <-r.stop:
				wait.Stop()
				l.giveUp(kind, id, cause)
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), resolveIn)
			err := resolve(ctx)
			cancel()
			if err == nil {
				return
			}
			if cause = err; final(err) || time.Now().After(deadline) {
				l.giveUp(kind, id, err)
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
