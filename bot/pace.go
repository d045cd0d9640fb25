package bot

import (
	"context"
	"sync"
	"time"
)

// Telegram's pace for one chat: about one message a second in private chats, where
// short bursts pass, and twenty a minute in groups. Edits and drafts count.
const (
	privateEvery = time.Second
	privateBurst = 5
	groupWindow  = time.Minute
	groupMost    = 20
	// What frames leave unused, so that the final message need not wait for them.
	privateSpare = 1
	groupSpare   = 5

	pacesKept = 10_000 // chats remembered before idle ones are dropped
)

// pacer says when the next message may go into a chat. It keeps its memory in this
// process; one that shares it through Redis has the same method.
type pacer struct {
	now func() time.Time

	mu    sync.Mutex
	chats map[int64]*pace
}

// pace is what one chat was sent.
type pace struct {
	due  time.Time   // private: when the burst will be whole again
	sent []time.Time // group: the messages within the window, oldest first
}

func newPacer(now func() time.Time) *pacer {
	return &pacer{now: now, chats: make(map[int64]*pace)}
}

// take admits one message to the chat, or says how long to wait before asking again.
// A frame is admitted only while there is something to spare.
func (p *pacer) take(_ context.Context, chat int64, frame bool) (wait time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	c := p.chats[chat]
	if c == nil {
		p.forgetIdle(now)
		c = &pace{due: now}
		p.chats[chat] = c
	}
	if isGroup(chat) {
		return c.takeGroup(now, frame), nil
	}
	return c.takePrivate(now, frame), nil
}

func (c *pace) takePrivate(now time.Time, frame bool) time.Duration {
	most := privateBurst - 1
	if frame {
		most -= privateSpare
	}
	if c.due.Before(now) {
		c.due = now
	}
	if wait := c.due.Sub(now) - time.Duration(most)*privateEvery; wait > 0 {
		return wait
	}
	c.due = c.due.Add(privateEvery)
	return 0
}

func (c *pace) takeGroup(now time.Time, frame bool) time.Duration {
	most := groupMost
	if frame {
		most -= groupSpare
	}
	old := 0
	for old < len(c.sent) && now.Sub(c.sent[old]) >= groupWindow {
		old++
	}
	c.sent = append(c.sent[:0], c.sent[old:]...)
	if excess := len(c.sent) - most; excess >= 0 {
		return c.sent[excess].Add(groupWindow).Sub(now)
	}
	c.sent = append(c.sent, now)
	return 0
}

// forgetIdle drops the chats that a new one would be treated the same as, when there
// are many.
func (p *pacer) forgetIdle(now time.Time) {
	if len(p.chats) < pacesKept {
		return
	}
	for chat, c := range p.chats {
		quiet := !c.due.After(now)
		if n := len(c.sent); n > 0 && now.Sub(c.sent[n-1]) < groupWindow {
			quiet = false
		}
		if quiet {
			delete(p.chats, chat)
		}
	}
}

// isGroup tells groups and channels, whose ids are negative, from people.
func isGroup(chat int64) bool { return chat < 0 }
