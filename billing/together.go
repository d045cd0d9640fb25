package billing

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kikuai/kikuai/internal/stream"
)

// portion is what a shard's owner brings into a transaction: events, the position that they
// follow on, and the one that they end at.
type portion struct {
	shard    stream.Shard
	events   []event
	from, to position
}

// errApart means that a transaction of several portions failed, perhaps for one of them: each
// is to be tried alone.
var errApart = errors.New("billing: portions failed together")

// togetherIn bounds a transaction of several portions: a shard that has to wait for a lock
// keeps the others waiting no longer.
const togetherIn = 3 * time.Second

// gatherIn is how long the first portion waits for the others of its moment: owners look
// for events at the same moments, and have what they find within about this time.
const gatherIn = 3 * time.Millisecond

// gathering brings portions together that come at the same time: while one transaction is
// under way, the others wait for it, and the first of them takes all into the next one. Most
// of what a small transaction costs Postgres, it costs whatever is in it.
type gathering struct {
	mu      sync.Mutex
	busy    bool
	waiting []*waitingPortion
}

// waitingPortion is a portion whose owner is either told what became of it, or to see to
// those that wait itself. Both channels take one value, so telling never blocks.
type waitingPortion struct {
	portion
	told chan error
	turn chan struct{}
}

// together applies a portion, in one transaction with those that others have at the moment.
// It does not end with ctx while it waits for others', which end within togetherIn. Repeats
// are counted with the portion of whoever made the transaction. errApart.
func (e *Engine) together(ctx context.Context, p portion) (repeats int, err error) {
	mine := &waitingPortion{portion: p, told: make(chan error, 1), turn: make(chan struct{}, 1)}
	if e.gathering.enter(mine) {
		time.Sleep(gatherIn)
	} else {
		select {
		case err := <-mine.told:
			return 0, err
		case <-mine.turn:
		}
	}
	taken := e.gathering.take()
	portions := make([]portion, len(taken))
	for i, t := range taken {
		portions[i] = t.portion
	}
	err = errApart // should this break off
	defer func() {
		e.gathering.leave()
		for _, t := range taken {
			t.told <- err
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, togetherIn)
	defer cancel()
	repeats, err = e.post(ctx, portions, byCause, false)
	if err != nil && (len(portions) > 1 || errors.Is(err, errRepeated)) {
		err = errApart
	}
	return repeats, err
}

// enter says whether it is the portion's turn at once.
func (g *gathering) enter(p *waitingPortion) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, p)
	first := !g.busy
	g.busy = true
	return first
}

// take takes the portions that wait, the first one always, and no more events than batchMost.
func (g *gathering) take() []*waitingPortion {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, events := 0, 0
	for n < len(g.waiting) && (n == 0 || events+len(g.waiting[n].events) <= batchMost) {
		events += len(g.waiting[n].events)
		n++
	}
	taken := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	return taken
}

// leave gives the turn to the next.
func (g *gathering) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 {
		g.waiting[0].turn <- struct{}{}
		return
	}
	g.busy = false
}
