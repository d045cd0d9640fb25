package bot

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	waitingMost = 64          // messages waiting for their turn in one chat
	blockedLife = time.Minute // how long a chat that refused us is left alone without asking Redis
	blockedKept = 10_000      // chats remembered as refusing
	pausedKept  = 10_000      // chats remembered as paused before those that are not any more are dropped
	backKept    = 10_000      // chats remembered as heard from
	flooded     = time.Second // after a 429 that does not say how long
)

// chats keeps one message in flight per chat and remembers which chats asked us to
// wait or to go away.
type chats struct {
	now func() time.Time

	mu      sync.Mutex
	turns   map[int64]*turn
	paused  map[int64]time.Time // until when
	blocked map[int64]time.Time // until when
	back    map[int64]struct{}  // heard from, which the other instances may not know
}

// turn is a chat into which something is being sent.
type turn struct {
	waiting []chan struct{} // each closed when its turn comes, in order
}

func newChats(now func() time.Time) *chats {
	return &chats{
		now: now, turns: make(map[int64]*turn), paused: make(map[int64]time.Time), blocked: make(map[int64]time.Time),
		back: make(map[int64]struct{}),
	}
}

// acquire waits for the chat's turn; release must follow when it returns nil.
func (c *chats) acquire(ctx context.Context, chat int64) error {
	c.mu.Lock()
	t := c.turns[chat]
	if t == nil {
		c.turns[chat] = &turn{}
		c.mu.Unlock()
		return nil
	}
	if len(t.waiting) >= waitingMost {
		c.mu.Unlock()
		return fmt.Errorf("bot: %d messages wait for the chat: %w", waitingMost, ErrTryLater)
	}
	ready := make(chan struct{})
	t.waiting = append(t.waiting, ready)
	c.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	for i, other := range t.waiting {
		if other == ready {
			t.waiting = append(t.waiting[:i], t.waiting[i+1:]...)
			c.mu.Unlock()
			return ctx.Err()
		}
	}
	c.mu.Unlock()
	c.release(chat) // the turn came at the same moment
	return ctx.Err()
}

// tryAcquire takes the turn only if nobody has it and the chat is not paused.
func (c *chats) tryAcquire(chat int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turns[chat] != nil || c.pauseLeft(chat) > 0 {
		return false
	}
	c.turns[chat] = &turn{}
	return true
}

func (c *chats) release(chat int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.turns[chat]
	if len(t.waiting) == 0 {
		delete(c.turns, chat)
		return
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
}

// pause keeps everything from the chat for d, or for a moment where d says nothing, and
// returns for how long.
func (c *chats) pause(chat int64, d time.Duration) time.Duration {
	if d <= 0 {
		d = flooded
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.paused) >= pausedKept {
		forgetBefore(c.paused, now)
	}
	if until := now.Add(d); until.After(c.paused[chat]) {
		c.paused[chat] = until
	}
	return d
}

// forgetBefore drops those whose time is over.
func forgetBefore(chats map[int64]time.Time, now time.Time) {
	for chat, until := range chats {
		if !until.After(now) {
			delete(chats, chat)
		}
	}
}

// rest returns how long the chat is still paused.
func (c *chats) rest(chat int64) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pauseLeft(chat)
}

func (c *chats) pauseLeft(chat int64) time.Duration {
	until, ok := c.paused[chat]
	if !ok {
		return 0
	}
	left := until.Sub(c.now())
	if left <= 0 {
		delete(c.paused, chat)
	}
	return left
}

// block remembers that the chat cannot be reached.
func (c *chats) block(chat int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.blocked) >= blockedKept {
		forgetBefore(c.blocked, now)
	}
	if len(c.blocked) < blockedKept {
		c.blocked[chat] = now.Add(blockedLife)
	}
	delete(c.back, chat)
}

func (c *chats) isBlocked(chat int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	until, ok := c.blocked[chat]
	if ok && !until.After(c.now()) {
		delete(c.blocked, chat)
		ok = false
	}
	return ok
}

// heard notes that something came from the chat. The other instances are told when
// something is next sent there.
func (c *chats) heard(chat int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.blocked, chat)
	if len(c.back) >= backKept {
		clear(c.back) // they will be heard again
	}
	c.back[chat] = struct{}{}
}

// wasHeard tells whether the chat was heard from since it was last asked.
func (c *chats) wasHeard(chat int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, was := c.back[chat]
	delete(c.back, chat)
	return was
}
