package webapp

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/kikuai/kikuai/billing"
)

const (
	roundMost   = 256                  // accounts of one reading
	entriesMost = 100                  // transactions of one account in one reading
	resumeMost  = 500                  // transactions that a client who comes back is told of
	keysTold    = 32                   // changes of keys of one account that are told by name between two readings
	roundIn     = 5 * time.Second      // for one reading
	roundPause  = 5 * time.Millisecond // between two: what comes meanwhile is read together
)

// follow reads what is due, again and again, until ctx ends. One goroutine reads for all
// sockets of the instance, so what is new about an account is read once, however many
// look at it, and told to each in one order.
func (l *Live) follow(ctx context.Context) {
	sweep := time.NewTicker(l.sweepEvery)
	defer sweep.Stop()
	ailing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			l.sweep()
		case <-l.wake:
		}
		pause := roundPause
		more, err := l.round(ctx)
		switch {
		case err != nil:
			pause = followAgain
			if !ailing && ctx.Err() == nil {
				l.log.Warn("what is new cannot be read", "error", err)
			}
			ailing = true
		case ailing:
			ailing = false
			l.log.Info("what is new can be read again")
		}
		if more || err != nil {
			l.again()
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-wait.C:
		}
		wait.Stop()
	}
}

// again wakes the follower once more.
func (l *Live) again() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// task is what one reading is to find out.
type task struct {
	all  []int64 // accounts
	look []int64 // those of them whose keys, settings and standing are looked at
	keys []int64 // that sockets of those have come with
}

// take takes what is due, at most roundMost accounts of it.
func (l *Live) take() (t task, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for account := range l.due {
		if len(t.all) == roundMost {
			return t, true
		}
		delete(l.due, account)
		w := l.accounts[account]
		if w == nil {
			continue
		}
		t.all = append(t.all, account)
		if !w.look {
			continue
		}
		w.look = false
		t.look = append(t.look, account)
		for s := range w.sockets {
			if s.key != 0 && !slices.Contains(t.keys, s.key) {
				t.keys = append(t.keys, s.key)
			}
		}
	}
	return t, false
}

// round reads for some accounts and tells their sockets. more says that others are due.
func (l *Live) round(ctx context.Context) (more bool, err error) {
	t, more := l.take()
	if len(t.all) == 0 {
		return more, nil
	}
	ctx, cancel := context.WithTimeout(ctx, roundIn)
	defer cancel()
	defer func() {
		if err != nil {
			l.putBack(t)
		}
	}()
	if len(t.look) > 0 {
		states, gone, err := l.feed.Look(ctx, t.look, t.keys)
		if err != nil {
			return more, err
		}
		l.place(t.look, states, gone)
	}
	accounts, above, greeted := l.wanted(t)
	entries, err := l.feed.After(ctx, accounts, above, entriesMost)
	if err != nil {
		return more, err
	}
	told := map[int64][]billing.FeedEntry{}
	for _, e := range entries {
		told[e.AccountID] = append(told[e.AccountID], e)
	}
	moved := slices.Collect(maps.Keys(told))
	for _, account := range greeted {
		if _, is := told[account]; !is {
			moved = append(moved, account)
		}
	}
	if len(moved) == 0 {
		return more, nil
	}
	balances, err := l.feed.Balances(ctx, moved)
	if err != nil {
		return more, err
	}
	return l.tell(moved, told, balances) || more, nil
}

// putBack makes what could not be read due again.
func (l *Live) putBack(t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, account := range t.look {
		if w := l.accounts[account]; w != nil {
			w.look = true
		}
	}
	for _, account := range t.all {
		if l.accounts[account] != nil {
			l.due[account] = struct{}{}
		}
	}
}

// place gives new sockets their places, tells the others of keys and settings that have
// changed, and closes those that may not hear any more.
func (l *Live) place(looked []int64, states []billing.FeedState, gone []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.now()
	found := make(map[int64]billing.FeedState, len(states))
	for _, state := range states {
		found[state.AccountID] = state
	}
	for _, account := range looked {
		w := l.accounts[account]
		if w == nil {
			continue
		}
		state, is := found[account]
		changes := w.changes(state.FeedPlace, at)
		w.place, w.known, w.keys = state.FeedPlace, true, nil
		for s := range w.sockets {
			switch {
			case !is || state.Status != billing.StatusActive, slices.Contains(gone, s.key):
				s.end(closeUnauthorized)
			case !s.placed:
				s.settle(state.FeedPlace, at)
			default:
				s.push(changes...)
			}
		}
	}
}

// changes are the events of what differs from what the account's sockets know.
func (w *watched) changes(now billing.FeedPlace, at time.Time) (events []event) {
	if !w.known {
		return nil
	}
	if now.Settings != w.place.Settings {
		events = append(events, encode(now, eventSettings, at, struct{}{}))
	}
	for _, n := range w.keys {
		events = append(events, encode(now, eventKey, at, keyData{&n.KeyID, n.Change}))
	}
	if len(w.keys) == 0 && now.Keys != w.place.Keys {
		events = append(events, encode(now, eventKey, at, keyData{nil, billing.KeyChanged}))
	}
	return events
}

// wanted is above which number each account is to be read, and which accounts have sockets
// that have heard nothing yet.
func (l *Live) wanted(t task) (accounts, above, greeted []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, account := range t.all {
		w := l.accounts[account]
		if w == nil {
			continue
		}
		least, fresh := int64(-1), false
		for s := range w.sockets {
			if !s.placed {
				continue
			}
			fresh = fresh || !s.greeted
			if least < 0 || s.seq < least {
				least = s.seq
			}
		}
		if least < 0 {
			continue
		}
		accounts, above = append(accounts, account), append(above, least)
		if fresh {
			greeted = append(greeted, account)
		}
	}
	return accounts, above, greeted
}

// tell gives each socket what stands above its place, and the balance. more says that some
// of it is still to be read.
func (l *Live) tell(accounts []int64, entries map[int64][]billing.FeedEntry, balances map[int64]billing.Balance) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.now()
	for _, account := range accounts {
		w := l.accounts[account]
		if w == nil {
			continue
		}
		events := make([]event, len(entries[account]))
		for i, e := range entries[account] {
			events[i] = encodeEntry(w.place, e)
		}
		balance, known := balances[account]
		if len(events) == entriesMost { // there may be more, after which the balance is told
			l.due[account], more, known = struct{}{}, true, false
		}
		for s := range w.sockets {
			if !s.placed {
				continue
			}
			heard := s.hear(entries[account], events)
			if known && (heard || !s.greeted) {
				place := w.place
				place.Seq = s.seq
				s.push(encodeBalance(place, at, balance))
				s.greeted = true
			}
		}
	}
	return more
}
