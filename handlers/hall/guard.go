package hall

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kikuai/kikuai/handlers/texts"
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
	// WaitChat is to wait with questions.
	WaitChat
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

// Admit asks whether a person may send one more command or press one more button, and
// returns how long to wait otherwise. An update that was admitted and failed is not
// counted again when it is tried again.
func (h *Hall) Admit(ctx context.Context, q Request) (wait time.Duration, err error) {
	if h.Commands == nil || h.owed.has(q.Update, h.Now()) {
		return 0, nil
	}
	var exceeded *ratelimit.ExceededError
	err = h.Commands.Take(ctx, q.From.ID)
	if errors.As(err, &exceeded) {
		return exceeded.RetryAfter, nil
	}
	if err != nil {
		return 0, Away("limit of commands", err)
	}
	return 0, nil
}

// Limited runs what a command or button asks for, if it may be, and else says once how
// long to wait.
func (h *Hall) Limited(ctx context.Context, q Request, do func(context.Context, Request) error) error {
	wait, err := h.Admit(ctx, q)
	if err != nil {
		return err
	}
	if wait > 0 {
		return h.sayWait(ctx, q, waitCommands, "command.too_fast", wait)
	}
	return h.Owe(q, do(ctx, q))
}

// Owe remembers an update that was admitted and not carried out.
func (h *Hall) Owe(q Request, err error) error {
	if err != nil {
		h.owed.put(q.Update, h.Now().Add(owedLife))
	}
	return err
}

// AdmitTopUp asks whether the account may begin one more top-up, and says so if not.
func (h *Hall) AdmitTopUp(ctx context.Context, q Request, account int64) (bool, error) {
	if h.TopUps == nil {
		return true, nil
	}
	var exceeded *ratelimit.ExceededError
	err := h.TopUps.Take(ctx, account)
	switch {
	case errors.As(err, &exceeded):
		return false, h.sayWait(ctx, q, waitTopUps, "topup.too_many", exceeded.RetryAfter)
	case err != nil:
		return false, Away("limit of top-ups", err)
	}
	return true, nil
}

// sayWait says how long to wait, once for each wait: somebody who keeps on writing gets
// no answer to each of their messages.
func (h *Hall) sayWait(ctx context.Context, q Request, what waiting, key string, wait time.Duration) error {
	if words, tell := h.WaitWords(q, what, wait); tell {
		return h.Say(ctx, q, q.Voice.Say(key, "wait", words))
	}
	return nil
}

// WaitWords is the wait to tell a person of, unless they were told and it is not over.
func (h *Hall) WaitWords(q Request, what waiting, wait time.Duration) (words string, tell bool) {
	now := h.Now()
	wait = max(wait, waitLeast)
	return InWords(q.Voice, wait), h.told.claim(toldKey{q.From.ID, what}, now, now.Add(wait))
}

type toldKey struct {
	person int64
	what   waiting
}

// InWords is a time to wait as a person says it, never less than it is: "5 seconds",
// "1 minute and 5 seconds", "2 hours and 1 minute".
func InWords(voice texts.Voice, wait time.Duration) string {
	seconds := max(1, int64((wait+time.Second-1)/time.Second))
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	units := []struct {
		key  string
		long int64 // seconds
	}{{"wait.days", day}, {"wait.hours", hour}, {"wait.minutes", minute}, {"wait.seconds", 1}}
	for i, u := range units {
		if seconds < u.long {
			continue
		}
		if i == len(units)-1 {
			return voice.Count(u.key, seconds)
		}
		next := units[i+1]
		seconds = (seconds + next.long - 1) / next.long // of the next unit, rounded up
		parts := u.long / next.long
		words := voice.Count(u.key, seconds/parts)
		if rest := seconds % parts; rest > 0 {
			return voice.Say("wait.both", "first", words, "second", voice.Count(next.key, rest))
		}
		return words
	}
	return voice.Count("wait.seconds", seconds)
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
