package bot

import (
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

	pacesKept   = 10_000      // chats remembered before idle ones are dropped
	pacesForget = time.Second // between two looks for idle ones
)

// privateRoom is how many messages a private chat may be ahead of its pace for one more
// to be admitted.
func privateRoom(frame bool) int {
	if frame {
		return privateBurst - 1 - privateSpare
	}
	return privateBurst - 1
}

// groupRoom is how many messages a group may have had in its window.
func groupRoom(frame bool) int {
	if frame {
		return groupMost - groupSpare
	}
	return groupMost
}

// pacer says when the next message may go into a chat, by what this process sent.
type pacer struct {
	now func() time.Time

	mu     sync.Mutex
	chats  map[int64]*pace
	looked time.Time // for idle chats
	bulk   time.Time // when the burst of what nobody waits for will be whole again
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
func (p *pacer) take(chat int64, frame bool) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	c := p.chat(chat, now)
	if isGroup(chat) {
		return c.takeGroup(now, groupRoom(frame))
	}
	return c.takePrivate(now, privateRoom(frame))
}

// note remembers a message that was admitted by others.
func (p *pacer) note(chat int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	c := p.chat(chat, now)
	if !isGroup(chat) {
		c.due = later(c.due, now).Add(privateEvery)
		return
	}
	c.trim(now)
	if len(c.sent) == groupMost {
		c.sent = c.sent[1:]
	}
	c.sent = append(c.sent, now)
}

// takeBulk admits n messages of those that nobody waits for, or says how long to wait.
func (p *pacer) takeBulk(n int, every time.Duration) (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	due := later(p.bulk, now).Add(time.Duration(n) * every)
	if wait = due.Sub(now) - bulkBurst*every; wait > 0 {
		return wait
	}
	p.bulk = due
	return 0
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// chat finds what the chat was sent; the caller has the lock.
func (p *pacer) chat(chat int64, now time.Time) *pace {
	c := p.chats[chat]
	if c == nil {
		p.forgetIdle(now)
		c = &pace{due: now}
		p.chats[chat] = c
	}
	return c
}

func (c *pace) takePrivate(now time.Time, room int) time.Duration {
	c.due = later(c.due, now)
	if wait := c.due.Sub(now) - time.Duration(room)*privateEvery; wait > 0 {
		return wait
	}
	c.due = c.due.Add(privateEvery)
	return 0
}

func (c *pace) takeGroup(now time.Time, room int) time.Duration {
	c.trim(now)
	if excess := len(c.sent) - room; excess >= 0 {
		return c.sent[excess].Add(groupWindow).Sub(now)
	}
	c.sent = append(c.sent, now)
	return 0
}

// trim forgets what was sent before the window.
func (c *pace) trim(now time.Time) {
	old := 0
	for old < len(c.sent) && now.Sub(c.sent[old]) >= groupWindow {
		old++
	}
	c.sent = append(c.sent[:0], c.sent[old:]...)
}

// forgetIdle drops the chats that a new one would be treated the same as, when there
// are many.
func (p *pacer) forgetIdle(now time.Time) {
	if len(p.chats) < pacesKept || now.Sub(p.looked) < pacesForget {
		return
	}
	p.looked = now
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
