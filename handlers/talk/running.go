package talk

import (
	"context"
	"errors"
	"sync"
	"time"
)

var (
	// ErrStopped is the end of a turn that the person stopped.
	ErrStopped = errors.New("talk: stopped")
	// errMore is the end of an attempt that a further piece of the question makes vain.
	errMore = errors.New("talk: there is more to the question")
	// errTooLong is the end of an answer that takes longer than a handler may.
	errTooLong = errors.New("talk: the answer takes too long")
)

// running knows the turns that this instance works on.
type running struct {
	mu   sync.Mutex
	runs map[*run]struct{}
}

func newRunning() *running { return &running{runs: map[*run]struct{}{}} }

// run is the working side of a turn: what others may end.
type run struct {
	of    *running
	topic topic
	draft int
	asker int64 // the person's id

	life    context.Context // of all that the turn does before its end; ends with ErrStopped
	attempt context.Context // of one call to the model; ends with ErrStopped or errMore
	kill    context.CancelCauseFunc
	cancel  context.CancelCauseFunc
	timer   context.CancelFunc

	mu    sync.Mutex
	begun bool  // the answer's first word has come
	ended error // ErrStopped, errMore, or nil
}

const (
	// endIn is what a turn keeps of its handler's time for remembering and sending what
	// came of it; of a short time a quarter.
	endIn    = 15 * time.Second
	endParts = 4
)

// begin enters a turn that is worked on from now on; end must follow.
func (r *running) begin(ctx context.Context, t *turn) *run {
	one := &run{of: r, topic: t.topic, draft: t.draft, asker: t.From.ID, timer: func() {}}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		ctx, one.timer = context.WithTimeoutCause(ctx, left-min(endIn, left/endParts), errTooLong)
	}
	one.life, one.kill = context.WithCancelCause(ctx)
	one.attempt, one.cancel = context.WithCancelCause(one.life)
	r.mu.Lock()
	r.runs[one] = struct{}{}
	r.mu.Unlock()
	return one
}

// end takes the turn out.
func (r *run) end() {
	r.of.mu.Lock()
	delete(r.of.runs, r)
	r.of.mu.Unlock()
	r.kill(nil)
	r.timer()
}

// find returns the turns that an order is about and that are worked on here.
func (r *running) find(o order) []*run {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []*run
	for one := range r.runs {
		if one.topic == o.topic() && (one.draft == o.Draft || o.Draft == 0 && one.asker == o.Asker) {
			found = append(found, one)
		}
	}
	return found
}

// all returns the turns that are worked on here.
func (r *running) all() []*run {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*run, 0, len(r.runs))
	for one := range r.runs {
		all = append(all, one)
	}
	return all
}

// word notes that a word of the answer has come and tells whether it is the first. The
// error is why no more are wanted.
func (r *run) word() (first bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != nil {
		return false, r.ended
	}
	first, r.begun = !r.begun, true
	return first, nil
}

// err is why the run was ended from outside, or nil.
func (r *run) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended
}

// stop ends the run for good.
func (r *run) stop() { r.finish(ErrStopped) }

// more ends the attempt under way, so that the turn begins again with what came. It tells
// whether it did: not once the answer has begun.
func (r *run) more() bool { return r.finish(errMore) }

func (r *run) finish(why error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(r.ended, ErrStopped) || errors.Is(why, errMore) && (r.begun || r.ended != nil) {
		return false
	}
	r.ended = why
	if errors.Is(why, ErrStopped) {
		r.kill(why)
	} else {
		r.cancel(why)
	}
	return true
}

// again makes the run ready for another attempt, unless it was stopped.
func (r *run) again() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(r.ended, errMore) {
		r.ended = nil
		r.attempt, r.cancel = context.WithCancelCause(r.life)
	}
}
