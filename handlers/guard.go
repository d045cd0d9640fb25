package handlers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kikuai/kikuai/ratelimit"
)

// guard limits how often somebody may do something. Nil guards limit nothing.
type guard interface {
	// Take asks for one more by the person or account of that id.
	// [*ratelimit.ExceededError].
	Take(ctx context.Context, id int64) error
}

// waiting names what somebody is told to wait with.
type waiting uint8

const (
	waitCommands waiting = iota
	waitChat
	waitTopUps
)

const (
	// waitLeast is the shortest wait that is told. Who goes on writing at full speed is
	// let through one by one, each after a moment's wait, and would be told of each.
	waitLeast = 10 * time.Second
	toldMost  = 16 << 10       // people remembered as told; the oldest is forgotten first
	owedMost  = 4 << 10        // updates remembered as admitted and failed
	owedLife  = 24 * time.Hour // that long an update may be tried again
)

// admit asks whether a person may send one more command or press one more button, and
// returns how long to wait otherwise. An update that was admitted and failed is not
// counted again when it is tried again.
func (r *Router) admit(ctx context.Context, q request) (wait time.Duration, err error) {
	if r.Commands == nil || r.owed.has(q.update, r.now()) {
		return 0, nil
	}
	var exceeded *ratelimit.ExceededError
	err = r.Commands.Take(ctx, q.from.ID)
	if errors.As(err, &exceeded) {
		return exceeded.RetryAfter, nil
	}
	if err != nil {
		return 0, away("limit of commands", err)
	}
	return 0, nil
}

// limited runs what a command or button asks for, if it may be, and else says once how
// long to wait.
func (r *Router) limited(ctx context.Context, q request, do func(context.Context, request) error) error {
	wait, err := r.admit(ctx, q)
	if err != nil {
		return err
	}
	if wait > 0 {
		return r.sayWait(ctx, q, waitCommands, textTooFast, wait)
	}
	return r.owe(q, do(ctx, q))
}

// owe remembers an update that was admitted and not carried out.
func (r *Router) owe(q request, err error) error {
	if err != nil {
		r.owed.put(q.update, r.now().Add(owedLife))
	}
	return err
}

// admitTopUp asks whether the account may begin one more top-up, and says so if not.
func (r *Router) admitTopUp(ctx context.Context, q request, account int64) (bool, error) {
	if r.TopUps == nil {
		return true, nil
	}
	var exceeded *ratelimit.ExceededError
	err := r.TopUps.Take(ctx, account)
	switch {
	case errors.As(err, &exceeded):
		return false, r.sayWait(ctx, q, waitTopUps, textTooManyTopUps, exceeded.RetryAfter)
	case err != nil:
		return false, away("limit of top-ups", err)
	}
	return true, nil
}

// sayWait says how long to wait, once for each wait: somebody who keeps on writing gets
// no answer to each of their messages.
func (r *Router) sayWait(ctx context.Context, q request, what waiting, text string, wait time.Duration) error {
	if words, tell := r.waitWords(q.from.ID, what, wait); tell {
		return r.say(ctx, q, fmt.Sprintf(text, words))
	}
	return nil
}

// waitWords is the wait to tell a person of, unless they were told and it is not over.
func (r *Router) waitWords(person int64, what waiting, wait time.Duration) (words string, tell bool) {
	now := r.now()
	wait = max(wait, waitLeast)
	return inWords(wait), r.told.claim(toldKey{person, what}, now, now.Add(wait))
}

type toldKey struct {
	person int64
	what   waiting
}

// inWords is a time to wait as a person says it, never less than it is: "5 seconds",
// "1 minute and 5 seconds", "2 hours and 1 minute".
func inWords(wait time.Duration) string {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	units := []struct {
		name string
		long int64 // seconds
	}{{"day", day}, {"hour", hour}, {"minute", minute}, {"second", 1}}
	for i, u := range units {
		if seconds < u.long {
			continue
		}
		if i == len(units)-1 {
			return counted(seconds, u.name)
		}
		next := units[i+1]
		seconds = (seconds + next.long - 1) / next.long // of the next unit, rounded up
		parts := u.long / next.long
		words := []string{counted(seconds/parts, u.name)}
		if rest := seconds % parts; rest > 0 {
			words = append(words, counted(rest, next.name))
		}
		return strings.Join(words, " and ")
	}
	return counted(seconds, "second")
}

func counted(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return grouped(n) + " " + unit + "s"
}

// remembered is a bounded set of keys with a time until which each holds. When it is
// full, the one that was added first makes way.
type remembered[K comparable] struct {
	most  int
	mu    sync.Mutex
	until map[K]time.Time
	order []K // a ring, once it is full
	next  int
}

func newRemembered[K comparable](most int) *remembered[K] {
	return &remembered[K]{most: most, until: map[K]time.Time{}}
}

// has tells whether the key was put and holds at that time.
func (m *remembered[K]) has(key K, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, found := m.until[key]
	return found && now.Before(until)
}

func (m *remembered[K]) put(key K, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(key, until)
}

// claim puts the key and tells that it did, unless it holds already.
func (m *remembered[K]) claim(key K, now, until time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, found := m.until[key]; found && now.Before(before) {
		return false
	}
	m.set(key, until)
	return true
}

func (m *remembered[K]) set(key K, until time.Time) {
	if _, found := m.until[key]; !found {
		if len(m.order) < m.most {
			m.order = append(m.order, key)
		} else {
			delete(m.until, m.order[m.next])
			m.order[m.next] = key
			m.next = (m.next + 1) % m.most
		}
	}
	m.until[key] = until
}
