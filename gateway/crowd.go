package gateway

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kikuai/kikuai/billing"
)

// crowdMost bounds how many are asked for in one script, which nobody else's may interrupt.
const crowdMost = 64

// apartFor is how long those of a name are asked for one by one after errApart.
const apartFor = time.Minute

var (
	// errAlone says that several cannot be decided together as they are now, and nothing
	// was done for any of them: each is to ask by itself.
	errAlone = errors.New("gateway: to be asked one by one")
	// errApart says so for now and for some time to come.
	errApart = fmt.Errorf("%w for a while", errAlone)
	// errUnanswered is what they are told whose question was under way when whoever asked it
	// broke off: what was done is not known.
	errUnanswered = fmt.Errorf("%w: asking for several broke off", billing.ErrClosed)
)

// crowd has what is asked under one name at the same time asked together. Who comes first
// asks at once and alone. Who comes while an answer is awaited waits for it, and then the
// first of those who wait asks for all. So nobody waits for company, and the more there is
// to do, the less each of it costs. Nobody waits longer than patience lasts either, half as
// much again at most: whoever asks is not answered then, and the others ask by themselves.
type crowd[K comparable, Q, A any] struct {
	link  *link
	now   func() time.Time
	apart *recent[K, time.Time] // until when names are asked for one by one; a hint

	mu      sync.Mutex
	waiting map[K][]*bystander[Q, A] // a name is in it while somebody asks under it
}

// bystander waits until somebody has asked for it, or until it is its turn to ask.
type bystander[Q, A any] struct {
	question Q
	turn     chan struct{}
	all      []*bystander[Q, A] // it is to ask for these, itself the first
	answer   A
	err      error
}

func newCrowd[K comparable, Q, A any](w *link, now func() time.Time) *crowd[K, Q, A] {
	return &crowd[K, Q, A]{link: w, now: now, apart: newRecent[K, time.Time](refusalsMost, 0, now), waiting: map[K][]*bystander[Q, A]{}}
}

// ask asks by one for the question alone, or by several for those of the name that wait,
// which answers as many in their order. Its errAlone sends each of them to ask by one, errApart those who come later, too.
func (c *crowd[K, Q, A]) ask(name K, question Q, one func() (A, error), several func([]Q) ([]A, error)) (A, error) {
	if until, is := c.apart.get(name); is && c.now().Before(until) {
		return one()
	}
	c.mu.Lock()
	others, busy := c.waiting[name]
	if !busy {
		c.waiting[name] = nil
		c.mu.Unlock()
		defer c.next(name)
		return one()
	}
	b := &bystander[Q, A]{question: question, turn: make(chan struct{}), err: errUnanswered}
	c.waiting[name] = append(others, b)
	c.mu.Unlock()
	if !c.wait(name, b) {
		return one()
	}
	switch {
	case len(b.all) == 1:
		defer c.next(name)
		return one()
	case b.all != nil:
		c.lead(name, b.all, several)
	}
	if errors.Is(b.err, errAlone) {
		return one()
	}
	return b.answer, b.err
}

// wait waits for the turn of one who waits under the name, and says false where that did not
// come in time: then it waits there no more.
func (c *crowd[K, Q, A]) wait(name K, b *bystander[Q, A]) bool {
	select {
	case <-b.turn:
		return true
	case <-c.link.beat().Done(): // which few live to see, so few pay for a timer
	}
	patience := time.NewTimer(c.link.patience)
	defer patience.Stop()
	select {
	case <-b.turn:
		return true
	case <-patience.C:
	}
	if c.leave(name, b) {
		return false
	}
	<-b.turn // somebody asks for it by now
	return true
}

// leave takes away one whom nobody asks for yet.
func (c *crowd[K, Q, A]) leave(name K, b *bystander[Q, A]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.Index(c.waiting[name], b)
	if at >= 0 {
		c.waiting[name] = slices.Delete(c.waiting[name], at, at+1)
	}
	return at >= 0
}

// lead asks for all, and has the next ones ask before it tells these.
func (c *crowd[K, Q, A]) lead(name K, all []*bystander[Q, A], several func([]Q) ([]A, error)) {
	defer func() {
		c.next(name)
		for _, b := range all[1:] {
			close(b.turn)
		}
	}()
	questions := make([]Q, len(all))
	for i, b := range all {
		questions[i] = b.question
	}
	answers, err := several(questions)
	if errors.Is(err, errApart) {
		c.apart.put(name, c.now().Add(apartFor))
	}
	for i, b := range all {
		if b.err = err; err == nil {
			b.answer = answers[i]
		}
	}
}

// next has the first of those who wait under the name ask for as many as may be.
func (c *crowd[K, Q, A]) next(name K) {
	c.mu.Lock()
	all := c.waiting[name]
	if len(all) == 0 {
		delete(c.waiting, name)
		c.mu.Unlock()
		return
	}
	n := min(len(all), crowdMost)
	c.waiting[name] = all[n:]
	c.mu.Unlock()
	all[0].all = all[:n:n]
	close(all[0].turn)
}
