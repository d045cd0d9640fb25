package telegramsim

import (
	"sync"
	"time"
)

// Telegram's pace (Bots FAQ, "My bot is hitting limits"): about one message per second in a chat, bursts pass
// for a while; 20 per minute in a group; about 30 per second in all when notifying many. Edits count.
const (
	chatPerSecond  = 1
	chatBurst      = 10 // how far a private chat may run ahead before it is enforced
	groupPerMinute = 20
	bulkPerSecond  = 30
)

// paced methods count as messages.
var paced = map[string]bool{
	"sendmessage": true, "editmessagetext": true, "editmessagereplymarkup": true, "editmessagecaption": true, "sendinvoice": true,
	"sendphoto": true, "senddocument": true, "sendaudio": true, "sendvoice": true, "sendvideo": true, "sendanimation": true,
	"sendrichmessage": true, "editmessagemedia": true, "sendmediagroup": true,
}

// pace watches how fast the bot writes.
type pace struct {
	mu    sync.Mutex
	chats map[int64]*chatPace
	all   second
	made  int // 429s that a fault made
	over  int // 429s for going over the pace
}

// second counts the calls of the running second and the most of any.
type second struct {
	start time.Time
	count int
	most  int
	over  int // seconds with more than a limit
}

func (s *second) add(at time.Time, limit int) {
	if at.Sub(s.start) >= time.Second {
		s.start, s.count = at, 0
	}
	s.count++
	s.most = max(s.most, s.count)
	if s.count == limit+1 {
		s.over++
	}
}

type chatPace struct {
	second
	minute     []time.Time // calls of the last minute
	mostMinute int
	overMinute int
	ignored    int
	tokens     float64
	refilled   time.Time
}

// Pace reports how the bot kept Telegram's pace.
type Pace struct {
	MostPerSecond     int           // in all chats
	SecondsOver30     int           // seconds in which more than 30 messages went out in all
	MostChatPerSecond int           // in one chat
	MostPerMinute     int           // in one chat
	OverInChat        map[int64]int // private chats: seconds with more than one message (bursts are allowed)
	OverInGroup       map[int64]int // groups: messages beyond the 20th of a trailing minute
	Ignored           map[int64]int // calls made although a 429 still held, by chat
	Injected          int           // 429s that Faults.TooManyPercent made
	Caused            int           // 429s that Faults.EnforcePace made
}

func newPace() *pace { return &pace{chats: map[int64]*chatPace{}} }

// chat finds a chat's count; the caller holds the lock.
func (p *pace) chat(id int64) *chatPace {
	c := p.chats[id]
	if c == nil {
		c = &chatPace{tokens: chatBurst}
		p.chats[id] = c
	}
	return c
}

func (c *chatPace) trim(now time.Time) {
	for len(c.minute) > 0 && now.Sub(c.minute[0]) >= time.Minute {
		c.minute = c.minute[1:]
	}
}

func (p *pace) count(chat int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all.add(at, bulkPerSecond)
	c := p.chat(chat)
	c.add(at, chatPerSecond)
	c.trim(at)
	c.minute = append(c.minute, at)
	c.mostMinute = max(c.mostMinute, len(c.minute))
	if len(c.minute) > groupPerMinute {
		c.overMinute++
	}
	c.refill(at)
	c.tokens--
}

func (c *chatPace) refill(now time.Time) {
	if c.refilled.IsZero() {
		c.refilled = now
	}
	if d := now.Sub(c.refilled); d > 0 {
		c.tokens = min(c.tokens+d.Seconds()*chatPerSecond, chatBurst)
		c.refilled = now
	}
}

// wait is how long a message to a chat must wait by Telegram's pace; 0: not at all.
func (p *pace) wait(chat int64, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.chat(chat)
	if chat < 0 {
		c.trim(now)
		if len(c.minute) >= groupPerMinute {
			return c.minute[len(c.minute)-groupPerMinute].Add(time.Minute).Sub(now)
		}
		return 0
	}
	c.refill(now)
	if c.tokens < 1 {
		return time.Duration((1 - c.tokens) / chatPerSecond * float64(time.Second))
	}
	return 0
}

func (p *pace) ignored(chat int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chat(chat).ignored++
}

// injected and caused count 429s.
func (p *pace) injected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made++
}

func (p *pace) caused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over++
}

// Pace reports the pace so far.
func (s *Server) Pace() Pace {
	p := s.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	report := Pace{
		Injected: p.made, Caused: p.over,
		MostPerSecond: p.all.most, SecondsOver30: p.all.over,
		OverInChat: map[int64]int{}, OverInGroup: map[int64]int{}, Ignored: map[int64]int{},
	}
	for id, c := range p.chats {
		report.MostChatPerSecond = max(report.MostChatPerSecond, c.most)
		report.MostPerMinute = max(report.MostPerMinute, c.mostMinute)
		if id > 0 && c.over > 0 {
			report.OverInChat[id] = c.over
		}
		if id < 0 && c.overMinute > 0 {
			report.OverInGroup[id] = c.overMinute
		}
		if c.ignored > 0 {
			report.Ignored[id] = c.ignored
		}
	}
	return report
}
