package bot

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	batchMost = 10
	batchWait = 100 * time.Millisecond
)

// Batcher sends what nobody waits for: notices and broadcasts. It gathers up to ten
// messages, or for 100 ms, and sends them side by side at the pace that all instances
// keep together, 25 a second. Answers do not come this way, and are not held up by it.
type Batcher struct {
	sender *Sender

	mu   sync.Mutex
	open *batch // nil: none is gathering
	last *batch // whose pace comes before the next one's
}

// batch is some messages that wait for their pace together.
type batch struct {
	messages int
	full     chan struct{} // closed when no more are taken
	permits  chan struct{} // one for each message, when it may go
	released chan struct{} // closed when all may have gone
}

// NewBatcher returns a batcher for messages that s sends.
func NewBatcher(s *Sender) *Batcher { return &Batcher{sender: s} }

// Send is [Sender.Send] for a message that nobody waits for.
func (b *Batcher) Send(ctx context.Context, m Message) (id int, err error) {
	if b.sender.chats.isBlocked(m.ChatID) {
		return 0, ErrBlocked
	}
	mine := b.join()
	select {
	case <-mine.permits:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return b.sender.Send(ctx, m)
}

// SendUnasked is [Sender.Send] for a single message that nobody waits for, at the pace of
// those.
func (s *Sender) SendUnasked(ctx context.Context, m Message) (id int, err error) {
	const one = 1
	for {
		wait := s.pace.takeBulk(ctx, one)
		if wait <= 0 {
			return s.Send(ctx, m)
		}
		if !sleep(ctx, wait) {
			return 0, fmt.Errorf("bot: no turn among what nobody waits for: %w", ErrTryLater)
		}
	}
}

// join adds a message to the batch that is gathering, and begins one if need be.
func (b *Batcher) join() *batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	mine := b.open
	if mine == nil {
		mine = &batch{full: make(chan struct{}), permits: make(chan struct{}, batchMost), released: make(chan struct{})}
		b.open = mine
		go b.release(mine, b.last)
		b.last = mine
	}
	if mine.messages++; mine.messages == batchMost {
		b.open = nil
		close(mine.full)
	}
	return mine
}

// release lets a batch go when it has gathered and those before it have gone. It ends by
// itself: a wait is never longer than the pace of what was admitted before.
func (b *Batcher) release(mine, before *batch) {
	defer close(mine.released)
	timer := time.NewTimer(batchWait)
	defer timer.Stop()
	select {
	case <-mine.full:
	case <-timer.C:
	}
	b.mu.Lock()
	if b.open == mine {
		b.open = nil
	}
	left := mine.messages // none is added any more
	b.mu.Unlock()
	if before != nil {
		<-before.released
	}
	for left > 0 {
		n := min(left, bulkBurst)
		for wait := b.sender.pace.takeBulk(context.Background(), n); wait > 0; wait = b.sender.pace.takeBulk(context.Background(), n) {
			time.Sleep(wait)
		}
		for range n {
			mine.permits <- struct{}{}
		}
		left -= n
	}
}
